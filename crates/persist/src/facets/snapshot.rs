//! Keeping what was folded, so that the next fold begins there.
//!
//! A snapshot is a saving and nothing more: snapshot and tail give what the whole stream gives. One
//! that does not fit its fold any more is not used, and a newer one takes its place.
//!
//! ```
//! use persist::{MemoryLog, NewEvent, Projection, StreamName, log, snapshot};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), persist::Error> {
//! let store = MemoryLog::default();
//! # let orders = StreamName::new("orders").map_err(persist::InvalidInput::Stream)?;
//! let count = Projection::new("order-count", 1, 0_u64, |count, _| *count += 1);
//! for total in [12, 30] {
//!     log::append(&store, &orders, NewEvent::new("placed", 0, json!(total)))?;
//! }
//! snapshot::checkpoint(&store, &orders, &count)?;
//!
//! log::append(&store, &orders, NewEvent::new("placed", 0, json!(7)))?;
//! let orders = snapshot::replay(&store, &orders, &count)?; // Folds one event.
//! assert_eq!((orders.value, orders.reached.get()), (3, 3));
//! # Ok(())
//! # }
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::log::contradiction;
use crate::{
    Backend, Commit, Error, InvalidInput, Key, KvChange, KvExpected, Outcome, Projected, Projection, Revision,
    StreamName, Truncation, project, typed,
};

/// How often a snapshot is tried to be put while others put theirs.
const MAX_ATTEMPTS: usize = 1000;

/// What a snapshot's key holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    value: Value,
    seq: Revision,
    version: u32,
}

/// The snapshot of a projection of a stream.
///
/// `None` also where there is one that does not fit: of another version, not of the value's type,
/// or of events that the stream does not have.
pub fn load<S: Clone + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<Option<Projected<S>>, Error> {
    let stored = backend.kv_get(&key(stream, projection)?)?;
    fitting(backend, stream, projection, stored.as_ref())
}

/// Keeps what was folded: at most 8 MiB as JSON. If there is a snapshot of later events, that one
/// stays, since what it stands for may have been dropped.
pub fn save<S: Clone + Serialize>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    projected: &Projected<S>,
) -> Result<(), Error> {
    if projected.reached > backend.last_seq(stream)? {
        return Err(contradiction("a snapshot is of events that the stream has"));
    }
    let key = key(stream, projection)?;
    let new = encode(projection, projected)?;
    for _ in 0..MAX_ATTEMPTS {
        let stored = backend.kv_get(&key)?;
        let there = reached(backend, stream, stored.as_ref())?;
        if there > Some(projected.reached) || swap(backend, &key, stored, new.clone(), Vec::new())? {
            return Ok(());
        }
    }
    Err(Error::Busy)
}

/// Whether there is a snapshot that [`load`] gives.
pub fn exists<S: Clone + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<bool, Error> {
    Ok(load(backend, stream, projection)?.is_some())
}

/// Folds a stream, from the snapshot on if there is one: what [`project`](project::project) gives,
/// and also where the events that the snapshot stands for were dropped.
pub fn replay<S: Clone + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<Projected<S>, Error> {
    let (_, projected) = replay_stored(backend, stream, projection, &key(stream, projection)?)?;
    Ok(projected)
}

/// [`replay`]s, and keeps the result as the snapshot.
pub fn checkpoint<S: Clone + Serialize + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<Projected<S>, Error> {
    checkpoint_and_truncate(backend, stream, projection, |_| Ok(Vec::new()))
}

/// Removes the snapshot of a projection that is not used any more, so that it holds back no
/// [compaction](crate::compaction): any projection of that name will do. What the snapshot alone
/// stands for is lost.
pub fn forget<S: Clone>(backend: &dyn Backend, stream: &StreamName, projection: &Projection<S>) -> Result<(), Error> {
    let key = key(stream, projection)?;
    backend.commit(KvChange::Delete { key }.into()).map(drop)
}

/// [`checkpoint`]s, and drops in the same commit what `truncations` says for the revision that the
/// new snapshot is of.
pub(super) fn checkpoint_and_truncate<S: Clone + Serialize + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    truncations: impl Fn(Revision) -> Result<Vec<Truncation>, Error>,
) -> Result<Projected<S>, Error> {
    let key = key(stream, projection)?;
    for _ in 0..MAX_ATTEMPTS {
        // What was folded here is at least as far as what was stored before: to put it where
        // nobody has put another one since never moves a snapshot back.
        let (stored, projected) = replay_stored(backend, stream, projection, &key)?;
        let new = encode(projection, &projected)?;
        if swap(backend, &key, stored, new, truncations(projected.reached)?)? {
            return Ok(projected);
        }
    }
    Err(Error::Busy)
}

/// The smallest revision that a snapshot of the stream is of, but for that of `projection`; zero
/// if it cannot be told of one.
pub(super) fn smallest_of_others<S: Clone>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<Option<Revision>, Error> {
    let own = key(stream, projection)?;
    let mut smallest = None;
    for key in backend.kv_keys(&prefix(stream))?.into_iter().filter(|key| *key != own) {
        if let Some(stored) = backend.kv_get(&key)? {
            let other = reached(backend, stream, Some(&stored))?.unwrap_or_default();
            smallest = Some(smallest.map_or(other, |smallest: Revision| smallest.min(other)));
        }
    }
    Ok(smallest)
}

/// Folds from the snapshot on; also gives what the snapshot's key held.
fn replay_stored<S: Clone + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    key: &Key,
) -> Result<(Option<Value>, Projected<S>), Error> {
    let mut tried = None;
    loop {
        let stored = backend.kv_get(key)?;
        let from = fitting(backend, stream, projection, stored.as_ref())?.unwrap_or_else(|| projection.seed());
        let began = Some(from.reached);
        match project::resume(backend, stream, projection, from) {
            // Somebody may have compacted the stream just now, with a snapshot that is further.
            Err(Error::Compacted { .. }) if began > tried => tried = began,
            result => return Ok((stored, result?)),
        }
    }
}

/// A stream's name may hold any character, so its length tells where it ends.
fn prefix(stream: &StreamName) -> String {
    format!("$snapshot/{}/{stream}/", stream.as_str().len())
}

fn key<S: Clone>(stream: &StreamName, projection: &Projection<S>) -> Result<Key, InvalidInput> {
    Key::below(prefix(stream) + projection.name()).map_err(InvalidInput::Key)
}

fn encode<S: Clone + Serialize>(projection: &Projection<S>, projected: &Projected<S>) -> Result<Value, Error> {
    typed::value(&Stored {
        value: typed::value(&projected.value)?,
        seq: projected.reached,
        version: projection.version(),
    })
}

/// What a key holds, if that can be a snapshot of the stream.
fn decode(backend: &dyn Backend, stream: &StreamName, stored: Option<&Value>) -> Result<Option<Stored>, Error> {
    match stored.and_then(|stored| Stored::deserialize(stored).ok()) {
        // Asked for last: whoever put the snapshot had seen those events.
        Some(stored) if stored.seq <= backend.last_seq(stream)? => Ok(Some(stored)),
        _ => Ok(None),
    }
}

/// How far the snapshot that a key holds is, of whichever version.
fn reached(backend: &dyn Backend, stream: &StreamName, stored: Option<&Value>) -> Result<Option<Revision>, Error> {
    Ok(decode(backend, stream, stored)?.map(|stored| stored.seq))
}

/// The snapshot that a key holds, if it fits the projection.
fn fitting<S: Clone + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    stored: Option<&Value>,
) -> Result<Option<Projected<S>>, Error> {
    let stored = decode(backend, stream, stored)?.filter(|stored| stored.version == projection.version());
    Ok(stored.and_then(|stored| {
        let value = S::deserialize(stored.value).ok()?;
        let reached = stored.seq;
        Some(Projected { value, reached })
    }))
}

/// Puts a snapshot, and truncates, if the key still holds what it held.
fn swap(
    backend: &dyn Backend,
    key: &Key,
    stored: Option<Value>,
    new: Value,
    truncations: Vec<Truncation>,
) -> Result<bool, Error> {
    if truncations.is_empty() && stored.as_ref() == Some(&new) {
        return Ok(true);
    }
    let put = KvChange::Put {
        key: key.clone(),
        value: new,
        expected: stored.map_or(KvExpected::Absent, KvExpected::Value),
    };
    let commit = Commit {
        truncations,
        ..put.into()
    };
    Ok(matches!(backend.commit(commit)?, Outcome::Committed { .. }))
}
