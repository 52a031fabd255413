//! What is kept of resumable uploads: for each a staging file with its bytes, and beside it a
//! small JSON file with what the client said, so that a restarted server goes on.
//!
//! Whoever writes to an upload holds the staging file's lock, in this process and in any other.
//! Between two parts the staging is kept in memory, since its hash cannot be kept on disk; but only
//! of the uploads written to last, since each costs a descriptor. An upload that is not among them
//! is read and hashed again when its next part comes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use dist_api::UploadResult;
use dist_blobs::{BlobError, FsStore, Staging, StagingName};
use dist_model::{Digest, ErrorCode, Timestamp, TokenId};
use serde::{Deserialize, Serialize};

use super::turns::Turns;
use crate::error::{ApiError, Result};
use crate::state::blocking;

/// How many stagings are kept open between two parts.
const OPEN_STAGINGS: usize = 32;

/// What is known of an upload beside its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The token that began it, and alone may go on with it.
    pub owner: TokenId,
    /// How many bytes it will have.
    pub length: u64,
    /// The digest that it must have.
    pub sha256: Option<Digest>,
    /// `Upload-Metadata` as it came.
    pub metadata: String,
    /// What it became, once it is whole.
    pub finished: Option<UploadResult>,
}

/// The resumable uploads of a store.
pub(crate) struct Uploads {
    store: FsStore,
    folder: PathBuf,
    expiry: Duration,
    pub(super) turns: Turns,
    /// The stagings written to last, the latest at the end.
    open: Mutex<VecDeque<Staging>>,
}

impl Uploads {
    pub(crate) fn new(data: &Path, store: FsStore, expiry: Duration) -> Self {
        Self {
            store,
            folder: data.join("staging"),
            expiry,
            turns: Turns::default(),
            open: Mutex::default(),
        }
    }

    /// Begins an upload: an empty staging file, and its record.
    pub(super) async fn begin(&self, record: Record) -> Result<StagingName> {
        let (store, folder) = (self.store.clone(), self.folder.clone());
        blocking(move || {
            let staging = store.begin(record.length)?;
            write(&folder, staging.name(), &record).map_err(failed)?;
            Ok(staging.keep()?)
        })
        .await
    }

    /// The record of an upload of `owner`.
    ///
    /// # Errors
    /// `upload.not_found` for one of somebody else too, and `upload.expired`.
    pub(super) fn find(&self, name: &StagingName, owner: &TokenId, now: Timestamp) -> Result<Record> {
        let not_found = || ApiError::from_code(ErrorCode::UploadNotFound);
        let record = self.read(name).map_err(failed)?.ok_or_else(not_found)?;
        if record.owner != *owner {
            return Err(not_found());
        }
        if self.expires_at(name).map_err(failed)? <= now {
            return Err(ApiError::from_code(ErrorCode::UploadExpired));
        }
        Ok(record)
    }

    /// How many bytes of an unfinished upload are there.
    pub(super) fn offset(&self, name: &StagingName) -> Result<u64> {
        self.store
            .staged_len(name)?
            .ok_or_else(|| ApiError::from_code(ErrorCode::UploadNotFound))
    }

    /// The staging of an upload, to write to; nobody else can until it is put back or dropped.
    pub(super) async fn take(&self, name: &StagingName, length: u64) -> Result<Staging> {
        let kept = {
            let mut open = self.open();
            let index = open.iter().position(|staging| staging.name() == name);
            index.and_then(|index| open.remove(index))
        };
        if let Some(staging) = kept {
            return Ok(staging);
        }
        let (store, name) = (self.store.clone(), name.clone());
        blocking(move || Ok(store.resume(&name, length)?)).await
    }

    /// Keeps a staging for the next part.
    pub(super) fn put_back(&self, staging: Staging) {
        let mut open = self.open();
        if open.len() >= OPEN_STAGINGS {
            open.pop_front();
        }
        open.push_back(staging);
    }

    /// Notes what an upload became.
    pub(super) async fn finished(&self, name: &StagingName, record: Record) -> Result<()> {
        let (folder, name) = (self.folder.clone(), name.clone());
        blocking(move || write(&folder, &name, &record).map_err(failed)).await
    }

    /// Ends an upload: its bytes, if there are any still, and its record.
    pub(super) async fn remove(&self, name: &StagingName) -> Result<()> {
        self.open().retain(|staging| staging.name() != name);
        let (store, record, name) = (self.store.clone(), self.record_path(name), name.clone());
        blocking(move || {
            store.discard_staged(&name)?;
            match fs::remove_file(record) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// When an upload ends by itself: some time after it was last written to. The files' own times
    /// say when that was, so that nothing has to be kept in step.
    pub(super) fn expires_at(&self, name: &StagingName) -> io::Result<Timestamp> {
        let record = modified(&self.record_path(name))?;
        let staging = modified(&self.folder.join(name.as_str()));
        let last = staging.map_or(record, |staging| staging.max(record));
        Ok(last.plus_millis(i64::try_from(self.expiry.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Removes the uploads that have expired by `now`, and those whose bytes a cleanup swept.
    pub(crate) async fn expire(&self, now: Timestamp) {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) => return tracing::warn!(%error, "the resumable uploads cannot be listed"),
        };
        for name in names {
            if !self.is_over(&name, now) {
                continue;
            }
            match self.remove(&name).await {
                Ok(()) => tracing::info!(upload = %name, "a resumable upload expired"),
                Err(error) => {
                    let code = error.refusal.code.as_str();
                    tracing::warn!(upload = %name, code, "an expired upload stays");
                }
            }
        }
    }

    fn is_over(&self, name: &StagingName, now: Timestamp) -> bool {
        let expired = self.expires_at(name).is_ok_and(|at| at <= now);
        let unfinished = || matches!(self.read(name), Ok(Some(record)) if record.finished.is_none());
        expired || (matches!(self.store.staged_len(name), Ok(None)) && unfinished())
    }

    /// Lets go of the stagings in memory; their files stay for the next start.
    pub(crate) fn close(&self) {
        self.open().clear();
    }

    fn names(&self) -> io::Result<Vec<StagingName>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok()));
        }
        Ok(names)
    }

    fn read(&self, name: &StagingName) -> io::Result<Option<Record>> {
        match fs::read(self.record_path(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn record_path(&self, name: &StagingName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<Staging>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces a record in one step, since the server may be killed at any. The new one is written
/// under a name that a sweep of the staging folder takes for a staging file, so that what a crash
/// leaves is swept.
fn write(folder: &Path, name: &StagingName, record: &Record) -> io::Result<()> {
    let beside = folder.join(format!("{:032x}", rand::random::<u128>()));
    let mut file = File::create_new(&beside)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(format!("{name}.json")))
}

fn modified(path: &Path) -> io::Result<Timestamp> {
    let time = fs::metadata(path)?.modified()?;
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Ok(Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}

/// A failure of the files beside the staging is one of the store's disk.
fn failed(source: io::Error) -> ApiError {
    let name = "the record of an upload".to_owned();
    let action = "keep";
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full { action, name }.into(),
        _ => BlobError::Io { action, name, source }.into(),
    }
}
