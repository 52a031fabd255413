//! One order over events of many streams: the timeline [`StreamName::global`], for those events
//! that ask for a place in it.
//!
//! The store-wide order of *all* events needs no asking: see [`log::all_events`](crate::log::all_events)
//! and [`project::all`](crate::project::all).
//!
//! ```
//! use persist::{MemoryLog, NewEvent, StreamName, global};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryLog::default();
//! let (orders, users) = (StreamName::new("orders")?, StreamName::new("users")?);
//! global::append(&store, &users, NewEvent::new("joined", 0, json!("ann")))?;
//! global::append(&store, &orders, NewEvent::new("placed", 0, json!({"by": "ann"})))?;
//!
//! let happened: Vec<String> = global::read(&store)?.into_iter().map(|event| event.event.r#type).collect();
//! assert_eq!(happened, ["joined", "placed"]);
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;

use serde::Deserialize;

use super::log::{contradiction, refuse_reserved};
use crate::page::PAGE;
use crate::{
    After, Append, Backend, Error, ExpectedRevision, NewEvent, Outcome, Page, Projected, Projection, RawEvent,
    Recorded, Revision, StreamName, page,
};

/// A place in the timeline, and the event that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The place, from 1.
    pub place: Revision,
    /// The event's stream.
    pub stream: StreamName,
    /// The event's place there.
    pub seq: Revision,
}

/// The events of the timeline itself.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Pointer {
        #[serde(deserialize_with = "StreamName::deserialize_below")]
        stream: StreamName,
        seq: Revision,
    },
}

/// Appends an event, and gives it the next place in the timeline.
pub fn append(backend: &dyn Backend, stream: &StreamName, event: NewEvent) -> Result<Recorded, Error> {
    refuse_reserved(stream)?;
    let append = Append {
        global: true,
        ..Append::new(stream.clone(), ExpectedRevision::Any, vec![event])
    };
    match backend.commit(append.into())? {
        // The event stands before its pointer.
        Outcome::Committed { committed, .. } => committed.events.into_iter().next(),
        Outcome::Conflict(_) | Outcome::Duplicate(_) => None,
    }
    .ok_or_else(|| contradiction("one event was appended and none came back"))
}

/// The place last given in the timeline; [`Revision::ZERO`] if none ever was.
pub fn position(backend: &dyn Backend) -> Result<Revision, Error> {
    backend.last_seq(&StreamName::global())
}

/// The places from one on, in order.
pub fn pointers_from(backend: &dyn Backend, from: Revision) -> Result<Vec<Pointer>, Error> {
    let mut pointers = Vec::new();
    page::scan(
        backend,
        After::Revision(&StreamName::global(), from.previous()),
        |event| {
            pointers.push(pointer(event)?);
            Ok(true)
        },
    )?;
    Ok(pointers)
}

/// The events of the timeline in order, without those that were compacted away.
pub fn read(backend: &dyn Backend) -> Result<Vec<Recorded>, Error> {
    let mut events = Vec::new();
    each(backend, |_, event| {
        events.extend(event.map(RawEvent::to_recorded).transpose()?);
        Ok(())
    })?;
    Ok(events)
}

/// Folds the events of the timeline in order. `reached` is the place of the last one.
///
/// As in all folds, no event may be missing: if one was compacted away it is [`Error::Compacted`].
pub fn project<S: Clone>(backend: &dyn Backend, projection: &Projection<S>) -> Result<Projected<S>, Error> {
    let mut projected: Projected<S> = projection.seed();
    let last = position(backend)?;
    each(backend, |pointer, event| {
        if pointer.place != projected.reached.next() {
            return Err(compacted(StreamName::global(), pointer.place));
        }
        let Some(event) = event else {
            let available = first_after(backend, &pointer.stream, pointer.seq)?;
            return Err(compacted(pointer.stream.clone(), available));
        };
        projection.apply(&mut projected.value, event)?;
        projected.reached = pointer.place;
        Ok(())
    })?;
    if projected.reached < last {
        return Err(compacted(StreamName::global(), last.next()));
    }
    Ok(projected)
}

/// Shows every place in order, with its event if that is still there.
fn each(
    backend: &dyn Backend,
    mut show: impl FnMut(&Pointer, Option<&RawEvent<'_>>) -> Result<(), Error>,
) -> Result<(), Error> {
    let timeline = StreamName::global();
    let mut after = Revision::ZERO;
    loop {
        let page = backend.page(After::Revision(&timeline, after), PAGE)?;
        let pointers: Vec<Pointer> = page.iter().map(|event| pointer(&event)).collect::<Result<_, _>>()?;
        let pages = fetch(backend, &pointers)?;
        let events: HashMap<(&StreamName, Revision), RawEvent<'_>> = pages
            .iter()
            .flat_map(Page::iter)
            .map(|event| ((event.stream, event.seq), event))
            .collect();
        for pointer in &pointers {
            show(pointer, events.get(&(&pointer.stream, pointer.seq)))?;
        }
        match pointers.last() {
            Some(last) if !page.is_last() => after = last.place,
            _ => return Ok(()),
        }
    }
}

/// Pages with the events that some places are of, read in runs of consecutive events.
fn fetch(backend: &dyn Backend, pointers: &[Pointer]) -> Result<Vec<Page>, Error> {
    let mut sorted: Vec<&Pointer> = pointers.iter().collect();
    sorted.sort_unstable_by_key(|pointer| (&pointer.stream, pointer.seq));
    let mut pages = Vec::new();
    for run in sorted.chunk_by(|one, next| one.stream == next.stream && one.seq.next() == next.seq) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let mut after = first.seq.previous();
        while after < last.seq {
            let missing = usize::try_from(last.seq.get() - after.get()).unwrap_or(PAGE);
            let page = backend.page(After::Revision(&first.stream, after), missing)?;
            after = match page.iter().next_back() {
                Some(event) if !page.is_last() => event.seq,
                _ => last.seq,
            };
            pages.push(page);
        }
    }
    Ok(pages)
}

fn pointer(event: &RawEvent<'_>) -> Result<Pointer, Error> {
    let Entry::Pointer { stream, seq } = event.decode()?;
    let place = event.seq;
    Ok(Pointer { place, stream, seq })
}

/// The first revision after one that was dropped.
fn first_after(backend: &dyn Backend, stream: &StreamName, dropped: Revision) -> Result<Revision, Error> {
    let page = backend.page(After::Revision(stream, dropped), 1)?;
    match page.iter().next() {
        Some(event) => Ok(event.seq),
        None => Ok(backend.last_seq(stream)?.next()),
    }
}

fn compacted(stream: StreamName, available: Revision) -> Error {
    Error::Compacted {
        stream: Some(stream),
        available: available.get(),
    }
}
