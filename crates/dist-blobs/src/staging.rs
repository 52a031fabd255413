//! Bytes on their way to become an object.

use std::fmt;
use std::io::IoSlice;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::str::FromStr;

use dist_model::{Digest, ErrorCode, Refusal};
use rustix::fs::Advice;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::{Backend, BlobError, Fs, Store, Stored};

/// The most buffers that one `pwritev` takes on Linux.
const IOV_MAX: usize = 1024;
/// How many bytes are gathered before their write-out is started.
const WRITE_OUT_WINDOW: u64 = 8 << 20;

/// The name of a staging file: 32 lower-case hexadecimal characters, random, so that knowing the
/// name of one upload says nothing about another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StagingName(String);

impl StagingName {
    /// The name that 16 random bytes make.
    pub(crate) fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StagingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StagingName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Refusal::new(ErrorCode::UploadNotFound, "this is no upload's name"))
        }
    }
}

/// Bytes that are hashed while they are written, and are no object yet.
///
/// Its methods block on the disk: call them from a thread that may, or use
/// [`receive`](crate::receive). One from [`Store::begin`] vanishes when it is dropped; one from
/// [`FsStore::resume`](crate::FsStore::resume) stays on disk until it is finished or discarded.
pub struct Staging<B: Backend = Fs> {
    store: Store<B>,
    staged: B::Staged,
    hasher: Sha256,
    len: u64,
    limit: u64,
    written_out: u64,
}

/// A point that a [`Staging`] can go back to.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    hasher: Sha256,
    len: u64,
}

impl<B: Backend> fmt::Debug for Staging<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Staging");
        fields.field("len", &self.len).field("limit", &self.limit);
        fields.finish_non_exhaustive()
    }
}

impl<B: Backend> Staging<B> {
    pub(crate) fn new(store: Store<B>, staged: B::Staged, limit: u64) -> Self {
        Self {
            store,
            staged,
            hasher: Sha256::new(),
            len: 0,
            limit,
            written_out: 0,
        }
    }

    /// The same with what is in the staged file already.
    pub(crate) fn with_progress(mut self, hasher: Sha256, len: u64) -> Self {
        self.hasher = hasher;
        self.len = len;
        self.written_out = len;
        self
    }

    pub(crate) fn staged(&self) -> &B::Staged {
        &self.staged
    }

    pub(crate) fn into_parts(self) -> (Store<B>, B::Staged) {
        (self.store, self.staged)
    }

    /// How many bytes were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes and hashes all of `chunks`, or none of them: a failed write leaves the staging as it
    /// was, to go on from when there is space again.
    pub fn write(&mut self, chunks: &[impl AsRef<[u8]>]) -> Result<(), BlobError> {
        let added: u64 = chunks.iter().map(|chunk| chunk.as_ref().len() as u64).sum();
        if added > self.limit.saturating_sub(self.len) {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        if let Err(errno) = write_all_at(&self.staged, chunks, self.len) {
            // Bytes past the end would count when the file is resumed by another process. If this
            // fails too, they do, and are the upload's own bytes all the same.
            let _ = rustix::fs::ftruncate(&self.staged, self.len);
            return Err(BlobError::io("write", "the staging file")(errno));
        }
        for chunk in chunks {
            self.hasher.update(chunk);
        }
        self.len += added;
        self.start_write_out();
        Ok(())
    }

    /// Starts writing to the disk what is dirty, without waiting, so that the last fsync of a large
    /// upload finds little to do. Linux starts write-out for pages that are said to be unneeded.
    fn start_write_out(&mut self) {
        let dirty = self.len - self.written_out;
        if dirty >= WRITE_OUT_WINDOW {
            // Advice that is not taken costs time at the end, and nothing else.
            let _ = rustix::fs::fadvise(&self.staged, self.written_out, NonZeroU64::new(dirty), Advice::DontNeed);
            self.written_out = self.len;
        }
    }

    /// Makes what was written durable, for whoever acknowledges parts of an upload.
    pub fn sync(&mut self) -> Result<(), BlobError> {
        rustix::fs::fdatasync(&self.staged).map_err(BlobError::io("sync", "the staging file"))
    }

    /// Where the staging stands now, to go back to when what comes next turns out wrong.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            hasher: self.hasher.clone(),
            len: self.len,
        }
    }

    /// Drops what was written since `checkpoint`, which must be this staging's own.
    pub fn roll_back(&mut self, checkpoint: Checkpoint) -> Result<(), BlobError> {
        rustix::fs::ftruncate(&self.staged, checkpoint.len).map_err(BlobError::io("truncate", "the staging file"))?;
        self.hasher = checkpoint.hasher;
        self.len = checkpoint.len;
        self.written_out = self.written_out.min(self.len);
        Ok(())
    }

    /// Makes an object of the bytes, whole and durable when this returns.
    ///
    /// On any error the staged bytes are gone. When the last fsync of the folder fails, the object
    /// is there and whole, and may not outlive a power cut: nobody has been told of it.
    pub fn finish(self, expected: Option<Digest>) -> Result<Stored, BlobError> {
        let digest = Digest::from_bytes(self.hasher.finalize().into());
        let backend = &self.store.backend;
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            backend.discard(self.staged)?;
            return Err(BlobError::DigestMismatch {
                expected,
                found: digest,
            });
        }
        let is_new = backend.publish(self.staged, &digest, self.len)?;
        Ok(Stored {
            digest,
            size: self.len,
            deduplicated: !is_new,
        })
    }

    /// Removes what was written.
    pub fn discard(self) -> Result<(), BlobError> {
        self.store.backend.discard(self.staged)
    }
}

/// Writes all of `chunks` at `position`, however often the kernel stops half-way.
fn write_all_at(file: impl AsFd, chunks: &[impl AsRef<[u8]>], mut position: u64) -> Result<(), Errno> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk.as_ref())).collect();
    let mut left = slices.as_mut_slice();
    // Drops empty slices at the front, which would look like a write that makes no progress.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let batch = &left[..left.len().min(IOV_MAX)];
        match rustix::io::pwritev(&file, batch, position) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => {
                position += n as u64;
                IoSlice::advance_slices(&mut left, n);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
