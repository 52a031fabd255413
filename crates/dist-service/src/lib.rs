//! The use-cases: everything that `distd` does over HTTP and `dist` does on a folder.
//!
//! [`Service`] is the main type: a cheap handle on a store (`dist.db` and `objects/`). A write
//! loads what it needs by key inside the write transaction, checks the caller's rights there,
//! lets `dist_model::decide` decide, and appends the events; the tables follow in the same
//! transaction (the module `projection`). A read is SQL on those tables.
//!
//! ```
//! use dist_model::AppChanges;
//! use dist_service::{Caller, OpenMode, Principal, Service, Setup};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! let service = Service::open(folder.path(), OpenMode::Create, Setup::default())?;
//! let caller = Caller::new(Principal::Local(1000));
//! let app = runtime.block_on(service.create_app(&caller, "acme".parse()?, AppChanges::default(), None))?;
//! assert_eq!(app.owner, "local:1000");
//! # service.shutdown();
//! # Ok(())
//! # }
//! ```

// Entry points are async even where SQLite answers at once: PostgreSQL will not.
#![allow(clippy::unused_async)]

mod access;
mod app;
mod channel;
mod entropy;
mod error;
mod idempotency;
mod identity;
mod import;
mod inspection;
mod link;
mod maintenance;
mod object;
mod paging;
mod password;
mod people;
#[cfg(test)]
mod plans;
mod preflight;
mod projection;
mod publish;
mod query;
mod release;
mod rows;
mod schema;
mod secret;
mod select;
mod service;
mod session;
mod throttle;
mod token;
mod usage;
mod user;

pub use access::{Caller, Denied, Person, Principal};
pub use channel::PromoteFrom;
pub use entropy::{Entropy, OsEntropy};
pub use error::Error;
pub use idempotency::Idempotency;
pub use identity::{Admission, Identity};
pub use inspection::{facts, findings};
pub use link::NewLink;
pub use maintenance::cleanup::CleanupOptions;
pub use object::Download;
pub use paging::{Page, Paging};
pub use persist::{Clock, Stats, StoreIdentity, SystemClock};
pub use publish::{ArtifactRequest, PublishRequest};
pub use query::{
    AppDownloads, AppOverview, AppPage, AppRow, AppStorage, ArtifactRow, AuditChoices, AuditExport, AuditFilter,
    AuditLine, AuditPage, AuditPlace, ChannelPage, ChannelStand, ComparePage, Contents, DownloadCount, Downloads,
    Found, Health, IconFile, IndexEntry, InstallPage, InstallStamp, LastMove, Latest, LatestQuery, Leaving, News,
    ObjectsOnDisk, Offer, PastOffer, PlannedMove, PlannedPublish, PlannedRelease, PlannedYank, PlatformContents,
    ReleaseDownloads, ReleaseFilter, ReleaseOrder, ReleasePage, ReleaseRow, ReleaseSearch, RetentionPlan, SearchHit,
    Standing, Stay, StayEnd, StorageDay, StorageUse,
};
pub use release::YankIntent;
pub use select::Selector;
pub use service::{Cleaned, OpenMode, Service, Setup};
pub use session::{NewSession, Visit};
pub use token::NewToken;
pub use user::{Invited, UserRow};
