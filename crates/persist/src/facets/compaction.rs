//! Dropping the events that a snapshot stands for.
//!
//! What is dropped is gone: of the stream's folds, only those with a snapshot go on. So a compaction
//! drops no event that the snapshot of another projection does not stand for as well; a projection
//! that has no snapshot, or whose [version](crate::Projection::version) changes later, is
//! [`Error::Compacted`] from then on.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::log::refuse_reserved;
use crate::{Backend, Error, Projected, Projection, Revision, StreamName, Truncation, snapshot};

/// How many events came to a stream since the snapshot.
pub fn uncompacted<S: Clone + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<u64, Error> {
    let snapshot = snapshot::load(backend, stream, projection)?;
    let reached = snapshot.map_or(Revision::ZERO, |snapshot| snapshot.reached);
    Ok(backend.last_seq(stream)?.get() - reached.get())
}

/// Whether `threshold` events or more came to a stream since the snapshot.
pub fn should_compact<S: Clone + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    threshold: u64,
) -> Result<bool, Error> {
    Ok(uncompacted(backend, stream, projection)? >= threshold)
}

/// Folds a stream, keeps the result as the snapshot, and drops the events that every snapshot of
/// the stream stands for, all in one commit.
///
/// A stream that feeds an [`InlineProjection`](crate::InlineProjection) keeps its events:
/// [`InvalidInput::FeedsProjection`](crate::InvalidInput::FeedsProjection), and there is no
/// snapshot either.
pub fn compact<S: Clone + Serialize + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<Projected<S>, Error> {
    refuse_reserved(stream)?;
    snapshot::checkpoint_and_truncate(backend, stream, projection, |reached| {
        // Snapshots only move forward: what is read here may be surpassed, and never is too much.
        let others = snapshot::smallest_of_others(backend, stream, projection)?;
        Ok(vec![Truncation {
            stream: stream.clone(),
            through: others.map_or(reached, |others| others.min(reached)),
        }])
    })
}

/// [`compact`]s if `threshold` events or more came since the snapshot; tells whether it did.
pub fn maybe_compact<S: Clone + Serialize + DeserializeOwned>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    threshold: u64,
) -> Result<bool, Error> {
    let should = should_compact(backend, stream, projection, threshold)?;
    if should {
        compact(backend, stream, projection)?;
    }
    Ok(should)
}
