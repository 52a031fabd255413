//! The seam below the facets: what every place that keeps a log can do.

use serde_json::Value;

use crate::{Commit, Error, Outcome, Position, Receipt, Recorded, Revision, StreamName};

/// A place that keeps a log, keys and receipts.
pub trait Backend: Send + Sync {
    /// Commits everything, or nothing. Blocks until that is durable, so it is not for async code.
    fn commit(&self, commit: Commit) -> Result<Outcome<()>, Error>;

    /// At most `limit` events of a stream after a revision, oldest first.
    fn read_stream(&self, stream: &StreamName, after: Revision, limit: usize) -> Result<Vec<Recorded>, Error>;

    /// At most `limit` events of the store after a position, oldest first.
    fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, Error>;

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
    fn kv_get(&self, key: &str) -> Result<Option<Value>, Error>;

    /// All keys, ordered.
    fn kv_keys(&self) -> Result<Vec<String>, Error>;

    /// The receipt of an idempotency key.
    fn find_receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error>;
}
