//! Objects in memory, for tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dist_model::Digest;
use rustix::fs::MemfdFlags;

use crate::{Backend, BlobError, Store};

/// Objects as anonymous files, so that readers get a file descriptor here too.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    objects: Arc<Mutex<BTreeMap<Digest, (File, u64)>>>,
}

/// Objects in memory; clones share them, and the last one dropped frees them.
pub type MemoryStore = Store<Memory>;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            backend: Memory::default(),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// The map is whole after every operation, so a panic elsewhere does not spoil it.
    fn objects(&self) -> MutexGuard<'_, BTreeMap<Digest, (File, u64)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    type Staged = File;

    fn stage(&self) -> Result<File, BlobError> {
        rustix::fs::memfd_create("dist-staging", MemfdFlags::CLOEXEC)
            .map(File::from)
            .map_err(BlobError::io("make", "a memory file"))
    }

    fn publish(&self, staged: File, digest: &Digest, size: u64) -> Result<bool, BlobError> {
        let mut objects = self.objects();
        let is_new = !objects.contains_key(digest);
        if is_new {
            objects.insert(*digest, (staged, size));
        }
        Ok(is_new)
    }

    fn discard(&self, staged: File) -> Result<(), BlobError> {
        drop(staged);
        Ok(())
    }

    fn stat(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        Ok(self.objects().get(digest).map(|(_, size)| *size))
    }

    fn open(&self, digest: &Digest) -> Result<Option<File>, BlobError> {
        let objects = self.objects();
        let file = objects.get(digest).map(|(file, _)| file.try_clone());
        file.transpose().map_err(|source| BlobError::Io {
            action: "open",
            name: digest.to_string(),
            source,
        })
    }

    fn remove(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.objects().remove(digest).is_some())
    }

    fn list(&self) -> Result<impl Iterator<Item = Result<(Digest, u64), BlobError>>, BlobError> {
        let objects: Vec<_> = self
            .objects()
            .iter()
            .map(|(digest, (_, size))| Ok((*digest, *size)))
            .collect();
        Ok(objects.into_iter())
    }
}
