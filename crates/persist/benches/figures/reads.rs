//! Pages of one stream and of everything, out of the middle of a log of interleaved streams.

use std::hint::black_box;
use std::path::Path;
use std::rc::Rc;

use persist::{After, Backend, Position, Revision};
use rusqlite::{Connection, OpenFlags, Row, ToSql};
use serde_json::Value;

use crate::growth::Log;
use crate::machine::rate;
use crate::table::{Contestant, Ratio, Section};

const EVENTS: u64 = 100_000;
const PAGE: u32 = 100;
/// The middle of each of the hundred streams, and of the log.
const REVISION: u32 = 450;
const POSITION: u32 = 50_000;

pub fn sections(folder: &Path) -> Vec<Section<'static>> {
    let path = folder.join("reads.db");
    let log = Rc::new(Log::filled(&path, EVENTS));
    let bare = Rc::new(Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap());
    let section = |title, contestants| Section {
        title,
        unit: "pages/s",
        ratio: Ratio::OfFirst,
        contestants,
    };
    let (ours, theirs, same) = (Rc::clone(&log), Rc::clone(&bare), Rc::clone(&log));
    let stream = vec![
        Contestant::new("persist", move |time| {
            rate(time, 1, || {
                let after = Revision::new(REVISION.into());
                let page = ours
                    .store
                    .page(After::Revision(ours.stream(), after), PAGE as usize)
                    .unwrap();
                let page = page.recorded().unwrap();
                assert_eq!(black_box(page).len(), PAGE as usize);
            })
        }),
        Contestant::new("bare rusqlite", move |time| {
            let sql = format!("{SELECT} WHERE stream = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
            rate(time, 1, || {
                bare_page(&theirs, &sql, &[&same.stream().as_str(), &REVISION, &PAGE]);
            })
        }),
    ];
    let everything = vec![
        Contestant::new("persist", move |time| {
            rate(time, 1, || {
                let after = After::Position(Position::new(POSITION.into()));
                let page = log.store.page(after, PAGE as usize).unwrap().recorded().unwrap();
                assert_eq!(black_box(page).len(), PAGE as usize);
            })
        }),
        Contestant::new("bare rusqlite", move |time| {
            let sql = format!("{SELECT} WHERE position > ?1 ORDER BY position LIMIT ?2");
            rate(time, 1, || bare_page(&bare, &sql, &[&POSITION, &PAGE]))
        }),
    ];
    vec![
        section("read, 100 events of one stream of 100", stream),
        section("read, 100 events of everything", everything),
    ]
}

/// All columns of an event.
pub const SELECT: &str = "SELECT position, stream, seq, type, at, recorded_at, format, meta, body FROM persist_events";
/// The same as plain types.
type Columns = (i64, String, i64, String, i64, i64, i64, Option<Value>, Value);

fn bare_page(connection: &Connection, sql: &str, params: &[&dyn ToSql]) {
    let mut statement = connection.prepare_cached(sql).unwrap();
    let rows = statement.query_map(params, columns).unwrap();
    let page: Vec<Columns> = rows.collect::<Result<_, _>>().unwrap();
    assert_eq!(black_box(page).len(), PAGE as usize);
}

pub fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let json = |text: &str| serde_json::from_str(text).unwrap();
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get_ref(7)?.as_str_or_null()?.map(json),
        json(row.get_ref(8)?.as_str()?),
    ))
}
