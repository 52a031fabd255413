//! What happens to the files of a store while it is open, and what a reader that hangs does to them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use common::{stream, whole};
use persist::{Backend, Error, ErrorKind, NewEvent, Options, SqlError, SqlReadExt, SqlStore, log, params};
use serde_json::json;
use tempfile::tempdir;

fn append(store: &SqlStore) -> Result<(), Error> {
    log::append(store, &stream("s"), NewEvent::new("t", 0, json!("x".repeat(2000)))).map(drop)
}

/// Does something to the files of an open store, and tries to go on with it.
fn refuses_to_go_on_after(harm: impl Fn(&Path)) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqlStore::open(&path, Options::default()).unwrap();
    append(&store).unwrap();
    harm(&path);
    let error = append(&store).unwrap_err();
    assert!(matches!(error, Error::Gone), "{error:?}");
    // Nor is anything acknowledged later.
    assert_eq!(append(&store).unwrap_err().class(), ErrorKind::Closed);
    assert!(store.stats().poisoned.is_some());
}

#[test]
fn a_database_that_was_removed_is_not_written_any_more() {
    refuses_to_go_on_after(|path| fs::remove_file(path).unwrap());
}

#[test]
fn nor_one_whose_log_was_removed() {
    refuses_to_go_on_after(|path| fs::remove_file(path.with_extension("db-wal")).unwrap());
}

#[test]
fn nor_one_in_whose_place_another_was_put() {
    refuses_to_go_on_after(|path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    });
}

#[test]
fn nor_one_whose_folder_was_moved_away() {
    refuses_to_go_on_after(|path| {
        let folder = path.parent().unwrap();
        let moved = folder.with_extension("moved");
        fs::rename(folder, &moved).unwrap();
        fs::remove_dir_all(moved).unwrap();
    });
}

#[test]
fn a_reader_that_hangs_fills_the_log_and_not_the_disk() {
    const LIMIT: u64 = 1 << 20;
    let folder = tempdir().unwrap();
    let options = Options {
        wal_limit: LIMIT,
        ..Options::default()
    };
    let store = SqlStore::open(folder.path().join("store.db"), options).unwrap();
    append(&store).unwrap();
    let (hangs, is_hanging) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let reader = thread::spawn({
        let store = store.clone();
        move || {
            store.read(|tx| {
                tx.query_one("SELECT COUNT(*) FROM persist_events", params![], |row| {
                    row.get::<i64>(0)
                })?;
                hangs.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok::<_, SqlError>(())
            })
        }
    });
    is_hanging.recv().unwrap();
    let mut appended = 1;
    let error = loop {
        match append(&store) {
            Ok(()) => appended += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::LogFull), "{error:?}");
    assert_eq!(error.class(), ErrorKind::Retry);
    // Each page has a header of 24 bytes in the log.
    let most = LIMIT + LIMIT / 100 + (64 << 10);
    let wal = store.stats().wal_bytes;
    assert!(wal <= most, "{wal} bytes");
    assert_eq!(whole(&store).len(), appended);

    go_on.send(()).unwrap();
    reader.join().unwrap().unwrap();
    append(&store).unwrap();
    assert!(store.stats().wal_bytes < 1 << 16);
    assert_eq!(store.head().unwrap().get(), appended as u64 + 1);
}
