//! Reads: SQL on the tables, one transaction a question.

mod apps;
mod audit;
mod icon;
mod install;
mod releases;

pub use apps::AppOverview;
pub(crate) use apps::{app_to_read, channel_detail, channel_details};
pub use audit::{AuditFilter, DownloadCount};
pub use icon::IconFile;
pub use install::{IndexEntry, InstallPage, InstallStamp, Latest, LatestQuery, Offer, PastOffer};
pub(crate) use releases::release_detail;
pub use releases::{ReleaseFilter, ReleaseOrder};
