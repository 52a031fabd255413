//! Objects as files in a folder.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dist_model::Digest;
use rustix::fs::{Access, AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use sha2::{Digest as _, Sha256};

use crate::filesystem::{network_kind, sync_directory};
use crate::store::hash_file;
use crate::{Backend, BlobError, Ids, OpenError, Staging, StagingName, Store};

/// How often a staging file is begun anew when a sweep takes it away before it is locked.
const STAGE_ATTEMPTS: usize = 16;

/// Objects as files: `objects/<sha256>`, mode 0444, and `staging/<name>` on their way there.
#[derive(Clone, Debug)]
pub struct Fs {
    pub(crate) folders: Arc<Folders>,
}

/// Objects in a folder, shared between processes.
pub type FsStore = Store<Fs>;

/// The two folders, held open so that every name is looked up from there.
#[derive(Debug)]
pub(crate) struct Folders {
    pub(crate) objects: OwnedFd,
    pub(crate) staging: OwnedFd,
}

/// A staging file, locked for as long as this lives.
pub struct StagedFile {
    file: File,
    name: StagingName,
    folders: Arc<Folders>,
    remove_on_drop: bool,
}

impl AsFd for StagedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.remove_on_drop
            && let Err(errno) = self.folders.unlink_staged(&self.name)
        {
            tracing::warn!(name = %self.name, %errno, "a staging file could not be removed; a sweep will");
        }
    }
}

impl FsStore {
    /// Opens the objects in the folder `data`, which must be there; makes `objects/` and
    /// `staging/` in it where they are missing.
    pub fn open(data: &Path) -> Result<Self, OpenError> {
        let folders = Folders {
            objects: open_folder(data, "objects", 0o755)?,
            staging: open_folder(data, "staging", 0o700)?,
        };
        refuse_apart(data, &folders)?;
        Ok(Self {
            backend: Fs {
                folders: Arc::new(folders),
            },
        })
    }

    /// Opens the staging file `name` again, to write on from where it ends, up to `limit` bytes.
    ///
    /// What is there is read and hashed again, 1 s for about 1.4 GB, since a hash under way cannot
    /// be kept on disk. So a server keeps the [`Staging`] between the parts of an upload, and comes
    /// here when it does not have it: after a restart, or when a part was cut off.
    pub fn resume(&self, name: &StagingName, limit: u64) -> Result<Staging, BlobError> {
        let mut staged = self.backend.lock_staged(name)?;
        staged.remove_on_drop = false;
        let mut hasher = Sha256::new();
        let len = hash_file(&mut hasher, &staged.file).map_err(|source| BlobError::Io {
            action: "read",
            name: name.to_string(),
            source,
        })?;
        Ok(Staging::new(self.clone(), staged, limit).with_progress(hasher, len))
    }

    /// How long the staging file `name` is in bytes; `None` where there is none.
    pub fn staged_len(&self, name: &StagingName) -> Result<Option<u64>, BlobError> {
        size_of(&self.backend.folders.staging, name.as_str()).map_err(BlobError::io("stat", name))
    }

    /// Removes the staging file `name`, unless somebody is writing to it; `false` says that it was
    /// not there.
    pub fn discard_staged(&self, name: &StagingName) -> Result<bool, BlobError> {
        match self.backend.lock_staged(name) {
            Ok(staged) => self.backend.discard(staged).map(|()| true),
            Err(BlobError::NoSuchStaging(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How many bytes of the file system that the objects are on are free for us.
    pub fn free_bytes(&self) -> Result<u64, BlobError> {
        let stat = rustix::fs::fstatvfs(&self.backend.folders.objects).map_err(BlobError::io("stat", "objects"))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether the folders in `data` are still those that were opened: whoever replaces one, or mounts
    /// something over it, leaves us writing where nobody looks.
    pub fn is_in_place(&self, data: &Path) -> bool {
        let Folders { objects, staging } = &*self.backend.folders;
        [(objects, "objects"), (staging, "staging")]
            .into_iter()
            .all(|(folder, name)| {
                let (there, opened) = (rustix::fs::stat(data.join(name)), rustix::fs::fstat(folder));
                matches!((there, opened), (Ok(there), Ok(opened)) if (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino))
            })
    }

    /// The names under `objects/` that are no object's: something that a person put there. They are
    /// never touched.
    pub fn foreign_names(&self) -> Result<Vec<OsString>, BlobError> {
        let entries = self.backend.entries()?;
        entries
            .filter_map(|entry| match entry {
                Ok(Entry::Foreign(name)) => Some(Ok(name)),
                Ok(Entry::Object(..)) => None,
                Err(error) => Some(Err(error)),
            })
            .collect()
    }
}

impl Staging {
    /// The name under which [`FsStore::resume`] finds it.
    pub fn name(&self) -> &StagingName {
        &self.staged().name
    }

    /// Leaves the file on disk, durably, for [`FsStore::resume`].
    pub fn keep(self) -> Result<StagingName, BlobError> {
        let (store, mut staged) = self.into_parts();
        let name = staged.name.clone();
        rustix::fs::fdatasync(&staged.file).map_err(BlobError::io("sync", &name))?;
        sync_directory(&store.backend.folders.staging).map_err(BlobError::io("sync", "staging"))?;
        staged.remove_on_drop = false;
        Ok(name)
    }
}

/// What a name under `objects/` is.
enum Entry {
    Object(Digest, u64),
    Foreign(OsString),
}

impl Fs {
    /// Opens and locks a staging file that is there; dropping it removes it.
    fn lock_staged(&self, name: &StagingName) -> Result<StagedFile, BlobError> {
        let flags = OFlags::RDWR | FILE;
        match rustix::fs::openat(&self.folders.staging, name.as_str(), flags, Mode::empty()) {
            Ok(fd) => self.lock(fd.into(), name),
            Err(Errno::NOENT) => Err(BlobError::NoSuchStaging(name.clone())),
            Err(errno) => Err(BlobError::io("open", name)(errno)),
        }
    }

    fn lock(&self, file: File, name: &StagingName) -> Result<StagedFile, BlobError> {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(BlobError::Locked(name.clone())),
            Err(errno) => return Err(BlobError::io("lock", name)(errno)),
        }
        // Whoever held the lock before may have removed or published the file.
        let there = size_of(&self.folders.staging, name.as_str()).map_err(BlobError::io("stat", name))?;
        there.ok_or_else(|| BlobError::NoSuchStaging(name.clone()))?;
        Ok(StagedFile {
            file,
            name: name.clone(),
            folders: Arc::clone(&self.folders),
            remove_on_drop: true,
        })
    }

    fn entries(&self) -> Result<impl Iterator<Item = Result<Entry, BlobError>>, BlobError> {
        let folder = Arc::clone(&self.folders);
        let dir = Dir::read_from(&folder.objects).map_err(BlobError::io("list", "objects"))?;
        Ok(dir.filter_map(move |entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return Some(Err(BlobError::io("list", "objects")(errno))),
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                return None;
            }
            let foreign = || Some(Ok(Entry::Foreign(OsString::from_vec(name.to_vec()))));
            // Only the spelling that we write is an object: upper case is somebody else's file.
            let digest = std::str::from_utf8(name).ok().and_then(|name| {
                let digest: Digest = name.parse().ok()?;
                (digest.to_string() == name).then_some(digest)
            });
            let Some(digest) = digest else { return foreign() };
            match rustix::fs::statat(&folder.objects, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                    Some(Ok(Entry::Object(digest, stat.st_size.unsigned_abs())))
                }
                Ok(_) => foreign(),
                Err(Errno::NOENT) => None,
                Err(errno) => Some(Err(BlobError::io("stat", digest)(errno))),
            }
        }))
    }
}

/// The flags of every open: a symbolic link in our folders is not ours, and a child process gets
/// none of our files.
pub(crate) const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);

impl Backend for Fs {
    type Staged = StagedFile;

    fn stage(&self) -> Result<StagedFile, BlobError> {
        let failed = |errno| BlobError::io("make", "a staging file")(errno);
        for _ in 0..STAGE_ATTEMPTS {
            let mut random = [0; 16];
            rustix::rand::getrandom(&mut random, GetRandomFlags::empty()).map_err(failed)?;
            let name = StagingName::from_random(random);
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | FILE;
            let made = rustix::fs::openat(&self.folders.staging, name.as_str(), flags, Mode::from(0o600));
            // A sweep that spares no age may lock and remove the file before we lock it.
            match self.lock(made.map_err(failed)?.into(), &name) {
                Err(BlobError::Locked(_) | BlobError::NoSuchStaging(_)) => {}
                result => return result,
            }
        }
        Err(failed(Errno::BUSY))
    }

    fn publish(&self, mut staged: StagedFile, digest: &Digest, size: u64) -> Result<bool, BlobError> {
        staged.remove_on_drop = true;
        let name = digest.to_string();
        let failed = |errno| BlobError::io("store", digest)(errno);
        let is_new = match size_of(&self.folders.objects, &name).map_err(failed)? {
            Some(there) if there == size => false,
            there => {
                rustix::fs::fsync(&staged.file).map_err(failed)?;
                // An object is never written again, by anyone.
                rustix::fs::fchmod(&staged.file, Mode::from(0o444)).map_err(failed)?;
                if let Some(there) = there {
                    tracing::warn!(%digest, there, size, "an object of the wrong length is replaced by a whole one");
                    self.folders.rename_over(&staged.name, &name).map_err(failed)?;
                    true
                } else {
                    self.folders.rename_new(&staged.name, &name).map_err(failed)?
                }
            }
        };
        staged.remove_on_drop = !is_new;
        drop(staged);
        // Also where the object was there: whoever renamed it may not have come to this line yet.
        sync_directory(&self.folders.objects).map_err(failed)?;
        Ok(is_new)
    }

    fn discard(&self, mut staged: StagedFile) -> Result<(), BlobError> {
        staged.remove_on_drop = false;
        self.folders
            .unlink_staged(&staged.name)
            .map_err(BlobError::io("remove", &staged.name))
    }

    fn stat(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        size_of(&self.folders.objects, &digest.to_string()).map_err(BlobError::io("stat", digest))
    }

    fn open(&self, digest: &Digest) -> Result<Option<File>, BlobError> {
        match rustix::fs::openat(
            &self.folders.objects,
            digest.to_string(),
            OFlags::RDONLY | FILE,
            Mode::empty(),
        ) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(BlobError::io("open", digest)(errno)),
        }
    }

    fn remove(&self, digest: &Digest) -> Result<bool, BlobError> {
        let failed = |errno| BlobError::io("remove", digest)(errno);
        match rustix::fs::unlinkat(&self.folders.objects, digest.to_string(), AtFlags::empty()) {
            Ok(()) => sync_directory(&self.folders.objects).map_err(failed).map(|()| true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn list(&self) -> Result<impl Iterator<Item = Result<(Digest, u64), BlobError>>, BlobError> {
        Ok(self.entries()?.filter_map(|entry| match entry {
            Ok(Entry::Object(digest, size)) => Some(Ok((digest, size))),
            Ok(Entry::Foreign(_)) => None,
            Err(error) => Some(Err(error)),
        }))
    }
}

impl Folders {
    /// Gives the staged file its object's name; `false` where another one has it.
    fn rename_new(&self, staged: &StagingName, object: &str) -> Result<bool, Errno> {
        let (from, to) = (&self.staging, &self.objects);
        let renamed = match rustix::fs::renameat_with(from, staged.as_str(), to, object, RenameFlags::NOREPLACE) {
            // Not every file system can refuse to replace; every one refuses to link over a name.
            Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::linkat(from, staged.as_str(), to, object, AtFlags::empty())
                .and_then(|()| self.unlink_staged(staged)),
            result => result,
        };
        match renamed {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn rename_over(&self, staged: &StagingName, object: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&self.staging, staged.as_str(), &self.objects, object)
    }

    fn unlink_staged(&self, name: &StagingName) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.staging, name.as_str(), AtFlags::empty())
    }
}

/// The size of a regular file in bytes; `None` where the name is not there or is no file.
fn size_of(folder: &OwnedFd, name: &str) -> Result<Option<u64>, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => {
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            Ok(is_file.then_some(stat.st_size.unsigned_abs()))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Opens `data/name`, making it where it is missing, and sees that files can be made in it.
fn open_folder(data: &Path, name: &str, mode: u32) -> Result<OwnedFd, OpenError> {
    let path = data.join(name);
    match rustix::fs::mkdirat(CWD, &path, Mode::from(mode)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(open_error("make", &path, data, data, errno)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, &path, flags, Mode::empty())
        .map_err(|errno| open_error("open", &path, &path, data, errno))?;
    if let Some(kind) = network_kind(&fd).map_err(|errno| open_error("stat", &path, &path, data, errno))? {
        let path = data.to_owned();
        return Err(OpenError::NetworkFilesystem { path, kind });
    }
    check_access(data, &path)?;
    Ok(fd)
}

/// Sees that both folders are on one file system: an object gets its name by a rename from one to the
/// other, which goes no further. A folder that links or mounts put on another disk would take uploads
/// and keep none.
fn refuse_apart(data: &Path, folders: &Folders) -> Result<(), OpenError> {
    let device = |folder: &OwnedFd, name: &str| match rustix::fs::fstat(folder) {
        Ok(stat) => Ok(stat.st_dev),
        Err(errno) => Err(open_error("stat", &data.join(name), data, data, errno)),
    };
    if device(&folders.objects, "objects")? == device(&folders.staging, "staging")? {
        return Ok(());
    }
    Err(OpenError::Apart { data: data.to_owned() })
}

/// Sees that this process may write `path`, which is the data folder `data` or something in it, so
/// that whoever may not is told before anything is tried. What is not there yet may be made.
pub fn check_access(data: &Path, path: &Path) -> Result<(), OpenError> {
    let Ok(stat) = rustix::fs::stat(path) else {
        return Ok(());
    };
    let mut wanted = Access::READ_OK | Access::WRITE_OK;
    wanted.set(Access::EXEC_OK, FileType::from_raw_mode(stat.st_mode).is_dir());
    rustix::fs::accessat(CWD, path, wanted, AtFlags::EACCESS)
        .map_err(|errno| open_error("write to", path, path, data, errno))
}

/// `blamed` is what of the data folder has the permissions that decide whether `path` can be had.
fn open_error(action: &'static str, path: &Path, blamed: &Path, data: &Path, errno: Errno) -> OpenError {
    let path = PathBuf::from(path);
    match errno {
        Errno::ACCESS | Errno::PERM => OpenError::PermissionDenied {
            path: blamed.to_owned(),
            data: data.to_owned(),
            owner: rustix::fs::stat(blamed).map_or(Ids { user: 0, group: 0 }, |stat| Ids {
                user: stat.st_uid,
                group: stat.st_gid,
            }),
            ours: Ids {
                user: rustix::process::geteuid().as_raw(),
                group: rustix::process::getegid().as_raw(),
            },
        },
        Errno::ROFS => OpenError::ReadOnly { path },
        Errno::NOSPC | Errno::DQUOT => OpenError::Full { path },
        _ => OpenError::Io {
            action,
            path,
            source: errno.into(),
        },
    }
}
