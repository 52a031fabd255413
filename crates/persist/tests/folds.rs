//! The laws of folds: snapshot and tail give what a full replay gives, wherever there was a
//! checkpoint, a compaction or a restart; and the past stays what it was.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;

use common::{data, stream, whole};
use persist::{
    After, AsOf, Backend, Error, ErrorKind, MemoryLog, NewEvent, Options, Position, Projected, Projection, Recorded,
    Revision, SqlStore, StreamName, compaction, global, log, project, snapshot, upcast,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::tempdir;

/// What a fold tells: its value as JSON, which shows every bit of a float, and how far it is.
type Told = (String, Revision);

/// A projection of whatever state.
trait Fold {
    fn project(&self, backend: &dyn Backend) -> Result<Told, Error>;
    fn replay(&self, backend: &dyn Backend) -> Result<Told, Error>;
    fn checkpoint(&self, backend: &dyn Backend) -> Result<Told, Error>;
    fn compact(&self, backend: &dyn Backend) -> Result<Told, Error>;
    fn maybe_compact(&self, backend: &dyn Backend, threshold: u64) -> Result<bool, Error>;
    fn forget(&self, backend: &dyn Backend) -> Result<(), Error>;
    fn uncompacted(&self, backend: &dyn Backend) -> Result<u64, Error>;
}

fn told<S: Serialize>(projected: &Projected<S>) -> Told {
    (serde_json::to_string(&projected.value).unwrap(), projected.reached)
}

fn s() -> StreamName {
    stream("s")
}

impl<S: Clone + Serialize + DeserializeOwned> Fold for Projection<S> {
    fn project(&self, backend: &dyn Backend) -> Result<Told, Error> {
        project::project(backend, &s(), self).map(|projected| told(&projected))
    }

    fn replay(&self, backend: &dyn Backend) -> Result<Told, Error> {
        snapshot::replay(backend, &s(), self).map(|projected| told(&projected))
    }

    fn checkpoint(&self, backend: &dyn Backend) -> Result<Told, Error> {
        snapshot::checkpoint(backend, &s(), self).map(|projected| told(&projected))
    }

    fn compact(&self, backend: &dyn Backend) -> Result<Told, Error> {
        compaction::compact(backend, &s(), self).map(|projected| told(&projected))
    }

    fn maybe_compact(&self, backend: &dyn Backend, threshold: u64) -> Result<bool, Error> {
        compaction::maybe_compact(backend, &s(), self, threshold)
    }

    fn forget(&self, backend: &dyn Backend) -> Result<(), Error> {
        snapshot::forget(backend, &s(), self)
    }

    fn uncompacted(&self, backend: &dyn Backend) -> Result<u64, Error> {
        compaction::uncompacted(backend, &s(), self)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Door {
    #[default]
    Closed,
    Open {
        since: i64,
        times: Option<u8>,
    },
    Broken(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Moved {
    X(i64),
    Y(i64),
}

const FOLDS: usize = 5;

fn chain(factor: u64) -> Projection<u64> {
    Projection::new("chain", 1, factor, move |value, recorded| {
        let number = recorded.event.data.as_i64().unwrap_or(0).cast_unsigned();
        *value = value.wrapping_mul(factor | 1).wrapping_add(number) ^ recorded.event.seq.get();
    })
}

/// Folds to several kinds of state; but for the map, all depend on the order of the events.
fn folds(factor: u64) -> [Box<dyn Fold>; FOLDS] {
    let decayed = Projection::new("decayed", 1, None, |value: &mut Option<f64>, recorded| {
        let number = recorded.event.data.as_f64().unwrap_or(0.0);
        *value = Some(value.unwrap_or(1.0) / 3.0 + number);
    });
    let seed = BTreeMap::<String, Vec<i64>>::new();
    let by_type = Projection::new("by/type", 7, seed, |map, recorded| {
        map.entry(recorded.event.r#type.clone())
            .or_default()
            .push(recorded.event.at);
    });
    let door = Projection::new("door", 1, Door::default(), |door, recorded| {
        *door = match (&*door, recorded.event.r#type.as_str()) {
            (Door::Open { .. }, "x") if recorded.event.at < 0 => Door::Broken(recorded.event.data.to_string()),
            (Door::Open { since, times }, "x") => Door::Open {
                since: *since,
                times: times.unwrap_or(0).checked_add(1),
            },
            (Door::Open { .. }, _) => Door::Closed,
            _ => Door::Open {
                since: recorded.event.at,
                times: None,
            },
        }
    });
    let path = Projection::typed("path", 1, (0_i64, 0_i64), |(x, y), moved| match moved {
        Moved::X(by) => *x = x.wrapping_mul(2).wrapping_add(by),
        Moved::Y(by) => *y = x.wrapping_add(by),
    });
    [
        Box::new(chain(factor)),
        Box::new(decayed),
        Box::new(by_type),
        Box::new(door),
        Box::new(path),
    ]
}

fn new_event() -> impl Strategy<Value = NewEvent> {
    (prop_oneof![Just("x"), Just("y")], -9..9_i64, any::<i64>())
        .prop_map(|(r#type, at, number)| NewEvent::new(r#type, at, json!(number)))
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<NewEvent>),
    Checkpoint(usize),
    Compact(usize),
    MaybeCompact(usize, u64),
    Forget(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let fold = 0..FOLDS;
    prop_oneof![
        6 => vec(new_event(), 1..5).prop_map(Step::Append),
        4 => fold.clone().prop_map(Step::Checkpoint),
        3 => fold.clone().prop_map(Step::Compact),
        2 => (fold.clone(), 0..9_u64).prop_map(|(fold, threshold)| Step::MaybeCompact(fold, threshold)),
        1 => fold.prop_map(Step::Forget),
        2 => Just(Step::Restart),
    ]
}

/// What must be there: all events, and which of them were dropped because which snapshots stand
/// for them.
#[derive(Default)]
struct Expected {
    events: MemoryLog,
    last: u64,
    dropped: u64,
    snapshots: [Option<u64>; FOLDS],
}

impl Expected {
    fn check(&self, index: usize, fold: &dyn Fold, result: &Result<Told, Error>) -> bool {
        if self.snapshots[index].unwrap_or(0) < self.dropped {
            let Err(Error::Compacted { stream, available }) = result else {
                panic!("{result:?} of what was dropped");
            };
            assert_eq!((stream, *available), (&Some(s()), self.dropped + 1));
            return false;
        }
        assert_eq!(result.as_ref().unwrap(), &fold.project(&self.events).unwrap());
        true
    }

    fn checkpoint(&mut self, index: usize, fold: &dyn Fold, result: &Result<Told, Error>) -> bool {
        let done = self.check(index, fold, result);
        if done {
            self.snapshots[index] = Some(self.last);
        }
        done
    }

    fn compact(&mut self, index: usize, fold: &dyn Fold, result: &Result<Told, Error>) {
        if self.checkpoint(index, fold, result) {
            let smallest = self.snapshots.iter().flatten().min();
            self.dropped = self.dropped.max(smallest.copied().unwrap_or(0));
        }
    }

    fn check_all(&self, folds: &[Box<dyn Fold>], backend: &dyn Backend) {
        assert_eq!(log::count(backend, &s()).unwrap(), self.last - self.dropped);
        for (index, fold) in folds.iter().enumerate() {
            self.check(index, &**fold, &fold.replay(backend));
            let since = self.last - self.snapshots[index].unwrap_or(0);
            assert_eq!(fold.uncompacted(backend).unwrap(), since);
        }
    }
}

/// `open` opens the same log again, beside the handles that there are.
fn snapshot_and_tail_is_full_replay(factor: u64, steps: Vec<Step>, open: &dyn Fn() -> Box<dyn Backend>) {
    let folds = folds(factor);
    let mut expected = Expected::default();
    let mut backend = open();
    for step in steps {
        match step {
            Step::Append(events) => {
                expected.last += events.len() as u64;
                log::append_batch(&expected.events, &s(), events.clone()).unwrap();
                log::append_batch(&*backend, &s(), events).unwrap();
            }
            Step::Checkpoint(index) => {
                let result = folds[index].checkpoint(&*backend);
                expected.checkpoint(index, &*folds[index], &result);
            }
            Step::Compact(index) => {
                let result = folds[index].compact(&*backend);
                expected.compact(index, &*folds[index], &result);
            }
            Step::MaybeCompact(index, threshold) => {
                let should = expected.last - expected.snapshots[index].unwrap_or(0) >= threshold;
                let result = folds[index].maybe_compact(&*backend, threshold);
                assert!(result.as_ref().is_err() || *result.as_ref().unwrap() == should);
                if should {
                    let result = result.and_then(|_| folds[index].replay(&*backend));
                    expected.compact(index, &*folds[index], &result);
                }
            }
            Step::Forget(index) => {
                folds[index].forget(&*backend).unwrap();
                expected.snapshots[index] = None;
            }
            Step::Restart => {
                drop(backend);
                backend = open();
            }
        }
        expected.check_all(&folds, &*backend);
    }
    expected.check_all(&folds, &*open());
}

/// Two streams, some of whose events are on the timeline too.
fn fill(backend: &dyn Backend, events: Vec<(bool, bool, NewEvent)>) {
    for (in_s, on_timeline, event) in events {
        let stream = if in_s { s() } else { stream("t") };
        if on_timeline {
            global::append(backend, &stream, event).unwrap();
        } else {
            log::append(backend, &stream, event).unwrap();
        }
    }
}

/// Which events there were, in order: the fold that tells all others apart.
fn ids() -> Projection<Vec<Position>> {
    Projection::new("ids", 1, Vec::new(), |ids, recorded| ids.push(recorded.position))
}

fn positions(recorded: &[Recorded], was_there: impl Fn(&Recorded) -> bool) -> Vec<Position> {
    let there = recorded.iter().filter(|recorded| was_there(recorded));
    there.map(|recorded| recorded.position).collect()
}

fn the_past_is_a_filtered_prefix(backend: &dyn Backend) {
    let ids = ids();
    let of_stream = log::read(backend, &s()).unwrap();
    let mut of_all = whole(backend);
    of_all.retain(|recorded| !recorded.event.stream.is_reserved());
    let as_of = |moment| project::as_of(backend, &s(), &ids, moment).unwrap();
    let all_as_of = |moment| project::all_as_of(backend, &ids, moment).unwrap();
    let present = project::project(backend, &s(), &ids).unwrap();
    assert_eq!(present.value, positions(&of_stream, |_| true));
    let all = project::all(backend, &ids).unwrap();
    assert_eq!(all.value, positions(&of_all, |_| true));
    assert_eq!(all.reached, backend.head().unwrap());
    for number in 0..=of_stream.len() as u64 + 1 {
        let seq = Revision::new(number);
        let expected = positions(&of_stream, |recorded| recorded.event.seq <= seq);
        assert_eq!(as_of(AsOf::Revision(seq)), expected);
        // From any of them on, what is left leads to the present.
        let from = Projected {
            reached: Revision::new(expected.len() as u64),
            value: expected,
        };
        let tail = backend.page(After::Revision(&s(), from.reached), 100).unwrap();
        assert_eq!(project::fold(&ids, from.clone(), tail.iter()).unwrap(), present);
        assert_eq!(project::resume(backend, &s(), &ids, from).unwrap(), present);
    }
    for number in 0..=backend.head().unwrap().get() + 1 {
        let position = Position::new(number);
        let moment = AsOf::Position(position);
        let until = |recorded: &Recorded| recorded.position <= position;
        assert_eq!(as_of(moment), positions(&of_stream, until));
        let value = all_as_of(moment);
        assert_eq!(value, positions(&of_all, until));
        if position <= backend.head().unwrap() {
            let from = Projected {
                value,
                reached: position,
            };
            assert_eq!(project::resume_all(backend, &ids, from).unwrap(), all);
        }
    }
    for at in -10..=10 {
        let until = |recorded: &Recorded| recorded.event.at <= at;
        assert_eq!(as_of(AsOf::At(at)), positions(&of_stream, until));
        assert_eq!(all_as_of(AsOf::At(at)), positions(&of_all, until));
    }
    let refused = project::all_as_of(backend, &ids, AsOf::Revision(Revision::FIRST)).unwrap_err();
    assert_eq!(refused.class(), ErrorKind::Invalid);
}

/// A number in the form of that format: bare, then a field, then a field with a unit.
fn in_format(format: u32, number: i64) -> NewEvent {
    let data = match format {
        1 => json!(number),
        2 => json!({"number": number}),
        _ => json!({"number": number, "unit": "m"}),
    };
    NewEvent {
        format,
        ..NewEvent::new("measured", 0, data)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Measured {
    Measured { number: i64, unit: String },
}

fn measurements() -> Projection<Vec<i64>> {
    let upcasters = upcast::Upcasters::default()
        .register("measured", 1, |number| json!({"number": number}))
        .register("measured", 2, |mut data| {
            data["unit"] = json!("m");
            data
        });
    let numbers = Projection::typed(
        "numbers",
        1,
        Vec::new(),
        |numbers, Measured::Measured { number, unit }| {
            assert_eq!(unit, "m");
            numbers.push(number);
        },
    );
    numbers.upcast(upcasters)
}

fn sql_store() -> SqlStore {
    SqlStore::in_memory(Options::default()).unwrap()
}

proptest! {
    #![proptest_config(common::laws(24))]

    #[test]
    fn snapshot_and_tail_is_full_replay_in_memory(factor in any::<u64>(), steps in vec(step(), 1..40)) {
        let log = MemoryLog::default();
        snapshot_and_tail_is_full_replay(factor, steps.clone(), &|| Box::new(log.clone()));
        let store = sql_store();
        snapshot_and_tail_is_full_replay(factor, steps, &|| Box::new(store.clone()));
    }

    #[test]
    fn snapshot_and_tail_is_full_replay_after_restarts(factor in any::<u64>(), steps in vec(step(), 1..25)) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("store.db");
        let open = || Box::new(SqlStore::open(&path, Options::default()).unwrap()) as Box<dyn Backend>;
        snapshot_and_tail_is_full_replay(factor, steps, &open);
    }

    #[test]
    fn every_moment_of_the_past_can_be_folded(
        events in vec((any::<bool>(), proptest::bool::weighted(0.3), new_event()), 0..20),
    ) {
        for backend in [&MemoryLog::default() as &dyn Backend, &sql_store()] {
            fill(backend, events.clone());
            the_past_is_a_filtered_prefix(backend);
        }
    }

    #[test]
    fn events_of_all_formats_fold_alike(
        numbers in vec((1..=3_u32, any::<i64>()), 0..20),
        snapshot_at in 0..20_usize,
    ) {
        for backend in [&MemoryLog::default() as &dyn Backend, &sql_store()] {
            for (index, (format, number)) in numbers.iter().enumerate() {
                log::append(backend, &s(), in_format(*format, *number)).unwrap();
                if index == snapshot_at {
                    snapshot::checkpoint(backend, &s(), &measurements()).unwrap();
                }
            }
            let bare: Vec<i64> = numbers.iter().map(|(_, number)| *number).collect();
            prop_assert_eq!(&project::project(backend, &s(), &measurements()).unwrap().value, &bare);
            prop_assert_eq!(&snapshot::replay(backend, &s(), &measurements()).unwrap().value, &bare);
            // What is stored stays as it was written.
            let stored: Vec<Value> = numbers.iter().map(|(format, number)| in_format(*format, *number).data).collect();
            prop_assert_eq!(data(&log::read(backend, &s()).unwrap()), stored);
        }
    }
}
