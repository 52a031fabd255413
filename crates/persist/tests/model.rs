//! The store on `SQLite`, and one behind the protocol, do what the log in memory does, whatever the
//! commits and wherever they are reopened; and a rebuild gives the tables that it had.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;

use common::server::serve_in_process;
use common::{append, key as key_name, open, stream, submit, totals, whole, with_totals};
use persist::{
    Append, Backend, Clock, Commit, Error, ExpectedRevision, KvChange, KvExpected, MemoryLog, NewEvent, NewReceipt,
    Options, Position, Projection, ReceiptResult, Revision, SqlStore, StreamName, Truncation, compaction, log,
    snapshot,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::tempdir;

/// Both stores record at the same time, so that what they record can be compared whole.
struct Noon;

impl Clock for Noon {
    fn now_ms(&self) -> i64 {
        43_200_000
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Commit),
    Checkpoint(StreamName),
    Compact(StreamName),
    Reopen,
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..1000_i64).prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        "[a-c\u{0}é]{0,3}".prop_map(Value::from),
        vec(any::<i64>(), 0..3).prop_map(|list| json!({"list": list})),
    ]
}

fn new_event() -> impl Strategy<Value = NewEvent> {
    (
        prop_oneof![Just("x"), Just("y")],
        any::<i64>(),
        value(),
        value(),
        any::<u32>(),
    )
        .prop_map(|(r#type, at, data, meta, format)| NewEvent {
            r#type: r#type.to_owned(),
            at,
            data,
            meta,
            format,
        })
}

/// Few names and small numbers, so that commits meet.
fn an_append() -> impl Strategy<Value = Append> {
    let expected = prop_oneof![
        4 => Just(ExpectedRevision::Any),
        1 => Just(ExpectedRevision::NoStream),
        1 => Just(ExpectedRevision::StreamExists),
        2 => (0..4_u64).prop_map(|seq| ExpectedRevision::Exact(Revision::new(seq))),
    ];
    ("[ab]", expected, vec(new_event(), 0..4), any::<bool>()).prop_map(|(name, expected, events, global)| Append {
        stream: stream(&name),
        expected,
        events,
        global,
    })
}

fn kv_change() -> impl Strategy<Value = KvChange> {
    let expected = prop_oneof![
        2 => Just(KvExpected::Any),
        1 => Just(KvExpected::Absent),
        1 => value().prop_map(KvExpected::Value),
    ];
    prop_oneof![
        3 => ("[ab]", value(), expected).prop_map(|(key, value, expected)| KvChange::Put {
            key: key_name(&key), value, expected
        }),
        1 => "[ab]".prop_map(|key| KvChange::Delete { key: key_name(&key) }),
    ]
}

fn truncation() -> impl Strategy<Value = Truncation> {
    ("[ab]", 0..6_u64).prop_map(|(name, through)| Truncation {
        stream: stream(&name),
        through: Revision::new(through),
    })
}

fn receipt() -> impl Strategy<Value = NewReceipt> {
    ("[ab]", "[ab]", 0..2_u8, value()).prop_map(|(scope, key, request, result)| NewReceipt {
        scope,
        key,
        request_hash: [request; 32],
        result: ReceiptResult::Value(result),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let commit = (
        vec(an_append(), 0..3),
        vec(kv_change(), 0..3),
        vec(truncation(), 0..2),
        proptest::option::weighted(0.3, receipt()),
    )
        .prop_map(|(appends, kv, truncations, receipt)| {
            Step::Commit(Commit {
                appends,
                kv,
                truncations,
                receipt,
            })
        });
    prop_oneof![
        12 => commit,
        1 => "[ab]".prop_map(|name| Step::Checkpoint(stream(&name))),
        1 => "[ab]".prop_map(|name| Step::Compact(stream(&name))),
        1 => Just(Step::Reopen),
    ]
}

/// Everything that a fold may see, in order.
fn history() -> Projection<Vec<(Revision, String, i64, Value)>> {
    Projection::new("history", 1, Vec::new(), |history, recorded| {
        let event = recorded.event.clone();
        history.push((event.seq, event.r#type, event.at, event.data));
    })
}

/// Truncations may have left nothing to fold; then both have to say so.
fn folded<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn assert_same(store: &dyn Backend, model: &MemoryLog) {
    let everything = |backend: &dyn Backend| {
        let streams = backend.stream_revisions().unwrap();
        let by_stream: Vec<_> = streams
            .iter()
            .map(|(name, last)| {
                let events = log::read(backend, name).unwrap();
                (*last, backend.count(name).unwrap(), events)
            })
            .collect();
        let keys = backend.kv_keys("").unwrap();
        let values: Vec<_> = keys.iter().map(|key| backend.kv_get(key).unwrap()).collect();
        let receipts: Vec<_> = ["a", "b"]
            .into_iter()
            .flat_map(|scope| ["a", "b"].map(|key| backend.find_receipt(scope, key).unwrap()))
            .collect();
        let log = whole(backend);
        (backend.head().unwrap(), log, streams, by_stream, keys, values, receipts)
    };
    assert_eq!(everything(store), everything(model));
}

/// Does the same with a new store, reopened here and there, and with the model.
fn compare(steps: Vec<Step>, open: impl Fn() -> Arc<dyn Backend>) -> Result<(), TestCaseError> {
    let mut store = open();
    let model = MemoryLog::new(Arc::new(Noon));
    for step in steps {
        match step {
            Step::Commit(commit) => {
                let expected = model.commit(commit.clone()).unwrap();
                prop_assert_eq!(store.commit(commit).unwrap(), expected);
            }
            Step::Checkpoint(name) => {
                let expected = folded(snapshot::checkpoint(&model, &name, &history()));
                prop_assert_eq!(folded(snapshot::checkpoint(&*store, &name, &history())), expected);
            }
            Step::Compact(name) => {
                let expected = folded(compaction::compact(&model, &name, &history()));
                prop_assert_eq!(folded(compaction::compact(&*store, &name, &history())), expected);
            }
            Step::Reopen => {
                drop(store);
                store = open();
            }
        }
    }
    assert_same(&*store, &model);
    Ok(())
}

proptest! {
    #![proptest_config(common::laws(24))]

    #[test]
    fn sqlite_equals_the_model(steps in vec(step(), 1..30)) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("store.db");
        let options = || Options { clock: Arc::new(Noon), ..Options::default() };
        compare(steps, || Arc::new(SqlStore::open(&path, options()).unwrap()))?;
    }

    #[test]
    fn the_protocol_equals_the_model(steps in vec(step(), 1..30)) {
        let log = MemoryLog::new(Arc::new(Noon));
        compare(steps, || Arc::new(serve_in_process(log.clone())))?;
    }

    #[test]
    fn a_rebuild_gives_the_tables_that_were_there(amounts in vec(("[abc]", -5..50_i64), 1..60), at in 0..60_usize) {
        let store = SqlStore::in_memory(with_totals()).unwrap();
        for (index, (name, amount)) in amounts.iter().enumerate() {
            // Some are refused by the table's constraint, and then are in neither.
            let _ = submit(&store, append(name, vec![common::amount(*amount)]));
            if index == at {
                store.rebuild().unwrap();
            }
        }
        let before = totals(&store);
        prop_assert_eq!(store.verify_projections().unwrap(), []);
        store.rebuild().unwrap();
        prop_assert_eq!(totals(&store), before);
    }
}

#[test]
fn the_store_in_memory_is_gone_with_its_last_handle() {
    let folder = tempdir().unwrap();
    let kept = open(folder.path());
    let first = SqlStore::in_memory(with_totals()).unwrap();
    submit(&first, append("a", vec![common::amount(1)])).unwrap();
    drop(first);
    let second = SqlStore::in_memory(with_totals()).unwrap();
    assert_eq!(
        (second.head().unwrap(), kept.head().unwrap()),
        (Position::ZERO, Position::ZERO)
    );
}
