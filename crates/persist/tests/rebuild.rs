//! The projections' tables are what a replay of the log gives, and can be made so again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs::{self, File};
use std::thread;

use common::{amount, append, committed, in_memory, open, totals};
use persist::{Decision, Error, Position, SqlError, SqlReadExt, SqlStore, TableDifference, log, params};
use rustix::fs::{FlockOperation, flock};
use tempfile::tempdir;

/// Writes to a table behind the log's back.
fn tamper(store: &SqlStore, sql: &'static str) {
    store
        .submit_blocking(move |tx| {
            tx.execute(sql, params![])?;
            Ok::<_, SqlError>(Decision::<()>::default())
        })
        .unwrap();
}

fn last_used(store: &SqlStore, stream: &str) -> Option<i64> {
    store
        .read(|tx| {
            tx.query_one(
                "SELECT last_used FROM totals WHERE stream = ?1",
                params![stream],
                |row| row.get(0),
            )
        })
        .map_err(|error: SqlError| error)
        .unwrap()
}

fn filled(store: SqlStore) -> SqlStore {
    for n in 0..10 {
        committed(
            &store,
            append(if n % 2 == 0 { "even" } else { "odd" }, vec![amount(n), amount(1)]),
        );
    }
    store
}

#[test]
fn a_sound_table_is_left_as_it_is() {
    let store = filled(in_memory());
    let before = totals(&store);
    assert_eq!(store.verify_projections().unwrap(), []);
    let report = store.rebuild().unwrap();
    assert_eq!(
        (report.events, report.position, report.differences),
        (20, Position::new(20), vec![])
    );
    assert_eq!(totals(&store), before);
}

#[test]
fn a_tampered_table_is_found_and_repaired() {
    let folder = tempdir().unwrap();
    for store in [filled(in_memory()), filled(open(folder.path()))] {
        let before = totals(&store);
        tamper(&store, "UPDATE totals SET total = 0 WHERE stream = 'even'");
        tamper(&store, "DELETE FROM totals WHERE stream = 'odd'");
        tamper(
            &store,
            "INSERT INTO totals (stream, events, total) VALUES ('invented', 1, 1)",
        );
        let differences = vec![TableDifference {
            table: "totals",
            missing: 2,
            unexpected: 2,
        }];
        assert_eq!(store.verify_projections().unwrap(), differences);
        assert_ne!(totals(&store), before, "to verify changes nothing");
        assert_eq!(store.rebuild().unwrap().differences, differences);
        assert_eq!(totals(&store), before);
        assert_eq!(store.verify_projections().unwrap(), []);
        // The tables go on from there.
        committed(&store, append("odd", vec![amount(1)]));
        assert_eq!(store.verify_projections().unwrap(), []);
    }
    let left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().contains("rebuild")),
        "{left:?}"
    );
}

#[test]
fn an_emptied_table_comes_back() {
    let store = filled(in_memory());
    let before = totals(&store);
    tamper(&store, "DELETE FROM totals");
    store.rebuild().unwrap();
    assert_eq!(totals(&store), before);
}

#[test]
fn side_columns_are_not_compared_and_are_kept() {
    let store = filled(in_memory());
    tamper(&store, "UPDATE totals SET last_used = 7 WHERE stream = 'odd'");
    assert_eq!(store.verify_projections().unwrap(), []);
    tamper(&store, "UPDATE totals SET total = 0");
    store.rebuild().unwrap();
    assert_eq!((last_used(&store, "odd"), last_used(&store, "even")), (Some(7), None));
    assert_eq!(store.verify_projections().unwrap(), []);
}

#[test]
fn replays_while_others_append() {
    let folder = tempdir().unwrap();
    let store = filled(open(folder.path()));
    tamper(&store, "DELETE FROM totals");
    // Another process as well as this one.
    let threads: Vec<_> = [store.clone(), open(folder.path())]
        .into_iter()
        .map(|store| {
            thread::spawn(move || {
                for n in 0..100 {
                    committed(&store, append("hot", vec![amount(n)]));
                }
            })
        })
        .collect();
    store.rebuild().unwrap();
    store.verify_projections().unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(store.verify_projections().unwrap(), []);
    let hot = totals(&store).into_iter().find(|row| row.0 == "hot");
    assert_eq!(hot, Some(("hot".to_owned(), 200, 2 * 4950)));
}

#[test]
fn a_log_that_its_projection_refuses_leaves_the_tables_alone() {
    let store = filled(in_memory());
    tamper(&store, "UPDATE persist_events SET body = '-100' WHERE position = 3");
    let before = totals(&store);
    let error = store.rebuild().unwrap_err();
    let persist::RebuildError::Projection { name, position, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((name, position), ("totals", Position::new(3)));
    assert_eq!(totals(&store), before);
    committed(&store, append("odd", vec![amount(1)]));
}

#[test]
fn a_damaged_event_is_told() {
    let store = filled(in_memory());
    tamper(&store, "UPDATE persist_events SET body = '{' WHERE position = 3");
    let whole: Result<Vec<_>, _> = log::all_events(&store, Position::ZERO).collect();
    assert!(matches!(whole, Err(Error::Corrupt(_))));
}

#[test]
fn what_a_crashed_rebuild_left_is_swept_and_what_is_in_use_is_not() {
    let folder = tempdir().unwrap();
    let store = filled(open(folder.path()));
    let [left, used] = ["store.db.rebuild-1-0", "store.db.rebuild-1-1"].map(|name| folder.path().join(name));
    fs::write(&left, "").unwrap();
    let held = File::create(&used).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    store.verify_projections().unwrap();
    assert_eq!((left.exists(), used.exists()), (false, true));
}
