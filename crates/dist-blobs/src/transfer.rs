//! Objects out of the store, for backups. Their way back in is [`Store::import`](crate::Store).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use dist_model::Digest;
use rustix::fs::Mode;
use rustix::io::Errno;

use crate::{BlobError, FsStore};

impl FsStore {
    /// Copies the object `digest` to a new file of that name in `folder`, inside the kernel and
    /// sharing blocks where the file systems can. Answers its size in bytes.
    ///
    /// The file's bytes are durable when this returns, its name only after
    /// [`sync_folder`](crate::sync_folder). The bytes are not hashed here.
    pub fn copy_into(&self, digest: &Digest, folder: &Path) -> Result<u64, BlobError> {
        let object = self.open_object(digest)?.ok_or(BlobError::NoSuchObject(*digest))?;
        let failed = |source: io::Error| match Errno::from_io_error(&source) {
            Some(errno) => BlobError::io("copy", digest)(errno),
            None => BlobError::Io {
                action: "copy",
                name: digest.to_string(),
                source,
            },
        };
        let path = folder.join(digest.to_string());
        let mut options = OpenOptions::new();
        let target = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        if let Err(error) = copy(object.file(), object.size(), &target) {
            // Half a copy would pass for a whole one by its name.
            let _ = std::fs::remove_file(&path);
            return Err(failed(error));
        }
        Ok(object.size())
    }
}

fn copy(mut object: &File, size: u64, mut target: &File) -> io::Result<()> {
    if io::copy(&mut object, &mut target)? != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    rustix::fs::fchmod(target, Mode::from(0o444))?;
    target.sync_all()
}
