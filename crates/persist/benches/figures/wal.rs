//! How long the write-ahead log becomes while a reader hangs.

use std::path::Path;

use persist::{After, Backend, Position};
use tempfile::tempdir_in;

use crate::peers::{Bare, commit_of, open, stream};
use crate::table::{Contestant, Ratio, Section};

const EVENTS: u64 = 100_000;
const BATCH: u64 = 100;

pub fn section(folder: &Path) -> Section<'static> {
    let below = || folder.to_owned();
    let (alone, hanging, bare, open_statement) = (below(), below(), below(), below());
    Section {
        title: "WAL at its largest, over 10⁵ events",
        unit: "MiB",
        ratio: Ratio::ToFirst,
        contestants: vec![
            Contestant::new("persist", move |_| persist(&alone, false)),
            Contestant::new("persist, a reader hangs between pages", move |_| {
                persist(&hanging, true)
            })
            .goal("bounded"),
            Contestant::new("bare rusqlite", move |_| bare_rusqlite(&bare, false)),
            Contestant::new("bare rusqlite, a reader hangs in a statement", move |_| {
                bare_rusqlite(&open_statement, true)
            }),
        ],
    }
}

fn persist(folder: &Path, reader: bool) -> f64 {
    let folder = tempdir_in(folder).unwrap();
    let store = open(&folder.path().join("store.db"));
    let stream = stream("hot");
    let mut page = None;
    largest(&folder.path().join("store.db-wal"), |written| {
        store.commit(commit_of(&stream, BATCH)).unwrap();
        if reader && written == EVENTS / 10 {
            // The first page of many is read, and the next one never.
            page = Some(store.page(After::Position(Position::ZERO), 100).unwrap());
        }
    })
}

fn bare_rusqlite(folder: &Path, reader: bool) -> f64 {
    let folder = tempdir_in(folder).unwrap();
    let path = folder.path().join("bare.db");
    let mut bare = Bare::open(&path);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let mut statement = connection
        .prepare("SELECT body FROM persist_events ORDER BY position")
        .unwrap();
    let mut rows = None;
    let mut statement = Some(&mut statement);
    largest(&folder.path().join("bare.db-wal"), |written| {
        bare.write(BATCH);
        if reader && written == EVENTS / 10 {
            // One row is read, and the next one never.
            rows = statement.take().map(|statement| statement.query([]).unwrap());
            rows.as_mut().unwrap().next().unwrap();
        }
    })
}

/// Writes all events, and answers with the largest size of the log in MiB.
fn largest(wal: &Path, mut write: impl FnMut(u64)) -> f64 {
    let mut largest = 0;
    for batch in 0..EVENTS / BATCH {
        write(batch * BATCH);
        largest = largest.max(wal.metadata().map_or(0, |wal| wal.len()));
    }
    largest as f64 / f64::from(1 << 20)
}
