//! Every backend runs every case of the suite, under its own name.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use persist::testing::{Started, Subject, cases};
use persist::{FolderBlobs, MemoryBlobs, MemoryLog, Options, SqlStore};

type NewSubject = fn() -> Subject;

/// A backend's name, and how to make an empty one.
const BACKENDS: [(&str, NewSubject); 2] = [("memory", memory), ("sqlite", sqlite)];

fn main() {
    let trials = BACKENDS.iter().flat_map(|&(backend, subject)| {
        cases().map(move |case| {
            Trial::test(format!("{backend}::{}::{}", case.group, case.name), move || {
                case.check(subject()).map_err(Failed::from)
            })
        })
    });
    let mut trials: Vec<Trial> = trials.collect();
    trials.push(Trial::test("every group is whole", every_group_is_whole));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn memory() -> Subject {
    let (log, blobs) = (MemoryLog::default(), MemoryBlobs::default());
    Subject::new(move || Started {
        backend: Arc::new(log.clone()),
        blobs: Arc::new(blobs.clone()),
    })
}

fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    Subject::new(move || Started {
        backend: Arc::new(SqlStore::open(&folder.path().join("store.db"), Options::default()).unwrap()),
        blobs: Arc::new(FolderBlobs::open(&folder.path().join("blobs")).unwrap()),
    })
}

/// A suite that lost its cases would pass as well.
fn every_group_is_whole() -> Result<(), Failed> {
    let contract = [
        ("event", 6),
        ("log", 9),
        ("kv", 13),
        ("concurrency", 8),
        ("cas", 11),
        ("catalog", 8),
        ("query", 9),
        ("batch", 10),
        ("idempotency", 9),
    ];
    for (group, wanted) in contract {
        let found = cases().filter(|case| case.group == group).count();
        if found != wanted {
            return Err(format!("{group} has {found} cases, not {wanted}").into());
        }
    }
    Ok(())
}
