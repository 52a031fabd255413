//! What the tests share: a projection, and short forms.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // Each test binary uses a part.

pub mod child;
pub mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use persist::{
    Append, Backend, Commit, Committed, Decision, Error, ExpectedRevision, InlineProjection, Key, NewEvent, Options,
    Outcome, Position, Recorded, SqlError, SqlReadExt, SqlStore, SqlTx, StreamName, SubmitError, Table, log, params,
};
use proptest::test_runner::Config as ProptestConfig;
use serde_json::{Value, json};

/// How long a test waits for something that happens at once, before it is taken to be stuck.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Counts and sums what happens in each stream.
///
/// A sum below zero violates its table's constraint, and an event of type `panic` makes it panic.
pub struct Totals;

impl InlineProjection for Totals {
    fn name(&self) -> &'static str {
        "totals"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [Table] {
        &[Table {
            name: "totals",
            ddl: "CREATE TABLE totals (
                      stream TEXT PRIMARY KEY,
                      events BIGINT NOT NULL,
                      total BIGINT NOT NULL CHECK (total >= 0),
                      last_used BIGINT
                  );
                  CREATE INDEX totals_by_total ON totals (total);",
            key: &["stream"],
            side: &["last_used"],
        }]
    }

    fn apply(&self, tx: &mut dyn SqlTx, recorded: &Recorded) -> Result<(), SqlError> {
        assert!(recorded.event.r#type != "panic", "asked to");
        let amount = recorded.event.data.as_i64().unwrap_or(0);
        tx.execute(
            "INSERT INTO totals (stream, events, total) VALUES (?1, 1, ?2)
             ON CONFLICT (stream) DO UPDATE SET events = events + 1, total = total + excluded.total",
            params![recorded.event.stream.as_str(), amount],
        )?;
        Ok(())
    }
}

/// The same fold in the same table, as a newer program might have it.
pub struct NewerTotals;

impl InlineProjection for NewerTotals {
    fn name(&self) -> &'static str {
        Totals.name()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [Table] {
        Totals.tables()
    }

    fn apply(&self, tx: &mut dyn SqlTx, recorded: &Recorded) -> Result<(), SqlError> {
        Totals.apply(tx, recorded)
    }
}

pub fn with_newer_totals() -> Options {
    Options {
        projections: vec![Arc::new(NewerTotals)],
        ..with_totals()
    }
}

pub fn with_totals() -> Options {
    Options {
        projections: vec![Arc::new(Totals)],
        side_tables: &["CREATE TABLE IF NOT EXISTS uses (name TEXT PRIMARY KEY, count BIGINT NOT NULL)"],
        ..Options::default()
    }
}

pub fn open(folder: &Path) -> SqlStore {
    SqlStore::open(folder.join("store.db"), with_totals()).unwrap()
}

pub fn in_memory() -> SqlStore {
    SqlStore::in_memory(with_totals()).unwrap()
}

pub fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub fn amount(amount: i64) -> NewEvent {
    NewEvent::new("amount", 0, json!(amount))
}

pub fn append(name: &str, events: Vec<NewEvent>) -> Commit {
    Append::new(stream(name), ExpectedRevision::Any, events).into()
}

/// Submits a ready commit.
pub fn submit(store: &SqlStore, commit: Commit) -> Result<Outcome<()>, SubmitError<Error>> {
    store.submit_blocking(move |_| Ok(Decision { commit, value: () }))
}

/// Submits a ready commit that nothing stands in the way of.
pub fn committed(store: &SqlStore, commit: Commit) -> Committed {
    match submit(store, commit).unwrap() {
        Outcome::Committed { committed, .. } => committed,
        other => panic!("{other:?}"),
    }
}

/// The rows of the projection's table: stream, events, total.
pub fn totals(store: &SqlStore) -> Vec<(String, i64, i64)> {
    store
        .read(|tx| {
            tx.query_all(
                "SELECT stream, events, total FROM totals ORDER BY stream",
                params![],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
        })
        .map_err(|error: SqlError| error)
        .unwrap()
}

/// How often a side table says that something was used; `None` without a row.
pub fn uses(store: &SqlStore, name: &str) -> Option<i64> {
    store
        .read(|tx| {
            tx.query_opt("SELECT count FROM uses WHERE name = ?1", params![name], |row| {
                row.get(0)
            })
        })
        .map_err(|error: SqlError| error)
        .unwrap()
}

/// Writes a row of the side table, within a command.
pub fn use_once(tx: &mut dyn SqlTx, name: &str) -> Result<(), SqlError> {
    let sql = "INSERT INTO uses (name, count) VALUES (?1, 1) ON CONFLICT (name) DO UPDATE SET count = count + 1";
    tx.execute(sql, params![name]).map(drop)
}

/// The whole log.
pub fn whole(backend: &dyn Backend) -> Vec<Recorded> {
    log::all_events(backend, Position::ZERO)
        .collect::<Result<_, _>>()
        .unwrap()
}

pub fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

pub fn data(recorded: &[Recorded]) -> Vec<Value> {
    recorded.iter().map(|recorded| recorded.event.data.clone()).collect()
}

/// How often a law is tried: few times, or as often as `PROPTEST_CASES` says.
pub fn laws(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.map_or(cases, |cases| cases.parse().expect("PROPTEST_CASES")),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
