//! Blobs in memory, for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::blob::{BlobStore, content_id};

/// Blobs in memory, gone with the last handle. Clones are handles to the same blobs.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlobs {
    blobs: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl MemoryBlobs {
    fn blobs(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobs {
    fn put(&self, bytes: &[u8], _: &str) -> Result<String, Error> {
        let cid = content_id(bytes);
        self.blobs().entry(cid.clone()).or_insert_with(|| bytes.to_owned());
        Ok(cid)
    }

    fn get(&self, cid: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.blobs().get(cid).cloned())
    }

    fn has(&self, cid: &str) -> Result<bool, Error> {
        Ok(self.blobs().contains_key(cid))
    }
}
