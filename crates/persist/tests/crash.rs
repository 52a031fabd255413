//! What was acknowledged is there after a crash, and a failed commit is never taken for a good one.
//!
//! The children are this test binary again, told by the environment what to do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::child::{self, Child, say};
use common::{amount, append, committed, open, submit, totals, whole};
use persist::{Backend, ErrorKind, Position, SubmitError};
use serde_json::json;
use tempfile::tempdir;

/// How many appends are acknowledged before a child is killed.
const KILLED_AFTER: [usize; 5] = [1, 7, 20, 2, 40];

/// A child: appends for ever, three events at a time, and says each position that was acknowledged.
#[test]
fn child_appends() {
    let Some(folder) = child::folder() else { return };
    let store = open(&folder);
    loop {
        say(committed(&store, append("hot", vec![amount(1), amount(2), amount(3)])).head);
    }
}

#[test]
fn every_acknowledged_append_survives_a_kill() {
    let folder = tempdir().unwrap();
    for after in KILLED_AFTER {
        let mut child = Child::start("child_appends", folder.path());
        let acknowledged = child.lines().take(after).last().unwrap();
        child.kill();
        // What it said until it died counts too.
        let acknowledged: u64 = child.lines().last().unwrap_or(acknowledged).parse().unwrap();

        let store = open(folder.path());
        let head = store.head().unwrap();
        assert!(
            head >= Position::new(acknowledged),
            "{head} is there, {acknowledged} was acknowledged"
        );
        assert_eq!(head.get() % 3, 0, "half a commit is there");
        let events = whole(&store);
        let places: Vec<_> = events.iter().map(|each| each.position.get()).collect();
        assert_eq!(places, (1..=head.get()).collect::<Vec<_>>());
        assert_eq!(store.verify_projections().unwrap(), []);
        let events = i64::try_from(head.get()).unwrap();
        assert_eq!(totals(&store), [("hot".to_owned(), events, 2 * events)]);
    }
}

/// A child under a limit of file size: commits until one fails, and says how the store took it.
#[test]
fn child_fails_to_commit() {
    let Some(folder) = child::folder() else { return };
    let store = open(&folder);
    let long = || {
        append(
            "hot",
            vec![persist::NewEvent::new("long", 0, json!("x".repeat(10_000)))],
        )
    };
    let failure = loop {
        match submit(&store, long()) {
            Ok(_) => say(store.head().unwrap()),
            Err(failure) => break failure,
        }
    };
    let SubmitError::Store(error) = failure else {
        panic!("{failure:?}")
    };
    assert_eq!(error.class(), ErrorKind::UnknownOutcome, "{error:?}");
    assert!(store.stats().poisoned.is_some());
    // Every later command is refused, and reads go on.
    let Err(SubmitError::Store(error)) = submit(&store, long()) else {
        panic!("the writer went on")
    };
    assert_eq!(error.class(), ErrorKind::Closed, "{error:?}");
    store.head().unwrap();
    say("refused");
}

#[test]
fn a_commit_that_the_system_fails_stops_the_writer() {
    let folder = tempdir().unwrap();
    // 256 KiB, in units of 512 bytes; the write beyond fails instead of killing the process.
    let child = Child::start_under("trap '' XFSZ; ulimit -f 512;", "child_fails_to_commit", folder.path());
    let said: Vec<_> = child.lines().collect();
    child.finish();
    let [acknowledged @ .., last] = &said[..] else {
        panic!("the child said nothing")
    };
    assert_eq!(last, "refused");
    let store = open(folder.path());
    let head = store.head().unwrap().get();
    let acknowledged: u64 = acknowledged.last().unwrap().parse().unwrap();
    assert!(
        (acknowledged..=acknowledged + 1).contains(&head),
        "{head} is there, {acknowledged} was acknowledged"
    );
    committed(&store, append("hot", vec![amount(1)]));
    assert_eq!(store.verify_projections().unwrap(), []);
}
