//! What an append costs in a long log.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use persist::{Append, Backend, Commit, ExpectedRevision, NewEvent, SqlStore, StreamName};

use tempfile::tempdir_in;

use crate::peers::{TYPE, commit_of, data, open, stream};
use crate::table::{Contestant, Ratio, Section};

/// Every log has so many streams, which grow in turn, as most logs do.
const STREAMS: u64 = 100;
/// How many events a commit holds while a log is filled.
const FILL: u64 = 10_000;
/// How many appends are timed at once: no more, so that a short log stays short.
const TIMED: usize = 1_000;

/// A log of some length, and whose turn it is.
pub struct Log {
    pub store: SqlStore,
    streams: Vec<StreamName>,
    turn: Cell<usize>,
}

impl Log {
    pub fn filled(path: &Path, events: u64) -> Self {
        let store = open(path);
        let streams: Vec<_> = (0..STREAMS).map(|number| stream(&format!("stream-{number}"))).collect();
        let mut left = events;
        while left > 0 {
            let count = left.min(FILL);
            let appends = (0..count)
                .zip(streams.iter().cycle())
                .map(|(_, stream)| one_event(stream));
            let commit = Commit {
                appends: appends.collect(),
                ..Commit::default()
            };
            store.commit(commit).unwrap();
            left -= count;
        }
        store.checkpoint().unwrap();
        Self {
            store,
            streams,
            turn: Cell::new(0),
        }
    }

    /// The next stream.
    pub fn stream(&self) -> &StreamName {
        let turn = self.turn.replace(self.turn.get() + 1);
        &self.streams[turn % self.streams.len()]
    }

    /// The time in µs that so much of all appends stay below.
    fn latency(&self, share: f64) -> f64 {
        let mut took = [0.0; TIMED];
        for took in &mut took {
            let begun = Instant::now();
            self.store.commit(commit_of(self.stream(), 1)).unwrap();
            *took = begun.elapsed().as_secs_f64() * 1e6;
        }
        took.sort_by(f64::total_cmp);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let place = (TIMED as f64 * share) as usize;
        took[place]
    }
}

fn one_event(stream: &StreamName) -> Append {
    let event = NewEvent::new(TYPE, 0, data());
    Append::new(stream.clone(), ExpectedRevision::Any, vec![event])
}

/// A log of this length, for one measure after the other.
#[derive(Clone)]
enum Length {
    /// Short enough to be filled anew for each, which would otherwise lengthen it much.
    Short(PathBuf, u64),
    Long(Rc<Log>),
    Missing(&'static str),
}

impl Length {
    fn contestant(self, name: &str, share: f64) -> Contestant<'static> {
        match self {
            Self::Short(folder, events) => Contestant::new(name, move |_| {
                let folder = tempdir_in(&folder).unwrap();
                Log::filled(&folder.path().join("store.db"), events).latency(share)
            }),
            Self::Long(log) => Contestant::new(name, move |_| log.latency(share)).goal("does not grow"),
            Self::Missing(why) => Contestant::missing(name, why),
        }
    }
}

pub fn sections(folder: &Path, large: bool) -> Vec<Section<'static>> {
    let long = |events: u64| {
        eprintln!("filling a log of {events} events");
        Length::Long(Rc::new(Log::filled(
            &folder.join(format!("growth-{events}.db")),
            events,
        )))
    };
    let lengths = [
        ("10³ events in the log", Length::Short(folder.to_owned(), 1_000)),
        ("10⁵ events in the log", long(100_000)),
        (
            "10⁷ events in the log",
            if large {
                long(10_000_000)
            } else {
                Length::Missing("only with --large")
            },
        ),
    ];
    [("append, p50", 0.5), ("append, p99", 0.99)]
        .map(|(title, share)| Section {
            title,
            unit: "µs",
            ratio: Ratio::ToFirst,
            contestants: lengths
                .iter()
                .map(|(name, length)| length.clone().contestant(name, share))
                .collect(),
        })
        .into()
}
