//! Following the log: what is there, and then what comes, whoever writes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{fmt, iter};

use event_listener::{EventListener, Listener};
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::page::PAGE;
use crate::{After, Backend, Commits, Error, Page, Position, Recorded, Revision, StoreIdentity, StreamName};

/// A place in the log that can be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Behind an event of a stream.
    Revision(
        #[serde(deserialize_with = "StreamName::deserialize_below")] StreamName,
        Revision,
    ),
    /// Behind an event of the store.
    Position(Position),
}

impl Place {
    fn after(&self) -> After<'_> {
        match self {
            Self::Revision(stream, revision) => After::Revision(stream, *revision),
            Self::Position(position) => After::Position(*position),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Revision(_, revision) => revision.get(),
            Self::Position(position) => position.get(),
        }
    }

    /// The number that was last given out where this place is.
    fn last(&self, backend: &dyn Backend) -> Result<u64, Error> {
        match self {
            Self::Revision(stream, _) => backend.last_seq(stream).map(Revision::get),
            Self::Position(_) => backend.head().map(Position::get),
        }
    }
}

/// How far a [`Subscription`] has come, to be kept with what was made of its events.
///
/// As JSON it is `{"store_id": "…", "epoch": 1, "position": 7}`, or with
/// `"revision": ["orders", 3]` for that of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which store it is of.
    pub store_id: String,
    /// The store's epoch: what was seen before a restore need not be there after it.
    pub epoch: u64,
    /// Behind the last event that was handed out.
    #[serde(flatten)]
    pub place: Place,
}

/// A catch-up subscription: the events after a place, oldest first, each once, and when those are
/// handed out the ones that come, from this process or another.
///
/// Async code polls it as a [`Stream`], which reads on the thread that polls and is ready for as
/// long as there is something to read; other code calls [`next_timeout`](Self::next_timeout) or
/// takes the [`blocking_iter`](Self::blocking_iter). All of them end when the store is shut down
/// and everything was handed out. An error leaves the subscription where it was, and who asks
/// again makes it try again.
///
/// Nothing is locked and no transaction is open while it waits or while an event is in use,
/// however long that takes. It holds the backend, so that it is its shutdown that ends a
/// subscription, and not the loss of other handles.
///
/// What was dropped from the log before it was seen cannot be handed out. A subscription to one
/// stream says [`Error::Compacted`]; one to all goes on behind it, since compaction leaves gaps
/// all over the log, and counts what it [`missed`](Self::missed).
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use persist::{Backend, MemoryLog, NewEvent, Position, StreamName, Subscription, log};
/// use serde_json::json;
///
/// let backend: Arc<dyn Backend> = Arc::new(MemoryLog::default());
/// let orders = StreamName::new("orders")?;
/// log::append(&*backend, &orders, NewEvent::new("placed", 0, json!({"total": 12})))?;
///
/// let mut subscription = Subscription::to_all(Arc::clone(&backend), Position::ZERO)?;
/// let placed = subscription.next_timeout(Duration::ZERO)?.expect("it was there before");
/// assert_eq!(placed.event.data["total"], 12);
/// // To be kept with what was made of the event, in one transaction if it must count once.
/// let checkpoint = serde_json::to_string(&subscription.checkpoint())?;
///
/// log::append(&*backend, &orders, NewEvent::new("cancelled", 0, json!(null)))?;
/// let mut resumed = Subscription::resume(backend, &serde_json::from_str(&checkpoint)?)?;
/// let cancelled = resumed.next_timeout(Duration::ZERO)?.expect("it came since");
/// assert_eq!(cancelled.event.r#type, "cancelled");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscription {
    backend: Arc<dyn Backend>,
    commits: Arc<Commits>,
    store: StoreIdentity,
    place: Place,
    missed: u64,
    page: Page,
    /// How many events of the page are behind `place`.
    taken: usize,
    /// Hears of commits since the end of the log was found; `None` while there may be more to read.
    waiting: Option<EventListener>,
}

impl Subscription {
    /// To a stream, reserved or not, after a revision: [`Revision::ZERO`] for all of it.
    pub fn to_stream(backend: Arc<dyn Backend>, stream: &StreamName, after: Revision) -> Result<Self, Error> {
        Self::after(backend, Place::Revision(stream.clone(), after))
    }

    /// To all streams but the reserved ones, in the order of the commits, after a position:
    /// [`Position::ZERO`] for everything, [`Backend::head`] for what comes from now on.
    pub fn to_all(backend: Arc<dyn Backend>, after: Position) -> Result<Self, Error> {
        Self::after(backend, Place::Position(after))
    }

    /// To what another subscription was to, after the last event that it handed out.
    ///
    /// A checkpoint of another store, or of this one before it was restored, is
    /// [`Error::ForeignCheckpoint`].
    pub fn resume(backend: Arc<dyn Backend>, checkpoint: &Checkpoint) -> Result<Self, Error> {
        let subscription = Self::after(backend, checkpoint.place.clone())?;
        let StoreIdentity { store_id, epoch, .. } = &subscription.store;
        let is_of_this_store = checkpoint.store_id == *store_id && checkpoint.epoch == *epoch;
        // Nor can a store have lost its end and be the same.
        if !is_of_this_store || checkpoint.place.number() > checkpoint.place.last(&*subscription.backend)? {
            return Err(Error::ForeignCheckpoint);
        }
        Ok(subscription)
    }

    fn after(backend: Arc<dyn Backend>, place: Place) -> Result<Self, Error> {
        Ok(Self {
            commits: backend.commits(),
            store: backend.identity()?,
            backend,
            place,
            missed: 0,
            page: Page::default(),
            taken: 0,
            waiting: None,
        })
    }

    /// Behind the last event that was handed out: where [`resume`](Self::resume) goes on.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            store_id: self.store.store_id.clone(),
            epoch: self.store.epoch,
            place: self.place.clone(),
        }
    }

    /// How many events a subscription to all could not hand out, because they had been dropped.
    /// What was made of the others may then lack something, unless it began with a snapshot.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The next event, or `None` if none comes in that time. Blocks. When nothing will come any
    /// more it is [`Error::Closed`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Recorded>, Error> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// The events as they come, to the end of the store. Blocks.
    pub fn blocking_iter(&mut self) -> impl Iterator<Item = Result<Recorded, Error>> {
        iter::from_fn(|| match self.next_until(None) {
            Err(Error::Closed) => None,
            next => next.transpose(),
        })
    }

    /// Without a deadline, `None` never.
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Recorded>, Error> {
        loop {
            if let Some(recorded) = self.next_there()? {
                return Ok(Some(recorded));
            }
            match (self.waiting.take(), deadline) {
                (Some(listener), Some(deadline)) => {
                    if listener.wait_deadline(deadline).is_none() {
                        return Ok(None);
                    }
                }
                (Some(listener), None) => listener.wait(),
                (None, _) => {}
            }
        }
    }

    /// The next event that is there; `None` when it is time to wait.
    fn next_there(&mut self) -> Result<Option<Recorded>, Error> {
        while self.waiting.is_none() {
            // Who asks again after an error is not answered from the page that caused it.
            let next = self.take().inspect_err(|_| self.page = Page::default())?;
            if next.is_some() {
                return Ok(next);
            }
            self.read()?;
        }
        Ok(None)
    }

    /// The next event of the page that is for us.
    fn take(&mut self) -> Result<Option<Recorded>, Error> {
        while let Some(event) = self.page.get(self.taken) {
            let recorded = match &mut self.place {
                Place::Revision(stream, reached) => {
                    if event.seq != reached.next() {
                        return Err(compacted(stream, event.seq));
                    }
                    let recorded = event.to_recorded()?;
                    *reached = event.seq;
                    Some(recorded)
                }
                Place::Position(reached) => {
                    let is_ours = !event.stream.is_reserved();
                    let recorded = is_ours.then(|| event.to_recorded()).transpose()?;
                    // Positions are dense: only what was dropped leaves a gap.
                    self.missed += event.position.get() - reached.next().get();
                    *reached = event.position;
                    recorded
                }
            };
            self.taken += 1;
            if recorded.is_some() {
                return Ok(recorded);
            }
        }
        Ok(None)
    }

    /// Reads the next page, or begins to wait if there is none.
    fn read(&mut self) -> Result<(), Error> {
        // In this order nothing is lost: what is not there yet when the end is looked for is heard of.
        let listener = self.commits.listen();
        let closed = self.commits.is_closed();
        let last = self.place.last(&*self.backend)?;
        if self.place.number() >= last {
            if closed {
                return Err(Error::Closed);
            }
            self.waiting = Some(listener);
            return Ok(());
        }
        self.page = self.backend.page(self.place.after(), PAGE)?;
        self.taken = 0;
        if self.page.is_empty() {
            // Everything up to the end was dropped.
            match &mut self.place {
                Place::Revision(stream, _) => return Err(compacted(stream, Revision::new(last).next())),
                Place::Position(reached) => {
                    self.missed += last - reached.get();
                    *reached = Position::new(last);
                }
            }
        }
        Ok(())
    }
}

fn compacted(stream: &StreamName, available: Revision) -> Error {
    Error::Compacted {
        stream: Some(stream.clone()),
        available: available.get(),
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("place", &self.place)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

impl Stream for Subscription {
    type Item = Result<Recorded, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.next_there() {
                Ok(None) => {}
                Err(Error::Closed) => return Poll::Ready(None),
                next => return Poll::Ready(next.transpose()),
            }
            if let Some(listener) = &mut this.waiting {
                ready!(Pin::new(listener).poll(context));
                this.waiting = None;
            }
        }
    }
}
