//! The log's own tables, read and written through the SQL seam, so that every SQL backend shares
//! these statements; only the DDL is a dialect's own.

use serde_json::Value;

use crate::stage::{Staged, State};
use crate::{
    Error, ErrorClass, Event, Position, Receipt, Recorded, Revision, Row, SqlError, SqlRead, SqlReadExt, SqlTx,
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

pub(super) fn read_stream(
    tx: &dyn SqlRead,
    stream: &StreamName,
    after: Revision,
    limit: usize,
) -> Result<Vec<Recorded>, SqlError> {
    const SQL: &str = "SELECT position, stream, seq, type, at, recorded_at, format, meta, body \
                       FROM persist_events WHERE stream = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    tx.query_all(
        SQL,
        params![stream.as_str(), integer(after.get()), limit_of(limit)],
        recorded,
    )
}

pub(super) fn read_all(tx: &dyn SqlRead, after: Position, limit: usize) -> Result<Vec<Recorded>, SqlError> {
    const SQL: &str = "SELECT position, stream, seq, type, at, recorded_at, format, meta, body \
                       FROM persist_events WHERE position > ?1 ORDER BY position LIMIT ?2";
    tx.query_all(SQL, params![integer(after.get()), limit_of(limit)], recorded)
}

fn recorded(row: &Row<'_>) -> Result<Recorded, SqlError> {
    Ok(Recorded {
        position: Position::new(row.get(0)?),
        event: Event {
            stream: StreamName::stored(row.text(1)?),
            seq: Revision::new(row.get(2)?),
            r#type: row.get(3)?,
            at: row.get(4)?,
            data: json_or_null(row, 8)?,
        },
        recorded_at: row.get(5)?,
        format: row.get(6)?,
        meta: json_or_null(row, 7)?,
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

pub(super) fn kv_get(tx: &dyn SqlRead, key: &str) -> Result<Option<Value>, SqlError> {
    const SQL: &str = "SELECT value FROM persist_kv WHERE key = ?1";
    tx.query_opt(SQL, params![key], |row| json(row.text(0)?))
}

pub(super) fn kv_keys(tx: &dyn SqlRead) -> Result<Vec<String>, SqlError> {
    tx.query_all("SELECT key FROM persist_kv ORDER BY key", params![], |row| row.get(0))
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
    for recorded in &staged.events {
        insert_event(tx, recorded)?;
    }
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
        match value {
            Some(value) => tx.execute(PUT, params![key, &text(value)?])?,
            None => tx.execute("DELETE FROM persist_kv WHERE key = ?1", params![key])?,
        };
    }
    if let Some((new, receipt)) = &staged.receipt {
        const SQL: &str = "INSERT INTO persist_receipts \
                           (scope, key, request_hash, result, position, created_at) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        tx.execute(
            SQL,
            params![
                &new.scope,
                &new.key,
                receipt.request_hash.as_slice(),
                &text(&receipt.result)?,
                integer(receipt.position.get()),
                receipt.created_at,
            ],
        )?;
    }
    Ok(())
}

fn insert_event(tx: &mut dyn SqlTx, recorded: &Recorded) -> Result<(), SqlError> {
    const SQL: &str = "INSERT INTO persist_events \
                       (position, stream, seq, type, at, recorded_at, format, meta, body) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let Recorded {
        event,
        position,
        recorded_at,
        format,
        meta,
    } = recorded;
    let meta = if meta.is_null() { None } else { Some(text(meta)?) };
    tx.execute(
        SQL,
        params![
            integer(position.get()),
            event.stream.as_str(),
            integer(event.seq.get()),
            &event.r#type,
            event.at,
            *recorded_at,
            *format,
            meta.as_deref(),
            &text(&event.data)?,
        ],
    )?;
    Ok(())
}

/// What is there, for staging a commit inside a transaction.
pub(super) struct Stored<'tx>(pub(super) &'tx dyn SqlRead);

impl State for Stored<'_> {
    fn last_seq(&self, stream: &StreamName) -> Result<Option<Revision>, Error> {
        Ok(last_seq(self.0, stream)?)
    }

    fn value(&self, key: &str) -> Result<Option<Value>, Error> {
        Ok(kv_get(self.0, key)?)
    }

    fn receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        Ok(receipt(self.0, scope, key)?)
    }
}

/// Straight into a string; a value's `Display` takes a detour through a formatter.
fn text(value: &Value) -> Result<String, SqlError> {
    serde_json::to_string(value)
        .map_err(|error| SqlError::new(ErrorClass::Other, "a value cannot be written").caused_by(error))
}

fn json(text: &str) -> Result<Value, SqlError> {
    serde_json::from_str(text).map_err(|error| SqlError::decode(format_args!("not JSON: {error}")))
}

fn json_or_null(row: &Row<'_>, index: usize) -> Result<Value, SqlError> {
    if row.is_null(index)? {
        Ok(Value::Null)
    } else {
        json(row.text(index)?)
    }
}

/// Numbers beyond what a column holds are beyond anything that is stored.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
