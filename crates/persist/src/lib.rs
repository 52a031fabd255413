//! Durable state for one program or for several at once: an append-only **event log** for what has
//! a history, **keys** for what has only a present, and **tables** that are folded from the log in
//! the transaction that appends to it. In a file, on `SQLite`, without a server.
//!
//! # First steps
//!
//! Write, read, fold, follow. Beside this crate it takes `serde` with its `derive` feature.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use persist::{
//!     ExpectedRevision, NewEvent, Options, Position, Projection, Revision, SqlStore, StreamName, Subscription, kv, log,
//!     project,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! /// What can happen: a variant is an event's type, what it holds is the event's data.
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! #[serde(rename_all = "snake_case")]
//! enum Order {
//!     Placed { total: u64 },
//!     Cancelled { total: u64 },
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(folder.path())?;
//! // Made if it is not there. The store is a handle: clones of it are cheap, and share it.
//! let store = SqlStore::open("shop.db", Options::default())?;
//! let orders = StreamName::new("orders")?;
//!
//! // Write. What returned is on the disk, with its place in the stream and in the store. The log
//! // reads no clock: when something happened is for the caller to say, in Unix milliseconds.
//! let placed = log::append(&store, &orders, NewEvent::typed(1_795_000_000_000, &Order::Placed { total: 12 })?)?;
//! println!("event {} of {}, {} of the store", placed.event.seq, placed.event.stream, placed.position);
//!
//! // Whoever has not seen that event is told so. A conflict is a value, and has written nothing.
//! let cancelled = NewEvent::typed(1_795_000_000_500, &Order::Cancelled { total: 12 })?;
//! let late = log::append_expect(&store, &orders, ExpectedRevision::NoStream, cancelled.clone())?;
//! assert!(late.is_conflict());
//! let in_time = log::append_expect(&store, &orders, ExpectedRevision::Exact(placed.event.seq), cancelled)?;
//! assert!(!in_time.is_conflict());
//!
//! // Read, page by page behind the iterator.
//! for recorded in log::events(&store, &orders, Revision::ZERO) {
//!     let order: Order = recorded?.decode()?;
//!     println!("{order:?}");
//! }
//!
//! // Fold.
//! let revenue = Projection::typed("revenue", 1, 0, |sum: &mut u64, order| match order {
//!     Order::Placed { total } => *sum += total,
//!     Order::Cancelled { total } => *sum -= total,
//! });
//! assert_eq!(project::project(&store, &orders, &revenue)?.value, 0);
//!
//! // Follow: what is there, and then what comes, from any process.
//! let mut subscription = Subscription::to_all(Arc::new(store.clone()), Position::ZERO)?;
//! while let Some(recorded) = subscription.next_timeout(Duration::ZERO)? {
//!     println!("{} {}", recorded.position, recorded.event.r#type);
//! }
//!
//! // What needs no history.
//! kv::put(&store, "currency", "EUR")?;
//! assert_eq!(kv::get::<String>(&store, "currency")?.as_deref(), Some("EUR"));
//! # Ok(())
//! # }
//! ```
//!
//! # Facets
//!
//! The facets are modules of functions over any [`Backend`].
//!
//! | | |
//! | --- | --- |
//! | [`log`] | append, with an expectation, in batches, once for an idempotency key; read; truncate |
//! | [`query`] | events by revision, time, type or what they hold |
//! | [`kv`] | get, put, compare and swap, update, of any type that serde knows |
//! | [`project`] | fold a stream or everything, resume, and [as of](AsOf) a moment of the past |
//! | [`snapshot`], [`compaction`] | fold from where it stood, and drop what no fold needs any more |
//! | [`View`] | a fold with a name, and its value at hand |
//! | [`Subscription`], [`Hub`] | follow the log from a place on; call back with what is published here |
//! | [`global`] | one order over the events of many streams that ask for it |
//! | [`upcast`] | old events in their current form |
//! | [`catalog`] | which streams there are |
//! | [`blob`] | large things beside the log, by reference |
//!
//! # Backends
//!
//! | | |
//! | --- | --- |
//! | [`SqlStore`] | a file; several processes may use it at once |
//! | [`RemoteBackend`] | a store that another process serves, over pipes or sockets: see [`protocol`] and the program `persist` |
//! | [`MemoryLog`] | for tests, and the model that the others are compared with |
//!
//! They all pass the same suite of 201 cases, which is part of this crate (`testing`): see
//! `scoreboard.md`.
//!
//! # Deciding inside the transaction
//!
//! [`SqlStore`] orders all writes of a process through one sequencer, which commits everything that
//! waits in one transaction, so that many writers cost little more than one. A *command* runs in
//! there: it reads what it needs by key, decides, and answers with a [`Commit`] of events, keys and an
//! idempotency receipt. Sixteen writers to one stream need no retries. An [`InlineProjection`] keeps
//! tables of its own in the same transaction, so that they are never behind the log nor ahead of it;
//! [`SqlStore::rebuild`] makes them again and tells what differed.
//!
//! ```
//! use persist::{Append, Decision, ExpectedRevision, NewEvent, Options, Outcome, SqlReadExt, SqlStore};
//! use persist::{StreamName, SqlError, params};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqlStore::in_memory(Options {
//!     side_tables: &["CREATE TABLE IF NOT EXISTS seats (name TEXT PRIMARY KEY, taken BIGINT NOT NULL)"],
//!     ..Options::default()
//! })?;
//! let bookings = StreamName::new("bookings")?;
//!
//! let outcome = store.submit_blocking::<i64, SqlError>(move |tx| {
//!     tx.execute("INSERT INTO seats (name, taken) VALUES (?1, 1)", params!["12A"])?;
//!     let taken = tx.query_one("SELECT COUNT(*) FROM seats", params![], |row| row.get(0))?;
//!     let booked = NewEvent::new("booked", 0, json!({"seat": "12A"}));
//!     Ok(Decision {
//!         commit: Append::new(bookings, ExpectedRevision::Any, vec![booked]).into(),
//!         value: taken,
//!     })
//! })?;
//! assert!(matches!(outcome, Outcome::Committed { value: 1, .. }));
//! # Ok(())
//! # }
//! ```
//!
//! # Blocking and async
//!
//! Reads answer inline, in microseconds; a commit blocks until it is durable. Async code awaits
//! [`SqlStore::submit`] or [`Backend::commit_async`], polls a [`Subscription`] or
//! [`Events::into_stream`] as a stream, and hands the rest with a clone of the store to the blocking
//! pool of its runtime. No runtime is needed, and none is started.
//!
//! # Errors
//!
//! [`Error::class`] says what the caller may do: try again, find out what became of a commit whose
//! answer was lost, mend the request, or open the store again. [`Error::code`] is a stable name.
//!
//! `docs/design.md` tells the tables field by field, what is promised at each level of durability, and
//! the traps; `examples/acl` is a whole small program.

// An example that the conformance suite runs is written as a program that uses the library.
#[cfg(feature = "testing")]
extern crate self as persist;

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
pub mod protocol;
mod sql;
mod stage;
#[cfg(feature = "testing")]
pub mod testing;
mod typed;

pub use backend::{Backend, CommitFuture, StoreIdentity};
pub use backends::memory::MemoryLog;
pub use backends::remote::RemoteBackend;
pub use backends::sqlite::{Adoption, OpenMode, Options, SqlStore, Stats};
pub use blobs::{FolderBlobs, MemoryBlobs};
pub use clock::{Clock, SystemClock};
pub use commit::{
    Append, Attempt, Commit, Committed, Conflict, Decision, KvChange, KvExpected, NewReceipt, Outcome, Receipt,
    ReceiptResult, Truncation,
};
pub use commits::Commits;
pub use error::{Error, ErrorKind, InvalidInput, OpenError, RebuildError, SubmitError};
pub use event::{Event, ExpectedRevision, NewEvent, Position, Recorded, Revision};
pub use facets::hub::{Hub, SubscriberId};
pub use facets::project::{AsOf, Projected, Projection};
pub use facets::subscribe::{Checkpoint, Place, Subscription};
pub use facets::view::View;
pub use facets::{blob, catalog, compaction, global, kv, log, project, query, snapshot, upcast};
pub use names::{Key, NameError, StreamName};
pub use page::{After, EventStream, Events, Page, RawEvent};
pub use projection::{InlineProjection, RebuildReport, Table, TableDifference};
pub use sql::{EachRow, ErrorClass, FromSql, Row, SqlError, SqlParam, SqlRead, SqlReadExt, SqlTx};
