//! The store on `SQLite`: a handle over one writer thread and a stack of read connections.

mod backup;
mod checkpoint;
mod connection;
mod files;
mod open;
mod readers;
mod replay;
mod sequencer;
mod turn;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use self::checkpoint::Checkpointer;
use self::connection::{Location, Session};
use self::readers::Readers;
pub use self::replay::Adoption;
use self::sequencer::{Pending, Request, Shared, Writer};
use self::turn::Turn;
use super::tables;
use crate::{
    After, Backend, Clock, Commit, CommitFuture, Commits, Decision, Error, InlineProjection, InvalidInput, Key,
    OpenError, Outcome, Page, Position, RebuildError, RebuildReport, Receipt, Revision, SqlError, SqlRead, SqlTx,
    StoreIdentity, StreamName, SubmitError, SystemClock, TableDifference, params,
};

/// How a store is opened.
pub struct Options {
    /// The projections that make the store's tables, applied in this order.
    pub projections: Vec<Arc<dyn InlineProjection>>,
    /// DDL of tables that are not made from events, each statement idempotent
    /// (`CREATE TABLE IF NOT EXISTS …`), run whenever the store is opened.
    pub side_tables: &'static [&'static str],
    /// The source of `recorded_at`.
    pub clock: Arc<dyn Clock>,
    /// Marks the database as this program's own; a database with another one is refused.
    pub application_id: i32,
    /// How long writes and opening wait for other processes.
    pub busy_timeout: Duration,
    /// How many commands may wait; more make their callers wait.
    pub queue: usize,
    /// How far the write-ahead log may grow, in bytes, while a reader keeps it from being written
    /// back; then commits are refused with [`Error::LogFull`] until that reader ends.
    pub wal_limit: u64,
    /// The file that is locked while the store is made or migrated; by default the database's path
    /// with `.lock` at its end.
    pub lock_path: Option<PathBuf>,
    /// What [`OpenMode::AdoptProjections`] does beside making tables again.
    pub adoption: Adoption,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            projections: Vec::new(),
            side_tables: &[],
            clock: Arc::new(SystemClock),
            application_id: i32::from_be_bytes(*b"prst"),
            busy_timeout: Duration::from_secs(10),
            queue: 1024,
            wal_limit: 1 << 30,
            lock_path: None,
            adoption: Adoption::default(),
        }
    }
}

/// What opening may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make the store if there is none.
    CreateIfMissing,
    /// Refuse if there is none.
    MustExist,
    /// Refuse if there is none. If its tables were made by another set of projections, make them
    /// again by this one, from the log, as [`Options::adoption`] says; writers of the other set are
    /// refused from then on. The store's lock is held until that is done.
    AdoptProjections,
}

/// Figures of a store, since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// How many commands wait.
    pub queue_len: usize,
    /// How many transactions were committed.
    pub batches: u64,
    /// How many commands those held.
    pub commands: u64,
    /// The transactions by size: at `n` those of at most 2ⁿ commands, and more than half of that.
    pub batch_sizes: [u64; 11],
    /// The size of the write-ahead log, in bytes.
    pub wal_bytes: u64,
    /// Why the writer has stopped for good, if it has.
    pub poisoned: Option<String>,
}

/// A store on `SQLite`. Clones are handles to the same store; the last one shuts it down.
#[derive(Clone)]
pub struct SqlStore {
    inner: Arc<Inner>,
}

struct Inner {
    location: Location,
    readers: Readers,
    shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
    turn: Arc<Turn>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// The writer's thread, which is woken when there is something in the queue.
    thread: Thread,
    /// Hears of other processes' commits; `None` while nobody wants to.
    watcher: Mutex<Option<JoinHandle<()>>>,
    projections: Arc<[Arc<dyn InlineProjection>]>,
    busy_timeout: Duration,
    /// A database in memory lives as long as a connection to it.
    _anchor: Option<Mutex<Connection>>,
}

impl SqlStore {
    /// Opens the store at `path`, or makes it.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Self::open_with(path, OpenMode::CreateIfMissing, options)
    }

    /// Opens the store at `path`. Blocks, for as long as a replay takes if projections are adopted.
    pub fn open_with(path: impl AsRef<Path>, mode: OpenMode, options: Options) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).map_err(OpenError::Io)?;
        Self::start(Location::File(path), mode, options)
    }

    /// Makes a store in memory, for tests: the same code over another file system. It has no
    /// write-ahead log, so readers and the writer wait for each other.
    pub fn in_memory(options: Options) -> Result<Self, OpenError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let location = Location::Memory(format!("file:/persist-{number}?vfs=memdb"));
        Self::start(location, OpenMode::CreateIfMissing, options)
    }

    fn start(location: Location, mode: OpenMode, options: Options) -> Result<Self, OpenError> {
        let mut opened = open::open(&location, mode, &options)?;
        let own = open::projection_set(&options)?;
        let (read_timeout, anchor) = match location {
            // Readers of a file never wait for writers; what else locks them out is soon over.
            Location::File(_) => (Duration::ZERO, None),
            Location::Memory(_) => {
                let anchor = location.connect(false, options.busy_timeout)?;
                (options.busy_timeout, Some(Mutex::new(anchor)))
            }
        };
        let shared = Arc::new(Shared::default());
        let projections: Arc<[_]> = options.projections.into();
        let writer = Writer {
            checkpointer: Checkpointer::take_over(&mut opened.writer, options.busy_timeout, options.wal_limit)?,
            connection: opened.writer,
            projections: Arc::clone(&projections),
            projection_set: opened.projections.clone(),
            clock: options.clock,
            files: opened.files,
            shared: Arc::clone(&shared),
        };
        let (queue, requests) = mpsc::channel(options.queue.max(1));
        let turn = Arc::new(Turn::new(writer));
        let writer = thread::Builder::new()
            .name("persist-writer".to_owned())
            .spawn({
                let (turn, shared) = (Arc::clone(&turn), Arc::clone(&shared));
                move || {
                    turn::run(&turn, &shared, requests);
                    // Only now, so that whoever listens still hears of the last commit.
                    shared.commits.close();
                }
            })
            .map_err(OpenError::Io)?;
        let store = Self {
            inner: Arc::new(Inner {
                readers: Readers::new(location.clone(), read_timeout),
                location,
                shared,
                queue,
                turn,
                thread: writer.thread().clone(),
                writer: Mutex::new(Some(writer)),
                watcher: Mutex::default(),
                projections,
                busy_timeout: options.busy_timeout,
                _anchor: anchor,
            }),
        };
        if opened.projections != own {
            replay::adopt(&store, own, options.adoption).map_err(|error| OpenError::Adopt(Box::new(error)))?;
        }
        drop(opened.lock);
        Ok(store)
    }

    /// Reads in one transaction: everything that `read` sees is of one moment.
    ///
    /// It runs inline on this thread, in microseconds for rows by key, and does not wait for
    /// writers. What it does not do is wait at all: if another process locks the database for
    /// recovery, it is [`ErrorClass::Busy`](crate::ErrorClass::Busy).
    pub fn read<T, E: From<SqlError>>(&self, read: impl FnOnce(&dyn SqlRead) -> Result<T, E>) -> Result<T, E> {
        self.inner.readers.with(|connection| {
            let session = Session::begin(connection, "BEGIN")?;
            let result = read(&session);
            session.rollback()?;
            result
        })
    }

    /// Runs a command in the next write transaction and answers once that is durable.
    ///
    /// The command reads what it needs by key, decides, and does no other I/O: everybody waits for
    /// it. What it writes itself (side tables) and what its commit holds are undone together if it
    /// refuses, conflicts, repeats a receipt, or panics. A command that was handed over is run
    /// even if this future is dropped.
    pub async fn submit<T, E>(
        &self,
        command: impl FnOnce(&mut dyn SqlTx) -> Result<Decision<T>, E> + Send + 'static,
    ) -> Result<Outcome<T>, SubmitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Request::Command(Box::new(Pending::new(command, reply)));
        let sent = self.inner.queue.send(request).await;
        sent.map_err(|_| SubmitError::Store(self.inner.closed()))?;
        self.inner.thread.unpark();
        answer.await.unwrap_or_else(|_| Err(SubmitError::Store(unanswered())))
    }

    /// [`SqlStore::submit`] for code that is not async. The command runs on this thread if nobody
    /// else is writing.
    ///
    /// # Panics
    /// In an async context, which it would block, and in a command of this store, which it would
    /// wait for.
    pub fn submit_blocking<T, E>(
        &self,
        command: impl FnOnce(&mut dyn SqlTx) -> Result<Decision<T>, E> + Send + 'static,
    ) -> Result<Outcome<T>, SubmitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.inner.assert_may_block();
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending::new(command, reply));
        self.inner.hand_over(job).map_err(SubmitError::Store)?;
        answer
            .blocking_recv()
            .unwrap_or_else(|_| Err(SubmitError::Store(unanswered())))
    }

    /// The receipt of an idempotency key, for a command that wants to know before it decides.
    pub fn receipt(tx: &dyn SqlRead, scope: &str, key: &str) -> Result<Option<Receipt>, SqlError> {
        tables::receipt(tx, scope, key)
    }

    /// Begins a new epoch, as a restore must, and answers with it. Blocks.
    pub fn advance_epoch(&self) -> Result<u64, Error> {
        const SQL: &str = "UPDATE persist_head SET epoch = epoch + 1 WHERE id = 1";
        let outcome = self.submit_blocking(|tx| {
            tx.execute(SQL, params![])?;
            let epoch = tables::head(tx)?.epoch;
            Ok(Decision {
                commit: Commit::default(),
                value: epoch,
            })
        });
        match outcome? {
            Outcome::Committed { value, .. } => Ok(value),
            Outcome::Duplicate(_) | Outcome::Conflict(_) => {
                Err(InvalidInput::Contradiction("an empty commit cannot conflict").into())
            }
        }
    }

    /// Makes the projections' tables again from the log. Most of that runs beside the writer; the
    /// end of the log, the comparison and the replacement are one transaction. Blocks.
    pub fn rebuild(&self) -> Result<RebuildReport, RebuildError> {
        replay::rebuild(self)
    }

    /// Compares the projections' tables with a replay of the log, and changes nothing. Blocks.
    pub fn verify_projections(&self) -> Result<Vec<TableDifference>, RebuildError> {
        replay::verify(self)
    }

    /// Writes a copy of the database, as of one moment, to `path`, where nothing may be yet, and
    /// answers with the position that it stands at. The copy is on the disk, with its name, when
    /// this returns. Blocks; writing goes on meanwhile.
    pub fn backup_to(&self, path: &Path) -> Result<Position, Error> {
        backup::backup(&self.inner.connect()?, path)
    }

    /// Writes the write-ahead log back into the database and empties it, if no reader is in the
    /// way; answers whether that was so. Blocks.
    pub fn checkpoint(&self) -> Result<bool, Error> {
        self.call(|writer| writer.checkpointer.truncate(&writer.connection))
    }

    /// Figures for metrics.
    pub fn stats(&self) -> Stats {
        let Inner {
            location,
            shared,
            queue,
            ..
        } = &*self.inner;
        let wal_bytes = match location {
            Location::File(path) => open::with_suffix(path, "-wal").metadata().map_or(0, |wal| wal.len()),
            Location::Memory(_) => 0,
        };
        Stats {
            queue_len: queue.max_capacity() - queue.capacity(),
            batches: shared.batches.load(Ordering::Relaxed),
            commands: shared.commands.load(Ordering::Relaxed),
            batch_sizes: shared.batch_sizes.each_ref().map(|size| size.load(Ordering::Relaxed)),
            wal_bytes,
            poisoned: shared.poisoned.get().cloned(),
        }
    }

    /// Performs what waits, refuses what comes, writes the write-ahead log back and ends the
    /// writer. Reads go on. Blocks until that is done.
    pub fn shutdown(&self) {
        self.inner.shutdown();
    }

    /// Lets the database grow to `pages` pages and no further, as if the disk were full.
    #[cfg(feature = "testing")]
    pub fn limit_pages(&self, pages: u32) -> Result<(), Error> {
        self.call(move |writer| {
            writer
                .connection
                .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        })?
        .map_err(|error| connection::sql_error(error).into())
    }

    /// Runs a task on the writer's connection, between batches. Blocks.
    fn call<R: Send + 'static>(&self, task: impl FnOnce(&mut Writer) -> R + Send + 'static) -> Result<R, Error> {
        if self.inner.shared.poisoned.get().is_some() {
            return Err(self.inner.closed());
        }
        self.inner.assert_may_block();
        let (reply, answer) = oneshot::channel();
        let task = Request::Task(Box::new(move |writer| {
            let _ = reply.send(task(writer));
        }));
        self.inner.send(task)?;
        answer.blocking_recv().map_err(|_| Error::Panicked)
    }
}

fn unanswered() -> Error {
    Error::OutcomeUnknown("the writer ended without an answer".to_owned())
}

impl Inner {
    /// A connection for one long operation beside the writer.
    fn connect(&self) -> Result<Connection, SqlError> {
        self.location.connect(false, self.busy_timeout)
    }

    fn closed(&self) -> Error {
        match self.shared.poisoned.get() {
            Some(why) => Error::Poisoned(why.clone()),
            None => Error::Closed,
        }
    }

    fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.thread.unpark();
        // In a command it would wait for itself.
        if !self.turn.is_mine() {
            join(&self.writer);
        }
        join(&self.watcher);
    }

    /// Sees to it that other processes' commits are heard of. Where that cannot be, our own are.
    fn watch(&self) {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if watcher.is_none() && matches!(self.location, Location::File(_)) {
            *watcher = watch::spawn(self.location.clone(), Arc::clone(&self.shared)).ok();
        }
    }
}

/// Waits for the end of a thread that was told to end, unless it is this one.
fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = thread
        && thread.thread().id() != thread::current().id()
    {
        thread.thread().unpark();
        let _ = thread.join();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl SqlStore {
    /// What waits for a ready commit.
    fn ready(commit: Commit) -> impl FnOnce(&mut dyn SqlTx) -> Result<Decision<()>, Error> + Send + 'static {
        move |_| Ok(Decision { commit, value: () })
    }
}

impl From<SubmitError<Self>> for Error {
    fn from(error: SubmitError<Self>) -> Self {
        match error {
            SubmitError::Refused(error) | SubmitError::Store(error) => error,
        }
    }
}

impl Backend for SqlStore {
    fn identity(&self) -> Result<StoreIdentity, Error> {
        self.read(|tx| {
            let head = tables::head(tx)?;
            Ok(StoreIdentity {
                store_id: head.store_id,
                epoch: head.epoch,
                schema_version: open::user_version(tx)?,
            })
        })
    }

    fn commit(&self, commit: Commit) -> Result<Outcome<()>, Error> {
        Ok(self.submit_blocking(Self::ready(commit))?)
    }

    fn commit_async(&self, commit: Commit) -> CommitFuture<'_> {
        Box::pin(async move { Ok(self.submit(Self::ready(commit)).await?) })
    }

    fn page(&self, after: After<'_>, limit: usize) -> Result<Page, Error> {
        self.read(|tx| Ok(tables::page(tx, after, limit)?))
    }

    fn last_seq(&self, stream: &StreamName) -> Result<Revision, Error> {
        self.read(|tx| Ok(tables::last_seq(tx, stream)?.unwrap_or_default()))
    }

    fn count(&self, stream: &StreamName) -> Result<u64, Error> {
        self.read(|tx| Ok(tables::count(tx, stream)?))
    }

    fn stream_revisions(&self) -> Result<Vec<(StreamName, Revision)>, Error> {
        self.read(|tx| Ok(tables::stream_revisions(tx)?))
    }

    fn head(&self) -> Result<Position, Error> {
        self.read(|tx| Ok(tables::head(tx)?.position))
    }

    fn kv_get(&self, key: &Key) -> Result<Option<Value>, Error> {
        self.read(|tx| Ok(tables::kv_get(tx, key)?))
    }

    fn kv_keys(&self, prefix: &str) -> Result<Vec<Key>, Error> {
        self.read(|tx| Ok(tables::kv_keys(tx, prefix)?))
    }

    fn find_receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        self.read(|tx| Ok(tables::receipt(tx, scope, key)?))
    }

    fn commits(&self) -> Arc<Commits> {
        self.inner.watch();
        Arc::clone(&self.inner.shared.commits)
    }
}
