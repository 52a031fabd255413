//! Appending to streams and reading them.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Append, Backend, Commit, Conflict, Error, ExpectedRevision, NewEvent, NewReceipt, Outcome, Position, Recorded,
    Revision, StreamName,
};

/// Appends an event.
pub fn append<B: Backend + ?Sized>(backend: &B, stream: &StreamName, event: NewEvent) -> Result<Recorded, Error> {
    unconditional(append_expect(backend, stream, ExpectedRevision::Any, event)?)
}

/// Appends an event if the stream is where it is expected to be.
pub fn append_expect<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    expected: ExpectedRevision,
    event: NewEvent,
) -> Result<Result<Recorded, Conflict>, Error> {
    match append_batch_expect(backend, stream, expected, vec![event])? {
        Ok(events) => only(events).map(Ok),
        Err(conflict) => Ok(Err(conflict)),
    }
}

/// Appends events, all or none, with contiguous revisions. No events are a no-op.
pub fn append_batch<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    events: Vec<NewEvent>,
) -> Result<Vec<Recorded>, Error> {
    unconditional(append_batch_expect(backend, stream, ExpectedRevision::Any, events)?)
}

/// Appends events, all or none, if the stream is where it is expected to be.
pub fn append_batch_expect<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    expected: ExpectedRevision,
    events: Vec<NewEvent>,
) -> Result<Result<Vec<Recorded>, Conflict>, Error> {
    match backend.commit(Append::new(stream.clone(), expected, events).into())? {
        Outcome::Committed { committed, .. } => Ok(Ok(committed.events)),
        Outcome::Conflict(conflict) => Ok(Err(conflict)),
        Outcome::Duplicate(_) => Err(Error::invalid("a commit without a receipt has no duplicate")),
    }
}

/// Appends an event once for an idempotency key, which is the stream's own and permanent.
///
/// The same key again answers with the event that it appended the first time, if type, format and
/// data are the same (`at` and `meta` may differ, since who tries again does so later), and with
/// [`Conflict::Receipt`] otherwise.
pub fn append_once<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    key: &str,
    event: NewEvent,
) -> Result<Result<Recorded, Conflict>, Error> {
    let receipt = NewReceipt {
        scope: receipt_scope(stream),
        key: key.to_owned(),
        request_hash: request_hash(&event)?,
        result: Value::Null,
    };
    let append = Append::new(stream.clone(), ExpectedRevision::Any, vec![event]);
    let commit = Commit {
        receipt: Some(receipt),
        ..append.into()
    };
    match backend.commit(commit)? {
        Outcome::Committed { committed, .. } => only(committed.events).map(Ok),
        Outcome::Conflict(conflict) => Ok(Err(conflict)),
        Outcome::Duplicate(receipt) => {
            let before = Position::new(receipt.position.get().saturating_sub(1));
            only(backend.read_all(before, 1)?).map(Ok)
        }
    }
}

/// Whether [`append_once`] has used the key in that stream.
pub fn seen<B: Backend + ?Sized>(backend: &B, stream: &StreamName, key: &str) -> Result<bool, Error> {
    Ok(backend.find_receipt(&receipt_scope(stream), key)?.is_some())
}

/// All events of a stream, oldest first.
pub fn read<B: Backend + ?Sized>(backend: &B, stream: &StreamName) -> Result<Vec<Recorded>, Error> {
    read_from(backend, stream, Revision::FIRST)
}

/// The events of a stream from a revision on, oldest first.
pub fn read_from<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    from: Revision,
) -> Result<Vec<Recorded>, Error> {
    backend.read_stream(stream, Revision::new(from.get().saturating_sub(1)), usize::MAX)
}

/// The revision last given in a stream; [`Revision::ZERO`] if none ever was.
pub fn last_seq<B: Backend + ?Sized>(backend: &B, stream: &StreamName) -> Result<Revision, Error> {
    backend.last_seq(stream)
}

/// How many events of a stream are there.
pub fn count<B: Backend + ?Sized>(backend: &B, stream: &StreamName) -> Result<u64, Error> {
    backend.count(stream)
}

fn receipt_scope(stream: &StreamName) -> String {
    format!("stream/{stream}")
}

fn request_hash(event: &NewEvent) -> Result<[u8; 32], Error> {
    let request = serde_json::to_vec(&(&event.r#type, event.format, &event.data))
        .map_err(|error| Error::invalid(format!("the event is not JSON: {error}")))?;
    Ok(Sha256::digest(request).into())
}

fn only(events: Vec<Recorded>) -> Result<Recorded, Error> {
    events
        .into_iter()
        .next()
        .ok_or_else(|| Error::invalid("the event is not in the log any more"))
}

fn unconditional<T>(outcome: Result<T, Conflict>) -> Result<T, Error> {
    outcome.map_err(|_| Error::invalid("an unconditional append cannot conflict"))
}
