//! From a stream of bytes to a staging, in flat memory.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt};
use tokio::task::JoinHandle;

use crate::{Backend, BlobError, ReceiveError, Staging};

/// What is handed to the disk's thread at once.
const BATCH_BYTES: usize = 1 << 20;
/// Small frames are handed over sooner, lest their bookkeeping outweighs their bytes.
const BATCH_FRAMES: usize = 64;

/// Writes the whole `body` to `staging`.
///
/// One batch of at most 1 MiB (or a single larger frame) is hashed and written on a blocking thread
/// while the next one is gathered; there are never more than these two in memory.
///
/// When the body breaks off, what came of it is written before the error is returned: that is what
/// a resumable upload goes on from. When the future is dropped, the batch being gathered is lost
/// and the one being written still is written. [`Staging::finish`] blocks on the disk: call it
/// through `spawn_blocking`.
pub async fn receive<B, S, E>(staging: Staging<B>, body: S) -> Result<Staging<B>, ReceiveError<E>>
where
    B: Backend,
    S: Stream<Item = Result<Bytes, E>>,
{
    let mut body = pin!(body);
    let mut staging = staging;
    let mut batch = gather(&mut body).await;
    loop {
        let writing = tokio::task::spawn_blocking(move || {
            staging.write(&batch.frames)?;
            Ok(staging)
        });
        if let Some(end) = batch.end {
            let staging = written(writing).await?;
            return end.map(|()| staging).map_err(ReceiveError::Body);
        }
        // Whichever is first: a full disk must not wait for a client that has stopped sending.
        let gathering = pin!(gather(&mut body));
        let writing = pin!(written(writing));
        (batch, staging) = match select(gathering, writing).await {
            Either::Left((batch, writing)) => (batch, writing.await?),
            Either::Right((staging, gathering)) => {
                let staging = staging?;
                (gathering.await, staging)
            }
        };
    }
}

/// Some frames, and how the body ended if it did.
struct Batch<E> {
    frames: Vec<Bytes>,
    end: Option<Result<(), E>>,
}

async fn gather<E>(body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin)) -> Batch<E> {
    let mut frames = Vec::with_capacity(BATCH_FRAMES);
    let mut bytes = 0;
    while bytes < BATCH_BYTES && frames.len() < BATCH_FRAMES {
        match body.next().await {
            Some(Ok(frame)) => {
                bytes += frame.len();
                frames.push(frame);
            }
            Some(Err(error)) => {
                let end = Some(Err(error));
                return Batch { frames, end };
            }
            None => {
                let end = Some(Ok(()));
                return Batch { frames, end };
            }
        }
    }
    Batch { frames, end: None }
}

async fn written<T>(writing: JoinHandle<Result<T, BlobError>>) -> Result<T, BlobError> {
    match writing.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(BlobError::Io {
            action: "write",
            name: "the staging file".to_owned(),
            source: std::io::Error::other(error),
        }),
    }
}
