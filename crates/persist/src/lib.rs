//! Durable state: an append-only event log, a key-value facet, and tables that are folded from the
//! log inside the transaction that appends to it.
//!
//! [`SqlStore`] is the main type. It orders all writes of a process through one sequencer, which
//! commits everything that waits in one transaction; reads run inline on snapshots beside it.
//! A *command* ([`SqlStore::submit`]) reads what it needs by key inside that transaction, decides,
//! and answers with a [`Commit`]: events, key-value changes, an idempotency receipt. What it finds
//! in its way is a [`Conflict`], which is a value and has written nothing.
//!
//! The facets [`log`], [`kv`], [`query`] and [`catalog`] are the plain operations, the same over
//! every [`Backend`]: [`SqlStore`] and [`MemoryLog`].
//!
//! ```
//! use persist::{ExpectedRevision, NewEvent, Options, Revision, SqlStore, StreamName, kv, log};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqlStore::in_memory(Options::default())?;
//! let orders = StreamName::new("orders")?;
//!
//! let placed = log::append(&store, &orders, NewEvent::new("placed", 0, json!({"total": 12})))?;
//! assert_eq!(placed.event.seq, Revision::FIRST);
//!
//! // Somebody who has not seen that event is told so, and nothing is written.
//! let late = NewEvent::new("placed", 0, json!({"total": 99}));
//! let conflict = log::append_expect(&store, &orders, ExpectedRevision::NoStream, late)?;
//! assert!(conflict.is_conflict());
//!
//! kv::put(&store, "currency", "EUR")?;
//! assert_eq!(log::count(&store, &orders)?, 1);
//! # Ok(())
//! # }
//! ```

mod backend;
mod backends;
mod blobs;
mod clock;
mod commit;
mod commits;
mod error;
mod event;
mod facets;
mod finite;
mod names;
mod page;
mod projection;
mod sql;
mod stage;
#[cfg(feature = "testing")]
pub mod testing;
mod typed;

pub use backend::{Backend, CommitFuture, StoreIdentity};
pub use backends::memory::MemoryLog;
pub use backends::sqlite::{OpenMode, Options, SqlStore, Stats};
pub use blobs::{FolderBlobs, MemoryBlobs};
pub use clock::{Clock, SystemClock};
pub use commit::{
    Append, Attempt, Commit, Committed, Conflict, Decision, KvChange, KvExpected, NewReceipt, Outcome, Receipt,
    ReceiptResult, Truncation,
};
pub use commits::Commits;
pub use error::{Error, ErrorKind, InvalidInput, OpenError, RebuildError, SubmitError};
pub use event::{Event, ExpectedRevision, NewEvent, Position, Recorded, Revision};
pub use facets::project::{AsOf, Projected, Projection};
pub use facets::{blob, catalog, kv, log, project, query, upcast};
pub use names::{Key, NameError, StreamName};
pub use page::{After, Events, Page, RawEvent};
pub use projection::{InlineProjection, RebuildReport, Table, TableDifference};
pub use sql::{EachRow, ErrorClass, FromSql, Row, SqlError, SqlParam, SqlRead, SqlReadExt, SqlTx};
