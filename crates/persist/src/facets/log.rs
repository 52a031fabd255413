//! Appending to streams and reading them.

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    After, Append, Attempt, Backend, Commit, Conflict, Error, Event, Events, ExpectedRevision, InvalidInput, NewEvent,
    NewReceipt, Outcome, Position, Receipt, ReceiptResult, Recorded, Revision, SqlError, StreamName, Truncation,
};

/// Appends an event.
pub fn append(backend: &dyn Backend, stream: &StreamName, event: NewEvent) -> Result<Recorded, Error> {
    unconditional(append_expect(backend, stream, ExpectedRevision::Any, event)?)
}

/// Appends an event if the stream is where it is expected to be.
pub fn append_expect(
    backend: &dyn Backend,
    stream: &StreamName,
    expected: ExpectedRevision,
    event: NewEvent,
) -> Result<Attempt<Recorded>, Error> {
    match append_batch_expect(backend, stream, expected, vec![event])? {
        Attempt::Committed(events) => only(events).map(Attempt::Committed),
        Attempt::Duplicate(events) => only(events).map(Attempt::Duplicate),
        Attempt::Conflict(conflict) => Ok(Attempt::Conflict(conflict)),
    }
}

/// Appends events, all or none, with contiguous revisions. No events are a no-op.
pub fn append_batch(backend: &dyn Backend, stream: &StreamName, events: Vec<NewEvent>) -> Result<Vec<Recorded>, Error> {
    unconditional(append_batch_expect(backend, stream, ExpectedRevision::Any, events)?)
}

/// Appends events, all or none, if the stream is where it is expected to be.
pub fn append_batch_expect(
    backend: &dyn Backend,
    stream: &StreamName,
    expected: ExpectedRevision,
    events: Vec<NewEvent>,
) -> Result<Attempt<Vec<Recorded>>, Error> {
    refuse_reserved(stream)?;
    match backend.commit(Append::new(stream.clone(), expected, events).into())? {
        Outcome::Committed { committed, .. } => Ok(Attempt::Committed(committed.events)),
        Outcome::Conflict(conflict) => Ok(Attempt::Conflict(conflict)),
        Outcome::Duplicate(_) => Err(contradiction("a commit without a receipt has no duplicate")),
    }
}

/// Appends an event once for an idempotency key, which is the stream's own and permanent.
///
/// The same key again is a [`Attempt::Duplicate`] with the event that it appended the first time,
/// compacted since or not, if type, format and data are the same (`at` and `meta` may differ, since
/// who tries again does so later), and a [`Conflict::Receipt`] otherwise.
pub fn append_once(
    backend: &dyn Backend,
    stream: &StreamName,
    key: &str,
    event: NewEvent,
) -> Result<Attempt<Recorded>, Error> {
    refuse_reserved(stream)?;
    let receipt = NewReceipt {
        scope: receipt_scope(stream),
        key: key.to_owned(),
        request_hash: request_hash(&event)?,
        result: ReceiptResult::FirstEvent,
    };
    let append = Append::new(stream.clone(), ExpectedRevision::Any, vec![event.clone()]);
    let commit = Commit {
        receipt: Some(receipt),
        ..append.into()
    };
    match backend.commit(commit)? {
        Outcome::Committed { committed, .. } => only(committed.events).map(Attempt::Committed),
        Outcome::Conflict(conflict) => Ok(Attempt::Conflict(conflict)),
        Outcome::Duplicate(receipt) => first_event(stream, event, receipt).map(Attempt::Duplicate),
    }
}

/// Whether [`append_once`] has used the key in that stream.
pub fn seen(backend: &dyn Backend, stream: &StreamName, key: &str) -> Result<bool, Error> {
    Ok(backend.find_receipt(&receipt_scope(stream), key)?.is_some())
}

/// All events of a stream, oldest first. [`events`] reads long streams page by page.
pub fn read(backend: &dyn Backend, stream: &StreamName) -> Result<Vec<Recorded>, Error> {
    events(backend, stream, Revision::ZERO).collect()
}

/// The events of a stream from a revision on, oldest first.
pub fn read_from(backend: &dyn Backend, stream: &StreamName, from: Revision) -> Result<Vec<Recorded>, Error> {
    events(backend, stream, from.previous()).collect()
}

/// The events of a stream after a revision, oldest first, read page by page.
pub fn events<'a>(backend: &'a dyn Backend, stream: &'a StreamName, after: Revision) -> Events<'a> {
    Events::new(backend, After::Revision(stream, after))
}

/// The events of all streams after a position, in the order of their commits, read page by page.
pub fn all_events(backend: &dyn Backend, after: Position) -> Events<'_> {
    Events::new(backend, After::Position(after))
}

/// The revision last given in a stream; [`Revision::ZERO`] if none ever was.
pub fn last_seq(backend: &dyn Backend, stream: &StreamName) -> Result<Revision, Error> {
    backend.last_seq(stream)
}

/// How many events of a stream are there.
pub fn count(backend: &dyn Backend, stream: &StreamName) -> Result<u64, Error> {
    backend.count(stream)
}

/// Drops the events of a stream up to and with a revision. The stream's next event gets the same
/// revision as without. Folds need every event: [`compact`](crate::compaction::compact) drops
/// only what a snapshot stands for.
pub fn truncate(backend: &dyn Backend, stream: &StreamName, through: Revision) -> Result<(), Error> {
    refuse_reserved(stream)?;
    let truncation = Truncation {
        stream: stream.clone(),
        through,
    };
    let commit = Commit {
        truncations: vec![truncation],
        ..Commit::default()
    };
    backend.commit(commit).map(drop)
}

pub(super) fn refuse_reserved(stream: &StreamName) -> Result<(), Error> {
    if stream.is_reserved() {
        return Err(InvalidInput::ReservedStream(stream.clone()).into());
    }
    Ok(())
}

pub(super) fn contradiction(why: &'static str) -> Error {
    InvalidInput::Contradiction(why).into()
}

fn receipt_scope(stream: &StreamName) -> String {
    format!("stream/{stream}")
}

fn request_hash(event: &NewEvent) -> Result<[u8; 32], Error> {
    let request = serde_json::to_vec(&(&event.r#type, event.format, &event.data))
        .map_err(|error| InvalidInput::NotJson(error.to_string()))?;
    Ok(Sha256::digest(request).into())
}

/// What [`ReceiptResult::FirstEvent`] keeps of the event.
#[derive(Deserialize)]
struct FirstEvent {
    seq: Revision,
    at: i64,
    meta: Value,
}

/// The event of the first request: what the receipt keeps, and what the two requests share.
fn first_event(stream: &StreamName, request: NewEvent, receipt: Receipt) -> Result<Recorded, Error> {
    let FirstEvent { seq, at, meta } = serde_json::from_value(receipt.result)
        .map_err(|error| SqlError::decode(format_args!("a receipt in {stream} names no event: {error}")))?;
    Ok(Recorded {
        event: Event {
            stream: stream.clone(),
            seq,
            r#type: request.r#type,
            at,
            data: request.data,
        },
        position: receipt.position,
        recorded_at: receipt.created_at,
        format: request.format,
        meta,
    })
}

fn only(events: Vec<Recorded>) -> Result<Recorded, Error> {
    let event = events.into_iter().next();
    event.ok_or_else(|| contradiction("one event was appended and none came back"))
}

pub(super) fn unconditional<T>(attempt: Attempt<T>) -> Result<T, Error> {
    let result: Result<T, Conflict> = attempt.into_result();
    result.map_err(|_| contradiction("a write that expects nothing cannot conflict"))
}
