//! Choosing among the events of a stream, oldest first.

use serde_json::Value;

use super::log;
use crate::{After, Backend, Error, RawEvent, Recorded, Revision, StreamName, page};

/// The events whose revision is in `from..=to`.
pub fn read_between(
    backend: &dyn Backend,
    stream: &StreamName,
    from: Revision,
    to: Revision,
) -> Result<Vec<Recorded>, Error> {
    let mut selected = Vec::new();
    page::scan(backend, After::Revision(stream, from.previous()), |event| {
        let within = event.seq <= to;
        if within {
            selected.push(event.to_recorded()?);
        }
        Ok(within)
    })?;
    Ok(selected)
}

/// The events that happened at `at` (Unix milliseconds) or later.
pub fn read_since(backend: &dyn Backend, stream: &StreamName, at: i64) -> Result<Vec<Recorded>, Error> {
    select(backend, stream, |event| event.at >= at)
}

/// The events that happened in `from..=to` (Unix milliseconds).
pub fn read_window(backend: &dyn Backend, stream: &StreamName, from: i64, to: i64) -> Result<Vec<Recorded>, Error> {
    select(backend, stream, |event| (from..=to).contains(&event.at))
}

/// The events of a type.
pub fn read_by_type(backend: &dyn Backend, stream: &StreamName, r#type: &str) -> Result<Vec<Recorded>, Error> {
    select(backend, stream, |event| event.r#type == r#type)
}

/// The events whose data fits.
pub fn read_where(
    backend: &dyn Backend,
    stream: &StreamName,
    fits: impl Fn(&Value) -> bool,
) -> Result<Vec<Recorded>, Error> {
    let events = log::events(backend, stream, Revision::ZERO);
    events
        .filter(|event| event.as_ref().map_or(true, |event| fits(&event.event.data)))
        .collect()
}

/// How many events' data fits.
pub fn count_where(backend: &dyn Backend, stream: &StreamName, fits: impl Fn(&Value) -> bool) -> Result<u64, Error> {
    let mut count = 0;
    for recorded in log::events(backend, stream, Revision::ZERO) {
        count += u64::from(fits(&recorded?.event.data));
    }
    Ok(count)
}

/// Only what is selected is parsed.
fn select(
    backend: &dyn Backend,
    stream: &StreamName,
    fits: impl Fn(&RawEvent<'_>) -> bool,
) -> Result<Vec<Recorded>, Error> {
    let mut selected = Vec::new();
    page::scan(backend, After::Revision(stream, Revision::ZERO), |event| {
        if fits(event) {
            selected.push(event.to_recorded()?);
        }
        Ok(true)
    })?;
    Ok(selected)
}
