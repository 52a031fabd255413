//! Snapshots that do not fit, that meet others on their way, and that others hold on to.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::{Arc, Mutex};
use std::thread;

use common::stream;
use persist::{
    After, Backend, Commit, CommitFuture, Commits, Error, Hub, InvalidInput, Key, KvChange, MemoryLog, NewEvent,
    Options, Outcome, Page, Position, Projected, Projection, Receipt, Revision, SqlStore, StoreIdentity, StreamName,
    View, compaction, kv, log, project, snapshot,
};
use serde_json::{Value, json};

fn s() -> StreamName {
    stream("s")
}

fn version(version: u32) -> Projection<u64> {
    Projection::new("count", version, 0, |count, _| *count += 1)
}

fn count() -> Projection<u64> {
    version(1)
}

fn other() -> Projection<Option<i64>> {
    Projection::new("other", 1, None, |last, recorded| *last = recorded.event.data.as_i64())
}

fn append(backend: &dyn Backend, events: u64) {
    for _ in 0..events {
        log::append(backend, &s(), NewEvent::new("happened", 0, json!(1))).unwrap();
    }
}

/// Whatever a key below the facets holds.
fn put_below(backend: &dyn Backend, key: &str, value: &Value) {
    let change = json!({"put": {"key": key, "value": value, "expected": "any"}});
    let change: KvChange = serde_json::from_value(change).unwrap();
    backend.commit(change.into()).unwrap();
}

fn reached(backend: &dyn Backend) -> Option<u64> {
    let snapshot = snapshot::load(backend, &s(), &count()).unwrap();
    snapshot.map(|snapshot| snapshot.reached.get())
}

fn projected(value: u64, reached: u64) -> Projected<u64> {
    let reached = Revision::new(reached);
    Projected { value, reached }
}

fn available<T: std::fmt::Debug>(result: Result<T, Error>) -> u64 {
    match result.unwrap_err() {
        Error::Compacted { stream, available } if stream == Some(s()) => available,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_that_does_not_fit_is_discarded() {
    for unfit in [
        json!({"value": 9, "seq": 2, "version": 2}),
        json!({"value": 9, "seq": 4, "version": 1}),
        json!({"value": "9", "seq": 2, "version": 1}),
        json!({"value": null, "seq": 2, "version": 1}),
        json!({"value": 9, "seq": -2, "version": 1}),
        json!({"value": 9, "seq": 2.5, "version": 1}),
        json!({"value": 9, "seq": 2, "version": 1, "of": "something else"}),
        json!({"value": 9, "version": 1}),
        json!({"seq": 2, "version": 1}),
        json!([9, 2]),
        json!("garbage"),
        json!(null),
    ] {
        let log = MemoryLog::default();
        append(&log, 3);
        put_below(&log, "$snapshot/1/s/count", &unfit);
        assert_eq!(snapshot::load(&log, &s(), &count()).unwrap(), None, "{unfit}");
        assert!(!snapshot::exists(&log, &s(), &count()).unwrap(), "{unfit}");
        assert_eq!(
            snapshot::replay(&log, &s(), &count()).unwrap(),
            projected(3, 3),
            "{unfit}"
        );
        assert_eq!(compaction::uncompacted(&log, &s(), &count()).unwrap(), 3, "{unfit}");
        // And one that fits takes its place.
        snapshot::checkpoint(&log, &s(), &count()).unwrap();
        assert_eq!(reached(&log), Some(3), "{unfit}");
    }
}

#[test]
fn a_missing_value_is_not_taken_for_none() {
    let log = MemoryLog::default();
    append(&log, 1);
    put_below(&log, "$snapshot/1/s/other", &json!({"seq": 1, "version": 1}));
    assert_eq!(snapshot::load(&log, &s(), &other()).unwrap(), None);
    put_below(
        &log,
        "$snapshot/1/s/other",
        &json!({"value": null, "seq": 1, "version": 1}),
    );
    assert!(snapshot::exists(&log, &s(), &other()).unwrap());
}

#[test]
fn a_new_version_begins_with_the_first_event_and_the_old_one_with_what_is_left() {
    let log = MemoryLog::default();
    append(&log, 2);
    snapshot::checkpoint(&log, &s(), &version(1)).unwrap();
    assert_eq!(snapshot::checkpoint(&log, &s(), &version(2)).unwrap(), projected(2, 2));
    assert!(!snapshot::exists(&log, &s(), &version(1)).unwrap());
    compaction::compact(&log, &s(), &version(2)).unwrap();
    assert_eq!(available(snapshot::replay(&log, &s(), &version(1))), 3);
    assert_eq!(available(compaction::compact(&log, &s(), &version(1))), 3);
    assert_eq!(snapshot::replay(&log, &s(), &version(2)).unwrap(), projected(2, 2));
}

#[test]
fn names_with_slashes_are_told_apart() {
    let log = MemoryLog::default();
    let named = |name: &str| Projection::new(name, 1, 0, |count: &mut u64, _| *count += 1);
    log::append(&log, &stream("a"), NewEvent::new("happened", 0, json!(1))).unwrap();
    snapshot::checkpoint(&log, &stream("a"), &named("b/c")).unwrap();
    assert!(!snapshot::exists(&log, &stream("a/b"), &named("c")).unwrap());
    assert!(snapshot::exists(&log, &stream("a"), &named("b/c")).unwrap());
    // Nor does the one hold the other back.
    log::append(&log, &stream("a/b"), NewEvent::new("happened", 0, json!(1))).unwrap();
    log::append(&log, &stream("a/b"), NewEvent::new("happened", 0, json!(1))).unwrap();
    compaction::compact(&log, &stream("a/b"), &named("c")).unwrap();
    assert_eq!(log::count(&log, &stream("a/b")).unwrap(), 0);
}

#[test]
fn snapshots_are_out_of_sight_of_the_keys() {
    let log = MemoryLog::default();
    snapshot::checkpoint(&log, &s(), &count()).unwrap();
    assert_eq!(kv::keys(&log).unwrap(), []);
    let refused = snapshot::checkpoint(&log, &s(), &Projection::new("a\nb", 1, 0, |_: &mut u64, _| {})).unwrap_err();
    assert!(matches!(refused, Error::Invalid(InvalidInput::Key(_))), "{refused:?}");
}

#[test]
fn what_has_not_happened_is_not_kept() {
    let log = MemoryLog::default();
    append(&log, 1);
    let refused = snapshot::save(&log, &s(), &count(), &projected(2, 2)).unwrap_err();
    assert!(
        matches!(refused, Error::Invalid(InvalidInput::Contradiction(_))),
        "{refused:?}"
    );
    let endless = Projection::new("mean", 1, f64::NAN, |_, _| {});
    let refused = snapshot::checkpoint(&log, &s(), &endless).unwrap_err();
    assert!(
        matches!(refused, Error::Invalid(InvalidInput::NotFinite)),
        "{refused:?}"
    );
    assert_eq!(log.kv_keys("").unwrap(), []);
}

#[test]
fn a_fold_whose_beginning_is_gone_is_told_so() {
    let log = MemoryLog::default();
    append(&log, 4);
    snapshot::save(&log, &s(), &count(), &projected(1, 1)).unwrap();
    log::truncate(&log, &s(), Revision::new(1)).unwrap();
    assert_eq!(snapshot::replay(&log, &s(), &count()).unwrap(), projected(4, 4));
    assert_eq!(available(project::project(&log, &s(), &count())), 2);
    log::truncate(&log, &s(), Revision::new(2)).unwrap();
    assert_eq!(available(snapshot::replay(&log, &s(), &count())), 3);
    // Also where nothing at all is left.
    log::truncate(&log, &s(), Revision::new(4)).unwrap();
    assert_eq!(available(snapshot::checkpoint(&log, &s(), &count())), 5);
    assert_eq!(available(compaction::compact(&log, &s(), &count())), 5);
    assert_eq!(reached(&log), Some(1));
}

#[test]
fn a_compaction_keeps_what_another_snapshot_does_not_stand_for() {
    let log = MemoryLog::default();
    append(&log, 2);
    snapshot::checkpoint(&log, &s(), &other()).unwrap();
    append(&log, 3);
    assert_eq!(compaction::compact(&log, &s(), &count()).unwrap(), projected(5, 5));
    assert_eq!(log::count(&log, &s()).unwrap(), 3);
    assert_eq!(snapshot::replay(&log, &s(), &other()).unwrap().value, Some(1));
    // What cannot be told of a snapshot is taken for the whole stream.
    append(&log, 1);
    put_below(&log, "$snapshot/1/s/other", &json!("garbage"));
    compaction::compact(&log, &s(), &count()).unwrap();
    assert_eq!(log::count(&log, &s()).unwrap(), 4);
    // Once nobody needs it any more, it goes.
    snapshot::forget(&log, &s(), &other()).unwrap();
    compaction::compact(&log, &s(), &count()).unwrap();
    assert_eq!(log::count(&log, &s()).unwrap(), 0);
    assert_eq!(snapshot::replay(&log, &s(), &count()).unwrap(), projected(6, 6));
}

#[test]
fn a_stream_that_feeds_an_inline_projection_is_left_whole() {
    let store = common::in_memory();
    append(&store, 2);
    let refused = compaction::compact(&store, &s(), &count()).unwrap_err();
    assert!(
        matches!(refused, Error::Invalid(InvalidInput::FeedsProjection { .. })),
        "{refused:?}"
    );
    assert_eq!(log::count(&store, &s()).unwrap(), 2);
    assert!(!snapshot::exists(&store, &s(), &count()).unwrap());
    let refused = compaction::compact(&store, &StreamName::global(), &count()).unwrap_err();
    assert!(
        matches!(refused, Error::Invalid(InvalidInput::ReservedStream(_))),
        "{refused:?}"
    );
}

#[test]
fn a_snapshot_never_moves_back() {
    let log = MemoryLog::default();
    append(&log, 2);
    let slow = snapshot::replay(&log, &s(), &count()).unwrap();
    append(&log, 3);
    compaction::compact(&log, &s(), &count()).unwrap();
    // What the slow one folded is true, and would lose three events for good.
    snapshot::save(&log, &s(), &count(), &slow).unwrap();
    assert_eq!(snapshot::replay(&log, &s(), &count()).unwrap(), projected(5, 5));
    // Neither does another version of the projection take its place with less.
    snapshot::save(&log, &s(), &version(2), &slow).unwrap();
    assert_eq!(reached(&log), Some(5));
}

/// A log on which something else happens just before a commit, or before a page is read.
#[derive(Default)]
struct Interleaved {
    log: MemoryLog,
    before_commit: Hook,
    before_page: Hook,
}

type Hook = Mutex<Option<Box<dyn FnOnce() + Send>>>;

fn run(hook: &Hook) {
    let hook = hook.lock().unwrap().take();
    if let Some(hook) = hook {
        hook();
    }
}

impl Interleaved {
    /// Three events come and are compacted.
    fn others_compaction(&self) -> Box<dyn FnOnce() + Send> {
        let log = self.log.clone();
        Box::new(move || {
            append(&log, 3);
            compaction::compact(&log, &s(), &count()).unwrap();
        })
    }
}

impl Backend for Interleaved {
    fn identity(&self) -> Result<StoreIdentity, Error> {
        self.log.identity()
    }

    fn commit(&self, commit: Commit) -> Result<Outcome<()>, Error> {
        run(&self.before_commit);
        self.log.commit(commit)
    }

    fn commit_async(&self, commit: Commit) -> CommitFuture<'_> {
        self.log.commit_async(commit)
    }

    fn page(&self, after: After<'_>, limit: usize) -> Result<Page, Error> {
        run(&self.before_page);
        self.log.page(after, limit)
    }

    fn last_seq(&self, stream: &StreamName) -> Result<Revision, Error> {
        self.log.last_seq(stream)
    }

    fn count(&self, stream: &StreamName) -> Result<u64, Error> {
        self.log.count(stream)
    }

    fn stream_revisions(&self) -> Result<Vec<(StreamName, Revision)>, Error> {
        self.log.stream_revisions()
    }

    fn head(&self) -> Result<Position, Error> {
        self.log.head()
    }

    fn kv_get(&self, key: &Key) -> Result<Option<Value>, Error> {
        self.log.kv_get(key)
    }

    fn kv_keys(&self, prefix: &str) -> Result<Vec<Key>, Error> {
        self.log.kv_keys(prefix)
    }

    fn find_receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        self.log.find_receipt(scope, key)
    }

    fn commits(&self) -> Arc<Commits> {
        self.log.commits()
    }
}

#[test]
fn of_two_compactions_at_once_the_further_one_stays() {
    let slow = Interleaved::default();
    append(&slow.log, 2);
    *slow.before_commit.lock().unwrap() = Some(slow.others_compaction());
    assert_eq!(compaction::compact(&slow, &s(), &count()).unwrap(), projected(5, 5));
    assert_eq!(log::count(&slow.log, &s()).unwrap(), 0);
    assert_eq!(snapshot::replay(&slow.log, &s(), &count()).unwrap(), projected(5, 5));
}

#[test]
fn a_snapshot_that_is_surpassed_while_it_is_saved_is_dropped() {
    let slow = Interleaved::default();
    append(&slow.log, 2);
    *slow.before_commit.lock().unwrap() = Some(slow.others_compaction());
    snapshot::save(&slow, &s(), &count(), &projected(2, 2)).unwrap();
    assert_eq!(reached(&slow.log), Some(5));
}

#[test]
fn a_replay_that_is_overtaken_by_a_compaction_begins_again_with_its_snapshot() {
    let slow = Interleaved::default();
    append(&slow.log, 2);
    *slow.before_page.lock().unwrap() = Some(slow.others_compaction());
    assert_eq!(snapshot::replay(&slow, &s(), &count()).unwrap(), projected(5, 5));
}

#[test]
fn a_view_whose_value_could_not_be_kept_catches_up_with_the_next_event() {
    let last = Projection::new("last", 1, 0.0, |last: &mut f64, recorded| {
        *last = recorded.event.data.as_f64().unwrap_or(f64::NAN);
    });
    let hub = Hub::new(Arc::new(MemoryLog::default()));
    let view = Arc::new(View::new(s(), last));
    let id = view.attach(&hub);
    // No snapshot can hold a NaN. The event is published all the same.
    for (data, value) in [(json!(1.5), 1.5), (json!("broken"), 1.5), (json!(2.5), 2.5)] {
        hub.publish(&s(), NewEvent::new("measured", 0, data)).unwrap();
        assert_eq!(json!(view.peek(&**hub.backend()).unwrap()), json!(value));
    }
    assert_eq!(log::count(&**hub.backend(), &s()).unwrap(), 3);
    hub.unsubscribe(&id);
    assert_eq!(hub.subscriber_count(&s()), 0);
}

#[test]
fn many_may_append_compact_and_replay_at_once() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 25;
    let store = SqlStore::in_memory(Options::default()).unwrap();
    for backend in [&MemoryLog::default() as &dyn Backend, &store] {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        append(backend, 1);
                        let folded = compaction::compact(backend, &s(), &count()).unwrap();
                        assert_eq!(folded.value, folded.reached.get());
                        let folded = snapshot::replay(backend, &s(), &count()).unwrap();
                        assert_eq!(folded.value, folded.reached.get());
                    }
                });
            }
        });
        let all = THREADS * ROUNDS;
        assert_eq!(snapshot::replay(backend, &s(), &count()).unwrap(), projected(all, all));
        assert_eq!(log::count(backend, &s()).unwrap(), 0);
    }
}
