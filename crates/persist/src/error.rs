//! The errors, an enum for each family of operations.

use std::sync::Arc;

use crate::{ErrorClass, NameError, Position, SqlError, StreamName};

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk is full. Nothing was written; reads go on, and writes once there is room.
    #[error("the disk is full")]
    Full,
    /// The operating system failed to read or write. Nothing was written.
    #[error("the database could not be read or written")]
    Io(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// Somebody else held the lock for longer than the store waits. Nothing was written.
    #[error("the database is locked")]
    Busy,
    /// What is stored cannot be understood.
    #[error("the database is damaged")]
    Corrupt(#[source] SqlError),
    /// The store was shut down. Nothing was written.
    #[error("the store is shut down")]
    Closed,
    /// The commit may or may not be durable; the receipt or a read after a restart tells.
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// The writer has stopped after a commit whose outcome is unknown. Nothing was written;
    /// the store has to be opened again.
    #[error("the writer has stopped: {0}")]
    Poisoned(String),
    /// The command or a projection panicked. Nothing of it was written.
    #[error("the command panicked")]
    Panicked,
    /// A projection refused an event. Nothing of the command was written.
    #[error("the projection {name} cannot apply the event at position {position}")]
    Projection {
        /// The projection.
        name: &'static str,
        /// The place that the event would have had.
        position: Position,
        /// What it stumbled over.
        source: SqlError,
    },
    /// Another program, with another set of projections or a newer schema, has taken the store
    /// over since it was opened. Nothing was written.
    #[error("the store's tables are now made by other projections: {stored}")]
    Superseded {
        /// What the store says they are made by.
        stored: String,
    },
    /// The database's file is no longer where it was opened: it was removed, or another one is in
    /// its place. The writer has stopped, since what it wrote would be found by nobody.
    #[error("the database is gone: it was removed or replaced while it was open")]
    Gone,
    /// The write-ahead log has reached its limit, because a reader holds on to an old snapshot.
    /// Nothing was written; it goes on when the reader ends.
    #[error("a reader keeps the write-ahead log from being written back, and it is full")]
    LogFull,
    /// The caller's request cannot be stored. Nothing was written.
    #[error("the request is not valid: {0}")]
    Invalid(#[from] InvalidInput),
    /// A fold needs events that were dropped, and no snapshot that fits it stands for them.
    #[error("events before {available} were dropped, and nothing that fits the fold stands for them")]
    Compacted {
        /// The stream; `None` for a fold over all.
        stream: Option<StreamName>,
        /// The first revision, or position, after what was dropped.
        available: u64,
    },
    /// A checkpoint is of another store, or of this store before it was restored.
    #[error("the checkpoint is not of this store as it is now")]
    ForeignCheckpoint,
    /// The other side of the request protocol refused.
    #[error("the server refused: {message}")]
    Remote {
        /// The code of its error.
        code: String,
        /// Its message.
        message: String,
    },
    /// The other side of the request protocol cannot be reached, or cannot be understood.
    /// Nothing was written.
    #[error("the server cannot be reached")]
    Transport(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The database refused a statement.
    #[error("a statement failed")]
    Sql(#[source] SqlError),
}

/// Why a request cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The name of a stream.
    #[error("the name of the stream: {0}")]
    Stream(#[source] NameError),
    /// A key.
    #[error("the key: {0}")]
    Key(#[source] NameError),
    /// The type of an event.
    #[error("the type of the event: {0}")]
    EventType(#[source] NameError),
    /// The scope or the key of a receipt.
    #[error("the receipt: {0}")]
    Receipt(#[source] NameError),
    /// A reserved stream, which only the library writes.
    #[error("{0} is written by the library alone")]
    ReservedStream(StreamName),
    /// A value nested too deeply to be read back.
    #[error("a value is nested at most {max} levels deep")]
    TooDeep {
        /// The deepest that there may be.
        max: usize,
    },
    /// A value that is too large.
    #[error("a value has at most {max} bytes as JSON, not {found}")]
    TooLarge {
        /// The most bytes that it may have.
        max: usize,
        /// How many it has.
        found: usize,
    },
    /// A NaN or an infinity, which JSON does not have.
    #[error("a float is NaN or infinite, which JSON cannot hold")]
    NotFinite,
    /// A value that is not JSON for another reason.
    #[error("the value cannot be written as JSON: {0}")]
    NotJson(String),
    /// A typed event that is not an enum.
    #[error("a typed event is a variant of an enum in serde's usual representation")]
    NotAnEnum,
    /// Dropping events that an inline projection is made of.
    #[error("{stream} feeds the projection {projection}, so that its events stay")]
    FeedsProjection {
        /// The stream.
        stream: StreamName,
        /// The projection.
        projection: &'static str,
    },
    /// Something was expected of a write that expects nothing, or a commit lacks what it is for.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl InvalidInput {
    /// A stable name of it, for programs: `name_length`, `too_deep` …
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stream(name) | Self::Key(name) | Self::EventType(name) | Self::Receipt(name) => match name {
                NameError::Length { .. } => "name_length",
                NameError::Control => "name_control",
                NameError::Reserved => "name_reserved",
            },
            Self::ReservedStream(_) => "name_reserved",
            Self::TooDeep { .. } => "too_deep",
            Self::TooLarge { .. } => "too_large",
            Self::NotFinite => "not_finite",
            Self::NotJson(_) => "not_json",
            Self::NotAnEnum => "not_an_enum",
            Self::FeedsProjection { .. } => "feeds_projection",
            Self::Contradiction(_) => "contradiction",
        }
    }
}

/// What can be done about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing was written, and the same request may succeed later.
    Retry,
    /// It may have been written.
    UnknownOutcome,
    /// Nothing was written, and the same request will fail again.
    Invalid,
    /// What is stored is damaged.
    Corrupt,
    /// This handle writes no more.
    Closed,
    /// There is no room.
    Full,
}

impl Error {
    /// What can be done about it.
    pub fn class(&self) -> ErrorKind {
        match self {
            Self::Full => ErrorKind::Full,
            Self::Io(_) | Self::Busy | Self::LogFull | Self::Transport(_) => ErrorKind::Retry,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::Closed | Self::Poisoned(_) | Self::Superseded { .. } | Self::Gone => ErrorKind::Closed,
            Self::OutcomeUnknown(_) => ErrorKind::UnknownOutcome,
            Self::Panicked
            | Self::Projection { .. }
            | Self::Invalid(_)
            | Self::Compacted { .. }
            | Self::ForeignCheckpoint
            | Self::Sql(_) => ErrorKind::Invalid,
            Self::Remote { code, .. } => remote_class(code),
        }
    }

    /// A stable name of it, for programs: `full`, `busy`, `too_deep` …
    pub fn code(&self) -> &str {
        match self {
            Self::Full => "full",
            Self::Io(_) => "io",
            Self::Busy => "busy",
            Self::Corrupt(_) => "corrupt",
            Self::Closed => "closed",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::Poisoned(_) => "writer_stopped",
            Self::Panicked => "panicked",
            Self::Projection { .. } => "projection",
            Self::Superseded { .. } => "superseded",
            Self::Gone => "gone",
            Self::LogFull => "log_full",
            Self::Invalid(input) => input.code(),
            Self::Compacted { .. } => "compacted",
            Self::ForeignCheckpoint => "foreign_checkpoint",
            Self::Remote { code, .. } => code,
            Self::Transport(_) => "transport",
            Self::Sql(_) => "sql",
        }
    }
}

/// What can be done about an error of which only the code came over.
fn remote_class(code: &str) -> ErrorKind {
    match code {
        "full" => ErrorKind::Full,
        "io" | "busy" | "log_full" | "transport" => ErrorKind::Retry,
        "corrupt" => ErrorKind::Corrupt,
        "closed" | "writer_stopped" | "superseded" | "gone" => ErrorKind::Closed,
        "outcome_unknown" => ErrorKind::UnknownOutcome,
        _ => ErrorKind::Invalid,
    }
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Self {
        match error.class() {
            ErrorClass::Full => Self::Full,
            ErrorClass::Io => Self::Io(Arc::new(error)),
            ErrorClass::Busy => Self::Busy,
            ErrorClass::Corrupt => Self::Corrupt(error),
            ErrorClass::Constraint | ErrorClass::ReadOnly | ErrorClass::Other => Self::Sql(error),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            Self::Full
        } else {
            Self::Io(Arc::new(error))
        }
    }
}

/// Why a command did not come to an outcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError<E> {
    /// The command refused; what it had written was undone, and nothing else.
    #[error("the command was refused")]
    Refused(#[source] E),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Error),
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store.
    #[error("there is no store")]
    NotFound,
    /// The file is not an `SQLite` database.
    #[error("the file is not a database")]
    NotADatabase,
    /// The file is a database of another program.
    #[error("the database belongs to another program (application id {application_id:#010x})")]
    Foreign {
        /// The application id that it carries; 0 for none.
        application_id: i32,
    },
    /// The store was made by a newer version.
    #[error("the store has schema {found}; this program knows up to {known}")]
    Newer {
        /// The store's schema version.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The store's tables are made by another set of projections.
    #[error("the store's tables are made by \"{stored}\", this program's by \"{own}\"")]
    ProjectionMismatch {
        /// The store's set, as `name@version …`.
        stored: String,
        /// The set that was asked for.
        own: String,
    },
    /// The operating system does not let this user read or write it.
    #[error("permission denied")]
    PermissionDenied(#[source] std::io::Error),
    /// The file system is mounted read-only.
    #[error("the file system is read-only")]
    ReadOnly,
    /// Somebody else held the lock for longer than the store waits.
    #[error("the store is locked by another process")]
    Busy,
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The operating system failed otherwise.
    #[error("the store could not be read or written")]
    Io(#[source] std::io::Error),
    /// The tables could not be made by this program's projections.
    #[error("the store's tables could not be made again")]
    Adopt(#[source] Box<RebuildError>),
    /// The options contradict themselves, or the file system lacks what the store needs.
    #[error("{0}")]
    Invalid(String),
    /// The database failed otherwise.
    #[error("the database could not be opened")]
    Sql(#[source] SqlError),
}

/// Why projections could not be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// A projection cannot apply an event of the log.
    #[error("the projection {name} cannot apply the event at position {position}")]
    Projection {
        /// The projection.
        name: &'static str,
        /// The event's place.
        position: Position,
        /// What it stumbled over.
        source: SqlError,
    },
    /// The store failed.
    #[error("the store failed during the replay")]
    Store(#[from] Error),
}

impl From<SqlError> for RebuildError {
    fn from(error: SqlError) -> Self {
        Self::Store(error.into())
    }
}

impl From<std::io::Error> for RebuildError {
    fn from(error: std::io::Error) -> Self {
        Self::Store(error.into())
    }
}
