//! What can go wrong in a use-case.

use dist_blobs::BlobError;
use dist_model::{ErrorCode, ErrorKind, Refusal};
use persist::{ErrorClass, OpenError, RebuildError, SqlError, SubmitError};

use crate::maintenance::upgrade;

/// Why a use-case did not succeed. [`Error::refusal`] is what the caller is told; the error itself
/// and its sources are for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The event log or the tables failed.
    #[error("the event log failed")]
    Log(#[from] persist::Error),
    /// A query failed.
    #[error("a query failed")]
    Sql(#[from] SqlError),
    /// The store's database could not be opened.
    #[error("the database could not be opened")]
    OpenDatabase(#[source] OpenError),
    /// The store's folder could not be opened.
    #[error("the folder could not be opened")]
    OpenFolder(#[source] dist_blobs::OpenError),
    /// The objects failed.
    #[error("the objects failed")]
    Objects(#[from] BlobError),
    /// A replay of the log failed.
    #[error("the log could not be replayed")]
    Replay(#[from] RebuildError),
    /// A file outside the store failed.
    #[error("{what}")]
    File {
        /// What was tried with which file.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something that the store holds cannot be understood, or a task died.
    #[error("{0}")]
    Broken(String),
}

impl Error {
    pub(crate) fn file(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::File {
            what: what.into(),
            source,
        }
    }

    /// What the caller is told: a code, and a message without internals.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Log(error) | Self::Replay(RebuildError::Store(error)) => told(log_code(error)),
            Self::Sql(error) => told(sql_code(error)),
            Self::OpenDatabase(error) => open_refusal(error),
            Self::OpenFolder(error) => Refusal::new(error.code(), error.to_string()),
            Self::Objects(error) => objects_refusal(error),
            Self::Replay(error) => Refusal::new(ErrorCode::StoreCorrupt, error.to_string()),
            Self::File { what, source } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => told(ErrorCode::StoreFull),
                std::io::ErrorKind::PermissionDenied => {
                    Refusal::new(ErrorCode::StorePermission, format!("{what}: {source}"))
                }
                _ => Refusal::new(ErrorCode::StoreIo, format!("{what}: {source}")),
            },
            Self::Broken(_) => told(ErrorCode::InternalError),
        }
    }
}

/// A refusal whose message is the reference's sentence: nothing of the cause leaks.
fn told(code: ErrorCode) -> Refusal {
    Refusal::new(code, code.help())
}

fn log_code(error: &persist::Error) -> ErrorCode {
    match error {
        persist::Error::Full => ErrorCode::StoreFull,
        persist::Error::Io(_) => ErrorCode::StoreIo,
        persist::Error::Poisoned(_) => ErrorCode::StoreStopped,
        persist::Error::Gone => ErrorCode::StoreGone,
        persist::Error::Busy | persist::Error::LogFull => ErrorCode::StoreBusy,
        persist::Error::Corrupt(_) | persist::Error::Projection { .. } => ErrorCode::StoreCorrupt,
        persist::Error::Closed => ErrorCode::ServerStopping,
        persist::Error::OutcomeUnknown(_) => ErrorCode::StoreOutcomeUnknown,
        // Whoever took the store over while it was open is newer: an older program is refused.
        persist::Error::Superseded { .. } => ErrorCode::StoreNewer,
        persist::Error::Sql(error) => sql_code(error),
        _ => ErrorCode::InternalError,
    }
}

fn sql_code(error: &SqlError) -> ErrorCode {
    match error.class() {
        ErrorClass::Full => ErrorCode::StoreFull,
        ErrorClass::Io => ErrorCode::StoreIo,
        ErrorClass::Busy => ErrorCode::StoreBusy,
        ErrorClass::Corrupt => ErrorCode::StoreCorrupt,
        ErrorClass::ReadOnly => ErrorCode::StoreReadOnly,
        _ => ErrorCode::InternalError,
    }
}

fn open_refusal(error: &OpenError) -> Refusal {
    let code = match error {
        OpenError::NotFound => ErrorCode::StoreNotFound,
        OpenError::NotADatabase | OpenError::Foreign { .. } => ErrorCode::StoreForeign,
        OpenError::Newer { .. } => ErrorCode::StoreNewer,
        OpenError::ProjectionMismatch { stored, own } if upgrade::is_newer(stored, own) => ErrorCode::StoreNewer,
        OpenError::ProjectionMismatch { .. } => ErrorCode::StoreProjections,
        OpenError::PermissionDenied(_) => ErrorCode::StorePermission,
        OpenError::ReadOnly => ErrorCode::StoreReadOnly,
        OpenError::Busy => ErrorCode::StoreBusy,
        OpenError::Full => ErrorCode::StoreFull,
        OpenError::Sql(error) => sql_code(error),
        OpenError::Io(_) => ErrorCode::StoreIo,
        OpenError::Adopt(error) => match &**error {
            RebuildError::Store(error) => log_code(error),
            _ => ErrorCode::StoreCorrupt,
        },
        _ => ErrorCode::InternalError,
    };
    Refusal::new(code, format!("{error}: {}", code.help()))
}

/// A refusal that is the caller's own doing says what it found; one that is the disk's does not.
fn objects_refusal(error: &BlobError) -> Refusal {
    let code = error.code();
    match code.kind() {
        ErrorKind::Internal | ErrorKind::Full => told(code),
        _ => Refusal::new(code, error.to_string()),
    }
}

impl From<SubmitError<Error>> for Error {
    fn from(error: SubmitError<Error>) -> Self {
        match error {
            SubmitError::Refused(error) => error,
            SubmitError::Store(error) => Self::Log(error),
        }
    }
}
