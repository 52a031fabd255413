//! What travels between `dist` and `distd`: requests, answers, links and the manifest, and the
//! HTTP client behind the feature `client`.
//!
//! The entities themselves ([`dist_model::App`], [`dist_model::Release`] …) are their own wire
//! form; this crate adds what is made of them for a reader: links, references, pages, results.
//!
//! ```
//! let links = dist_api::Links::new("https://get.example.org/dist/");
//! assert_eq!(links.install("acme", "beta"), "https://get.example.org/dist/install/acme/beta");
//! ```

mod answers;
#[cfg(feature = "client")]
pub mod client;
mod links;
pub mod manifest;
mod queries;
mod requests;

pub use answers::{
    AppDetail, AppRef, ArtifactView, ChannelRef, ChannelView, ErrorBody, ErrorDetail, LatestView, LinkCreated,
    MoveResult, MoveStatus, Page, PublishResult, ReleaseRef, ReleaseView, TokenCreated, UploadResult, YankResult,
    YankStatus,
};
pub use links::{LINK_PARAMETER, Links, for_tester};
pub use queries::{AuditQuery, Order, Paging, ReleaseQuery};
pub use requests::{
    AppCreate, ArtifactsAdd, BackupRequest, CleanupRequest, DraftPublish, LinkCreate, Promote, Rollback, TokenCreate,
    Yank,
};
