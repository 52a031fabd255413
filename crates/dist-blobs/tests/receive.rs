//! Bodies that come as streams.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dist_blobs::{BlobError, FsStore, MemoryStore, ReceiveError, receive};
use futures_util::{StreamExt, stream};

type Frame = Result<Bytes, std::io::Error>;

fn frames(count: usize, len: usize) -> impl Iterator<Item = Frame> {
    (0..count).map(move |i| Ok(Bytes::from(vec![i.to_le_bytes()[0]; len])))
}

#[tokio::test]
async fn a_body_arrives_whole_whatever_its_frames() {
    let store = MemoryStore::new();
    for (count, len) in [
        (0, 0),
        (1, 1),
        (63, 10),
        (64, 10),
        (65, 10),
        (1000, 7),
        (5, 700_000),
        (2, 3 << 20),
    ] {
        let staging = receive(store.begin(u64::MAX).unwrap(), stream::iter(frames(count, len)))
            .await
            .unwrap();
        let whole: Vec<u8> = frames(count, len).flat_map(|frame| frame.unwrap()).collect();
        let expected = MemoryStore::new()
            .import(&mut whole.as_slice(), u64::MAX, None)
            .unwrap();
        let stored = staging.finish(Some(expected.digest)).unwrap();
        assert_eq!(stored.size, (count * len) as u64);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let store = MemoryStore::new();
    // It never ends: only the limit can.
    let body = stream::repeat_with(|| Frame::Ok(Bytes::from(vec![0; 64 << 10])));
    let refused = receive(store.begin(10 << 20).unwrap(), body).await.err().unwrap();
    assert!(
        matches!(refused, ReceiveError::Blob(BlobError::TooLarge { .. })),
        "{refused}"
    );
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_a_client_that_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let store = FsStore::open(folder.path()).unwrap();
    let body = stream::iter(frames(3, 1 << 20)).chain(stream::pending());
    let refused = receive(store.begin(1 << 20).unwrap(), body).await.err().unwrap();
    assert!(
        matches!(refused, ReceiveError::Blob(BlobError::TooLarge { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_came_before_a_break_can_be_resumed() {
    let data = tempfile::tempdir().unwrap();
    let store = FsStore::open(data.path()).unwrap();
    let name = store.begin(0).unwrap().keep().unwrap();
    let broken = Err(std::io::Error::other("cut off"));
    let body = stream::iter(frames(70, 10).chain([broken]));
    let refused = receive(store.resume(&name, 900).unwrap(), body).await.err().unwrap();
    assert!(matches!(refused, ReceiveError::Body(_)), "{refused}");
    assert_eq!(store.staged_len(&name).unwrap(), Some(700));

    // Nobody waits for the rest of this one; its first batches stay too.
    let never = stream::iter(frames(64, 1)).chain(stream::pending());
    let receiving = receive(store.resume(&name, 900).unwrap(), never);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(50), receiving).await;
    assert!(waited.is_err());
    assert_eq!(store.resume(&name, 900).unwrap().len(), 764);
}

#[tokio::test]
async fn memory_stays_flat() {
    struct Counted(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(self.0.len(), Ordering::Relaxed);
        }
    }
    const FRAME: usize = 32 << 10;
    let live = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let body = stream::iter(0..512).map(|_| {
        let now = live.fetch_add(FRAME, Ordering::Relaxed) + FRAME;
        most.fetch_max(now, Ordering::Relaxed);
        Frame::Ok(Bytes::from_owner(Counted(vec![0; FRAME], Arc::clone(&live))))
    });
    let data = tempfile::tempdir().unwrap();
    let store = FsStore::open(data.path()).unwrap();
    let staging = receive(store.begin(u64::MAX).unwrap(), body).await.unwrap();
    assert_eq!(staging.len(), 16 << 20);
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 2 << 20, "{most} bytes of a body were in memory at once");
    assert_eq!(live.load(Ordering::Relaxed), 0);
}
