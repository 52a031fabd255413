//! Input that cannot be stored is told what is wrong with it, by a code that programs can rely on,
//! and changes nothing: over every backend in this process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::stream;
use persist::{
    Backend, Commit, Error, ErrorKind, ExpectedRevision, MemoryLog, NewEvent, NewReceipt, Options, Position,
    ReceiptResult, Revision, SqlStore, StreamName, Truncation, kv, log,
};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize)]
enum Measured {
    Value(f64),
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// As JSON it has that many bytes.
fn text_of(bytes: usize) -> Value {
    Value::from("x".repeat(bytes - 2))
}

fn append(backend: &dyn Backend, r#type: &str, data: Value) -> Result<(), Error> {
    log::append(backend, &stream("s"), NewEvent::new(r#type, 0, data)).map(drop)
}

fn put(backend: &dyn Backend, key: &str) -> Result<(), Error> {
    kv::put(backend, key, 1).map(drop)
}

fn with_receipt(backend: &dyn Backend, scope: &str, key: &str, result: ReceiptResult) -> Result<(), Error> {
    let receipt = NewReceipt {
        scope: scope.to_owned(),
        key: key.to_owned(),
        request_hash: [0; 32],
        result,
    };
    let commit = Commit {
        receipt: Some(receipt),
        ..Commit::default()
    };
    backend.commit(commit).map(drop)
}

type Attempted = fn(&dyn Backend) -> Result<(), Error>;

const MAX_VALUE: usize = 8 << 20;

const REFUSED: &[(&str, &str, Attempted)] = &[
    ("an empty type", "name_length", |b| append(b, "", json!(1))),
    ("a long type", "name_length", |b| append(b, &"t".repeat(201), json!(1))),
    ("a type with a control character", "name_control", |b| {
        append(b, "a\u{7f}", json!(1))
    }),
    ("a deep event", "too_deep", |b| append(b, "t", nested(101))),
    ("a large event", "too_large", |b| append(b, "t", text_of(MAX_VALUE + 1))),
    ("a large meta", "too_large", |b| {
        let meta = text_of(MAX_VALUE + 1);
        let event = NewEvent {
            meta,
            ..NewEvent::new("t", 0, json!(1))
        };
        log::append(b, &stream("s"), event).map(drop)
    }),
    ("NaN in an event", "not_finite", |_| {
        NewEvent::typed(0, &Measured::Value(f64::NAN)).map(drop)
    }),
    ("an event that is no enum", "not_an_enum", |_| {
        NewEvent::typed(0, &[1, 2]).map(drop)
    }),
    ("a second event that does not fit", "too_deep", |b| {
        let events = vec![NewEvent::new("t", 0, json!(1)), NewEvent::new("t", 0, nested(101))];
        log::append_batch(b, &stream("s"), events).map(drop)
    }),
    ("the reserved stream", "name_reserved", |b| {
        log::append(b, &StreamName::global(), NewEvent::new("t", 0, json!(1))).map(drop)
    }),
    ("truncating the reserved stream", "name_reserved", |b| {
        log::truncate(b, &StreamName::global(), Revision::FIRST)
    }),
    ("an empty key", "name_length", |b| put(b, "")),
    ("a long key", "name_length", |b| put(b, &"k".repeat(1025))),
    ("a key with a control character", "name_control", |b| put(b, "a\0b")),
    ("a reserved key", "name_reserved", |b| put(b, "$snapshot/1/s/x")),
    ("reading a reserved key", "name_reserved", |b| {
        kv::get::<Value>(b, "$snapshot").map(drop)
    }),
    ("infinity in a value", "not_finite", |b| {
        kv::put(b, "k", [f64::INFINITY]).map(drop)
    }),
    ("NaN as an expected value", "not_finite", |b| {
        kv::cas(b, "k", Some(&f64::NAN), 1.0).map(drop)
    }),
    ("a deep value", "too_deep", |b| kv::put(b, "k", nested(101)).map(drop)),
    ("a large value", "too_large", |b| {
        kv::put(b, "k", text_of(MAX_VALUE + 1)).map(drop)
    }),
    ("keys that are no text", "not_json", |b| {
        kv::put(b, "k", std::collections::BTreeMap::from([([1, 2], 3)])).map(drop)
    }),
    ("a long idempotency key", "name_length", |b| {
        log::append_once(b, &stream("s"), &"k".repeat(1025), NewEvent::new("t", 0, json!(1))).map(drop)
    }),
    ("a receipt without a scope", "name_length", |b| {
        with_receipt(b, "", "k", ReceiptResult::Value(json!(1)))
    }),
    ("a receipt of no event", "contradiction", |b| {
        with_receipt(b, "me", "k", ReceiptResult::FirstEvent)
    }),
];

#[test]
fn what_cannot_be_stored_has_its_code_and_changes_nothing() {
    let backends: [Box<dyn Backend>; 2] = [
        Box::new(MemoryLog::default()),
        Box::new(SqlStore::in_memory(Options::default()).unwrap()),
    ];
    for backend in &backends {
        for (what, code, attempt) in REFUSED {
            let error = attempt(&**backend).expect_err(what);
            assert_eq!(error.code(), *code, "{what}: {error}");
            assert_eq!(error.class(), ErrorKind::Invalid, "{what}");
            assert_eq!(backend.head().unwrap(), Position::ZERO, "{what}");
            assert_eq!(backend.stream_revisions().unwrap(), [], "{what}");
            assert_eq!(backend.kv_keys("").unwrap(), [], "{what}");
            assert_eq!(backend.find_receipt("me", "k").unwrap(), None, "{what}");
        }
    }
}

#[test]
fn what_is_just_within_the_limits_comes_back() {
    let store = SqlStore::in_memory(Options::default()).unwrap();
    let names = ["s".repeat(200), "é".repeat(100), " ".to_owned()];
    for name in &names {
        let event = NewEvent::new("t".repeat(200), i64::MIN, text_of(MAX_VALUE));
        let recorded = log::append(&store, &stream(name), event).unwrap();
        assert_eq!(log::read(&store, &stream(name)).unwrap(), [recorded]);
    }
    let key = "k".repeat(1024);
    kv::put(&store, &key, nested(100)).unwrap();
    assert_eq!(kv::get::<Value>(&store, &key).unwrap(), Some(nested(100)));
}

#[test]
fn a_stream_that_an_inline_projection_folds_is_never_truncated() {
    let store = common::in_memory();
    common::committed(&store, common::append("s", vec![common::amount(1), common::amount(2)]));
    let error = log::truncate(&store, &stream("s"), Revision::FIRST).unwrap_err();
    assert_eq!(error.code(), "feeds_projection");
    // Nor together with something else, which then does not happen either.
    let commit = Commit {
        truncations: vec![Truncation {
            stream: stream("s"),
            through: Revision::FIRST,
        }],
        ..common::append("s", vec![common::amount(3)])
    };
    assert_eq!(store.commit(commit).unwrap_err().code(), "feeds_projection");
    assert_eq!(log::count(&store, &stream("s")).unwrap(), 2);
}

#[test]
fn truncation_keeps_what_it_should() {
    let store = SqlStore::in_memory(Options::default()).unwrap();
    let events = || (1..=3).map(|n| NewEvent::new("t", 0, json!(n))).collect();
    log::append_batch(&store, &stream("a"), events()).unwrap();
    log::append_batch(&store, &stream("b"), events()).unwrap();
    let once = |key| {
        let event = NewEvent {
            meta: json!("by ada"),
            ..NewEvent::new("once", 7, json!(4))
        };
        log::append_once(&store, &stream("a"), key, event).unwrap()
    };
    let first = once("k").into_result().unwrap();
    // Beyond the end there is nothing to drop, and before the beginning neither.
    log::truncate(&store, &stream("a"), Revision::new(99)).unwrap();
    log::truncate(&store, &stream("a"), Revision::FIRST).unwrap();
    log::truncate(&store, &stream("none"), Revision::FIRST).unwrap();
    assert_eq!(log::count(&store, &stream("a")).unwrap(), 0);
    assert_eq!(log::last_seq(&store, &stream("a")).unwrap(), Revision::new(4));
    assert_eq!(log::count(&store, &stream("b")).unwrap(), 3);
    assert_eq!(store.head().unwrap(), Position::new(7));
    // An idempotency key outlives its event, and still tells all of it.
    assert_eq!(once("k"), persist::Attempt::Duplicate(first));
    let expected = ExpectedRevision::Exact(Revision::new(4));
    let next = log::append_expect(&store, &stream("a"), expected, NewEvent::new("t", 0, json!(5))).unwrap();
    assert_eq!(next.into_result().unwrap().event.seq, Revision::new(5));
}
