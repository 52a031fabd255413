//! The store: what is the same whatever keeps the bytes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use dist_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::{BlobError, Fs, Staging};

/// How much is read at once where a whole object is read.
const READ_SIZE: usize = 1 << 20;

/// What keeps the bytes. Bytes are staged in a file of its own making, whatever becomes of them
/// then; hashing, limits and checks are the store's.
pub trait Backend: Clone + Send + Sync + 'static {
    /// The file that bytes are staged in; dropping it gives it up.
    type Staged: AsFd + Send + 'static;

    /// An empty file that nobody else writes to.
    fn stage(&self) -> Result<Self::Staged, BlobError>;

    /// Makes the staged bytes, `size` of them, the object `digest`, whole and durable. `false` says
    /// that it was there before; then the staged bytes are dropped.
    fn publish(&self, staged: Self::Staged, digest: &Digest, size: u64) -> Result<bool, BlobError>;

    /// Removes the staged bytes, also those that dropping would keep.
    fn discard(&self, staged: Self::Staged) -> Result<(), BlobError>;

    /// The object's size in bytes.
    fn stat(&self, digest: &Digest) -> Result<Option<u64>, BlobError>;

    /// The object's file, open for reading.
    fn open(&self, digest: &Digest) -> Result<Option<File>, BlobError>;

    /// Removes the object, durably; `false` says that it was not there.
    fn remove(&self, digest: &Digest) -> Result<bool, BlobError>;

    /// Every object with its size in bytes, in no order.
    fn list(&self) -> Result<impl Iterator<Item = Result<(Digest, u64), BlobError>>, BlobError>;
}

/// Content-addressed objects; cheap to clone, and clones share the same objects.
#[derive(Clone, Debug)]
pub struct Store<B = Fs> {
    pub(crate) backend: B,
}

/// What [`Staging::finish`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The object's name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the same bytes were there before.
    pub deduplicated: bool,
}

/// What reading an object again found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes have the digest that is their name.
    Whole,
    /// They do not.
    Corrupt {
        /// The digest that they have.
        found: Digest,
        /// The size in bytes.
        size: u64,
    },
    /// There is no such object.
    Missing,
}

/// An object that is open for reading; it stays readable when it is removed meanwhile.
#[derive(Debug)]
pub struct Object {
    file: File,
    size: u64,
    identity: (u64, u64),
}

impl Object {
    /// The file. Read it by position: clones of a memory object share one offset.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file, for whoever sends it.
    pub fn into_file(self) -> File {
        self.file
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Device and inode: what tells this file from one that replaced it.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }
}

impl<B: Backend> Store<B> {
    /// A new staging for at most `limit` bytes; dropping it removes what was staged.
    pub fn begin(&self, limit: u64) -> Result<Staging<B>, BlobError> {
        Ok(Staging::new(self.clone(), self.backend.stage()?, limit))
    }

    /// Reads `source` to its end into an object of at most `limit` bytes.
    pub fn import(&self, source: &mut impl Read, limit: u64, expected: Option<Digest>) -> Result<Stored, BlobError> {
        let mut staging = self.begin(limit)?;
        let mut buffer = vec![0; READ_SIZE];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return staging.finish(expected),
                Ok(n) => staging.write(&[&buffer[..n]])?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(BlobError::Source(error)),
            }
        }
    }

    /// Opens the object `digest` for reading.
    pub fn open_object(&self, digest: &Digest) -> Result<Option<Object>, BlobError> {
        let Some(file) = self.backend.open(digest)? else {
            return Ok(None);
        };
        let metadata = file.metadata().map_err(|source| BlobError::Io {
            action: "stat",
            name: digest.to_string(),
            source,
        })?;
        Ok(Some(Object {
            size: metadata.len(),
            identity: (metadata.dev(), metadata.ino()),
            file,
        }))
    }

    /// The size of the object `digest` in bytes.
    pub fn stat(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        self.backend.stat(digest)
    }

    /// Removes the object `digest` durably; `false` says that it was not there.
    ///
    /// Nothing here knows whether a release still needs it: the caller decides that under the write
    /// lock of its database, and holds a [`RemovalGuard`](crate::RemovalGuard).
    pub fn remove(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.backend.remove(digest)
    }

    /// Every object with its size in bytes, in no order. What comes and goes meanwhile may be
    /// listed or not.
    pub fn list(&self) -> Result<impl Iterator<Item = Result<(Digest, u64), BlobError>>, BlobError> {
        self.backend.list()
    }

    /// Hashes the object `digest` again.
    pub fn verify(&self, digest: &Digest) -> Result<Verdict, BlobError> {
        let Some(object) = self.open_object(digest)? else {
            return Ok(Verdict::Missing);
        };
        let mut hasher = Sha256::new();
        let size = hash_file(&mut hasher, object.file()).map_err(|source| BlobError::Io {
            action: "read",
            name: digest.to_string(),
            source,
        })?;
        let found = Digest::from_bytes(hasher.finalize().into());
        Ok(if found == *digest {
            Verdict::Whole
        } else {
            Verdict::Corrupt { found, size }
        })
    }
}

/// Hashes the file from its start to its end; how many bytes that was.
pub(crate) fn hash_file(hasher: &mut Sha256, file: &File) -> std::io::Result<u64> {
    let mut buffer = vec![0; READ_SIZE];
    let mut position = 0;
    loop {
        match file.read_at(&mut buffer, position) {
            Ok(0) => return Ok(position),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                position += n as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
