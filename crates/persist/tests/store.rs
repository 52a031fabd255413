//! What a store keeps, and what reading it is like.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{amount, append, committed, data, in_memory, open, stream, submit, whole};
use persist::{
    Append, Backend, Commit, Decision, Error, ErrorClass, ExpectedRevision, NewEvent, NewReceipt, Options, Outcome,
    Position, ReceiptResult, Revision, SqlError, SqlRead, SqlReadExt, SqlStore, StreamName, SubmitError, catalog, log,
    params,
};
use serde_json::{Value, json};
use tempfile::tempdir;

#[test]
fn what_cannot_be_read_back_is_refused() {
    let store = in_memory();
    let deep = (0..101).fold(json!(1), |inner, _| json!([inner]));
    for event in [
        NewEvent::new("deep", 0, deep),
        NewEvent::new("", 0, json!(1)),
        NewEvent::new("a\nb", 0, json!(1)),
    ] {
        let outcome = submit(&store, append("a", vec![event]));
        assert!(
            matches!(outcome, Err(SubmitError::Store(Error::Invalid(_)))),
            "{outcome:?}"
        );
    }
    assert_eq!(store.head().unwrap(), Position::ZERO);
}

#[test]
fn the_deepest_admitted_value_reads_back() {
    let store = in_memory();
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    committed(&store, append("a", vec![NewEvent::new("deep", 0, deep.clone())]));
    assert_eq!(log::read(&store, &stream("a")).unwrap()[0].event.data, deep);
}

#[test]
fn a_read_is_of_one_moment() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    committed(&store, append("a", vec![amount(1)]));
    let writer = store.clone();
    store
        .read(|tx| {
            let count = |tx: &dyn SqlRead| {
                tx.query_one("SELECT COUNT(*) FROM persist_events", params![], |row| {
                    row.get::<i64>(0)
                })
            };
            assert_eq!(count(tx)?, 1);
            committed(&writer, append("a", vec![amount(1)]));
            assert_eq!(count(tx)?, 1);
            // A read of its own, inside this one, sees the present.
            assert_eq!(writer.head().unwrap(), Position::new(2));
            Ok::<_, SqlError>(())
        })
        .unwrap();
}

#[test]
fn reads_cannot_write() {
    let store = in_memory();
    let result = store.read(|tx| tx.query_all("INSERT INTO uses VALUES ('door', 1)", params![], |_| Ok(())));
    assert!(result.is_err_and(|error: SqlError| error.class() == ErrorClass::ReadOnly));
}

#[test]
fn a_long_batch_reads_back_as_it_was_given() {
    let store = in_memory();
    let events = (0..40).map(|number| NewEvent {
        meta: if number % 3 == 0 {
            json!({"by": number})
        } else {
            Value::Null
        },
        ..NewEvent::new(format!("type-{number}"), number, json!([number]))
    });
    let committed = committed(&store, append("a", events.collect()));
    assert_eq!(committed.events.len(), 40);
    assert_eq!(log::read(&store, &stream("a")).unwrap(), committed.events);
    assert_eq!(whole(&store), committed.events);
}

#[test]
fn values_round_trip() {
    let store = in_memory();
    let value = json!({
        "null": null, "true": true, "max": u64::MAX, "min": i64::MIN, "float": 0.1, "tiny": 5e-324,
        "negative zero": -0.0, "text": "\u{0}\u{1f600}\"\\", "list": [1, [2, []]], "map": {"": {}}
    });
    let event = NewEvent {
        meta: value.clone(),
        format: 7,
        ..NewEvent::new("t", -5, value.clone())
    };
    committed(&store, append("a", vec![event]));
    let recorded = log::read(&store, &stream("a")).unwrap().remove(0);
    assert_eq!((&recorded.event.data, &recorded.meta), (&value, &value));
    assert_eq!(recorded.event.data.to_string(), value.to_string());
    assert_eq!((recorded.event.at, recorded.format), (-5, 7));
}

#[test]
fn the_timeline_points_at_what_asked_for_it() {
    let store = in_memory();
    committed(&store, append("plain", vec![amount(1)]));
    let on_timeline = |name| Append {
        global: true,
        ..Append::new(stream(name), ExpectedRevision::Any, vec![amount(1)])
    };
    committed(&store, on_timeline("a").into());
    committed(&store, on_timeline("b").into());
    let pointers = data(&log::read(&store, &StreamName::global()).unwrap());
    assert_eq!(
        pointers,
        [json!({"stream": "a", "seq": 1}), json!({"stream": "b", "seq": 1})]
    );
    assert_eq!(catalog::stream_count(&store).unwrap(), 3);
    assert_eq!(catalog::total_events(&store).unwrap(), 3);
}

#[test]
fn a_stored_receipt_is_there_for_commands() {
    let store = in_memory();
    let receipt = NewReceipt {
        scope: "me".into(),
        key: "k".into(),
        request_hash: [7; 32],
        result: ReceiptResult::Value(json!("done")),
    };
    committed(
        &store,
        Commit {
            receipt: Some(receipt),
            ..append("a", vec![amount(1)])
        },
    );
    let outcome = store.submit_blocking(|tx| {
        let receipt = SqlStore::receipt(&*tx, "me", "k")?;
        Ok::<_, SqlError>(Decision {
            commit: Commit::default(),
            value: receipt,
        })
    });
    let Ok(Outcome::Committed {
        value: Some(receipt), ..
    }) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(receipt.request_hash, [7; 32]);
}

#[test]
fn goes_on_where_it_stood_after_reopening() {
    let folder = tempdir().unwrap();
    let identity = {
        let store = open(folder.path());
        committed(&store, append("a", vec![amount(1), amount(2)]));
        store.identity().unwrap()
    };
    // The last handle has written everything back and let go of the file.
    assert!(!folder.path().join("store.db-wal").exists());
    let store = open(folder.path());
    assert_eq!(store.identity().unwrap(), identity);
    let events = committed(&store, append("a", vec![amount(3)])).events;
    assert_eq!(
        (events[0].position, events[0].event.seq),
        (Position::new(3), Revision::new(3))
    );
}

#[test]
fn shutdown_performs_what_waits_and_refuses_what_comes() {
    let store = in_memory();
    committed(&store, append("a", vec![amount(1)]));
    store.shutdown();
    let outcome = submit(&store, append("a", vec![amount(1)]));
    assert!(matches!(outcome, Err(SubmitError::Store(Error::Closed))), "{outcome:?}");
    assert_eq!(store.head().unwrap(), Position::FIRST);
}

#[test]
fn the_write_ahead_log_is_written_back_between_batches() {
    let folder = tempdir().unwrap();
    let store = SqlStore::open(folder.path().join("store.db"), Options::default()).unwrap();
    // 15 MiB pass through a log that checkpoints keep smaller.
    for _ in 0..15 {
        let events = (0..10)
            .map(|_| NewEvent::new("long", 0, json!("x".repeat(100_000))))
            .collect();
        committed(&store, append("a", events));
    }
    let wal_bytes = store.stats().wal_bytes;
    assert!(wal_bytes < 8 << 20, "{wal_bytes}");
}
