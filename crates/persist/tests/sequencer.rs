//! What the sequencer promises to those who submit, and to those who do not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::mpsc;
use std::thread;

use common::{amount, append, committed, data, in_memory, key, open, stream, submit, totals, use_once, uses, whole};
use persist::{
    Append, Backend, Commit, Conflict, Decision, Error, ErrorKind, ExpectedRevision, Key, KvChange, KvExpected,
    NewEvent, NewReceipt, Outcome, Position, ReceiptResult, Revision, SqlError, SqlReadExt, SqlStore, SqlTx,
    SubmitError, kv, log, params,
};
use serde_json::{Value, json};
use tempfile::tempdir;

/// Everything that a store holds and that a failed command must leave alone.
#[derive(Debug, PartialEq)]
struct Content {
    log: Vec<Value>,
    totals: Vec<(String, i64, i64)>,
    keys: Vec<Key>,
    uses: Option<i64>,
    head: Position,
}

fn content(store: &SqlStore) -> Content {
    Content {
        log: data(&whole(store)),
        totals: totals(store),
        keys: store.kv_keys("").unwrap(),
        uses: uses(store, "door"),
        head: store.head().unwrap(),
    }
}

#[test]
fn commits_events_tables_keys_and_side_tables_together() {
    let store = in_memory();
    let outcome = store.submit_blocking(|tx| {
        use_once(tx, "door")?;
        let kv = vec![KvChange::Put {
            key: key("k"),
            value: json!(1),
            expected: KvExpected::Absent,
        }];
        Ok::<_, SqlError>(Decision {
            commit: Commit {
                kv,
                ..append("a", vec![amount(2), amount(3)])
            },
            value: "done",
        })
    });
    let Ok(Outcome::Committed { value, committed }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(value, "done");
    assert_eq!(committed.head, Position::new(2));
    assert_eq!(committed.events, log::read(&store, &stream("a")).unwrap());
    let everything = Content {
        log: vec![json!(2), json!(3)],
        totals: vec![("a".to_owned(), 2, 5)],
        keys: vec![key("k")],
        uses: Some(1),
        head: Position::new(2),
    };
    assert_eq!(content(&store), everything);
}

/// Keeps the writer busy with a command until `waiting` others are in the queue.
fn while_held<T>(store: &SqlStore, waiting: usize, submit: impl FnOnce() -> T) -> T {
    let (started, start) = mpsc::channel();
    let (release, wait) = mpsc::channel::<()>();
    let holder = store.clone();
    let holder = thread::spawn(move || {
        let command = move |_: &mut dyn SqlTx| {
            started.send(()).unwrap();
            wait.recv().unwrap();
            Ok::<_, Error>(Decision::<()>::default())
        };
        holder.submit_blocking(command).unwrap();
    });
    start.recv().unwrap();
    let submitted = submit();
    while store.stats().queue_len < waiting {
        thread::yield_now();
    }
    release.send(()).unwrap();
    holder.join().unwrap();
    submitted
}

#[test]
fn groups_what_waits_into_one_transaction() {
    let store = in_memory();
    let submitters = while_held(&store, 16, || {
        let submit = |n| {
            let store = store.clone();
            thread::spawn(move || {
                committed(&store, append("hot", vec![amount(n)])).events[0]
                    .position
                    .get()
            })
        };
        (0..16).map(submit).collect::<Vec<_>>()
    });
    let mut positions: Vec<_> = submitters.into_iter().map(|each| each.join().unwrap()).collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=16).collect::<Vec<_>>());
    // One for the command that held the writer, and one for all that waited meanwhile.
    let stats = store.stats();
    assert_eq!((stats.batches, stats.commands), (2, 17));
}

#[test]
fn writers_to_one_stream_need_no_retries() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for n in 0..20 {
                    committed(&store, append("hot", vec![amount(n)]));
                }
            });
        }
    });
    assert_eq!(places(&store), (1..=320).map(|n| (n, n)).collect::<Vec<_>>());
    assert_eq!(totals(&store), [("hot".to_owned(), 320, 16 * 190)]);
}

/// The position and the revision of every event.
fn places(store: &SqlStore) -> Vec<(u64, u64)> {
    let events = whole(store);
    events
        .iter()
        .map(|each| (each.position.get(), each.event.seq.get()))
        .collect()
}

#[test]
fn a_command_sees_what_its_batch_wrote_before_it() {
    let store = in_memory();
    let followers = while_held(&store, 2, || {
        [store.clone(), store.clone()].map(|store| {
            thread::spawn(move || {
                let outcome = store.submit_blocking(|tx| {
                    use_once(tx, "door")?;
                    let count: i64 = tx.query_one("SELECT count FROM uses", params![], |row| row.get(0))?;
                    Ok::<_, SqlError>(Decision {
                        commit: Commit::default(),
                        value: count,
                    })
                });
                let Ok(Outcome::Committed { value, .. }) = outcome else {
                    panic!("{outcome:?}")
                };
                value
            })
        })
    });
    let mut seen = followers.map(|each| each.join().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
    assert_eq!(store.stats().batches, 2);
}

/// Submits a command that writes to a side table and then ends as `end` says, and checks that
/// nothing of it stays.
fn leaves_nothing<E: Send + std::fmt::Debug + 'static>(
    end: impl FnOnce() -> Result<Decision<()>, E> + Send + 'static,
) -> Result<Outcome<()>, SubmitError<E>> {
    let store = in_memory();
    let receipt = NewReceipt {
        scope: "me".into(),
        key: "k".into(),
        request_hash: [7; 32],
        result: ReceiptResult::Value(json!("first")),
    };
    committed(
        &store,
        Commit {
            receipt: Some(receipt),
            ..append("a", vec![amount(5)])
        },
    );
    kv::put(&store, "taken", json!(1)).unwrap();
    let before = content(&store);
    let outcome = store.submit_blocking(move |tx| {
        use_once(tx, "door").unwrap();
        end()
    });
    assert_eq!(content(&store), before);
    // And the writer goes on.
    committed(&store, append("a", vec![amount(1)]));
    assert_eq!(store.head().unwrap(), Position::new(2));
    outcome
}

#[test]
fn a_refusal_undoes_only_itself() {
    let outcome = leaves_nothing(|| Err::<Decision<()>, _>("no"));
    assert!(matches!(outcome, Err(SubmitError::Refused("no"))), "{outcome:?}");
}

#[test]
fn a_conflicting_revision_writes_nothing() {
    let outcome = leaves_nothing(|| {
        let expected = ExpectedRevision::Exact(Revision::new(3));
        let mut commit = append("b", vec![amount(1)]);
        commit.appends.push(Append::new(stream("a"), expected, vec![amount(1)]));
        Ok::<_, Error>(Decision { commit, value: () })
    });
    let Ok(Outcome::Conflict(Conflict::Revision {
        stream,
        expected,
        actual,
    })) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (stream.as_str(), expected),
        ("a", ExpectedRevision::Exact(Revision::new(3)))
    );
    assert_eq!(actual, Some(Revision::FIRST));
}

#[test]
fn a_conflicting_value_writes_nothing() {
    let outcome = leaves_nothing(|| {
        let kv = vec![KvChange::Put {
            key: key("taken"),
            value: json!(2),
            expected: KvExpected::Absent,
        }];
        Ok::<_, Error>(Decision {
            commit: Commit {
                kv,
                ..append("a", vec![amount(1)])
            },
            value: (),
        })
    });
    let Ok(Outcome::Conflict(Conflict::Value { key, actual, .. })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((key.as_str(), actual), ("taken", Some(json!(1))));
}

fn receipt_of(request_hash: [u8; 32]) -> Commit {
    let receipt = NewReceipt {
        scope: "me".into(),
        key: "k".into(),
        request_hash,
        result: ReceiptResult::Value(json!("second")),
    };
    Commit {
        receipt: Some(receipt),
        ..append("a", vec![amount(1)])
    }
}

#[test]
fn a_repeated_request_is_answered_with_its_receipt() {
    let outcome = leaves_nothing(|| {
        Ok::<_, Error>(Decision {
            commit: receipt_of([7; 32]),
            value: (),
        })
    });
    let Ok(Outcome::Duplicate(receipt)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((receipt.result, receipt.position), (json!("first"), Position::FIRST));
}

#[test]
fn another_request_under_the_same_key_is_a_conflict() {
    let outcome = leaves_nothing(|| {
        Ok::<_, Error>(Decision {
            commit: receipt_of([8; 32]),
            value: (),
        })
    });
    assert!(
        matches!(outcome, Ok(Outcome::Conflict(Conflict::Receipt { .. }))),
        "{outcome:?}"
    );
}

#[test]
fn a_panicking_command_undoes_only_itself() {
    let outcome = leaves_nothing(|| -> Result<Decision<()>, Error> { panic!("a bug in a command") });
    assert!(
        matches!(outcome, Err(SubmitError::Store(Error::Panicked))),
        "{outcome:?}"
    );
}

#[test]
fn a_panicking_projection_undoes_only_the_command() {
    let outcome = leaves_nothing(|| {
        let commit = append("a", vec![amount(1), NewEvent::new("panic", 0, json!(1))]);
        Ok::<_, Error>(Decision { commit, value: () })
    });
    assert!(
        matches!(outcome, Err(SubmitError::Store(Error::Panicked))),
        "{outcome:?}"
    );
}

#[test]
fn a_constraint_of_a_projection_undoes_only_the_command() {
    let outcome = leaves_nothing(|| {
        Ok::<_, Error>(Decision {
            commit: append("a", vec![amount(-6)]),
            value: (),
        })
    });
    let Err(SubmitError::Store(Error::Projection { name, position, .. })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((name, position), ("totals", Position::new(2)));
}

#[test]
fn a_full_disk_fails_the_batch_and_the_writer_goes_on() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    committed(&store, append("a", vec![amount(1)]));
    let before = content(&store);
    store.limit_pages(1).unwrap();
    let long = json!("x".repeat(100_000));
    let submitters: Vec<_> = (0..4)
        .map(|_| {
            let (store, event) = (store.clone(), NewEvent::new("long", 0, long.clone()));
            thread::spawn(move || submit(&store, append("a", vec![event])))
        })
        .collect();
    for submitter in submitters {
        let outcome = submitter.join().unwrap();
        let Err(SubmitError::Store(error)) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(error.class(), ErrorKind::Full, "{error:?}");
    }
    // Nothing was acknowledged and nothing is there; reads go on, and writes once there is room.
    assert_eq!(content(&store), before);
    store.limit_pages(1_000_000).unwrap();
    committed(&store, append("a", vec![NewEvent::new("long", 0, long)]));
    assert_eq!(store.head().unwrap(), Position::new(2));
    assert_eq!(store.stats().poisoned, None);
}

#[test]
fn a_command_that_swallows_a_full_disk_cannot_write_on_its_own() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    committed(&store, append("a", vec![amount(1)]));
    let before = content(&store);
    store.limit_pages(1).unwrap();
    let outcome = store.submit_blocking(|tx: &mut dyn SqlTx| {
        let long = "x".repeat(100_000);
        let full = use_once(tx, &long).unwrap_err();
        // The transaction is gone; by itself this statement would fit, and commit.
        let refused = use_once(tx, "door").unwrap_err();
        assert_eq!(full.class(), refused.class());
        Ok::<_, Error>(Decision::<()>::default())
    });
    assert!(matches!(outcome, Err(SubmitError::Store(Error::Full))), "{outcome:?}");
    assert_eq!(content(&store), before);
}

#[test]
fn commands_that_change_nothing_write_nothing() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    store.checkpoint().unwrap();
    assert_eq!(store.stats().wal_bytes, 0);
    for _ in 0..3 {
        store
            .submit_blocking(|_| Ok::<_, Error>(Decision::<()>::default()))
            .unwrap();
        let _ = store.submit_blocking(|_| Err::<Decision<()>, _>("no"));
    }
    assert_eq!(store.stats().wal_bytes, 0);
}

#[test]
fn two_stores_on_one_file_interleave_without_gaps() {
    let folder = tempdir().unwrap();
    let stores = [open(folder.path()), open(folder.path())];
    thread::scope(|scope| {
        for store in &stores {
            scope.spawn(|| {
                for n in 0..50 {
                    committed(store, append("hot", vec![amount(n)]));
                }
            });
        }
    });
    for store in &stores {
        assert_eq!(places(store), (1..=100).map(|n| (n, n)).collect::<Vec<_>>());
        assert_eq!(totals(store), [("hot".to_owned(), 100, 2 * 1225)]);
    }
}
