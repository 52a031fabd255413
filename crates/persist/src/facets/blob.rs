//! Large things by reference: the log and the keys hold a [`BlobRef`], the bytes are beside them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Error;

/// A place that keeps blobs by the SHA-256 of their bytes.
pub trait BlobStore: Send + Sync {
    /// Keeps bytes, durably, and answers with their content id: their SHA-256 in hex. Bytes that
    /// are there are kept once. `mime` is for stores that hand blobs out themselves.
    fn put(&self, bytes: &[u8], mime: &str) -> Result<String, Error>;

    /// The bytes of a content id.
    fn get(&self, cid: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Whether there are bytes of a content id.
    fn has(&self, cid: &str) -> Result<bool, Error>;
}

/// A reference to a blob, for an event's data or a key's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// The content id: the SHA-256 of the bytes in hex.
    pub cid: String,
    /// How many bytes there are.
    pub size: u64,
    /// The media type of the bytes, as the caller said.
    pub mime: String,
}

impl BlobRef {
    /// Whether a value is a reference to a blob, and nothing else.
    pub fn is_ref(value: &Value) -> bool {
        Self::deserialize(value).is_ok()
    }
}

/// Keeps bytes, and answers with a reference to them.
pub fn store(blobs: &dyn BlobStore, bytes: &[u8], mime: &str) -> Result<BlobRef, Error> {
    Ok(BlobRef {
        cid: blobs.put(bytes, mime)?,
        size: bytes.len() as u64,
        mime: mime.to_owned(),
    })
}

/// The bytes that a reference means.
pub fn fetch(blobs: &dyn BlobStore, blob: &BlobRef) -> Result<Option<Vec<u8>>, Error> {
    blobs.get(&blob.cid)
}

/// Whether the bytes that a reference means are there.
pub fn exists(blobs: &dyn BlobStore, blob: &BlobRef) -> Result<bool, Error> {
    blobs.has(&blob.cid)
}

/// The content id of bytes.
pub fn content_id(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
