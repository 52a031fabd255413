//! Reading the log: pages of stored text, and what goes through them.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Backend, Error, Event, Position, Recorded, Revision, SqlError, StreamName, typed};

/// How many events the adapters read at once: enough that a page's cost is that of its events.
pub(crate) const PAGE: usize = 512;
/// The most events of a page, however many are asked for.
const MAX_EVENTS: usize = 4096;
/// A page ends with the event that takes its text beyond this, so that memory stays flat however
/// large events are.
const MAX_BYTES: usize = 1 << 20;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After<'a> {
    /// With the events of a stream after a revision.
    Revision(&'a StreamName, Revision),
    /// With the events of the store after a position.
    Position(Position),
}

impl After<'_> {
    /// The same place, moved behind an event.
    #[must_use]
    pub fn moved_to(self, event: &RawEvent<'_>) -> Self {
        match self {
            Self::Revision(stream, _) => Self::Revision(stream, event.seq),
            Self::Position(_) => Self::Position(event.position),
        }
    }
}

/// An event as it is stored, borrowed from its [`Page`]: the raw access below [`Recorded`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawEvent<'a> {
    /// Its place in the store.
    pub position: Position,
    /// Its stream.
    pub stream: &'a StreamName,
    /// Its place in its stream.
    pub seq: Revision,
    /// What happened.
    pub r#type: &'a str,
    /// When it happened, in Unix milliseconds, as the caller said.
    pub at: i64,
    /// When it was recorded, in Unix milliseconds, by the store's clock.
    pub recorded_at: i64,
    /// The version of the schema of `body`.
    pub format: u32,
    /// JSON beside the event.
    pub meta: Option<&'a str>,
    /// The data, as JSON, byte for byte as first written; `None` once erased.
    pub body: Option<&'a str>,
}

impl RawEvent<'_> {
    /// The event with its data and meta parsed.
    pub fn to_recorded(&self) -> Result<Recorded, Error> {
        Ok(Recorded {
            event: Event {
                stream: self.stream.clone(),
                seq: self.seq,
                r#type: self.r#type.to_owned(),
                at: self.at,
                data: self.parse(self.body)?,
            },
            position: self.position,
            recorded_at: self.recorded_at,
            format: self.format,
            meta: self.parse(self.meta)?,
        })
    }

    /// The event as a variant of an enum: see [`NewEvent::typed`](crate::NewEvent::typed). Nothing
    /// in between is built.
    pub fn decode<E: DeserializeOwned>(&self) -> Result<E, Error> {
        typed::from_text(self.r#type, self.body.unwrap_or("null")).map_err(|error| self.undecodable(&error))
    }

    fn parse(&self, text: Option<&str>) -> Result<Value, Error> {
        let Some(text) = text else { return Ok(Value::Null) };
        serde_json::from_str(text).map_err(|error| self.undecodable(&error))
    }

    fn undecodable(&self, error: &dyn fmt::Display) -> Error {
        undecodable(self.stream, self.seq, error)
    }
}

/// An event whose data is not what the reader takes it for.
pub(crate) fn undecodable(stream: &StreamName, seq: Revision, error: &dyn fmt::Display) -> Error {
    Error::Corrupt(SqlError::decode(format_args!(
        "event {seq} of {stream} cannot be decoded: {error}"
    )))
}

/// Some consecutive events, oldest first. It holds no transaction open.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The texts of all events, one after the other: type, meta, body.
    text: String,
    entries: Vec<Entry>,
    is_last: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    position: Position,
    stream: StreamName,
    seq: Revision,
    at: i64,
    recorded_at: i64,
    format: u32,
    has_meta: bool,
    has_body: bool,
    /// Where its texts begin, and where each ends.
    ends: [usize; 4],
}

impl Page {
    /// How many events a page has at most where `limit` are asked for.
    pub(crate) fn clamp(limit: usize) -> usize {
        limit.clamp(1, MAX_EVENTS)
    }

    /// An empty page after which nothing comes, until something is found to.
    pub(crate) fn last() -> Self {
        Self {
            is_last: true,
            ..Self::default()
        }
    }

    /// Adds an event, if one more of `limit` fits; otherwise this is not the last page. Who has
    /// one more event than the limit offers it too.
    pub(crate) fn offer(&mut self, event: &RawEvent<'_>, limit: usize) -> bool {
        if self.entries.len() >= Self::clamp(limit) || self.text.len() >= MAX_BYTES {
            self.is_last = false;
            return false;
        }
        let start = self.text.len();
        let mut add = |text: &str| {
            self.text.push_str(text);
            self.text.len()
        };
        let ends = [
            start,
            add(event.r#type),
            add(event.meta.unwrap_or_default()),
            add(event.body.unwrap_or_default()),
        ];
        self.entries.push(Entry {
            position: event.position,
            stream: event.stream.clone(),
            seq: event.seq,
            at: event.at,
            recorded_at: event.recorded_at,
            format: event.format,
            has_meta: event.meta.is_some(),
            has_body: event.body.is_some(),
            ends,
        });
        true
    }

    /// How many events it holds: fewer than were asked for also where they are large.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether nothing came after its events when it was read.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Its events as they are stored.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = RawEvent<'_>> + ExactSizeIterator {
        self.entries.iter().map(|entry| self.raw(entry))
    }

    /// One of its events, from 0.
    pub(crate) fn get(&self, index: usize) -> Option<RawEvent<'_>> {
        self.entries.get(index).map(|entry| self.raw(entry))
    }

    fn raw<'p>(&'p self, entry: &'p Entry) -> RawEvent<'p> {
        let [start, r#type, meta, body] = entry.ends;
        RawEvent {
            position: entry.position,
            stream: &entry.stream,
            seq: entry.seq,
            r#type: &self.text[start..r#type],
            at: entry.at,
            recorded_at: entry.recorded_at,
            format: entry.format,
            meta: entry.has_meta.then(|| &self.text[r#type..meta]),
            body: entry.has_body.then(|| &self.text[meta..body]),
        }
    }

    /// Its events with their data parsed.
    pub fn recorded(&self) -> Result<Vec<Recorded>, Error> {
        self.iter().map(|event| event.to_recorded()).collect()
    }
}

/// Shows the events from a place to the end of the log to `each`, which may end that by `false`.
pub(crate) fn scan(
    backend: &dyn Backend,
    mut after: After<'_>,
    mut each: impl FnMut(&RawEvent<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    loop {
        let page = backend.page(after, PAGE)?;
        for event in page.iter() {
            if !each(&event)? {
                return Ok(());
            }
        }
        match page.iter().next_back() {
            Some(last) if !page.is_last() => after = after.moved_to(&last),
            _ => return Ok(()),
        }
    }
}

/// The events from a place to the end of the log, read page by page; no transaction stays open
/// between pages, however long the reader takes. Made by [`log::events`](crate::log::events) and
/// [`log::all_events`](crate::log::all_events).
pub struct Events<'a> {
    backend: &'a dyn Backend,
    after: After<'a>,
    page: VecDeque<Recorded>,
    ended: bool,
}

impl<'a> Events<'a> {
    pub(crate) fn new(backend: &'a dyn Backend, after: After<'a>) -> Self {
        Self {
            backend,
            after,
            page: VecDeque::new(),
            ended: false,
        }
    }

    /// The same events for async code. An iterator and a stream have methods of the same names, so
    /// that no type is both.
    pub fn into_stream(self) -> EventStream<'a> {
        EventStream(self)
    }

    fn refill(&mut self) -> Result<(), Error> {
        let page = self.backend.page(self.after, PAGE)?;
        self.ended = page.is_last();
        if let Some(last) = page.iter().next_back() {
            self.after = self.after.moved_to(&last);
        }
        self.page = page.recorded()?.into();
        Ok(())
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Recorded, Error>;

    /// An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && !self.ended {
            if let Err(error) = self.refill() {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// [`Events`] as a stream, which reads on the thread that polls it and is always ready.
pub struct EventStream<'a>(Events<'a>);

impl Stream for EventStream<'_> {
    type Item = Result<Recorded, Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.get_mut().0.next())
    }
}
