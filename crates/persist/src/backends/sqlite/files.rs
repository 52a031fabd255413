//! Whether the database is still where it was opened.

use std::path::{Path, PathBuf};

use rustix::fs::stat;

use super::open::with_suffix;

/// The files of a store, and what they were when it was opened.
///
/// A file that was removed goes on being written by those who have it open, and is lost when they
/// close it; `SQLite` notices nothing.
pub(super) struct Files {
    files: [(PathBuf, Id); 2],
}

/// The device and the inode of a file; `None` if there is no file.
type Id = Option<(u64, u64)>;

impl Files {
    /// The database at `path` and its write-ahead log, both of which are open.
    pub(super) fn of(path: &Path) -> Self {
        let with_id = |path: PathBuf| {
            let id = id(&path);
            (path, id)
        };
        Self {
            files: [with_id(path.to_owned()), with_id(with_suffix(path, "-wal"))],
        }
    }

    /// Whether both are what they were.
    pub(super) fn are_in_place(&self) -> bool {
        self.files.iter().all(|(path, was)| id(path) == *was)
    }
}

fn id(path: &Path) -> Id {
    stat(path).ok().map(|found| (found.st_dev, found.st_ino))
}
