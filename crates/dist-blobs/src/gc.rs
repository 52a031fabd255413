//! Taking away what nobody needs, without taking it from anybody.

use std::os::fd::OwnedFd;

use dist_model::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::backends::fs::FILE;
use crate::{BlobError, FsStore, StagingName};

/// While it lives, no object is removed: a backup copies what the database names.
#[derive(Debug)]
pub struct Hold {
    _lock: OwnedFd,
}

/// While it lives, objects may be removed, and nobody else does or holds removal off.
#[derive(Debug)]
pub struct RemovalGuard {
    _lock: OwnedFd,
}

/// What a sweep took away, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many staging files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl FsStore {
    /// Holds off removal, in every process, until the answer is dropped. Waits for a removal that
    /// is under way to end.
    pub fn hold_off_removal(&self) -> Result<Hold, BlobError> {
        let lock = self.objects_lock()?;
        loop {
            match rustix::fs::flock(&lock, FlockOperation::LockShared) {
                Ok(()) => return Ok(Hold { _lock: lock }),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(BlobError::io("lock", "objects")(errno)),
            }
        }
    }

    /// The right to remove objects; `None` while somebody holds removal off or removes.
    pub fn try_removal(&self) -> Result<Option<RemovalGuard>, BlobError> {
        let lock = self.objects_lock()?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(RemovalGuard { _lock: lock })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(BlobError::io("lock", "objects")(errno)),
        }
    }

    /// A descriptor of its own, since a lock belongs to what was opened, not to the process.
    fn objects_lock(&self) -> Result<OwnedFd, BlobError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.backend.folders.objects, ".", flags, Mode::empty())
            .map_err(BlobError::io("open", "objects"))
    }

    /// Removes staging files that were last written before `older_than` and have no writer; with
    /// `dry_run` only counts them. Files that we did not name stay.
    pub fn sweep_staging(&self, older_than: Timestamp, dry_run: bool) -> Result<Swept, BlobError> {
        let folder = &self.backend.folders.staging;
        let failed = |errno| BlobError::io("sweep", "staging")(errno);
        let mut swept = Swept::default();
        for entry in Dir::read_from(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
            let Some(name) = name else { continue };
            if let Some(bytes) = sweep_one(folder, &name, older_than, dry_run)? {
                swept.files += 1;
                swept.bytes += bytes;
            }
        }
        Ok(swept)
    }
}

/// The size of the file if it is (or would be) swept.
fn sweep_one(
    folder: &OwnedFd,
    name: &StagingName,
    older_than: Timestamp,
    dry_run: bool,
) -> Result<Option<u64>, BlobError> {
    let failed = |errno| BlobError::io("sweep", name)(errno);
    let file = match rustix::fs::openat(
        folder,
        name.as_str(),
        OFlags::RDONLY | OFlags::NONBLOCK | FILE,
        Mode::empty(),
    ) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(failed(errno)),
    };
    let stat = rustix::fs::fstat(&file).map_err(failed)?;
    let millis = stat
        .st_mtime
        .saturating_mul(1000)
        .saturating_add(i64::try_from(stat.st_mtime_nsec / 1_000_000).unwrap_or(0));
    let is_stale = Timestamp::from_millis(millis) < older_than;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_stale {
        return Ok(None);
    }
    // The writer's lock outlives neither it nor its upload, so a lock that we get means an orphan.
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(failed(errno)),
    }
    if !dry_run {
        match rustix::fs::unlinkat(folder, name.as_str(), AtFlags::empty()) {
            Ok(()) => {}
            // Its writer ended between our look and our lock.
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(Some(stat.st_size.unsigned_abs()))
}
