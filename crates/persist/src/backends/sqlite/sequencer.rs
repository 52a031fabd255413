//! The one writer of a store in a process.
//!
//! A thread drains a bounded queue and performs one transaction for all that is waiting. While one
//! commit reaches the disk the next batch gathers, so that grouping needs no timer. Whoever waits
//! is answered after the COMMIT, refusals too: they may rest on what the batch wrote before them.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::connection::Session;
use super::files::Files;
use super::open::{SCHEMA_VERSION, user_version};
use crate::backends::tables::{self, Stored};
use crate::stage::{Staged, Staging, stage};
use crate::{
    Append, Clock, Commit, Commits, Committed, Conflict, Decision, Error, ErrorClass, InlineProjection, InvalidInput,
    Outcome, Position, Receipt, SqlError, SqlTx, SubmitError,
};

/// How many commands one transaction takes, so that its first one does not wait for ever.
const MAX_BATCH: usize = 1024;

/// What the handles and the writer both see.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) batches: AtomicU64,
    pub(super) commands: AtomicU64,
    /// Batches by the logarithm of their size, rounded up; the last is that of [`MAX_BATCH`].
    pub(super) batch_sizes: [AtomicU64; 11],
    /// Asks the writer to take nothing more.
    pub(super) stopping: AtomicBool,
    /// Why the writer has stopped for good.
    pub(super) poisoned: OnceLock<String>,
    pub(super) commits: Arc<Commits>,
}

impl Shared {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn poison(&self, why: &str) {
        self.poisoned.get_or_init(|| why.to_owned());
    }
}

/// What waits in the queue.
pub(super) enum Request {
    /// A command, for the next batch.
    Command(Box<dyn Job>),
    /// Work on the writer's own connection, between batches.
    Task(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// A command and whoever waits for it, with their types erased.
pub(super) trait Job: Send {
    /// Runs the command, once. `None` is its refusal.
    fn decide(&mut self, tx: &mut dyn SqlTx) -> Option<Commit>;
    /// Answers.
    fn settle(self: Box<Self>, verdict: Verdict);
}

/// What became of a command.
pub(super) enum Verdict {
    Committed(Committed),
    Duplicate(Receipt),
    Conflict(Conflict),
    Refused,
    Failed(Error),
}

impl Verdict {
    fn is_committed(&self) -> bool {
        matches!(self, Self::Committed(_))
    }
}

type Answer<T, E> = Result<Outcome<T>, SubmitError<E>>;

/// A [`Job`] before its types are erased.
pub(super) struct Pending<T, E, F> {
    command: Option<F>,
    decided: Option<Result<T, E>>,
    reply: oneshot::Sender<Answer<T, E>>,
}

impl<T, E, F> Pending<T, E, F> {
    pub(super) fn new(command: F, reply: oneshot::Sender<Answer<T, E>>) -> Self {
        Self {
            command: Some(command),
            decided: None,
            reply,
        }
    }
}

impl<T, E, F> Job for Pending<T, E, F>
where
    T: Send,
    E: Send,
    F: FnOnce(&mut dyn SqlTx) -> Result<Decision<T>, E> + Send,
{
    fn decide(&mut self, tx: &mut dyn SqlTx) -> Option<Commit> {
        let command = self.command.take()?;
        match command(tx) {
            Ok(Decision { commit, value }) => {
                self.decided = Some(Ok(value));
                Some(commit)
            }
            Err(refusal) => {
                self.decided = Some(Err(refusal));
                None
            }
        }
    }

    fn settle(self: Box<Self>, verdict: Verdict) {
        let answer = match (verdict, self.decided) {
            (Verdict::Committed(committed), Some(Ok(value))) => Ok(Outcome::Committed { value, committed }),
            (Verdict::Refused, Some(Err(refusal))) => Err(SubmitError::Refused(refusal)),
            (Verdict::Duplicate(receipt), _) => Ok(Outcome::Duplicate(receipt)),
            (Verdict::Conflict(conflict), _) => Ok(Outcome::Conflict(conflict)),
            (Verdict::Failed(error), _) => Err(SubmitError::Store(error)),
            // A command decides before it is judged; without a decision it did not return.
            (Verdict::Committed(_) | Verdict::Refused, _) => Err(SubmitError::Store(Error::Panicked)),
        };
        // Whoever waited may have gone away; what was committed stays committed.
        let _ = self.reply.send(answer);
    }
}

/// The writer: its connection, and what every transaction on it needs.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) projections: Arc<[Arc<dyn InlineProjection>]>,
    /// The set of projections as the head row names it.
    pub(super) projection_set: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) checkpointer: Checkpointer,
    /// `None` for a database in memory.
    pub(super) files: Option<Files>,
    pub(super) shared: Arc<Shared>,
}

impl Writer {
    /// Serves a request and what waits behind it, in one transaction if no task comes between.
    pub(super) fn serve(&mut self, first: Request, queue: &mut mpsc::Receiver<Request>) {
        let mut jobs = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Command(job) => jobs.push(job),
                Request::Task(task) => {
                    self.perform(mem::take(&mut jobs));
                    self.between(task);
                }
            }
            next = if jobs.len() < MAX_BATCH {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        self.perform(jobs);
        if self.shared.poisoned.get().is_none() {
            self.checkpointer.after_commit(&self.connection);
        }
    }

    /// Stops for good at a panic that nothing else has caught: it may have come from anywhere in a
    /// transaction. Whoever waits for an answer sees its reply dropped.
    pub(super) fn guard(&mut self, serve: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| serve(self))).is_err() {
            self.shared.poison("a panic interrupted it");
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
    }

    /// Performs one transaction for all jobs, and answers them.
    pub(super) fn perform(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() {
            return;
        }
        match self.transaction(&mut jobs) {
            Ok(verdicts) => {
                self.shared.batches.fetch_add(1, Ordering::Relaxed);
                self.shared.commands.fetch_add(jobs.len() as u64, Ordering::Relaxed);
                let size = jobs.len().next_power_of_two().ilog2() as usize;
                self.shared.batch_sizes[size.min(10)].fetch_add(1, Ordering::Relaxed);
                if verdicts.iter().any(Verdict::is_committed) {
                    self.shared.commits.notify();
                }
                for (job, verdict) in jobs.into_iter().zip(verdicts) {
                    job.settle(verdict);
                }
            }
            Err(error) => {
                for job in jobs {
                    job.settle(Verdict::Failed(error.clone()));
                }
            }
        }
    }

    /// An error here is that of every job: the transaction is gone, and nothing of it is there.
    fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Verdict>, Error> {
        if let Some(why) = self.shared.poisoned.get() {
            return Err(Error::Poisoned(why.clone()));
        }
        if !self.checkpointer.has_room(&self.connection) {
            return Err(Error::LogFull);
        }
        let session = Session::begin(&self.connection, "BEGIN IMMEDIATE")?;
        let result = self.batch(session, jobs);
        if result.is_err() && !self.connection.is_autocommit() {
            // Neither committed nor undone: this connection is of no more use.
            self.shared.poison("a transaction could not be ended");
        }
        result
    }

    fn batch(&self, session: Session<'_>, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Verdict>, Error> {
        let start = match self.head(&session) {
            Ok(head) => head,
            Err(error) => {
                session.rollback()?;
                return Err(error);
            }
        };
        let mut batch = Batch {
            writer: self,
            session,
            head: start,
            now: self.clock.now_ms(),
        };
        let alone = jobs.len() == 1;
        let judged = jobs
            .iter_mut()
            .map(|job| batch.judge(job.as_mut(), alone))
            .collect::<Result<_, _>>();
        let head = batch.head;
        let mut session = batch.session;
        let finished = judged.and_then(|verdicts: Vec<Verdict>| {
            if head != start {
                tables::set_head(&mut session, head)?;
            }
            session.check()?;
            Ok(verdicts)
        });
        match finished {
            Ok(verdicts) if verdicts.iter().any(Verdict::is_committed) => {
                self.commit(&session)?;
                Ok(verdicts)
            }
            Ok(verdicts) => {
                session.rollback()?;
                Ok(verdicts)
            }
            Err(error) => {
                if error.is_failed_sync() {
                    return Err(self.unknown(&error));
                }
                session.rollback()?;
                Err(error.into())
            }
        }
    }

    /// Where the store stands, if this writer still may write to it: another process may have
    /// moved it on since the last transaction, or even to another set of projections.
    pub(super) fn head(&self, session: &Session<'_>) -> Result<Position, Error> {
        let head = tables::head(session)?;
        let schema = user_version(session)?;
        if schema != SCHEMA_VERSION || head.projections != self.projection_set {
            let stored = format!("schema {schema}, projections \"{}\"", head.projections);
            return Err(Error::Superseded { stored });
        }
        Ok(head.position)
    }

    /// Appends to the log within a transaction, and to nothing else: no projection sees it. Answers
    /// where the store stands then.
    pub(super) fn append(
        &self,
        session: &mut Session<'_>,
        appends: Vec<Append>,
        head: Position,
    ) -> Result<Position, Error> {
        let commit = Commit {
            appends,
            ..Commit::default()
        };
        let staged = match stage(commit, &Stored(session), head, self.clock.now_ms())? {
            Staging::Ready(staged) => staged,
            Staging::Duplicate(_) | Staging::Conflict(_) => {
                return Err(InvalidInput::Contradiction("what goes with an adoption expects nothing").into());
            }
        };
        tables::store(session, &staged)?;
        tables::set_head(session, staged.head)?;
        Ok(staged.head)
    }

    /// Makes a transaction durable.
    pub(super) fn commit(&self, session: &Session<'_>) -> Result<(), Error> {
        let Err(error) = session.control("COMMIT") else {
            return self.check_files();
        };
        if error.class() == ErrorClass::Io {
            return Err(self.unknown(&error));
        }
        session.rollback()?;
        Err(error.into())
    }

    /// What was committed to a file that nobody can open any more is not durable.
    fn check_files(&self) -> Result<(), Error> {
        if self.files.as_ref().is_none_or(Files::are_in_place) {
            return Ok(());
        }
        self.shared.poison(&Error::Gone.to_string());
        Err(Error::Gone)
    }

    /// After a failed sync the page cache may claim what the disk does not have. To go on would
    /// build on that, so nothing goes on.
    fn unknown(&self, error: &SqlError) -> Error {
        let why = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        self.shared.poison(&why);
        Error::OutcomeUnknown(why)
    }

    /// Runs a task outside of any batch. Whoever waits for it sees its reply dropped if it panics.
    fn between(&mut self, task: Box<dyn FnOnce(&mut Self) + Send>) {
        let _ = catch_unwind(AssertUnwindSafe(|| task(self)));
        if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
            self.shared.poison("a transaction could not be ended");
        }
    }
}

/// One transaction under way.
struct Batch<'w> {
    writer: &'w Writer,
    session: Session<'w>,
    head: Position,
    now: i64,
}

impl Batch<'_> {
    /// Runs one command under a savepoint, so that it undoes only itself; one that is alone needs
    /// none, since a batch that commits nothing is undone. An error here ends the whole batch: a
    /// full disk, for one, takes the transaction with it.
    fn judge(&mut self, job: &mut dyn Job, alone: bool) -> Result<Verdict, SqlError> {
        let before = self.head;
        if !alone {
            self.session.control("SAVEPOINT command")?;
        }
        let verdict = catch_unwind(AssertUnwindSafe(|| self.decide(job))).unwrap_or(Verdict::Failed(Error::Panicked));
        self.session.check()?;
        if !verdict.is_committed() {
            self.head = before;
        }
        if !alone {
            if !verdict.is_committed() {
                self.session.control("ROLLBACK TO command")?;
            }
            self.session.control("RELEASE command")?;
        }
        Ok(verdict)
    }

    fn decide(&mut self, job: &mut dyn Job) -> Verdict {
        let Some(commit) = job.decide(&mut self.session) else {
            return Verdict::Refused;
        };
        match stage(commit, &Stored(&self.session), self.head, self.now) {
            Ok(Staging::Ready(staged)) => self.store(staged).map_or_else(Verdict::Failed, Verdict::Committed),
            Ok(Staging::Duplicate(receipt)) => Verdict::Duplicate(receipt),
            Ok(Staging::Conflict(conflict)) => Verdict::Conflict(conflict),
            Err(error) => Verdict::Failed(error),
        }
    }

    fn store(&mut self, staged: Staged) -> Result<Committed, Error> {
        for stream in staged.truncations.keys() {
            if let Some(projection) = self.writer.projections.iter().find(|each| each.reads(stream)) {
                let (stream, projection) = (stream.clone(), projection.name());
                return Err(InvalidInput::FeedsProjection { stream, projection }.into());
            }
        }
        tables::store(&mut self.session, &staged)?;
        for recorded in &staged.events {
            let stream = &recorded.event.stream;
            for projection in self.writer.projections.iter().filter(|each| each.reads(stream)) {
                projection
                    .apply(&mut self.session, recorded)
                    .map_err(|source| Error::Projection {
                        name: projection.name(),
                        position: recorded.position,
                        source,
                    })?;
            }
        }
        self.head = staged.head;
        Ok(Committed {
            events: staged.events,
            head: staged.head,
        })
    }
}
