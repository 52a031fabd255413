//! Every backend, every case; and both together under random operations.

#![allow(clippy::unwrap_used)]

use dist_blobs::{Backend, FsStore, MemoryStore, Store};
use proptest::prelude::*;

dist_blobs::conformance!(memory, ((), MemoryStore::new()));

dist_blobs::conformance!(fs, {
    let data = tempfile::tempdir().unwrap();
    let store = FsStore::open(data.path()).unwrap();
    (data, store)
});

#[derive(Clone, Debug)]
enum Step {
    Store(Vec<u8>),
    Abandon(Vec<u8>),
    Remove(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    // Few different texts, so that steps meet.
    let text = || prop::collection::vec(0_u8..2, 0..3);
    prop_oneof![
        text().prop_map(Step::Store),
        text().prop_map(Step::Abandon),
        text().prop_map(Step::Remove)
    ]
}

/// What the step answered, and what is there then.
fn apply<B: Backend>(store: &Store<B>, step: &Step) -> (String, Vec<String>) {
    let staged = |bytes: &Vec<u8>| {
        let mut staging = store.begin(8).unwrap();
        staging.write(&[bytes]).unwrap();
        staging
    };
    let answer = match step {
        Step::Store(bytes) => format!("{:?}", staged(bytes).finish(None).unwrap()),
        Step::Abandon(bytes) => staged(bytes).len().to_string(),
        Step::Remove(bytes) => {
            let digest = MemoryStore::new()
                .import(&mut bytes.as_slice(), 8, None)
                .unwrap()
                .digest;
            store.remove(&digest).unwrap().to_string()
        }
    };
    let mut there: Vec<_> = store
        .list()
        .unwrap()
        .map(|entry| format!("{:?}", entry.unwrap()))
        .collect();
    there.sort_unstable();
    (answer, there)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_backends_agree(steps in prop::collection::vec(step(), 1..12)) {
        let data = tempfile::tempdir().unwrap();
        let (fs, memory) = (FsStore::open(data.path()).unwrap(), MemoryStore::new());
        for step in &steps {
            prop_assert_eq!(apply(&fs, step), apply(&memory, step));
        }
        prop_assert_eq!(std::fs::read_dir(data.path().join("staging")).unwrap().count(), 0);
    }
}
