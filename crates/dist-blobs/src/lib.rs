//! Content-addressed objects: files named by their SHA-256, whole or not there at all.
//!
//! A [`Store`] takes bytes through a [`Staging`]: they are hashed while they are written, and only
//! [`Staging::finish`] makes an object of them, durably, in one step that readers cannot see half
//! of. [`FsStore`] keeps objects in a folder that a person can check with `ls` and `sha256sum`;
//! [`MemoryStore`] keeps them in memory, for tests. [`receive`] feeds a request's body to a staging
//! from async code, in flat memory.
//!
//! ```
//! use bytes::Bytes;
//! use dist_blobs::FsStore;
//!
//! let data = tempfile::tempdir()?;
//! let store = FsStore::open(data.path())?;
//! let mut staging = store.begin(1024)?;
//! staging.write(&[Bytes::from_static(b"hello "), Bytes::from_static(b"world")])?;
//! let stored = staging.finish(None)?;
//! assert_eq!((stored.size, stored.deduplicated), (11, false));
//! assert_eq!(store.stat(&stored.digest)?, Some(11));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is deliberately absent: reference counts and access rules (whoever knows the releases
//! decides what is garbage), encryption, and second copies.

mod backends;
mod error;
mod filesystem;
mod gc;
mod receive;
mod staging;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod transfer;

pub use backends::fs::{Fs, FsStore, check_access};
pub use backends::memory::{Memory, MemoryStore};
pub use error::{BlobError, Ids, OpenError, ReceiveError};
pub use filesystem::sync_folder;
pub use gc::{Hold, RemovalGuard, Swept};
pub use receive::receive;
pub use staging::{Checkpoint, Staging, StagingName};
pub use store::{Backend, Object, Store, Stored, Verdict};
