//! The release platform's vocabulary and its rules, with nothing around them.
//!
//! Here live the entities ([`App`], [`Release`], [`Artifact`], [`Channel`], [`Token`]), the names
//! that can only hold valid values ([`Slug`], [`Version`], [`Digest`] …), the events that make up
//! the log ([`Event`]), the error codes with their exit codes and HTTP statuses ([`ErrorCode`]),
//! and the decisions ([`decide`]): pure functions from a state and an intent to events or to a
//! [`Refusal`]. There is no async, no I/O, no clock, no randomness and no SQL in this crate: time
//! and ids are arguments.
//!
//! ```
//! use dist_model::{Slug, Version, ErrorCode};
//!
//! let slug: Slug = "acme-app".parse()?;
//! assert_eq!(slug.as_str(), "acme-app");
//! let refusal = "-acme".parse::<Slug>().unwrap_err();
//! assert_eq!(refusal.code, ErrorCode::InvalidSlug);
//! assert_eq!("2.4.0+build.7".parse::<Version>()?.as_str(), "2.4.0+build.7");
//! # Ok::<(), dist_model::Refusal>(())
//! ```

mod actor;
mod app;
mod artifact;
mod audit;
mod channel;
mod compare;
pub mod decide;
mod digest;
mod error;
mod event;
pub mod events;
mod ids;
mod link;
mod names;
mod nearest;
mod platform;
mod release;
mod reports;
mod sentence;
mod session;
mod time;
mod token;
mod user;

pub use actor::Actor;
pub use app::{App, AppChanges, IosMode, Visibility};
pub use artifact::{Artifact, ArtifactKey, ValidationStatus};
pub use audit::AuditEvent;
pub use channel::{Channel, ChannelChanges, ChannelMove, ChannelPolicy, MoveCause};
pub use compare::{ArtifactComparison, Comparison, FactChange, ListChange, compare};
pub use digest::Digest;
pub use error::{ErrorCode, ErrorKind, Refusal};
pub use event::{AuditTarget, Event};
pub use ids::{AppId, ArtifactId, LinkId, ReleaseId, SessionId, TokenId, UserId, new_id};
pub use link::InstallLink;
pub use names::{Build, ChannelName, Email, FileName, Slug, Version};
pub use nearest::nearest;
pub use platform::Platform;
pub use release::{Release, ReleaseStatus, Source};
pub use reports::{
    BackupReport, ChannelDetail, CleanupReport, HistoryEntry, Moved, ReleaseDetail, RemovedObject, RetiredRelease,
    StoreProblem, StoreRebuildReport, StoreUpgradeReport, VerifyReport, Warning, Yanked,
};
pub use sentence::{About, Part, ReleaseName, sentence};
pub use session::{Session, SignIn};
pub use time::{Timestamp, parse_duration};
pub use token::{Scope, Scopes, Token};
pub use user::{Role, Roles, User, UserChanges, check_password, clean_name};
