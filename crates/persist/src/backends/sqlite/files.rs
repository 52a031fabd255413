//! Whether the database is still where it was opened.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::open::with_suffix;

/// The files of a store, and what they were when it was opened.
///
/// A file that was removed goes on being written by those who have it open, and is lost when they
/// close it; `SQLite` notices nothing.
pub(super) struct Files {
    files: [(PathBuf, Id); 2],
}

/// The device (major, minor) and the inode of a file; `None` if there is no file.
type Id = Option<(u32, u32, u64)>;

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

/// Asks for the inode alone. Who asks for the times of a file, as `stat` does, makes the kernel note
/// the time of the next write exactly, and the sync after that write has the inode to write as well.
fn id(path: &Path) -> Id {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::INO).ok()?;
    Some((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}
