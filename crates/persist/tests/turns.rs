//! Who gets the writer: callers that block run their commands themselves when nobody waits, and
//! the writer's thread serves the queue.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

use common::{amount, append, committed, in_memory, open, submit, whole};
use persist::{
    Backend, Clock, Commit, Decision, Error, ErrorKind, Options, Outcome, Position, SqlStore, SqlTx, SubmitError,
};
use tempfile::tempdir;
use tokio::runtime::{Builder, Runtime};

type Command = Box<dyn FnOnce(&mut dyn SqlTx) -> Result<Decision<()>, Error> + Send>;
type Answer = Result<Outcome<()>, SubmitError<Error>>;

/// The two ways to submit. The first runs its command on its caller's thread if nobody waits.
const WAYS: [fn(&SqlStore, Command) -> Answer; 2] = [
    |store, command| store.submit_blocking(command),
    |store, command| runtime().block_on(store.submit(command)),
];

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn one_event() -> Commit {
    append("hot", vec![amount(1)])
}

fn one_event_command() -> Command {
    Box::new(|_| {
        Ok(Decision {
            commit: one_event(),
            value: (),
        })
    })
}

fn position(answer: Answer) -> Result<u64, Error> {
    match answer {
        Ok(Outcome::Committed { committed, .. }) => Ok(committed.events[0].position.get()),
        Err(SubmitError::Store(error)) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn positions(store: &SqlStore) -> Vec<u64> {
    whole(store).iter().map(|each| each.position.get()).collect()
}

/// Submits in both ways from `each` threads a way, until an error or for so many times, and gives
/// back what each thread was answered.
fn submit_both_ways(
    store: &SqlStore,
    each: usize,
    times: usize,
    answered: &AtomicUsize,
) -> Vec<(Vec<u64>, Option<Error>)> {
    thread::scope(|scope| {
        let submitters: Vec<_> = (0..each)
            .flat_map(|_| WAYS)
            .map(|submit| {
                scope.spawn(move || {
                    let mut positions = Vec::new();
                    for _ in 0..times {
                        match position(submit(store, one_event_command())) {
                            Ok(position) => positions.push(position),
                            Err(error) => return (positions, Some(error)),
                        }
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    (positions, None)
                })
            })
            .collect();
        submitters.into_iter().map(|each| each.join().unwrap()).collect()
    })
}

#[test]
fn blocking_and_async_submitters_lose_nothing_and_are_answered_in_order() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let answers = submit_both_ways(&store, 8, 25, &AtomicUsize::new(0));
    for (positions, error) in &answers {
        assert!(error.is_none() && positions.is_sorted(), "{positions:?}, {error:?}");
    }
    let mut answered: Vec<_> = answers.into_iter().flat_map(|(positions, _)| positions).collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=400).collect::<Vec<_>>());
    assert_eq!(positions(&store), answered);
}

#[test]
fn a_shutdown_between_them_acknowledges_what_is_there_and_refuses_the_rest() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let answered = AtomicUsize::new(0);
    let answers = thread::scope(|scope| {
        let submitters = scope.spawn(|| submit_both_ways(&store, 4, usize::MAX, &answered));
        while answered.load(Ordering::Relaxed) < 50 {
            thread::yield_now();
        }
        store.shutdown();
        assert!(matches!(position(submit(&store, one_event())), Err(Error::Closed)));
        submitters.join().unwrap()
    });
    let mut answered = Vec::new();
    for (positions, error) in answers {
        assert!(matches!(error, Some(Error::Closed)), "{error:?}");
        answered.extend(positions);
    }
    answered.sort_unstable();
    assert_eq!(positions(&store), answered);
}

#[test]
fn a_lone_blocking_command_runs_on_its_callers_thread() {
    let store = in_memory();
    let command = |_: &mut dyn SqlTx| {
        Ok::<_, Error>(Decision {
            commit: Commit::default(),
            value: thread::current().id(),
        })
    };
    let Ok(Outcome::Committed { value, .. }) = store.submit_blocking(command) else {
        panic!("it is committed")
    };
    assert_eq!(value, thread::current().id());
}

#[test]
fn who_is_queued_gets_a_turn_beside_a_busy_caller() {
    let store = in_memory();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                committed(&store, one_event());
            }
        });
        for _ in 0..20 {
            position(runtime().block_on(store.submit(one_event_command()))).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        busy.join().unwrap();
    });
}

#[test]
fn nobody_overtakes_who_waits() {
    let store = &in_memory();
    let (started, start) = mpsc::channel();
    let (release, wait) = mpsc::channel::<()>();
    let order: Vec<_> = thread::scope(|scope| {
        let hold: Command = Box::new(move |_| {
            started.send(()).unwrap();
            wait.recv().unwrap();
            Ok(Decision::default())
        });
        scope.spawn(move || store.submit_blocking(hold).unwrap());
        start.recv().unwrap();
        let mut submitters = Vec::new();
        for turn in 0..10 {
            let submit = WAYS[turn % 2];
            submitters.push(scope.spawn(move || position(submit(store, one_event_command())).unwrap()));
            while store.stats().queue_len <= turn {
                thread::yield_now();
            }
        }
        release.send(()).unwrap();
        submitters.into_iter().map(|each| each.join().unwrap()).collect()
    });
    assert_eq!(order, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_command_that_waits_for_its_own_store_panics_and_undoes_only_itself() {
    for way in WAYS {
        let store = in_memory();
        let own = store.clone();
        let outcome = way(
            &store,
            Box::new(move |_| own.commit(one_event()).map(|_| Decision::default())),
        );
        assert!(
            matches!(outcome, Err(SubmitError::Store(Error::Panicked))),
            "{outcome:?}"
        );
        assert_eq!(store.head().unwrap(), Position::ZERO);
        assert_eq!(position(way(&store, one_event_command())).unwrap(), 1);
    }
}

#[test]
fn a_command_that_shuts_its_store_down_is_the_last() {
    for way in WAYS {
        let store = in_memory();
        let own = store.clone();
        let command = Box::new(move |_: &mut dyn SqlTx| {
            own.shutdown();
            Ok(Decision {
                commit: one_event(),
                value: (),
            })
        });
        assert_eq!(position(way(&store, command)).unwrap(), 1);
        // The thread may still be on its way out.
        let ended = loop {
            match position(way(&store, one_event_command())) {
                Ok(_) => thread::yield_now(),
                Err(error) => break error,
            }
        };
        assert!(matches!(ended, Error::Closed), "{ended:?}");
    }
}

#[test]
fn to_block_in_an_async_context_panics_before_the_command_runs() {
    let store = in_memory();
    let blocked = runtime().block_on(async { catch_unwind(AssertUnwindSafe(|| store.commit(one_event()))) });
    assert!(blocked.is_err());
    assert_eq!(store.head().unwrap(), Position::ZERO);
}

/// A clock that panics while it is told to.
struct Broken(Arc<AtomicBool>);

impl Clock for Broken {
    fn now_ms(&self) -> i64 {
        assert!(!self.0.load(Ordering::Relaxed), "asked to");
        0
    }
}

#[test]
fn a_panic_outside_of_every_command_stops_the_writer_and_leaves_no_lock() {
    for way in WAYS {
        let folder = tempdir().unwrap();
        let path = folder.path().join("store.db");
        let broken = Arc::new(AtomicBool::new(true));
        let options = Options {
            clock: Arc::new(Broken(Arc::clone(&broken))),
            ..Options::default()
        };
        let store = SqlStore::open(&path, options).unwrap();
        let unanswered = position(way(&store, one_event_command())).unwrap_err();
        assert_eq!(unanswered.class(), ErrorKind::UnknownOutcome, "{unanswered:?}");
        broken.store(false, Ordering::Relaxed);
        let stopped = position(way(&store, one_event_command())).unwrap_err();
        assert!(matches!(stopped, Error::Poisoned(_)), "{stopped:?}");
        let other = SqlStore::open(&path, Options::default()).unwrap();
        assert_eq!(position(way(&other, one_event_command())).unwrap(), 1);
    }
}

#[test]
fn the_last_handle_may_end_inside_a_command() {
    let store = in_memory();
    let (own, (release, wait), (ended, end)) = (store.clone(), mpsc::channel::<()>(), mpsc::channel());
    let command: Command = Box::new(move |_| {
        wait.recv().unwrap();
        drop(own);
        ended.send(()).unwrap();
        Ok(Decision::default())
    });
    runtime().block_on(async {
        // Handed over, and then forgotten.
        let mut submitted = pin!(store.submit(command));
        poll_fn(|context| Poll::Ready(submitted.as_mut().poll(context).is_pending())).await
    });
    drop(store);
    release.send(()).unwrap();
    end.recv().unwrap();
}
