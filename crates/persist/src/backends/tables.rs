//! The log's own tables, read and written through the SQL seam, so that every SQL backend shares
//! these statements; only the DDL is a dialect's own.

use std::sync::LazyLock;

use serde_json::Value;

use crate::stage::{Staged, State};
use crate::{
    After, Error, Key, Page, Position, RawEvent, Receipt, Revision, Row, SqlError, SqlRead, SqlReadExt, SqlTx,
    StreamName, params,
};

/// The head row: where the store stands, and what its tables are made by.
pub(super) struct Head {
    pub(super) store_id: String,
    pub(super) epoch: u64,
    pub(super) position: Position,
    pub(super) projections: String,
}

pub(super) fn head(tx: &dyn SqlRead) -> Result<Head, SqlError> {
    const SQL: &str = "SELECT store_id, epoch, position, projections FROM persist_head WHERE id = 1";
    tx.query_one(SQL, params![], |row| {
        Ok(Head {
            store_id: row.get(0)?,
            epoch: row.get(1)?,
            position: Position::new(row.get(2)?),
            projections: row.get(3)?,
        })
    })
}

pub(super) fn set_head(tx: &mut dyn SqlTx, position: Position) -> Result<(), SqlError> {
    const SQL: &str = "UPDATE persist_head SET position = ?1 WHERE id = 1";
    tx.execute(SQL, params![integer(position.get())]).map(drop)
}

pub(super) fn page(tx: &dyn SqlRead, after: After<'_>, limit: usize) -> Result<Page, SqlError> {
    const OF_STREAM: &str = "SELECT position, seq, at, recorded_at, format, type, meta, body \
                             FROM persist_events WHERE stream = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    const OF_ALL: &str = "SELECT position, seq, at, recorded_at, format, type, meta, body, stream \
                          FROM persist_events WHERE position > ?1 ORDER BY position LIMIT ?2";
    let mut page = Page::last();
    // One more tells whether there are more.
    let wanted = Page::clamp(limit) as u64 + 1;
    match after {
        After::Revision(stream, seq) => {
            let bound = params![stream.as_str(), integer(seq.get()), integer(wanted)];
            tx.query(OF_STREAM, bound, &mut |row| {
                page.offer(&raw_event(row, stream)?, limit);
                Ok(())
            })?;
        }
        After::Position(position) => {
            let bound = params![integer(position.get()), integer(wanted)];
            // Neighbours are often of one stream, whose name is then made once.
            let mut stream: Option<StreamName> = None;
            tx.query(OF_ALL, bound, &mut |row| {
                let name = row.text(8)?;
                let stream = match stream.take_if(|last| last.as_str() != name) {
                    Some(_) => stream.insert(StreamName::stored(name)),
                    None => stream.get_or_insert_with(|| StreamName::stored(name)),
                };
                page.offer(&raw_event(row, stream)?, limit);
                Ok(())
            })?;
        }
    }
    Ok(page)
}

fn raw_event<'a>(row: &'a Row<'_>, stream: &'a StreamName) -> Result<RawEvent<'a>, SqlError> {
    let optional = |index| {
        if row.is_null(index)? {
            Ok(None)
        } else {
            row.text(index).map(Some)
        }
    };
    Ok(RawEvent {
        position: Position::new(row.get(0)?),
        stream,
        seq: Revision::new(row.get(1)?),
        at: row.get(2)?,
        recorded_at: row.get(3)?,
        format: row.get(4)?,
        r#type: row.text(5)?,
        meta: optional(6)?,
        body: optional(7)?,
    })
}

pub(super) fn last_seq(tx: &dyn SqlRead, stream: &StreamName) -> Result<Option<Revision>, SqlError> {
    const SQL: &str = "SELECT last_seq FROM persist_streams WHERE stream = ?1";
    tx.query_opt(SQL, params![stream.as_str()], |row| row.get(0).map(Revision::new))
}

pub(super) fn count(tx: &dyn SqlRead, stream: &StreamName) -> Result<u64, SqlError> {
    const SQL: &str = "SELECT COUNT(*) FROM persist_events WHERE stream = ?1";
    tx.query_one(SQL, params![stream.as_str()], |row| row.get(0))
}

pub(super) fn stream_revisions(tx: &dyn SqlRead) -> Result<Vec<(StreamName, Revision)>, SqlError> {
    const SQL: &str = "SELECT stream, last_seq FROM persist_streams ORDER BY stream";
    tx.query_all(SQL, params![], |row| {
        Ok((StreamName::stored(row.text(0)?), Revision::new(row.get(1)?)))
    })
}

pub(super) fn kv_get(tx: &dyn SqlRead, key: &Key) -> Result<Option<Value>, SqlError> {
    const SQL: &str = "SELECT value FROM persist_kv WHERE key = ?1";
    tx.query_opt(SQL, params![key.as_str()], |row| json(row.text(0)?))
}

pub(super) fn kv_keys(tx: &dyn SqlRead, prefix: &str) -> Result<Vec<Key>, SqlError> {
    const SQL: &str = "SELECT key FROM persist_kv WHERE key BETWEEN ?1 AND ?2 ORDER BY key";
    // Keys are compared by their bytes: the last key there can be is the last character over and over.
    let end = prefix.to_owned() + &"\u{10ffff}".repeat(Key::MAX_BYTES / 4);
    tx.query_all(SQL, params![prefix, &end], |row| Ok(Key::stored(row.text(0)?)))
}

pub(super) fn receipt(tx: &dyn SqlRead, scope: &str, key: &str) -> Result<Option<Receipt>, SqlError> {
    const SQL: &str = "SELECT request_hash, result, position, created_at FROM persist_receipts \
                       WHERE scope = ?1 AND key = ?2";
    tx.query_opt(SQL, params![scope, key], |row| {
        Ok(Receipt {
            request_hash: row
                .blob(0)?
                .try_into()
                .map_err(|_| SqlError::decode("a request hash has 32 bytes"))?,
            result: json(row.text(1)?)?,
            position: Position::new(row.get(2)?),
            created_at: row.get(3)?,
        })
    })
}

/// Stores what was staged. The head is not part of it: a batch writes that once, at its end.
pub(super) fn store(tx: &mut dyn SqlTx, staged: &Staged) -> Result<(), SqlError> {
    insert_events(tx, staged)?;
    for (stream, tip) in &staged.streams {
        const INSERT: &str = "INSERT INTO persist_streams (last_seq, stream) VALUES (?1, ?2)";
        const UPDATE: &str = "UPDATE persist_streams SET last_seq = ?1 WHERE stream = ?2";
        let Some(after) = tip.after.filter(|_| tip.after != tip.before) else {
            continue;
        };
        let sql = if tip.before.is_none() { INSERT } else { UPDATE };
        tx.execute(sql, params![integer(after.get()), stream.as_str()])?;
    }
    for (key, value) in &staged.kv {
        const PUT: &str = "INSERT INTO persist_kv (key, value) VALUES (?1, ?2) \
                           ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        const DELETE: &str = "DELETE FROM persist_kv WHERE key = ?1";
        match value {
            Some(stored) => tx.execute(PUT, params![key.as_str(), &stored.text])?,
            None => tx.execute(DELETE, params![key.as_str()])?,
        };
    }
    for (stream, through) in &staged.truncations {
        const SQL: &str = "DELETE FROM persist_events WHERE stream = ?1 AND seq <= ?2";
        tx.execute(SQL, params![stream.as_str(), integer(through.get())])?;
    }
    if let Some(new) = &staged.receipt {
        const SQL: &str = "INSERT INTO persist_receipts \
                           (scope, key, request_hash, result, position, created_at) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        tx.execute(
            SQL,
            params![
                &new.scope,
                &new.key,
                new.receipt.request_hash.as_slice(),
                &new.result,
                integer(new.receipt.position.get()),
                new.receipt.created_at,
            ],
        )?;
    }
    Ok(())
}

/// How many events one statement inserts, if there are as many: a statement costs more than a row.
const ROWS: usize = 16;
const COLUMNS: usize = 9;

fn insert_events(tx: &mut dyn SqlTx, staged: &Staged) -> Result<(), SqlError> {
    static ONE: LazyLock<String> = LazyLock::new(|| insert_sql(1));
    static MANY: LazyLock<String> = LazyLock::new(|| insert_sql(ROWS));
    let mut params = Vec::with_capacity(staged.events.len() * COLUMNS);
    for (recorded, text) in staged.events.iter().zip(&staged.texts) {
        params.extend_from_slice(params![
            integer(recorded.position.get()),
            recorded.event.stream.as_str(),
            integer(recorded.event.seq.get()),
            &recorded.event.r#type,
            recorded.event.at,
            recorded.recorded_at,
            recorded.format,
            text.meta.as_deref(),
            &text.body,
        ]);
    }
    let (many, rest) = params.as_chunks::<{ ROWS * COLUMNS }>();
    for rows in many {
        tx.execute(&MANY, rows)?;
    }
    for row in rest.chunks_exact(COLUMNS) {
        tx.execute(&ONE, row)?;
    }
    Ok(())
}

/// The statement that inserts so many events.
fn insert_sql(rows: usize) -> String {
    let params: Vec<_> = (1..=rows * COLUMNS).map(|number| format!("?{number}")).collect();
    let rows: Vec<_> = params.chunks_exact(COLUMNS).map(|row| row.join(", ")).collect();
    let rows = rows.join("), (");
    format!(
        "INSERT INTO persist_events (position, stream, seq, type, at, recorded_at, format, meta, body) VALUES ({rows})"
    )
}

/// What is there, for staging a commit inside a transaction.
pub(super) struct Stored<'tx>(pub(super) &'tx dyn SqlRead);

impl State for Stored<'_> {
    fn last_seq(&self, stream: &StreamName) -> Result<Option<Revision>, Error> {
        Ok(last_seq(self.0, stream)?)
    }

    fn value(&self, key: &Key) -> Result<Option<Value>, Error> {
        Ok(kv_get(self.0, key)?)
    }

    fn receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        Ok(receipt(self.0, scope, key)?)
    }
}

fn json(text: &str) -> Result<Value, SqlError> {
    serde_json::from_str(text).map_err(|error| SqlError::decode(format_args!("not JSON: {error}")))
}

/// Numbers beyond what a column holds are beyond anything that is stored.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
