//! The opt-in timeline gives the events that asked for it, in the order of their commits.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{data, stream, whole};
use persist::{
    Append, Backend, Commit, Error, ErrorKind, ExpectedRevision, MemoryLog, NewEvent, Options, Position, Projection,
    Revision, SqlStore, StreamName, Truncation, global, log,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

fn positions() -> Projection<Vec<Position>> {
    Projection::new("positions", 1, Vec::new(), |positions, recorded| {
        positions.push(recorded.position);
    })
}

fn append(backend: &dyn Backend, name: &str, events: usize, global: bool) {
    let events = (0..events).map(|_| NewEvent::new("happened", 0, json!(1))).collect();
    let append = Append {
        global,
        ..Append::new(stream(name), ExpectedRevision::Any, events)
    };
    backend.commit(append.into()).unwrap();
}

fn sql_store() -> SqlStore {
    SqlStore::in_memory(Options::default()).unwrap()
}

proptest! {
    #![proptest_config(common::laws(24))]

    #[test]
    fn it_is_the_log_without_those_that_did_not_ask(
        appends in vec(("[abc]", 0..4_usize, any::<bool>()), 0..30),
        dropped in vec(("[abc]", 0..9_u64), 0..3),
    ) {
        for backend in [&MemoryLog::default() as &dyn Backend, &sql_store()] {
            let mut asked = Vec::new();
            for (name, events, on_timeline) in &appends {
                let before = backend.head().unwrap();
                append(backend, name, *events, *on_timeline);
                if *on_timeline {
                    let events = log::all_events(backend, before).map(Result::unwrap);
                    asked.extend(events.filter(|recorded| !recorded.event.stream.is_reserved()));
                }
            }
            prop_assert_eq!(global::read(backend).unwrap(), asked.clone());
            let projected = global::project(backend, &positions()).unwrap();
            let expected: Vec<_> = asked.iter().map(|recorded| recorded.position).collect();
            prop_assert_eq!(projected.value, expected);
            prop_assert_eq!(projected.reached.get(), asked.len() as u64);
            prop_assert_eq!(projected.reached, global::position(backend).unwrap());

            for (name, through) in &dropped {
                log::truncate(backend, &stream(name), Revision::new(*through)).unwrap();
            }
            let there = whole(backend);
            let before = asked.len();
            asked.retain(|recorded| there.contains(recorded));
            prop_assert_eq!(global::read(backend).unwrap(), asked.clone());
            prop_assert_eq!(global::project(backend, &positions()).is_ok(), asked.len() == before);
        }
    }
}

#[test]
fn a_place_is_found_however_long_the_timeline_is() {
    for backend in [&MemoryLog::default() as &dyn Backend, &sql_store()] {
        for round in 0..20 {
            append(backend, "a", 100, true);
            append(backend, "a", 1, round % 2 == 0);
            append(backend, "b", 3, true);
        }
        let events = global::read(backend).unwrap();
        assert_eq!(events.len(), 20 * 103 + 10);
        assert!(events.is_sorted_by_key(|recorded| recorded.position));
        let pointers = global::pointers_from(backend, Revision::new(2000)).unwrap();
        assert_eq!(pointers.len(), 71);
        for (pointer, recorded) in pointers.iter().zip(&events[1999..]) {
            assert_eq!(
                (&pointer.stream, pointer.seq),
                (&recorded.event.stream, recorded.event.seq)
            );
        }
        assert_eq!(pointers[0].place, Revision::new(2000));
    }
}

#[test]
fn a_fold_of_it_is_told_what_was_dropped() {
    let log = MemoryLog::default();
    append(&log, "a", 3, true);
    append(&log, "b", 1, true);
    log::truncate(&log, &stream("a"), Revision::new(2)).unwrap();
    match global::project(&log, &positions()).unwrap_err() {
        Error::Compacted { stream: of, available } => assert_eq!((of, available), (Some(stream("a")), 3)),
        other => panic!("{other:?}"),
    }
    assert_eq!(data(&global::read(&log).unwrap()), [json!(1), json!(1)]);
}

#[test]
fn a_timeline_whose_beginning_is_gone_is_told_so() {
    let log = MemoryLog::default();
    append(&log, "a", 3, true);
    for through in [2, 3] {
        let truncation = Truncation {
            stream: StreamName::global(),
            through: Revision::new(through),
        };
        let commit = Commit {
            truncations: vec![truncation],
            ..Commit::default()
        };
        log.commit(commit).unwrap();
        match global::project(&log, &positions()).unwrap_err() {
            Error::Compacted { stream: of, available } => {
                assert_eq!((of, available), (Some(StreamName::global()), through + 1));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(global::read(&log).unwrap().len() as u64, 3 - through);
    }
}

#[test]
fn events_larger_than_a_page_are_all_found() {
    let log = MemoryLog::default();
    let large = "x".repeat(700_000);
    let events = (0..5).map(|_| NewEvent::new("happened", 0, json!(large)));
    let append = Append {
        global: true,
        ..Append::new(stream("a"), ExpectedRevision::Any, events.collect())
    };
    log.commit(append.into()).unwrap();
    assert_eq!(global::read(&log).unwrap().len(), 5);
    assert_eq!(global::project(&log, &positions()).unwrap().value.len(), 5);
}

#[test]
fn only_the_library_writes_it() {
    let log = MemoryLog::default();
    let refused = global::append(&log, &StreamName::global(), NewEvent::new("pointer", 0, json!(1))).unwrap_err();
    assert_eq!(refused.code(), "name_reserved");
    // Below the facets it is a stream as any other, and what is no pointer is not taken for one.
    let forged = Append::new(
        StreamName::global(),
        ExpectedRevision::Any,
        vec![NewEvent::new("pointer", 0, json!({"stream": "a"}))],
    );
    log.commit(forged.into()).unwrap();
    assert_eq!(global::read(&log).unwrap_err().class(), ErrorKind::Corrupt);
}
