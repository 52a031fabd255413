//! A store in another process is a store like any other, and a lost connection loses nothing that
//! was acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::server::{self, Server, serve_in_process};
use common::{PATIENCE, amount, append, data, key, stream, whole, with_totals};
use persist::{
    After, Attempt, Backend, Conflict, Error, ErrorKind, KvExpected, NewEvent, Options, Position, RemoteBackend,
    Revision, SqlStore, kv, log, protocol,
};
use serde_json::{Value, json};
use tempfile::tempdir;

/// A connection to a child.
fn connect(server: &mut Server) -> RemoteBackend {
    RemoteBackend::connect(server.output(), server.input()).unwrap()
}

/// The output of a child until the connection is cut: what comes then is read, and lost.
struct Cut {
    output: ChildStdout,
    is_cut: Arc<AtomicBool>,
}

impl Read for Cut {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.output.read(bytes)?;
        Ok(if self.is_cut.load(Ordering::SeqCst) { 0 } else { read })
    }
}

#[test]
fn a_lost_answer_is_told_and_resolved_by_its_receipt() {
    let folder = tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let is_cut = Arc::new(AtomicBool::new(false));
    let output = server.output().into_inner();
    let cut = Cut {
        output,
        is_cut: Arc::clone(&is_cut),
    };
    let remote = RemoteBackend::connect(BufReader::new(cut), server.input()).unwrap();

    is_cut.store(true, Ordering::SeqCst);
    let lost = log::append_once(&remote, &stream("s"), "key", amount(1)).unwrap_err();
    assert_eq!(lost.class(), ErrorKind::UnknownOutcome, "{lost:?}");
    // The connection stays lost, which is no outcome in doubt.
    let later = log::append(&remote, &stream("s"), amount(2)).unwrap_err();
    assert_eq!(later.class(), ErrorKind::Retry, "{later:?}");
    assert!(matches!(remote.head(), Err(Error::Transport(_))));
    assert!(remote.commits().is_closed());
    server.kill();

    let mut server = Server::start(folder.path());
    let remote = connect(&mut server);
    let again = log::append_once(&remote, &stream("s"), "key", amount(1)).unwrap();
    assert!(
        matches!(&again, Attempt::Duplicate(first) if first.event.seq == Revision::FIRST),
        "{again:?}"
    );
    assert_eq!(data(&whole(&remote)), [json!(1)]);
}

/// How many appends are acknowledged before each kill.
const KILLED_AFTER: [usize; 6] = [1, 9, 2, 30, 5, 17];

#[test]
fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let folder = tempdir().unwrap();
    let mut next = 0;
    for killed_after in KILLED_AFTER {
        let mut server = Server::start(folder.path());
        let remote = connect(&mut server);
        let (acknowledge, acknowledged) = mpsc::channel();
        // Goes on until the kill; the request that it hits is repeated in the next round.
        let client = thread::spawn(move || {
            loop {
                match log::append_once(&remote, &stream("s"), &format!("key-{next}"), amount(next)) {
                    Ok(attempt) => attempt.into_result().unwrap(),
                    Err(error) => break (next, error),
                };
                let _ = acknowledge.send(next);
                next += 1;
            }
        });
        assert_eq!(acknowledged.iter().take(killed_after).count(), killed_after);
        server.kill();
        let (reached, error) = client.join().unwrap();
        assert!(
            matches!(error.class(), ErrorKind::UnknownOutcome | ErrorKind::Retry),
            "{error:?}"
        );
        next = reached;
    }
    let mut server = Server::start(folder.path());
    let events = log::read(&connect(&mut server), &stream("s")).unwrap();
    let numbers: Vec<i64> = events.iter().map(|each| each.event.data.as_i64().unwrap()).collect();
    // The last request may have been performed before its answer was lost.
    assert!(
        (next..=next + 1).contains(&i64::try_from(numbers.len()).unwrap()),
        "{numbers:?}"
    );
    assert_eq!(numbers, (0..).take(numbers.len()).collect::<Vec<_>>());
    assert!(events.iter().zip(1..).all(|(each, seq)| each.event.seq.get() == seq));
}

#[test]
fn pages_come_over_as_they_are_stored() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqlStore::open(&path, Options::default()).unwrap();
    let event = |data: Value, meta: Value| NewEvent {
        meta,
        format: 7,
        ..NewEvent::new("t", -1, data)
    };
    let large = json!("é\n".repeat(200_000));
    for data in [json!(null), json!({"b": 0.1, "a": [1e300, i64::MIN, u64::MAX]}), large] {
        log::append(&store, &stream("s"), event(data.clone(), json!(null))).unwrap();
        log::append(&store, &stream("t"), event(data, json!({"actor": "ada"}))).unwrap();
    }
    let erase = "UPDATE persist_events SET body = NULL WHERE position = 2";
    rusqlite::Connection::open(&path).unwrap().execute(erase, []).unwrap();

    let remote = serve_in_process(store.clone());
    let s = stream("s");
    for after in [
        After::Position(Position::ZERO),
        After::Position(Position::new(3)),
        After::Revision(&s, Revision::FIRST),
    ] {
        for limit in [0, 1, 2, usize::MAX] {
            let (ours, theirs) = (store.page(after, limit).unwrap(), remote.page(after, limit).unwrap());
            assert_eq!(ours.is_last(), theirs.is_last());
            assert_eq!(ours.iter().collect::<Vec<_>>(), theirs.iter().collect::<Vec<_>>());
        }
    }
    assert_eq!(whole(&remote), whole(&store));
}

#[test]
fn a_null_is_told_from_nothing() {
    let remote = serve_in_process(persist::MemoryLog::default());
    assert_eq!(remote.kv_get(&key("k")).unwrap(), None);
    kv::put(&remote, "k", json!(null)).unwrap();
    assert_eq!(remote.kv_get(&key("k")).unwrap(), Some(Value::Null));
    let conflict = kv::put_new(&remote, "k", json!(1)).unwrap();
    let Attempt::Conflict(Conflict::Value { expected, actual, .. }) = conflict else {
        panic!("{conflict:?}")
    };
    assert_eq!((expected, actual), (KvExpected::Absent, Some(Value::Null)));
    let conflict = kv::cas(&remote, "absent", Some(&json!(null)), json!(1)).unwrap();
    assert!(
        matches!(conflict, Attempt::Conflict(Conflict::Value { actual: None, .. })),
        "{conflict:?}"
    );
}

#[test]
fn a_refusal_keeps_its_code_and_its_class() {
    let remote = serve_in_process(SqlStore::in_memory(with_totals()).unwrap());
    log::append(&remote, &stream("s"), amount(1)).unwrap();
    let refused = |result: Result<_, Error>| {
        let error = result.map(drop).unwrap_err();
        (error.class(), error.code().to_owned(), error.to_string())
    };
    let (class, code, message) = refused(log::truncate(&remote, &stream("s"), Revision::FIRST));
    assert_eq!((class, &*code), (ErrorKind::Invalid, "feeds_projection"));
    assert!(message.contains("s feeds the projection totals"), "{message}");
    let too_long = NewEvent::new("t", 0, json!("x".repeat(protocol::MAX_LINE_BYTES)));
    let (class, code, _) = refused(log::append(&remote, &stream("s"), too_long).map(drop));
    assert_eq!((class, &*code), (ErrorKind::Invalid, "line_too_long"));
    // Either way the connection goes on.
    assert_eq!(log::count(&remote, &stream("s")).unwrap(), 1);
}

#[test]
fn others_wake_who_listens() {
    let store = persist::MemoryLog::default();
    let remote = serve_in_process(store.clone());
    let commits = remote.commits();
    let seen = |wanted: u64| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listener = commits.listen();
            if remote.head().unwrap() == Position::new(wanted) {
                break;
            }
            assert!(
                event_listener::Listener::wait_deadline(listener, deadline).is_some(),
                "nobody was woken"
            );
        }
    };
    log::append(&store, &stream("s"), amount(1)).unwrap();
    seen(1);
    log::append(&store, &stream("s"), amount(2)).unwrap();
    seen(2);
    // Own commits do not wait for the next look at the head.
    let listener = commits.listen();
    log::append(&remote, &stream("s"), amount(3)).unwrap();
    assert!(event_listener::Listener::wait_timeout(listener, PATIENCE).is_some());
}

#[tokio::test]
async fn many_commits_at_once_each_get_their_own_outcome() {
    let remote = serve_in_process(SqlStore::in_memory(Options::default()).unwrap());
    let commits: Vec<_> = (0..100)
        .map(|n| remote.commit_async(append("s", vec![amount(n)])))
        .collect();
    // What was handed over is performed, whoever waits for it.
    drop(remote.commit_async(append("s", vec![amount(100)])));
    for (outcome, n) in futures_util::future::join_all(commits).await.into_iter().zip(0..) {
        let persist::Outcome::Committed { committed, .. } = outcome.unwrap() else {
            panic!("a plain append met a conflict")
        };
        assert_eq!(data(&committed.events), [json!(n)]);
    }
    // Reading blocks for a moment only, and may be done here.
    assert_eq!(log::count(&remote, &stream("s")).unwrap(), 101);
}

#[test]
fn a_child_ends_with_the_last_handle_after_what_it_was_given() {
    let folder = tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "echo $$ > pid; exec \"$0\" serve --db store.db",
        env!("CARGO_BIN_EXE_persist"),
    ]);
    command.current_dir(folder.path());
    let remote = RemoteBackend::spawn(command).unwrap();
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    drop(remote.commit_async(append("s", vec![amount(1)])));
    drop(remote);
    let deadline = Instant::now() + PATIENCE;
    while process.exists() {
        assert!(Instant::now() < deadline, "the child is still there");
        thread::sleep(Duration::from_millis(5));
    }
    let store = SqlStore::open(folder.path().join("store.db"), Options::default()).unwrap();
    assert_eq!(store.head().unwrap(), Position::FIRST);
}

#[test]
fn what_does_not_speak_the_protocol_is_not_connected_to() {
    let echoes = Command::new("cat");
    let newer =
        r#"{"ok":{"protocol":2,"version":"9.0.0","store":{"store_id":"","epoch":1,"schema_version":9},"head":0}}"#;
    let mut speaks_newer = Command::new("echo");
    speaks_newer.arg(newer);
    let ends = Command::new("true");
    let absent = Command::new("/nonexistent/persist");
    for command in [echoes, speaks_newer, ends, absent] {
        let error = RemoteBackend::spawn(command).map(drop).unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error:?}");
    }
    // A program that refuses its store says so on standard error, and is not there.
    let mut refuses = server::command(Path::new("/"));
    refuses
        .args(["--db", "/nonexistent/store.db"])
        .stderr(std::process::Stdio::null());
    assert!(matches!(
        RemoteBackend::spawn(refuses).map(drop),
        Err(Error::Transport(_))
    ));
}
