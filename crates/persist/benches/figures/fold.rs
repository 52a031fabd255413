//! Folding a whole log of interleaved streams.

use std::path::Path;
use std::rc::Rc;

use persist::{Projection, project};
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

use crate::growth::Log;
use crate::machine::rate;
use crate::reads::{SELECT, columns};
use crate::table::{Contestant, Ratio, Section};

const EVENTS: u64 = 100_000;

/// The events of the log as a program would declare them.
#[derive(Deserialize)]
#[allow(
    dead_code,
    reason = "what a program reads of an event is its own affair; all of it is parsed"
)]
enum Release {
    #[serde(rename = "release.published")]
    Published {
        release: String,
        channel: String,
        from: Option<String>,
        size: u64,
    },
}

pub fn section(folder: &Path) -> Section<'static> {
    let path = folder.join("fold.db");
    let log = Rc::new(Log::filled(&path, EVENTS));
    let bare = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let untyped = Projection::new("size", 1, 0_u64, |sum, recorded| {
        *sum += recorded.event.data["size"].as_u64().unwrap();
    });
    let typed = Projection::typed("size", 1, 0_u64, |sum, Release::Published { size, .. }| *sum += size);
    Section {
        title: "fold, 10⁵ events of 100 streams",
        unit: "events/s",
        ratio: Ratio::OfFirst,
        contestants: vec![
            fold("persist, untyped", Rc::clone(&log), untyped).goal("≥ 380,000/s"),
            fold("persist, typed", log, typed).goal("≥ 700,000/s"),
            Contestant::new("bare rusqlite, untyped", move |time| {
                rate(time, EVENTS, || bare_fold(&bare))
            }),
        ],
    }
}

fn fold(name: &str, log: Rc<Log>, projection: Projection<u64>) -> Contestant<'static> {
    Contestant::new(name, move |time| {
        rate(time, EVENTS, || {
            let folded = project::all(&log.store, &projection).unwrap();
            assert_eq!(folded.reached.get(), EVENTS);
        })
    })
}

fn bare_fold(connection: &Connection) {
    let sql = format!("{SELECT} ORDER BY position");
    let mut statement = connection.prepare_cached(&sql).unwrap();
    let sizes = statement
        .query_map([], columns)
        .unwrap()
        .map(|row| row.unwrap().8["size"].as_u64().unwrap());
    assert_eq!(sizes.sum::<u64>(), EVENTS * 123_456_789);
}
