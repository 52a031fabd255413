//! Several processes use one store at once.
//!
//! The children are this test binary again: a test whose name begins with `child_` does nothing
//! unless it runs as one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::{fs, thread};

use common::child::{self, Child, say, wait_for_parent};
use common::{PATIENCE, amount, append, committed, key, open, stream, submit, totals, whole, with_newer_totals};
use persist::{
    Attempt, Backend, Checkpoint, Commit, Conflict, ExpectedRevision, KvChange, KvExpected, OpenError, OpenMode,
    Options, Position, Recorded, Revision, SqlError, SqlReadExt, SqlStore, SubmitError, Subscription, kv, log, params,
};
use serde_json::json;
use tempfile::tempdir;

/// How many processes open a new store at once.
const OPENERS: u64 = 10;
/// How many events each of two processes appends.
const EVENTS: usize = 40;

/// The position and the revision of each event.
fn places(events: &[Recorded]) -> Vec<(u64, u64)> {
    events
        .iter()
        .map(|recorded| (recorded.position.get(), recorded.event.seq.get()))
        .collect()
}

/// The places of the only stream's first events.
fn dense(count: u64) -> Vec<(u64, u64)> {
    (1..=count).map(|n| (n, n)).collect()
}

/// The next events, for which it waits.
fn take(subscription: &mut Subscription, count: usize) -> Vec<Recorded> {
    let next = || subscription.next_timeout(PATIENCE).unwrap().expect("an event comes");
    std::iter::repeat_with(next).take(count).collect()
}

/// A child: opens the store when it is told to, appends an event, and says which store it is.
#[test]
fn child_opens_and_appends() {
    let Some(folder) = child::folder() else { return };
    say("ready");
    wait_for_parent();
    let store = open(&folder);
    committed(&store, append("hot", vec![amount(1)]));
    say(store.identity().unwrap().store_id);
}

#[test]
fn ten_processes_make_a_new_store_once() {
    fn schema(store: &SqlStore) -> Vec<String> {
        const SQL: &str = "SELECT type || ' ' || name FROM sqlite_schema ORDER BY 1";
        store
            .read(|tx| tx.query_all(SQL, params![], |row| row.get(0)))
            .map_err(|error: SqlError| error)
            .unwrap()
    }
    let folder = tempdir().unwrap();
    let start = |_| Child::start("child_opens_and_appends", folder.path());
    let mut children: Vec<_> = (0..OPENERS).map(start).collect();
    for child in &children {
        assert_eq!(child.hear().unwrap(), "ready");
    }
    children.iter_mut().for_each(Child::go);
    let opened: Vec<_> = children.iter().map(|child| child.hear().unwrap()).collect();
    children.into_iter().for_each(Child::finish);

    let store = open(folder.path());
    let store_id = store.identity().unwrap().store_id;
    assert!(opened.iter().all(|each| *each == store_id), "{opened:?}");
    assert_eq!(places(&whole(&store)), dense(OPENERS));
    assert_eq!(totals(&store), [("hot".to_owned(), 10, 10)]);
    let alone = tempdir().unwrap();
    assert_eq!(schema(&store), schema(&open(alone.path())));
}

/// A child: a program that has the store open while a newer one takes it over.
#[test]
fn child_is_superseded() {
    let Some(folder) = child::folder() else { return };
    let store = open(&folder);
    committed(&store, append("hot", vec![amount(1)]));
    say("open");
    wait_for_parent();
    match submit(&store, append("hot", vec![amount(1)])) {
        Err(SubmitError::Store(error)) => say(error.code()),
        other => panic!("{other:?}"),
    }
    drop(store);
    match SqlStore::open(folder.join("store.db"), common::with_totals()).map(drop) {
        Err(OpenError::ProjectionMismatch { stored, own }) => say(format!("{stored}, not {own}")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_process_with_older_projections_is_refused() {
    let folder = tempdir().unwrap();
    let mut older = Child::start("child_is_superseded", folder.path());
    assert_eq!(older.hear().unwrap(), "open");
    let path = folder.path().join("store.db");
    let newer = SqlStore::open_with(&path, OpenMode::AdoptProjections, with_newer_totals()).unwrap();
    older.go();
    assert_eq!(older.hear().unwrap(), "superseded");
    assert_eq!(older.hear().unwrap(), "totals@2, not totals@1");
    older.finish();
    assert_eq!(places(&whole(&newer)), dense(1));
    assert_eq!(totals(&newer), [("hot".to_owned(), 1, 1)]);
    committed(&newer, append("hot", vec![amount(1)]));
}

/// A child: appends to a stream, and says which events it sees meanwhile, its own and the others'.
#[test]
fn child_appends_and_follows() {
    let Some(folder) = child::folder() else { return };
    let store = open(&folder);
    let mut subscription = Subscription::to_all(Arc::new(store.clone()), Position::ZERO).unwrap();
    say("ready");
    wait_for_parent();
    let writer = thread::spawn(move || {
        for _ in 0..EVENTS {
            committed(&store, append("hot", vec![amount(1)]));
        }
    });
    say(json!(places(&take(&mut subscription, 2 * EVENTS))));
    writer.join().unwrap();
}

#[test]
fn subscriptions_see_the_commits_of_all_processes() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let mut subscription = Subscription::to_stream(Arc::new(store), &stream("hot"), Revision::ZERO).unwrap();
    assert_eq!(subscription.next_timeout(std::time::Duration::ZERO).unwrap(), None);
    let mut children = [0; 2].map(|_| Child::start("child_appends_and_follows", folder.path()));
    for child in &children {
        assert_eq!(child.hear().unwrap(), "ready");
    }
    children.iter_mut().for_each(Child::go);
    let all = dense(2 * EVENTS as u64);
    // This process writes nothing.
    assert_eq!(places(&take(&mut subscription, 2 * EVENTS)), all);
    for child in children {
        assert_eq!(child.hear().unwrap(), json!(all).to_string());
        child.finish();
    }
}

fn open_model(folder: &Path) -> SqlStore {
    SqlStore::open(folder.join("model.db"), Options::default()).unwrap()
}

/// A child: follows the store into a read model, with its checkpoint in the model's own commits.
#[test]
fn child_follows_into_a_model() {
    let Some(folder) = child::folder() else { return };
    let (store, model) = (Arc::new(open(&folder)), open_model(&folder));
    let mut subscription = match kv::get::<Checkpoint>(&model, "checkpoint").unwrap() {
        Some(checkpoint) => Subscription::resume(store, &checkpoint).unwrap(),
        None => Subscription::to_all(store, Position::ZERO).unwrap(),
    };
    loop {
        let [recorded] = &take(&mut subscription, 1)[..] else {
            unreachable!()
        };
        let kv = vec![KvChange::Put {
            key: key("checkpoint"),
            value: json!(subscription.checkpoint()),
            expected: KvExpected::Any,
        }];
        let seen = append("seen", vec![amount(recorded.position.get().try_into().unwrap())]);
        committed(&model, Commit { kv, ..seen });
        say(recorded.position);
    }
}

#[test]
fn a_killed_subscriber_goes_on_from_its_checkpoint() {
    const ROUND: u64 = 12;
    let folder = tempdir().unwrap();
    let (store, model) = (open(folder.path()), open_model(folder.path()));
    let follow = || Child::start("child_follows_into_a_model", folder.path());
    for heard in [1, 7, 12] {
        let mut child = follow();
        for _ in 0..ROUND {
            committed(&store, append("hot", vec![amount(1)]));
        }
        assert_eq!(child.lines().take(heard).count(), heard);
        child.kill();
    }
    let _child = follow();
    let mut subscription = Subscription::to_all(Arc::new(model), Position::ZERO).unwrap();
    let seen: Vec<_> = take(&mut subscription, 3 * 12)
        .iter()
        .map(|recorded| recorded.event.data.as_u64().unwrap())
        .collect();
    assert_eq!(seen, (1..=3 * ROUND).collect::<Vec<_>>());
}

#[test]
fn a_conflict_with_another_process_is_a_value() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let mut other = Child::start("child_opens_and_appends", folder.path());
    other.go();
    assert_eq!(other.lines().count(), 2);
    let hot = stream("hot");
    let attempt = log::append_expect(&store, &hot, ExpectedRevision::NoStream, amount(1)).unwrap();
    let Attempt::Conflict(Conflict::Revision { actual, .. }) = attempt else {
        panic!("{attempt:?}")
    };
    assert_eq!(actual, Some(Revision::FIRST));
    let attempt = log::append_expect(&store, &hot, ExpectedRevision::Exact(Revision::FIRST), amount(1)).unwrap();
    assert_eq!(attempt.into_result().unwrap().event.seq, Revision::new(2));
}

/// A child: says how many threads of it watch the store, before and after somebody listens.
#[test]
fn child_begins_to_listen() {
    let Some(folder) = child::folder() else { return };
    let watchers = || {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
        names.filter(|name| name.trim_end() == "persist-watcher").count()
    };
    let store = open(&folder);
    committed(&store, append("hot", vec![amount(1)]));
    let before = watchers();
    let commits = [store.commits(), store.commits()];
    // A thread takes its name when it first runs.
    while watchers() == 0 {
        thread::yield_now();
    }
    say(format!("{before} {}", watchers()));
    drop(commits);
}

#[test]
fn a_store_without_subscriptions_has_no_thread_that_watches() {
    let folder = tempdir().unwrap();
    let child = Child::start("child_begins_to_listen", folder.path());
    assert_eq!(child.hear().unwrap(), "0 1");
    child.finish();
}
