//! The errors, an enum for each family of operations.

use std::sync::Arc;

use crate::{ErrorClass, Position, SqlError};

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
    /// The caller's request cannot be stored.
    #[error("{0}")]
    Invalid(String),
    /// The database refused a statement.
    #[error("a statement failed")]
    Sql(#[source] SqlError),
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
            Self::Io(_) | Self::Busy => ErrorKind::Retry,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::Closed | Self::Poisoned(_) | Self::Superseded { .. } => ErrorKind::Closed,
            Self::OutcomeUnknown(_) => ErrorKind::UnknownOutcome,
            Self::Panicked | Self::Projection { .. } | Self::Invalid(_) | Self::Sql(_) => ErrorKind::Invalid,
        }
    }

    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
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
