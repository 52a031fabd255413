//! Commits that can be told apart, and what must be true of a store that has seen them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use persist::{
    Append, Backend, Commit, Decision, Error, ErrorKind, ExpectedRevision, KvChange, KvExpected, NewEvent, NewReceipt,
    Outcome, Position, ReceiptResult, Recorded, SqlStore, SqlTx, SubmitError, log,
};
use serde_json::{Value, json};

use crate::common::{amount, append, key, stream, submit, use_once, uses, with_totals};
use crate::trace::SAID;

const SCOPE: &str = "power";
/// The number of a commit of more than 4 MiB, after which the log is written back.
pub const LARGE: u64 = 1001;

/// The commit of a number: no, one or three events that carry it, a value, and a receipt.
fn commit(number: u64) -> Commit {
    let at = i64::try_from(number).unwrap();
    let events = [1, 3, 0, 1][usize::try_from(number % 4).unwrap()];
    let events = vec![NewEvent::new("amount", at, json!(number)); events];
    let stream = stream(["a", "b", "c"][usize::try_from(number % 3).unwrap()]);
    let put = |name: &str, value| KvChange::Put {
        key: key(name),
        value,
        expected: KvExpected::Any,
    };
    Commit {
        appends: vec![Append::new(stream, ExpectedRevision::Any, events)],
        kv: vec![put(&name(number), value(number)), put("last", json!(number))],
        receipt: Some(NewReceipt {
            scope: SCOPE.to_owned(),
            key: name(number),
            request_hash: [7; 32],
            result: ReceiptResult::Value(json!(number)),
        }),
        ..Commit::default()
    }
}

/// Long enough that a commit takes several pages.
fn value(number: u64) -> Value {
    json!(format!("{number}{}", "x".repeat(900)))
}

/// The key of a commit's row in the side table, which is in the table and in its index.
fn row(number: u64) -> String {
    let padding = if number == LARGE { 2 << 20 } else { 0 };
    name(number) + &"x".repeat(padding)
}

fn name(number: u64) -> String {
    format!("commit-{number}")
}

/// Submits the commit of a number, with a row of the side table, and answers what became of it.
pub fn perform(store: &SqlStore, number: u64) -> &'static str {
    let outcome = store.submit_blocking(move |tx| {
        use_once(tx, &row(number))?;
        Ok::<_, Error>(Decision {
            commit: commit(number),
            value: (),
        })
    });
    match outcome {
        Ok(Outcome::Committed { .. }) => "committed",
        Ok(other) => panic!("{other:?}"),
        Err(SubmitError::Refused(error) | SubmitError::Store(error)) => match error.class() {
            ErrorKind::Full => "full",
            ErrorKind::UnknownOutcome => "unknown",
            ErrorKind::Closed => "closed",
            _ => panic!("{error:?}"),
        },
    }
}

/// Performs the commits of some numbers and says what becomes of each.
pub fn in_turn(store: &SqlStore, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        say(&format!("{} {number}", perform(store, number)));
    }
}

/// The same in one transaction, for which the writer is kept busy until all are in the queue.
pub fn together(store: &SqlStore, numbers: impl IntoIterator<Item = u64>) {
    let (started, start) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let hold = move |_: &mut dyn SqlTx| {
                started.send(()).unwrap();
                released.recv().unwrap();
                Ok::<_, Error>(Decision::<()>::default())
            };
            store.submit_blocking(hold).unwrap();
        });
        start.recv().unwrap();
        let mut waiting = 0;
        for number in numbers {
            scope.spawn(move || in_turn(store, [number]));
            waiting += 1;
        }
        while store.stats().queue_len < waiting {
            thread::yield_now();
        }
        release.send(()).unwrap();
    });
}

/// Submits a command that refuses after it has written.
pub fn refuse(store: &SqlStore) {
    let outcome = store.submit_blocking(|tx| {
        use_once(tx, "refused").unwrap();
        Err::<Decision<()>, _>("no")
    });
    assert!(matches!(outcome, Err(SubmitError::Refused("no"))), "{outcome:?}");
}

/// Says something in one write, which a trace shows whole.
pub fn say(what: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{SAID}{what}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

/// A law that does not hold, or an error in the way of finding out.
type Law = Result<(), Box<dyn StdError + Send + Sync>>;

fn ensure(holds: bool, law: impl FnOnce() -> String) -> Law {
    if holds { Ok(()) } else { Err(law().into()) }
}

/// Opens the store in `folder` and checks that every commit that was asked for is there whole or
/// not at all, that those acknowledged are there, and that the store goes on.
pub fn check(folder: &Path, acknowledged: &BTreeSet<u64>, asked: &BTreeSet<u64>) -> Law {
    let store = SqlStore::open(folder.join("store.db"), with_totals())?;
    let head = store.head()?;
    let events = log::all_events(&store, Position::ZERO).collect::<Result<Vec<_>, _>>()?;
    check_places(&events, head)?;
    for &number in asked {
        let wanted = commit(number).appends[0].events.len() + 3;
        let there = parts(&store, &events, number)?;
        ensure(there == wanted || there == 0, || {
            format!("{there} parts of commit {number} are there, which has {wanted}")
        })?;
        ensure(there == wanted || !acknowledged.contains(&number), || {
            format!("commit {number} was acknowledged and is not there")
        })?;
    }
    ensure(uses(&store, "refused").is_none(), || "a refusal has written".to_owned())?;
    let differences = store.verify_projections()?;
    ensure(differences.is_empty(), || format!("{differences:?}"))?;
    let next = submit(&store, append("a", vec![amount(1)]))?;
    let expected = Position::new(head.get() + 1);
    let goes_on = matches!(&next, Outcome::Committed { committed, .. } if committed.head == expected);
    ensure(goes_on, || format!("after {head} comes {next:?}"))
}

/// Positions are dense, and so are the revisions of each stream.
fn check_places(events: &[Recorded], head: Position) -> Law {
    let mut revisions = BTreeMap::new();
    for (position, recorded) in (1..).zip(events) {
        let revision = revisions.entry(recorded.event.stream.clone()).or_insert(0);
        *revision += 1;
        let place = (recorded.position.get(), recorded.event.seq.get());
        ensure(place == (position, *revision), || {
            format!("{recorded:?} at {position}, {revision}")
        })?;
    }
    ensure(head.get() == events.len() as u64, || {
        format!("the head is {head} after {} events", events.len())
    })
}

/// How many parts of a commit are there: its events, its value, its receipt and its row.
fn parts(store: &SqlStore, events: &[Recorded], number: u64) -> Result<usize, Box<dyn StdError + Send + Sync>> {
    let name = name(number);
    let its_own = |each: &&Recorded| each.event.data == json!(number);
    let events = events.iter().filter(its_own).count();
    let value = usize::from(store.kv_get(&key(&name))? == Some(value(number)));
    let receipt = store.find_receipt(SCOPE, &name)?;
    let receipt = usize::from(receipt.is_some_and(|receipt| receipt.result == json!(number)));
    let row = usize::from(uses(store, &row(number)) == Some(1));
    Ok(events + value + receipt + row)
}
