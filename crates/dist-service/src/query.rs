//! Reads: SQL on the tables, one transaction a question.

mod apps;
mod audit;
mod console;
mod icon;
mod install;
mod news;
mod releases;
mod tokens;

pub use apps::AppOverview;
pub(crate) use apps::{app_to_read, channel_detail, channel_details, history};
pub use audit::{AuditChoices, AuditExport, AuditFilter, AuditLine, AuditPage, AuditPlace};
pub use console::{
    AppDownloads, AppPage, AppRow, AppStorage, ArtifactRow, ChannelPage, ChannelStand, ComparePage, Contents,
    Downloads, Found, Health, LastMove, Leaving, ObjectsOnDisk, PlannedMove, PlannedPublish, PlannedRelease,
    PlannedYank, PlatformContents, ReleaseDownloads, ReleasePage, ReleaseRow, ReleaseSearch, RetentionPlan, SearchHit,
    Standing, Stay, StayEnd, StorageDay, StorageUse,
};
pub use icon::IconFile;
pub use install::{IndexEntry, InstallPage, InstallStamp, Latest, LatestQuery, Offer, PastOffer};
pub use news::News;
pub(crate) use releases::release_detail;
pub use releases::{ReleaseFilter, ReleaseOrder};
pub use tokens::DownloadCount;
