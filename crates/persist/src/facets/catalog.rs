//! Which streams there are.

use crate::{Backend, Error, Revision, StreamName};

/// Every stream ever appended to, ordered by name, without the reserved ones.
pub fn streams(backend: &dyn Backend) -> Result<Vec<StreamName>, Error> {
    let mut streams = streams_all(backend)?;
    streams.retain(|stream| !stream.is_reserved());
    Ok(streams)
}

/// Every stream ever appended to, ordered by name, the reserved ones too.
pub fn streams_all(backend: &dyn Backend) -> Result<Vec<StreamName>, Error> {
    Ok(backend
        .stream_revisions()?
        .into_iter()
        .map(|(stream, _)| stream)
        .collect())
}

/// How many streams there are, without the reserved ones.
pub fn stream_count(backend: &dyn Backend) -> Result<usize, Error> {
    Ok(streams(backend)?.len())
}

/// Whether anything was ever appended to a stream.
pub fn stream_exists(backend: &dyn Backend, stream: &StreamName) -> Result<bool, Error> {
    Ok(backend.last_seq(stream)? > Revision::ZERO)
}

/// How many events were ever appended, without those of reserved streams: the sum of the
/// high-water marks, which compaction does not lower.
pub fn total_events(backend: &dyn Backend) -> Result<u64, Error> {
    let revisions = backend.stream_revisions()?;
    Ok(revisions
        .iter()
        .filter(|(stream, _)| !stream.is_reserved())
        .map(|(_, seq)| seq.get())
        .sum())
}
