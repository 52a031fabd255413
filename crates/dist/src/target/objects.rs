//! Bytes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bytes::BytesMut;
use dist_api::client::Upload;
use dist_model::{Digest, ErrorCode, Refusal};
use dist_service::Error;

use super::local::refusal;
use super::{Local, Target};

/// How much is read from a file at once.
const READ: usize = 1 << 20;

impl Target {
    /// The size of an object in bytes; `None` where the caller sees none.
    pub async fn object_size(&self, digest: &Digest) -> Result<Option<u64>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.object_size(digest).await,
            Self::Local(local) => match local.service.object_size(&local.caller, digest).await.map_err(refusal) {
                Ok(size) => Ok(Some(size)),
                Err(refusal) if refusal.code == ErrorCode::ObjectNotFound => Ok(None),
                Err(refusal) => Err(refusal),
            },
        }
    }

    /// Brings a file's bytes into the store, and checks that the file stayed the same.
    pub async fn upload(&self, upload: &Upload) -> Result<(), Refusal> {
        match self {
            Self::Remote { client, .. } => client.upload(upload).await.map(drop),
            Self::Local(local) => {
                let copied = local.copy_in(upload).await;
                // A file that changed explains a wrong digest.
                upload.stamp.check(&upload.path)?;
                copied
            }
        }
    }
}

impl Local {
    async fn copy_in(&self, upload: &Upload) -> Result<(), Refusal> {
        let blobs = |error| refusal(Error::Objects(error));
        let unreadable = |error| unreadable(&upload.path, &error);
        let mut file = File::open(&upload.path).map_err(unreadable)?;
        let mut staging = self.service.objects().begin(u64::MAX).map_err(blobs)?;
        loop {
            let mut buffer = BytesMut::zeroed(READ);
            let count = file.read(&mut buffer).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            buffer.truncate(count);
            staging.write(&[buffer.freeze()]).map_err(blobs)?;
            (upload.progress)(staging.len());
        }
        let stored = staging.finish(Some(upload.sha256)).map_err(blobs)?;
        let recorded = self.service.record_upload(&self.caller, stored, None).await;
        recorded.map(drop).map_err(refusal)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new(
        ErrorCode::PathUnreadable,
        format!("{} cannot be read: {error}", path.display()),
    )
    .with("path", path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dist_api::client::FileStamp;
    use dist_inspect::InProcess;
    use dist_service::OpenMode;

    use super::*;

    #[tokio::test]
    async fn a_file_that_changed_since_it_was_hashed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "before").unwrap();
        let upload = Upload {
            stamp: FileStamp::of(&path.metadata().unwrap()),
            sha256: Digest::from_bytes([1; 32]),
            progress: std::sync::Arc::new(|_| {}),
            path,
        };
        let store = folder.path().join("store");
        let target = Target::Local(Local::open(&store, OpenMode::Create, None, Arc::new(InProcess)).unwrap());
        assert_eq!(
            target.upload(&upload).await.unwrap_err().code,
            ErrorCode::DigestMismatch
        );
        std::fs::write(&upload.path, "after all").unwrap();
        assert_eq!(target.upload(&upload).await.unwrap_err().code, ErrorCode::FileChanged);
        for place in ["objects", "staging"] {
            assert!(store.join(place).read_dir().unwrap().next().is_none(), "{place}");
        }
    }
}
