//! Bytes from a file to the server's store: in one request where the file is small, in parts that
//! are resumed after a cut where it is not.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::BytesMut;
use dist_model::{Digest, ErrorCode, Refusal};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, RequestBuilder, Response};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::sleep;

use super::{Client, Fault, bad_answer, read_bounded};
use crate::UploadResult;

/// The longest body of one request: proxies refuse longer ones.
const PART: u64 = 64 << 20;
/// How much is read from the file at once.
const READ: usize = 256 << 10;
/// How long no byte may move before the attempt is given up.
const STALL: Duration = Duration::from_mins(1);
/// How long the server may take over the last bytes: it syncs the file to its disk.
const FINISH: Duration = Duration::from_mins(5);
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");

/// Told how many bytes of the file are on their way.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// What tells that a file is still the same: where it is, how long, when written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The size in bytes.
    pub size: u64,
    modified: (i64, i64),
    inode: (u64, u64),
}

impl FileStamp {
    /// The stamp of a file that was just looked at.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            inode: (metadata.dev(), metadata.ino()),
        }
    }

    /// Refuses with `artifact.changed` where the file at `path` is another by now.
    pub fn check(&self, path: &Path) -> Result<(), Refusal> {
        let now = std::fs::metadata(path).map(|metadata| Self::of(&metadata));
        if now.is_ok_and(|now| now == *self) {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::FileChanged,
            format!(
                "{} changed while it was read: build first, then publish",
                path.display()
            ),
        )
        .with("path", path.display().to_string()))
    }
}

/// A file to send, hashed before.
#[derive(Clone)]
pub struct Upload {
    /// Where it is.
    pub path: PathBuf,
    /// What it was when it was hashed.
    pub stamp: FileStamp,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Told of the bytes on their way.
    pub progress: Progress,
}

impl Client {
    /// Sends a file's bytes, whatever the network does, and checks that the file stayed the same.
    ///
    /// # Errors
    /// `artifact.changed` where the file is no longer what was hashed; else what the server or the
    /// network says.
    pub async fn upload(&self, upload: &Upload) -> Result<UploadResult, Refusal> {
        upload.stamp.check(&upload.path)?;
        let sent = if upload.stamp.size <= PART {
            self.retry.run(true, async || self.upload_whole(upload).await).await
        } else {
            self.upload_in_parts(upload).await
        };
        // A file that changed explains every other failure: a short body, a wrong digest.
        upload.stamp.check(&upload.path)?;
        let result = sent?;
        if (result.sha256, result.size_bytes) != (upload.sha256, upload.stamp.size) {
            return Err(bad_answer("the server stored other bytes than were sent"));
        }
        Ok(result)
    }

    async fn upload_whole(&self, upload: &Upload) -> Result<UploadResult, Fault> {
        let request = self
            .request(Method::POST, "/api/upload")
            .query(&[("sha256", upload.sha256.to_string())])
            .header(CONTENT_TYPE, "application/octet-stream");
        let response = self.send_range(request, upload, 0, upload.stamp.size).await?;
        let body = read_bounded(response).await?;
        serde_json::from_slice(&body).map_err(|_| Fault::Final(bad_answer("the server's answer to an upload is none")))
    }

    /// tus 1.0.0: creation, then parts from wherever the server stands.
    async fn upload_in_parts(&self, upload: &Upload) -> Result<UploadResult, Refusal> {
        let path = self.retry.run(true, async || self.create_upload(upload).await).await?;
        let mut patience = self.retry.start();
        let (mut offset, mut in_step) = (0, true);
        while offset < upload.stamp.size {
            let part = async {
                let from = if in_step {
                    offset
                } else {
                    self.upload_offset(&path).await?
                };
                let reached = if from > offset {
                    Ok(from)
                } else {
                    self.upload_part(upload, &path, from).await
                };
                reached.map_err(out_of_step)
            };
            match part.await {
                Ok(reached) => {
                    (offset, in_step) = (reached, true);
                    patience.renew();
                }
                Err(fault) => {
                    upload.stamp.check(&upload.path)?;
                    patience.pause(fault).await?;
                    in_step = false;
                }
            }
        }
        Ok(UploadResult {
            sha256: upload.sha256,
            size_bytes: upload.stamp.size,
            deduplicated: false,
        })
    }

    /// The path of a new upload.
    async fn create_upload(&self, upload: &Upload) -> Result<String, Fault> {
        let digest = BASE64_STANDARD.encode(upload.sha256.to_string());
        let response = self
            .request(Method::POST, "/api/uploads")
            .header(TUS.0, TUS.1)
            .header("Upload-Length", upload.stamp.size)
            .header("Upload-Metadata", format!("sha256 {digest}"))
            .header(CONTENT_LENGTH, 0)
            .timeout(STALL)
            .send()
            .await
            .map_err(|error| self.network_fault(&error))?;
        let response = self.accept(response).await?;
        // Only the last segment is taken: the server's public URL may be another than the one that
        // we were told, and the token must not go there.
        response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok()?.rsplit('/').next())
            .filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
            .map(|id| format!("/api/uploads/{id}"))
            .ok_or_else(|| Fault::Final(bad_answer("the server did not say where to send the parts")))
    }

    async fn upload_offset(&self, path: &str) -> Result<u64, Fault> {
        let response = self
            .request(Method::HEAD, path)
            .header(TUS.0, TUS.1)
            .timeout(STALL)
            .send()
            .await
            .map_err(|error| self.network_fault(&error))?;
        offset_of(&self.accept(response).await?)
    }

    /// Sends one part and answers the offset that the server has reached.
    async fn upload_part(&self, upload: &Upload, path: &str, offset: u64) -> Result<u64, Fault> {
        let length = (upload.stamp.size - offset).min(PART);
        let request = self
            .request(Method::PATCH, path)
            .header(TUS.0, TUS.1)
            .header("Upload-Offset", offset)
            .header(CONTENT_TYPE, "application/offset+octet-stream");
        let response = self.send_range(request, upload, offset, length).await?;
        let reached = offset_of(&response)?;
        if reached <= offset {
            return Err(Fault::Final(bad_answer("the server took a part without moving on")));
        }
        Ok(reached)
    }

    /// Sends `length` bytes from `offset` on as the body, and gives up where nothing moves.
    async fn send_range(
        &self,
        request: RequestBuilder,
        upload: &Upload,
        offset: u64,
        length: u64,
    ) -> Result<Response, Fault> {
        let mut file = File::open(&upload.path)
            .await
            .map_err(|error| Fault::Final(unreadable(&upload.path, &error)))?;
        file.set_max_buf_size(READ);
        if offset > 0 {
            let moved = file.seek(std::io::SeekFrom::Start(offset)).await;
            moved.map_err(|error| Fault::Final(unreadable(&upload.path, &error)))?;
        }
        let sent = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&upload.progress);
        let counter = Arc::clone(&sent);
        let start = (file.take(length), BytesMut::new());
        let stream = futures_util::stream::try_unfold(start, move |(mut file, mut buffer)| {
            let (progress, counter) = (Arc::clone(&progress), Arc::clone(&counter));
            async move {
                buffer.reserve(READ);
                let count = file.read_buf(&mut buffer).await? as u64;
                let total = counter.fetch_add(count, Ordering::Relaxed) + count;
                progress(offset + total);
                let chunk = buffer.split().freeze();
                Ok::<_, std::io::Error>((!chunk.is_empty()).then_some((chunk, (file, buffer))))
            }
        });
        let send = request
            .header(CONTENT_LENGTH, length)
            .body(Body::wrap_stream(stream))
            .send();
        tokio::pin!(send);
        let mut seen = 0;
        let response = loop {
            let whole = seen == length;
            tokio::select! {
                answer = &mut send => break answer.map_err(|error| self.network_fault(&error))?,
                () = sleep(if whole { FINISH } else { STALL }) => {
                    let now = sent.load(Ordering::Relaxed);
                    if now == seen {
                        return Err(stalled());
                    }
                    seen = now;
                }
            }
        };
        self.accept(response).await
    }
}

fn stalled() -> Fault {
    Fault::Passing {
        refusal: Refusal::new(
            ErrorCode::TimedOut,
            "the upload stood still; run the command again, it goes on from there",
        ),
        after: None,
        maybe_done: true,
    }
}

/// A part that does not start where the server stands is no fault of the file: the server is asked,
/// and the upload goes on from there.
fn out_of_step(fault: Fault) -> Fault {
    match fault {
        Fault::Final(refusal) if refusal.code == ErrorCode::UploadOffset => Fault::Passing {
            refusal,
            after: None,
            maybe_done: true,
        },
        fault => fault,
    }
}

fn offset_of(response: &Response) -> Result<u64, Fault> {
    response
        .headers()
        .get("Upload-Offset")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .ok_or_else(|| Fault::Final(bad_answer("the server did not say how much it has")))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    let code = if error.kind() == ErrorKind::NotFound {
        ErrorCode::PathNotFound
    } else {
        ErrorCode::PathUnreadable
    };
    Refusal::new(code, format!("{} cannot be read: {error}", path.display())).with("path", path.display().to_string())
}
