//! Blobs in a folder: a file each, named by its content id.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::blob::{BlobStore, content_id};
use crate::{Error, SqlError};

/// Blobs in a folder beside the database, a file each. Clones are handles to the same folder,
/// which several processes may use at once.
#[derive(Clone, Debug)]
pub struct FolderBlobs {
    folder: Arc<Path>,
}

impl FolderBlobs {
    /// Opens the folder, or makes it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = std::path::absolute(folder)?;
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            sync_folder(folder.parent().unwrap_or(&folder))?;
        }
        Ok(Self { folder: folder.into() })
    }

    /// Where the bytes of a content id are; `None` if it is none, and then could be any path.
    fn path(&self, cid: &str) -> Option<PathBuf> {
        let is_digest = cid.len() == 64 && cid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_digest.then(|| self.folder.join(cid))
    }

    /// Writes beside the name and renames: the name never stands for half of the bytes.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let staged = self.folder.join(format!(".staged-{}-{number}", process::id()));
        let written = File::create(&staged).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&staged, path)
        });
        if let Err(error) = written {
            // The first error is the one to tell.
            let _ = fs::remove_file(&staged);
            return Err(error.into());
        }
        sync_folder(&self.folder)
    }
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    Ok(File::open(folder)?.sync_all()?)
}

impl BlobStore for FolderBlobs {
    fn put(&self, bytes: &[u8], _: &str) -> Result<String, Error> {
        let cid = content_id(bytes);
        // One that is there is written again: nobody knows whether its name was synced before a
        // crash, or what became of its bytes since.
        self.write(&self.folder.join(&cid), bytes)?;
        Ok(cid)
    }

    fn get(&self, cid: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(path) = self.path(cid) else { return Ok(None) };
        match fs::read(path) {
            Ok(bytes) if content_id(&bytes) == cid => Ok(Some(bytes)),
            Ok(_) => Err(Error::Corrupt(SqlError::decode(format_args!(
                "the bytes of blob {cid} have changed"
            )))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn has(&self, cid: &str) -> Result<bool, Error> {
        Ok(self.path(cid).is_some_and(|path| path.is_file()))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn bytes_come_back_and_are_kept_once() {
        let folder = tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path().join("blobs")).unwrap();
        let cid = blobs.put(b"bytes", "text/plain").unwrap();
        assert_eq!(cid, "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9");
        assert_eq!(blobs.put(b"bytes", "image/png").unwrap(), cid);
        let reopened = FolderBlobs::open(folder.path().join("blobs")).unwrap();
        assert_eq!(reopened.get(&cid).unwrap().unwrap(), b"bytes");
        assert_eq!(fs::read_dir(folder.path().join("blobs")).unwrap().count(), 1);
    }

    #[test]
    fn a_content_id_is_no_path() {
        let folder = tempdir().unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        let blobs = FolderBlobs::open(folder.path().join("blobs")).unwrap();
        for cid in ["../secret", "", ".", &"F".repeat(64), &"é".repeat(32)] {
            assert_eq!(blobs.get(cid).unwrap(), None);
            assert!(!blobs.has(cid).unwrap());
        }
    }

    #[test]
    fn changed_bytes_are_told() {
        let folder = tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        let cid = blobs.put(b"bytes", "text/plain").unwrap();
        fs::write(folder.path().join(&cid), "other").unwrap();
        assert!(matches!(blobs.get(&cid), Err(Error::Corrupt(_))));
        blobs.put(b"bytes", "text/plain").unwrap();
        assert_eq!(blobs.get(&cid).unwrap().unwrap(), b"bytes");
    }
}
