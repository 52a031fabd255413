//! Choosing among the events of a stream, oldest first.

use serde_json::Value;

use crate::{Backend, Error, Event, Recorded, Revision, StreamName};

/// How many events are held at once while choosing.
const PAGE: usize = 512;

/// The events whose revision is in `from..=to`.
pub fn read_between<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    from: Revision,
    to: Revision,
) -> Result<Vec<Recorded>, Error> {
    let wanted = (to.get() + 1).saturating_sub(from.get().max(1));
    let after = Revision::new(from.get().saturating_sub(1));
    let mut events = backend.read_stream(stream, after, usize::try_from(wanted).unwrap_or(usize::MAX))?;
    // A stream may have lost its beginning, so that the limit reaches beyond `to`.
    events.retain(|recorded| recorded.event.seq <= to);
    Ok(events)
}

/// The events that happened at `at` (Unix milliseconds) or later.
pub fn read_since<B: Backend + ?Sized>(backend: &B, stream: &StreamName, at: i64) -> Result<Vec<Recorded>, Error> {
    select(backend, stream, |event| event.at >= at)
}

/// The events that happened in `from..=to` (Unix milliseconds).
pub fn read_window<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    from: i64,
    to: i64,
) -> Result<Vec<Recorded>, Error> {
    select(backend, stream, |event| (from..=to).contains(&event.at))
}

/// The events of a type.
pub fn read_by_type<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    r#type: &str,
) -> Result<Vec<Recorded>, Error> {
    select(backend, stream, |event| event.r#type == r#type)
}

/// The events whose data fits.
pub fn read_where<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    fits: impl Fn(&Value) -> bool,
) -> Result<Vec<Recorded>, Error> {
    select(backend, stream, |event| fits(&event.data))
}

/// How many events' data fits.
pub fn count_where<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    fits: impl Fn(&Value) -> bool,
) -> Result<u64, Error> {
    let mut count = 0;
    each(backend, stream, |recorded| {
        count += u64::from(fits(&recorded.event.data));
    })?;
    Ok(count)
}

fn select<B: Backend + ?Sized>(
    backend: &B,
    stream: &StreamName,
    fits: impl Fn(&Event) -> bool,
) -> Result<Vec<Recorded>, Error> {
    let mut selected = Vec::new();
    each(backend, stream, |recorded| {
        if fits(&recorded.event) {
            selected.push(recorded);
        }
    })?;
    Ok(selected)
}

fn each<B: Backend + ?Sized>(backend: &B, stream: &StreamName, mut look: impl FnMut(Recorded)) -> Result<(), Error> {
    let mut after = Revision::ZERO;
    loop {
        let page = backend.read_stream(stream, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.event.seq;
        let ended = page.len() < PAGE;
        page.into_iter().for_each(&mut look);
        if ended {
            return Ok(());
        }
    }
}
