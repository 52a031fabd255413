//! What can go wrong, with the error code that a person gets to see.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use dist_model::{Digest, ErrorCode};
use rustix::io::Errno;

use crate::StagingName;

/// Why a folder cannot serve as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Locks and fsync cannot be trusted over a network.
    #[error("{} is on a network file system ({kind}); use a local disk", path.display())]
    NetworkFilesystem {
        /// The data folder.
        path: PathBuf,
        /// The file system's name, as `mount` prints it.
        kind: String,
    },
    /// The folder belongs to somebody else.
    #[error(
        "{path} belongs to user {owner} and cannot be written by user {ours}: {}",
        what_gives_permission(path, data, *owner, *ours),
        path = path.display()
    )]
    PermissionDenied {
        /// The file or folder that cannot be written.
        path: PathBuf,
        /// The data folder that it is, or is in.
        data: PathBuf,
        /// Whom it belongs to.
        owner: Ids,
        /// Whom this process acts as.
        ours: Ids,
    },
    /// Objects cannot be renamed into their folder.
    #[error(
        "{0}/objects and {0}/staging are on different file systems, and must be on one: move the whole of {0} to the other",
        data.display()
    )]
    Apart {
        /// The data folder.
        data: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("{} is on a file system that is mounted read-only", path.display())]
    ReadOnly {
        /// The folder that cannot be written.
        path: PathBuf,
    },
    /// No space for a folder.
    #[error("there is no space left to make {}", path.display())]
    Full {
        /// The folder that was to be made.
        path: PathBuf,
    },
    /// Anything else that the operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl OpenError {
    /// The code under which the platform reports it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NetworkFilesystem { .. } => ErrorCode::StoreNetworkFilesystem,
            Self::PermissionDenied { .. } => ErrorCode::StorePermission,
            Self::Apart { .. } => ErrorCode::StoreApart,
            Self::ReadOnly { .. } => ErrorCode::StoreReadOnly,
            Self::Full { .. } => ErrorCode::StoreFull,
            Self::Io { .. } => ErrorCode::StoreIo,
        }
    }
}

/// A user and a group by their numbers, which is all that a container knows of them; written as
/// `chown` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The user's number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

/// Most often other files have the same owner, so all of the data folder is given away.
fn what_gives_permission(path: &Path, data: &Path, owner: Ids, ours: Ids) -> String {
    let (path, data) = (path.display(), data.display());
    match owner.user {
        user if user == ours.user => format!("allow it with `chmod u+rwX {path}`"),
        // No reason to run as root.
        0 => format!("give it away with `chown -R {ours} {data}`"),
        _ => format!("run as user {owner}, or give it away with `chown -R {ours} {data}`"),
    }
}

/// Why an operation on objects failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The bytes would be more than the staging was begun for; none of the last write was kept.
    #[error("the upload is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not the announced ones.
    #[error("the bytes have the SHA-256 {found}, not {expected}")]
    DigestMismatch {
        /// What was announced.
        expected: Digest,
        /// What the bytes have.
        found: Digest,
    },
    /// Somebody else is writing to the staging file.
    #[error("the upload {0} is being written by another request")]
    Locked(StagingName),
    /// The staging file is not there: never begun, finished, discarded or swept.
    #[error("there is no upload {0}")]
    NoSuchStaging(StagingName),
    /// An object that must be there is not.
    #[error("there is no object {0}")]
    NoSuchObject(Digest),
    /// What was to be stored could not be read.
    #[error("cannot read the bytes to store")]
    Source(#[source] io::Error),
    /// The disk or the quota is full.
    #[error("there is no space left to {action} {name}")]
    Full {
        /// What was tried.
        action: &'static str,
        /// The object's digest or the staging file's name.
        name: String,
    },
    /// The file system went read-only under us.
    #[error("cannot {action} {name}: the file system is read-only")]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// The object's digest or the staging file's name.
        name: String,
    },
    /// Anything else that the operating system refused.
    #[error("cannot {action} {name}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The object's digest or the staging file's name.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl BlobError {
    /// The code under which the platform reports it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::UploadTooLarge,
            Self::DigestMismatch { .. } => ErrorCode::DigestMismatch,
            Self::Locked(_) => ErrorCode::UploadLocked,
            Self::NoSuchStaging(_) => ErrorCode::UploadNotFound,
            Self::NoSuchObject(_) => ErrorCode::ObjectMissing,
            Self::Source(_) => ErrorCode::PathUnreadable,
            Self::Full { .. } => ErrorCode::StoreFull,
            Self::ReadOnly { .. } => ErrorCode::StoreReadOnly,
            Self::Io { .. } => ErrorCode::StoreIo,
        }
    }

    /// For `map_err`: sorts an errno into full, read-only and the rest.
    pub(crate) fn io(action: &'static str, name: impl ToString) -> impl FnOnce(Errno) -> Self {
        move |errno| {
            let name = name.to_string();
            match errno {
                Errno::NOSPC | Errno::DQUOT => Self::Full { action, name },
                Errno::ROFS => Self::ReadOnly { action, name },
                _ => Self::Io {
                    action,
                    name,
                    source: errno.into(),
                },
            }
        }
    }
}

/// Why a body was not received whole.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError<E> {
    /// The body broke off.
    #[error("the body broke off")]
    Body(#[source] E),
    /// The bytes could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_is_sorted() {
        let sort = |errno| BlobError::io("write", "x")(errno).code();
        assert_eq!(sort(Errno::NOSPC), ErrorCode::StoreFull);
        assert_eq!(sort(Errno::DQUOT), ErrorCode::StoreFull);
        assert_eq!(sort(Errno::ROFS), ErrorCode::StoreReadOnly);
        assert_eq!(sort(Errno::IO), ErrorCode::StoreIo);
    }

    fn denied(owner: u32, ours: u32) -> String {
        let ids = |id| Ids {
            user: id,
            group: id + 1,
        };
        OpenError::PermissionDenied {
            path: "/srv/dist/objects".into(),
            data: "/srv/dist".into(),
            owner: ids(owner),
            ours: ids(ours),
        }
        .to_string()
    }

    #[test]
    fn an_owner_is_told_of_chmod() {
        let said = denied(999, 999);
        assert!(
            said.ends_with(": allow it with `chmod u+rwX /srv/dist/objects`"),
            "{said}"
        );
    }

    #[test]
    fn a_permission_error_says_which_chown_is_missing() {
        assert_eq!(
            denied(1001, 999),
            "/srv/dist/objects belongs to user 1001:1002 and cannot be written by user 999:1000: \
             run as user 1001:1002, or give it away with `chown -R 999:1000 /srv/dist`"
        );
        assert_eq!(
            denied(0, 999),
            "/srv/dist/objects belongs to user 0:1 and cannot be written by user 999:1000: \
             give it away with `chown -R 999:1000 /srv/dist`"
        );
    }
}
