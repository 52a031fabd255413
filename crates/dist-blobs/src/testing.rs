//! The conformance suite: what every backend does, whatever keeps its bytes.
//!
//! A backend runs all of it with one line, each case under its own name:
//!
//! ```
//! use dist_blobs::MemoryStore;
//!
//! dist_blobs::conformance!(memory, ((), MemoryStore::new()));
//! ```

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "these are tests")]

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dist_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::{Backend, BlobError, Store, Stored, Verdict};

const NO_LIMIT: u64 = u64::MAX;

/// Makes a module `$backend` of one test a case. `$make` answers a pair: whatever must live as
/// long as the store, and an empty store.
#[macro_export]
macro_rules! conformance {
    ($backend:ident, $make:expr) => {
        $crate::conformance!(@cases $backend, $make;
            objects_are_named_by_their_sha256
            the_same_bytes_are_kept_once
            bytes_come_out_as_they_went_in
            the_limit_is_kept
            a_wrong_digest_stores_nothing
            what_is_dropped_or_discarded_is_no_object
            a_roll_back_forgets_what_came_after
            a_broken_source_stores_nothing
            an_open_object_outlives_its_removal
            the_list_is_what_is_there
            one_of_many_racing_writers_stores_the_object
            readers_see_whole_objects_or_none
        );
    };
    (@cases $backend:ident, $make:expr; $($case:ident)*) => {
        mod $backend {
            #[allow(unused_imports, reason = "a backend may need nothing from around it")]
            use super::*;

            $(
                #[test]
                fn $case() {
                    let (_kept, store) = $make;
                    $crate::testing::$case(&store);
                }
            )*
        }
    };
}

fn put<B: Backend>(store: &Store<B>, bytes: &[u8]) -> Stored {
    let mut staging = store.begin(NO_LIMIT).unwrap();
    staging.write(&[bytes]).unwrap();
    staging.finish(None).unwrap()
}

fn get<B: Backend>(store: &Store<B>, digest: &Digest) -> Option<Vec<u8>> {
    let object = store.open_object(digest).unwrap()?;
    let mut bytes = vec![0; usize::try_from(object.size()).unwrap()];
    object.file().read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

fn is_empty<B: Backend>(store: &Store<B>) -> bool {
    store.list().unwrap().next().is_none()
}

/// Against the test vectors of FIPS 180-4.
pub fn objects_are_named_by_their_sha256<B: Backend>(store: &Store<B>) {
    let vectors = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (
            "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
    ];
    for (text, digest) in vectors {
        let stored = put(store, text.as_bytes());
        assert_eq!(stored.digest, digest.parse().unwrap());
        assert_eq!(stored.size, text.len() as u64);
        assert_eq!(store.verify(&stored.digest).unwrap(), Verdict::Whole);
    }
    assert_eq!(store.verify(&sha256(b"never stored")).unwrap(), Verdict::Missing);
}

/// The second time says so, and changes nothing.
pub fn the_same_bytes_are_kept_once<B: Backend>(store: &Store<B>) {
    let first = put(store, b"same");
    let identity = store.open_object(&first.digest).unwrap().unwrap().identity();
    let second = put(store, b"same");
    assert!(!first.deduplicated && second.deduplicated);
    assert_eq!(first.digest, second.digest);
    assert_eq!(store.open_object(&first.digest).unwrap().unwrap().identity(), identity);
    assert_eq!(store.list().unwrap().count(), 1);
}

/// Over more buffers than the kernel takes at once, empty ones among them.
pub fn bytes_come_out_as_they_went_in<B: Backend>(store: &Store<B>) {
    let chunks: Vec<Vec<u8>> = (0..3000_usize).map(|i| vec![i.to_le_bytes()[0]; i % 7]).collect();
    let mut staging = store.begin(NO_LIMIT).unwrap();
    staging.write(&[] as &[&[u8]]).unwrap();
    staging.write(&[b""]).unwrap();
    assert!(staging.is_empty());
    staging.write(&chunks).unwrap();
    staging.sync().unwrap();
    staging.write(&chunks).unwrap();
    let bytes = [chunks.concat(), chunks.concat()].concat();
    assert_eq!(staging.len(), bytes.len() as u64);
    let stored = staging.finish(Some(sha256(&bytes))).unwrap();
    assert_eq!(get(store, &stored.digest).unwrap(), bytes);
    assert_eq!(store.stat(&stored.digest).unwrap(), Some(bytes.len() as u64));
}

/// To the byte; and what fits can still be written.
pub fn the_limit_is_kept<B: Backend>(store: &Store<B>) {
    let mut staging = store.begin(4).unwrap();
    staging.write(&[b"abc"]).unwrap();
    let refused = staging.write(&[b"d", b"e"]).unwrap_err();
    assert!(matches!(refused, BlobError::TooLarge { limit: 4 }), "{refused}");
    staging.write(&[b"d"]).unwrap();
    let stored = staging.finish(None).unwrap();
    assert_eq!(get(store, &stored.digest).unwrap(), b"abcd");
}

/// And names both digests.
pub fn a_wrong_digest_stores_nothing<B: Backend>(store: &Store<B>) {
    let mut staging = store.begin(NO_LIMIT).unwrap();
    staging.write(&[b"other bytes"]).unwrap();
    let refused = staging.finish(Some(sha256(b"announced"))).unwrap_err();
    let BlobError::DigestMismatch { expected, found } = refused else {
        panic!("{refused}")
    };
    assert_eq!((expected, found), (sha256(b"announced"), sha256(b"other bytes")));
    assert!(is_empty(store));
}

/// Whatever was written before.
pub fn what_is_dropped_or_discarded_is_no_object<B: Backend>(store: &Store<B>) {
    let mut dropped = store.begin(NO_LIMIT).unwrap();
    dropped.write(&[b"gone"]).unwrap();
    drop(dropped);
    let mut discarded = store.begin(NO_LIMIT).unwrap();
    discarded.write(&[b"gone"]).unwrap();
    discarded.discard().unwrap();
    assert!(is_empty(store));
    assert_eq!(store.stat(&sha256(b"gone")).unwrap(), None);
}

/// In the bytes, the length and the hash.
pub fn a_roll_back_forgets_what_came_after<B: Backend>(store: &Store<B>) {
    let mut staging = store.begin(8).unwrap();
    staging.write(&[b"kept"]).unwrap();
    let checkpoint = staging.checkpoint();
    staging.write(&[b"bad!"]).unwrap();
    staging.roll_back(checkpoint).unwrap();
    assert_eq!(staging.len(), 4);
    staging.write(&[b" on"]).unwrap();
    let stored = staging.finish(None).unwrap();
    assert_eq!(get(store, &stored.digest).unwrap(), b"kept on");
}

/// Even when it breaks at its end.
pub fn a_broken_source_stores_nothing<B: Backend>(store: &Store<B>) {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("unplugged"))
        }
    }
    let failed = store.import(&mut b"some".chain(Broken), NO_LIMIT, None).unwrap_err();
    assert!(matches!(failed, BlobError::Source(_)), "{failed}");
    assert!(is_empty(store));
    let stored = store.import(&mut &b"some"[..], 4, Some(sha256(b"some"))).unwrap();
    assert_eq!(get(store, &stored.digest).unwrap(), b"some");
}

/// So that a download under way ends well.
pub fn an_open_object_outlives_its_removal<B: Backend>(store: &Store<B>) {
    let stored = put(store, b"read me");
    let object = store.open_object(&stored.digest).unwrap().unwrap();
    assert!(store.remove(&stored.digest).unwrap());
    assert!(!store.remove(&stored.digest).unwrap());
    assert!(store.open_object(&stored.digest).unwrap().is_none());
    let mut bytes = [0; 7];
    object.file().read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"read me");
    assert!(!put(store, b"read me").deduplicated);
}

/// With sizes.
pub fn the_list_is_what_is_there<B: Backend>(store: &Store<B>) {
    let texts: [&[u8]; 3] = [b"", b"one", b"another"];
    let mut expected: Vec<_> = texts.map(|text| (put(store, text).digest, text.len() as u64)).into();
    expected.sort_unstable();
    let mut listed: Vec<_> = store.list().unwrap().map(Result::unwrap).collect();
    listed.sort_unstable();
    assert_eq!(listed, expected);
}

/// And the others are told that it was there.
pub fn one_of_many_racing_writers_stores_the_object<B: Backend>(store: &Store<B>) {
    const WRITERS: usize = 8;
    for round in 0..8 {
        let start = Barrier::new(WRITERS);
        let new = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut staging = store.begin(NO_LIMIT).unwrap();
                        staging.write(&[format!("round {round}")]).unwrap();
                        start.wait();
                        staging.finish(None).unwrap()
                    })
                })
                .collect();
            let stored = writers.into_iter().map(|writer| writer.join().unwrap());
            stored.filter(|stored| !stored.deduplicated).count()
        });
        assert_eq!(new, 1);
    }
}

/// While writers come and go.
pub fn readers_see_whole_objects_or_none<B: Backend>(store: &Store<B>) {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let digest = sha256(&bytes);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                put(store, &bytes);
                store.remove(&digest).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            if let Some(seen) = get(store, &digest) {
                assert!(seen == bytes, "half an object was seen");
            }
        }
    });
}
