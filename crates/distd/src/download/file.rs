//! An object's bytes as an answer's body.
//!
//! Bytes that the kernel has in memory are read at once, on the connection's own thread: handing
//! a copy of 256 KiB to another thread costs more than the copy. Only where the kernel would have
//! to wait for the disk does a blocking thread read. Two buffers go round, one being written to the
//! socket while the other is filled, so that memory stays flat.
//!
//! The file's descriptor stays within reach here, for a socket that will one day be sent from it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use dist_blobs::Object;
use http_body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};
use tokio::task::JoinHandle;

use super::range::Range;

/// What is read at once: large enough that calls are few, small enough for a thousand downloads.
const CHUNK_BYTES: usize = 256 << 10;

/// The body: a range of an object.
pub(super) struct FileBody<F> {
    object: Arc<Object>,
    position: u64,
    left: u64,
    /// The last chunk handed out: its memory is used again once the socket has let go of it.
    lent: Option<Bytes>,
    reading: Option<JoinHandle<io::Result<BytesMut>>>,
    bytes_sent: Counter,
    /// Called when the last byte is handed out.
    finished: Option<F>,
}

impl<F: FnOnce() + Unpin> FileBody<F> {
    pub(super) fn new(object: Object, range: Range, bytes_sent: Counter, finished: Option<F>) -> Self {
        // Advice that is not taken costs nothing.
        let _ = rustix::fs::fadvise(object.file(), 0, None, rustix::fs::Advice::Sequential);
        Self {
            object: Arc::new(object),
            position: range.start,
            left: range.length,
            lent: None,
            reading: None,
            bytes_sent,
            finished,
        }
    }

    /// A buffer for the next chunk, filled with whatever was there before.
    fn buffer(&mut self) -> BytesMut {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        match self.lent.take().map(Bytes::try_into_mut) {
            Some(Ok(mut buffer)) if buffer.len() >= wanted => {
                buffer.truncate(wanted);
                buffer
            }
            _ => BytesMut::zeroed(wanted),
        }
    }

    /// The next chunk, on its way out.
    fn hand_out(&mut self, chunk: BytesMut) -> Frame<Bytes> {
        let chunk = chunk.freeze();
        self.position += chunk.len() as u64;
        self.left -= chunk.len() as u64;
        self.bytes_sent.inc_by(chunk.len() as u64);
        if self.left > 0 {
            self.lent = Some(chunk.clone());
        } else if let Some(finished) = self.finished.take() {
            finished();
        }
        Frame::data(chunk)
    }
}

impl<F: FnOnce() + Unpin> Body for FileBody<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        if this.reading.is_none() {
            let mut buffer = this.buffer();
            match read_cached(&this.object, &mut buffer, this.position) {
                Some(length) => {
                    buffer.truncate(length);
                    return Poll::Ready(Some(Ok(this.hand_out(buffer))));
                }
                None => this.reading = Some(read_from_disk(&this.object, buffer, this.position)),
            }
        }
        let Some(reading) = &mut this.reading else {
            return Poll::Ready(None);
        };
        let outcome = ready!(Pin::new(reading).poll(cx));
        this.reading = None;
        let chunk = outcome.map_err(io::Error::other)??;
        Poll::Ready(Some(Ok(this.hand_out(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// How much of `buffer` was filled without waiting for the disk; `None` where nothing could be, or
/// the file system cannot tell.
fn read_cached(object: &Object, buffer: &mut BytesMut, position: u64) -> Option<usize> {
    let slices = &mut [io::IoSliceMut::new(buffer)];
    match preadv2(object.file(), slices, position, ReadWriteFlags::NOWAIT) {
        Ok(length) if length > 0 => Some(length),
        _ => None,
    }
}

/// Fills `buffer` on a blocking thread.
fn read_from_disk(object: &Arc<Object>, mut buffer: BytesMut, position: u64) -> JoinHandle<io::Result<BytesMut>> {
    let object = Arc::clone(object);
    tokio::task::spawn_blocking(move || {
        let mut filled = 0;
        while filled < buffer.len() {
            match pread(object.file(), &mut buffer[filled..], position + filled as u64) {
                // The file is shorter than its object was when it was opened.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => filled += length,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(buffer)
    })
}

#[cfg(test)]
mod tests {
    use dist_blobs::FsStore;
    use http_body_util::BodyExt as _;

    use super::*;

    fn object(bytes: &[u8]) -> (tempfile::TempDir, Object) {
        let folder = tempfile::tempdir().unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        let mut staging = store.begin(bytes.len() as u64).unwrap();
        staging.write(&[bytes]).unwrap();
        let stored = staging.finish(None).unwrap();
        (folder, store.open_object(&stored.digest).unwrap().unwrap())
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n / 997).to_le_bytes()[0]).collect()
    }

    #[tokio::test]
    async fn the_disk_is_read_at_the_position() {
        let bytes = bytes(100_000);
        let (_folder, object) = object(&bytes);
        let object = Arc::new(object);
        let read = read_from_disk(&object, BytesMut::zeroed(50_000), 7)
            .await
            .unwrap()
            .unwrap();
        assert!(read == bytes[7..50_007]);
        let beyond = read_from_disk(&object, BytesMut::zeroed(2), 99_999).await.unwrap();
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_body_is_handed_out_once_and_whole() {
        let bytes = bytes(3 * CHUNK_BYTES + 17);
        let (_folder, object) = object(&bytes);
        let range = Range {
            start: 5,
            length: bytes.len() as u64 - 5,
        };
        let (sent, counter) = (Arc::new(std::sync::atomic::AtomicU32::new(0)), Counter::default());
        let finished = {
            let sent = Arc::clone(&sent);
            move || {
                sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let body = FileBody::new(object, range, counter.clone(), Some(finished));
        let read = body.collect().await.unwrap().to_bytes();
        assert!(read == bytes[5..]);
        assert_eq!(counter.get(), range.length);
        assert_eq!(sent.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
