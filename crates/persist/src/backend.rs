//! The seam below the facets: what every place that keeps a log can do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{After, Commit, Commits, Error, Key, Outcome, Page, Position, Receipt, Revision, StreamName};

/// Which store a backend keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreIdentity {
    /// Made with the store, 32 hexadecimal digits.
    pub store_id: String,
    /// Advanced when the store is restored; positions of different epochs do not compare.
    pub epoch: u64,
    /// The version of the tables that hold the log.
    pub schema_version: u32,
}

/// A commit that is on its way.
pub type CommitFuture<'a> = Pin<Box<dyn Future<Output = Result<Outcome<()>, Error>> + Send + 'a>>;

/// A place that keeps a log, keys and receipts.
///
/// Handles are cheap to clone. Everything but [`Backend::commit_async`] answers on the thread that
/// asks: a read in microseconds, a commit once it is durable.
pub trait Backend: Send + Sync {
    /// Which store this is.
    fn identity(&self) -> Result<StoreIdentity, Error>;

    /// Commits everything, or nothing. Blocks until that is durable, so it is not for async code.
    fn commit(&self, commit: Commit) -> Result<Outcome<()>, Error>;

    /// [`Backend::commit`] for async code. A commit that was handed over is performed even if the
    /// future is dropped.
    fn commit_async(&self, commit: Commit) -> CommitFuture<'_>;

    /// Some events after a place, oldest first: at most `limit`, fewer where they are large or
    /// where the log ends, at least one if there is one.
    fn page(&self, after: After<'_>, limit: usize) -> Result<Page, Error>;

    /// The revision last given in a stream; [`Revision::ZERO`] if none ever was.
    fn last_seq(&self, stream: &StreamName) -> Result<Revision, Error>;

    /// How many events of a stream are there.
    fn count(&self, stream: &StreamName) -> Result<u64, Error>;

    /// Every stream ever appended to, the reserved ones too, with the revision last given in it,
    /// ordered by name.
    fn stream_revisions(&self) -> Result<Vec<(StreamName, Revision)>, Error>;

    /// The position last given.
    fn head(&self) -> Result<Position, Error>;

    /// The value of a key.
    fn kv_get(&self, key: &Key) -> Result<Option<Value>, Error>;

    /// The keys that begin with `prefix`, the reserved ones too, ordered.
    fn kv_keys(&self, prefix: &str) -> Result<Vec<Key>, Error>;

    /// The receipt of an idempotency key.
    fn find_receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error>;

    /// What tells that there is more to read, whoever wrote it.
    fn commits(&self) -> Arc<Commits>;
}
