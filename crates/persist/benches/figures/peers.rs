//! The store, and bare `rusqlite` writing the same rows to the same kind of file.

use std::path::Path;

use persist::{Append, Commit, ExpectedRevision, NewEvent, Options, SqlStore, StreamName};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

pub const TYPE: &str = "release.published";

pub fn data() -> Value {
    json!({"release": "0193b5f2-6c1e-7d3a-9f00-5a1d2c3b4e5f", "channel": "beta", "from": null, "size": 123_456_789})
}

pub fn commit_of(stream: &StreamName, events: u64) -> Commit {
    let events = (0..events).map(|_| NewEvent::new(TYPE, 0, data())).collect();
    Append::new(stream.clone(), ExpectedRevision::Any, events).into()
}

pub fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub fn open(path: &Path) -> SqlStore {
    SqlStore::open(path, Options::default()).unwrap()
}

/// The same tables without the store: the rows of one transaction, and nothing that decides.
pub struct Bare {
    pub connection: Connection,
    position: i64,
}

impl Bare {
    pub fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .unwrap();
        connection.execute_batch("PRAGMA synchronous = FULL").unwrap();
        connection
            .execute_batch(include_str!("../../src/backends/sqlite/schema.sql"))
            .unwrap();
        connection
            .execute_batch("INSERT INTO persist_head VALUES (1, 'bare', 1, 0, '')")
            .unwrap();
        connection
            .execute_batch("INSERT INTO persist_streams VALUES ('hot', 0)")
            .unwrap();
        Self {
            connection,
            position: 0,
        }
    }

    pub fn write(&mut self, events: u64) {
        let sql = |sql| self.connection.prepare_cached(sql).unwrap();
        sql("BEGIN IMMEDIATE").execute([]).unwrap();
        let mut insert = sql("INSERT INTO persist_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
        for _ in 0..events {
            self.position += 1;
            let (position, meta, body) = (self.position, None::<&str>, data().to_string());
            let row = params![position, "hot", position, TYPE, 0, 0, 1, meta, body];
            insert.execute(row).unwrap();
        }
        sql("UPDATE persist_streams SET last_seq = ?1 WHERE stream = 'hot'")
            .execute([self.position])
            .unwrap();
        sql("UPDATE persist_head SET position = ?1 WHERE id = 1")
            .execute([self.position])
            .unwrap();
        sql("COMMIT").execute([]).unwrap();
    }
}
