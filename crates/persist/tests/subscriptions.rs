//! Subscriptions hand out every event once and in order, and are in nobody's way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::BufReader;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{PATIENCE, amount, append, data, open, stream, whole};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use persist::{
    Append, Backend, Checkpoint, Commit, Error, ExpectedRevision, MemoryBlobs, MemoryLog, NewEvent, Options, Place,
    Position, Recorded, RemoteBackend, Revision, SqlStore, StreamName, Subscription, log, protocol,
};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;

const WRITERS: i64 = 8;
/// How many events each writer appends, each to one of two streams.
const EVENTS: i64 = 25;
const ALL: usize = 200;

fn memory() -> Arc<dyn Backend> {
    Arc::new(MemoryLog::default())
}

/// A log that another thread keeps, and the other end of the connection to it.
fn remote() -> (Arc<dyn Backend>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (input, end) = (BufReader::new(theirs.try_clone().unwrap()), theirs.try_clone().unwrap());
    thread::spawn(move || protocol::serve(&MemoryLog::default(), &MemoryBlobs::default(), input, theirs));
    let reader = BufReader::new(ours.try_clone().unwrap());
    (Arc::new(RemoteBackend::connect(reader, ours).unwrap()), end)
}

/// One of each kind; the folder is that of the file.
fn backends() -> ([Arc<dyn Backend>; 3], TempDir) {
    let folder = tempdir().unwrap();
    ([memory(), Arc::new(open(folder.path())), remote().0], folder)
}

fn commit(backend: &dyn Backend, commit: impl Into<Commit>) {
    backend.commit(commit.into()).unwrap();
}

/// Appends events with pointers in the timeline.
fn commit_global(backend: &dyn Backend, name: &str, events: Vec<NewEvent>) {
    let append = Append::new(stream(name), ExpectedRevision::Any, events);
    commit(backend, Append { global: true, ..append });
}

fn truncate(backend: &dyn Backend, name: &str, through: u64) {
    log::truncate(backend, &stream(name), Revision::new(through)).unwrap();
}

fn to_all(backend: &Arc<dyn Backend>) -> Subscription {
    Subscription::to_all(Arc::clone(backend), Position::ZERO).unwrap()
}

fn to_stream(backend: &Arc<dyn Backend>, name: &str, after: u64) -> Subscription {
    Subscription::to_stream(Arc::clone(backend), &stream(name), Revision::new(after)).unwrap()
}

fn resume(backend: &Arc<dyn Backend>, subscription: &Subscription) -> Subscription {
    Subscription::resume(Arc::clone(backend), &subscription.checkpoint()).unwrap()
}

/// The next event if it is there.
fn next(subscription: &mut Subscription) -> Result<Option<Recorded>, Error> {
    subscription.next_timeout(Duration::ZERO)
}

/// The data of all events that are there.
fn drain(subscription: &mut Subscription) -> Vec<Value> {
    let events: Vec<_> = std::iter::from_fn(|| next(subscription).unwrap()).collect();
    data(&events)
}

/// What a writer appends, and where.
fn of_writer(writer: i64) -> impl Iterator<Item = (StreamName, NewEvent)> {
    (0..EVENTS).map(move |n| {
        let name = if (writer + n) % 2 == 0 { "even" } else { "odd" };
        (stream(name), amount(writer * EVENTS + n))
    })
}

#[test]
fn threads_see_what_threads_write_once_and_in_order() {
    fn follow(mut subscription: Subscription, count: usize) -> Vec<Recorded> {
        let next = || subscription.next_timeout(PATIENCE).unwrap().unwrap();
        std::iter::repeat_with(next).take(count).collect()
    }
    let (backends, _folder) = backends();
    for backend in &backends {
        thread::scope(|scope| {
            let all = [(); 3].map(|()| scope.spawn(|| follow(to_all(backend), ALL)));
            let odd = scope.spawn(|| follow(to_stream(backend, "odd", 0), ALL / 2));
            for writer in 0..WRITERS {
                scope.spawn(move || {
                    for (stream, event) in of_writer(writer) {
                        log::append(&**backend, &stream, event).unwrap();
                    }
                });
            }
            let all = all.map(|seen| seen.join().unwrap());
            let whole = whole(&**backend);
            assert!(all.iter().all(|seen| *seen == whole));
            assert_eq!(odd.join().unwrap(), log::read(&**backend, &stream("odd")).unwrap());
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_see_what_tasks_write_once_and_in_order() {
    let (backends, _folder) = backends();
    for backend in &backends {
        let follow = |subscription: Subscription, count| {
            tokio::spawn(timeout(PATIENCE, subscription.take(count).try_collect::<Vec<_>>()))
        };
        let all = [(); 3].map(|()| follow(to_all(backend), ALL));
        let odd = follow(to_stream(backend, "odd", 0), ALL / 2);
        for writer in 0..WRITERS {
            let backend = Arc::clone(backend);
            tokio::spawn(async move {
                for (stream, event) in of_writer(writer) {
                    let append = Append::new(stream, ExpectedRevision::Any, vec![event]);
                    backend.commit_async(append.into()).await.unwrap();
                }
            });
        }
        for seen in all {
            assert_eq!(seen.await.unwrap().unwrap().unwrap(), whole(&**backend));
        }
        assert_eq!(
            odd.await.unwrap().unwrap().unwrap(),
            log::read(&**backend, &stream("odd")).unwrap()
        );
    }
}

#[test]
fn a_subscription_catches_up_over_many_pages_and_goes_on() {
    let backend = memory();
    commit(&*backend, append("a", (0..2000).map(amount).collect()));
    let mut subscription = to_all(&backend);
    assert_eq!(drain(&mut subscription), (0..2000).map(Value::from).collect::<Vec<_>>());
    commit(&*backend, append("a", vec![amount(7)]));
    assert_eq!(drain(&mut subscription), [7]);
    assert_eq!(drain(&mut to_stream(&backend, "a", 1999)), [1999, 7]);
}

#[test]
fn reserved_streams_are_followed_only_by_name() {
    let backend = memory();
    let mut all = to_all(&backend);
    for name in ["a", "b"] {
        commit_global(&*backend, name, vec![amount(1)]);
    }
    assert_eq!(drain(&mut all), [1, 1]);
    assert_eq!(all.missed(), 0);
    // What is passed over at the end is not looked at again.
    assert_eq!(all.checkpoint().place, Place::Position(Position::new(4)));
    let mut timeline = Subscription::to_stream(backend, &StreamName::global(), Revision::ZERO).unwrap();
    let pointers = [json!({"stream": "a", "seq": 1}), json!({"stream": "b", "seq": 1})];
    assert_eq!(drain(&mut timeline), pointers);
}

#[test]
fn what_was_dropped_unseen_is_counted_in_a_subscription_to_all() {
    let backend = memory();
    commit(&*backend, append("a", vec![amount(1), amount(2)]));
    commit(&*backend, append("b", vec![amount(3), amount(4)]));
    truncate(&*backend, "a", 1);
    let mut all = to_all(&backend);
    assert_eq!(next(&mut all).unwrap().unwrap().event.data, 2);
    assert_eq!(all.missed(), 1);
    // This one has the rest in its page; the one that begins now has not.
    truncate(&*backend, "b", 2);
    let mut resumed = resume(&backend, &all);
    assert_eq!(drain(&mut all), [3, 4]);
    assert_eq!(next(&mut resumed).unwrap(), None);
    assert_eq!((all.missed(), resumed.missed()), (1, 2));
    assert_eq!(all.checkpoint(), resumed.checkpoint());
    commit(&*backend, append("b", vec![amount(5)]));
    assert_eq!(drain(&mut resumed), [5]);
    assert_eq!(resumed.missed(), 2);
}

#[test]
fn what_was_dropped_unseen_is_an_error_in_a_subscription_to_its_stream() {
    let available = |subscription: &mut Subscription| match next(subscription) {
        Err(Error::Compacted { stream, available }) if stream == Some(common::stream("a")) => available,
        other => panic!("{other:?}"),
    };
    let backend = memory();
    commit(&*backend, append("a", vec![amount(1), amount(2), amount(3)]));
    let mut follower = to_stream(&backend, "a", 3);
    assert_eq!(next(&mut follower).unwrap(), None);
    truncate(&*backend, "a", 2);
    assert_eq!(available(&mut to_stream(&backend, "a", 0)), 3);
    assert_eq!(drain(&mut to_stream(&backend, "a", 2)), [3]);
    // Also when no event is left to tell it by, and as often as it is asked.
    truncate(&*backend, "a", 3);
    let mut late = to_stream(&backend, "a", 2);
    assert_eq!([available(&mut late), available(&mut late)], [4, 4]);
    // Who had seen it all has lost nothing.
    commit(&*backend, append("a", vec![amount(4)]));
    assert_eq!(drain(&mut follower), [4]);
}

#[test]
fn a_checkpoint_goes_through_json_and_on() {
    let (backends, _folder) = backends();
    for backend in &backends {
        commit(&**backend, append("a", vec![amount(1), amount(2)]));
        commit(&**backend, append("b", vec![amount(3)]));
        let store_id = backend.identity().unwrap().store_id;
        let mut all = to_all(backend);
        next(&mut all).unwrap().unwrap();
        let kept = serde_json::to_value(all.checkpoint()).unwrap();
        assert_eq!(kept, json!({"store_id": store_id, "epoch": 1, "position": 1}));
        assert_eq!(serde_json::from_value::<Checkpoint>(kept).unwrap(), all.checkpoint());
        assert_eq!(drain(&mut resume(backend, &all)), [2, 3]);

        let mut of_a = to_stream(backend, "a", 0);
        next(&mut of_a).unwrap().unwrap();
        let kept = serde_json::to_value(of_a.checkpoint()).unwrap();
        assert_eq!(kept, json!({"store_id": store_id, "epoch": 1, "revision": ["a", 1]}));
        assert_eq!(serde_json::from_value::<Checkpoint>(kept).unwrap(), of_a.checkpoint());
        assert_eq!(drain(&mut resume(backend, &of_a)), [2]);
    }
}

#[test]
fn a_checkpoint_of_another_store_or_epoch_is_refused() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let backend: Arc<dyn Backend> = Arc::new(store.clone());
    commit(&*backend, append("a", vec![amount(1)]));
    let mut subscription = to_all(&backend);
    next(&mut subscription).unwrap().unwrap();
    let refused = |backend: &Arc<dyn Backend>, checkpoint: &Checkpoint| {
        let resumed = Subscription::resume(Arc::clone(backend), checkpoint);
        assert!(matches!(resumed, Err(Error::ForeignCheckpoint)), "{resumed:?}");
    };
    refused(&memory(), &subscription.checkpoint());
    // A store that is shorter than what was seen of it was put back to an earlier state.
    let beyond = Checkpoint {
        place: Place::Position(Position::new(2)),
        ..subscription.checkpoint()
    };
    refused(&backend, &beyond);
    resume(&backend, &subscription);
    store.advance_epoch().unwrap();
    refused(&backend, &subscription.checkpoint());
}

#[test]
fn a_shutdown_ends_subscriptions_after_the_last_event() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let backend: Arc<dyn Backend> = Arc::new(store.clone());
    let (tell, told) = mpsc::channel();
    let mut waiting = to_all(&backend);
    thread::spawn(move || {
        for event in waiting.blocking_iter() {
            tell.send(event.unwrap().event.data).unwrap();
        }
        tell.send(json!("ended")).unwrap();
    });
    commit(&*backend, append("a", vec![amount(1)]));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), 1);
    let (mut late, stream) = (to_all(&backend), to_all(&backend));
    commit(&*backend, append("a", vec![amount(2)]));
    store.shutdown();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), 2);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "ended");
    assert_eq!(late.blocking_iter().count(), 2);
    assert!(matches!(late.next_timeout(Duration::MAX), Err(Error::Closed)));
    assert_eq!(stream.count().now_or_never(), Some(2));
    // One that begins after the end sees what there is as well.
    assert_eq!(to_all(&backend).blocking_iter().count(), 2);
}

#[test]
fn a_store_that_is_followed_is_written_back_and_closed_like_any_other() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let mut subscription = to_all(&(Arc::new(store.clone()) as Arc<dyn Backend>));
    commit(&store, append("a", vec![amount(1)]));
    assert_eq!(drain(&mut subscription), [1]);
    assert!(store.checkpoint().unwrap());
    assert_eq!(store.stats().wal_bytes, 0);
    commit(&store, append("a", vec![amount(2)]));
    drop((store, subscription));
    // The last connection takes the log with it.
    assert!(!folder.path().join("store.db-wal").exists());
}

#[test]
fn a_lost_connection_is_an_error_and_no_end() {
    let (backend, connection) = remote();
    let mut subscription = to_all(&backend);
    assert_eq!(next(&mut subscription).unwrap(), None);
    let waiting = thread::spawn(move || subscription.next_timeout(PATIENCE));
    connection.shutdown(Shutdown::Both).unwrap();
    let outcome = waiting.join().unwrap();
    assert!(matches!(outcome, Err(Error::Transport(_))), "{outcome:?}");
}

#[test]
fn an_idle_stream_is_pending_until_there_is_more() {
    let backend = memory();
    let mut subscription = to_all(&backend);
    for n in 0..3 {
        // The second future hears of what the first, which is dropped, was waiting for.
        assert!(subscription.next().now_or_never().is_none());
        assert!(subscription.next().now_or_never().is_none());
        commit(&*backend, append("a", vec![amount(n)]));
        let event = subscription.next().now_or_never().flatten();
        assert_eq!(event.unwrap().unwrap().event.data, n);
    }
    assert!(subscription.next().now_or_never().is_none());
    assert_eq!(next(&mut subscription).unwrap(), None);
}

#[test]
fn an_error_leaves_a_subscription_where_it_was() {
    let folder = tempdir().unwrap();
    let backend: Arc<dyn Backend> = Arc::new(open(folder.path()));
    commit(&*backend, append("a", vec![amount(1), amount(2), amount(3)]));
    let set_body = |body: &str| {
        let database = Connection::open(folder.path().join("store.db")).unwrap();
        let sql = "UPDATE persist_events SET body = ?1 WHERE position = 2";
        database.execute(sql, [body]).unwrap();
    };
    for mut subscription in [to_all(&backend), to_stream(&backend, "a", 0)] {
        set_body("not JSON");
        assert_eq!(next(&mut subscription).unwrap().unwrap().event.data, 1);
        for _ in 0..2 {
            let damaged = next(&mut subscription);
            assert!(matches!(damaged, Err(Error::Corrupt(_))), "{damaged:?}");
        }
        set_body("2");
        assert_eq!(drain(&mut subscription), [2, 3]);
    }
}

/// Appends 12 MiB, and answers with the largest size that the write-ahead log had meanwhile.
fn wal_while_appending(store: &SqlStore) -> u64 {
    let large = "x".repeat(256 << 10);
    let append_some = |_| {
        let events = (0..4).map(|_| NewEvent::new("large", 0, json!(large))).collect();
        commit(store, append("b", events));
        store.stats().wal_bytes
    };
    (0..12).map(append_some).max().unwrap()
}

#[test]
fn readers_that_hang_within_a_page_leave_the_write_ahead_log_bounded() {
    // It is written back from 4 MiB on, and each commit here adds one more.
    const BOUND: u64 = 8 << 20;
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqlStore::open(&path, Options::default()).unwrap();
    commit(&store, append("a", (0..1000).map(amount).collect()));
    let backend: Arc<dyn Backend> = Arc::new(store.clone());
    let (of_a, mut subscription) = (stream("a"), to_all(&backend));
    let mut events = log::events(&store, &of_a, Revision::ZERO);
    assert_eq!(next(&mut subscription).unwrap().unwrap().event.data, 0);
    assert_eq!(events.next().unwrap().unwrap().event.data, 0);
    let mut idle = to_stream(&backend, "none", 0);
    assert_eq!(next(&mut idle).unwrap(), None);
    let largest = wal_while_appending(&store);
    assert!(largest < BOUND, "the log had {largest} bytes");
    // They go on where they were.
    assert_eq!(next(&mut subscription).unwrap().unwrap().event.data, 1);
    assert_eq!(events.count(), 999);
    assert_eq!(next(&mut idle).unwrap(), None);

    // What they are not: a transaction that stays open.
    let hanging = Connection::open(path).unwrap();
    hanging.execute_batch("BEGIN; SELECT 1 FROM persist_head;").unwrap();
    assert!(wal_while_appending(&store) > BOUND);
}

#[tokio::test]
async fn the_events_that_are_there_are_a_stream_too() {
    let backend = memory();
    commit(&*backend, append("a", (0..2000).map(amount).collect()));
    let events = log::all_events(&*backend, Position::ZERO).into_stream();
    assert_eq!(events.try_collect::<Vec<_>>().await.unwrap(), whole(&*backend));
}

#[derive(Clone, Debug)]
enum Step {
    Append(&'static str, u8),
    AppendGlobal(&'static str, u8),
    Truncate(&'static str, u8),
    Take(u8),
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop_oneof![Just("a"), Just("b")];
    prop_oneof![
        (name(), 1..5_u8).prop_map(|(name, count)| Step::Append(name, count)),
        (name(), 1..5_u8).prop_map(|(name, count)| Step::AppendGlobal(name, count)),
        (name(), 0..30_u8).prop_map(|(name, through)| Step::Truncate(name, through)),
        (0..6_u8).prop_map(Step::Take),
        Just(Step::Resume),
    ]
}

proptest! {
    #[test]
    fn every_event_is_seen_once_in_order_or_counted_as_missed(steps in proptest::collection::vec(step(), 0..40)) {
        let backend = memory();
        let mut subscription = to_all(&backend);
        let (mut seen, mut missed, mut reserved) = (Vec::new(), 0, 0);
        let events = |count| (0..count).map(|n| amount(n.into())).collect();
        for step in steps {
            match step {
                Step::Append(name, count) => commit(&*backend, append(name, events(count))),
                Step::AppendGlobal(name, count) => {
                    commit_global(&*backend, name, events(count));
                    reserved += u64::from(count);
                }
                Step::Truncate(name, through) => truncate(&*backend, name, through.into()),
                Step::Take(count) => {
                    for _ in 0..count {
                        seen.extend(next(&mut subscription).unwrap());
                    }
                }
                Step::Resume => {
                    missed += subscription.missed();
                    subscription = resume(&backend, &subscription);
                }
            }
        }
        while let Some(recorded) = next(&mut subscription).unwrap() {
            seen.push(recorded);
        }
        missed += subscription.missed();
        prop_assert!(seen.is_sorted_by(|one, other| one.position < other.position));
        prop_assert_eq!(seen.len() as u64 + missed + reserved, backend.head().unwrap().get());
        for there in whole(&*backend).iter().filter(|recorded| !recorded.event.stream.is_reserved()) {
            prop_assert!(seen.contains(there));
        }
    }
}
