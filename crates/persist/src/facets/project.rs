//! Folding events into a value.

use serde::de::DeserializeOwned;

use crate::upcast::Upcasters;
use crate::{After, Backend, Error, InvalidInput, Position, RawEvent, Recorded, Revision, StreamName, page};

/// A pure fold of events into a value: the same events give the same value, wherever and whenever
/// they are folded.
///
/// ```
/// use persist::{MemoryLog, NewEvent, Projection, StreamName, log, project};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum Order {
///     Placed { total: u64 },
///     Cancelled { total: u64 },
/// }
///
/// let revenue = Projection::typed("revenue", 1, 0, |sum: &mut u64, event| match event {
///     Order::Placed { total } => *sum += total,
///     Order::Cancelled { total } => *sum -= total,
/// });
/// let store = MemoryLog::default();
/// let orders = StreamName::new("orders")?;
/// log::append(&store, &orders, NewEvent::typed(0, &Order::Placed { total: 12 })?)?;
/// assert_eq!(project::project(&store, &orders, &revenue)?.value, 12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Projection<S> {
    name: String,
    version: u32,
    seed: S,
    upcasters: Upcasters,
    apply: Box<Apply<S>>,
}

type Apply<S> = dyn Fn(&mut S, &RawEvent<'_>, &Upcasters) -> Result<(), Error> + Send + Sync;

impl<S: Clone> Projection<S> {
    /// A fold that sees each event whole.
    ///
    /// `name` tells its snapshots from those of others. `version` has to change whenever the same
    /// events would give another value: snapshots of other versions are not used.
    pub fn new(
        name: impl Into<String>,
        version: u32,
        seed: S,
        apply: impl Fn(&mut S, &Recorded) + Send + Sync + 'static,
    ) -> Self {
        Self::of(name.into(), version, seed, move |value, event, upcasters| {
            apply(value, &upcasters.lift(event.to_recorded()?));
            Ok(())
        })
    }

    /// A fold over the variants of an enum: see [`NewEvent::typed`](crate::NewEvent::typed). An
    /// event that is no variant of it is an error, unless the enum has one for
    /// [all others](https://serde.rs/variant-attrs.html#other).
    pub fn typed<E: DeserializeOwned>(
        name: impl Into<String>,
        version: u32,
        seed: S,
        apply: impl Fn(&mut S, E) + Send + Sync + 'static,
    ) -> Self {
        Self::of(name.into(), version, seed, move |value, event, upcasters| {
            apply(value, upcasters.decode(event)?);
            Ok(())
        })
    }

    fn of(
        name: String,
        version: u32,
        seed: S,
        apply: impl Fn(&mut S, &RawEvent<'_>, &Upcasters) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            version,
            seed,
            upcasters: Upcasters::default(),
            apply: Box::new(apply),
        }
    }

    /// The same fold over events that were lifted to their current form.
    #[must_use]
    pub fn upcast(self, upcasters: Upcasters) -> Self {
        Self { upcasters, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it makes of no events.
    pub fn seed<P: Default>(&self) -> Projected<S, P> {
        Projected {
            value: self.seed.clone(),
            reached: P::default(),
        }
    }

    pub(super) fn apply(&self, value: &mut S, event: &RawEvent<'_>) -> Result<(), Error> {
        (self.apply)(value, event, &self.upcasters)
    }
}

/// What a fold made of the events up to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projected<S, P = Revision> {
    /// The value.
    pub value: S,
    /// The place of the last event that was folded; zero before the first.
    pub reached: P,
}

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// After that event of the stream.
    Revision(Revision),
    /// After that event of the store.
    Position(Position),
    /// With the events that happened at that time (Unix milliseconds) or before: those whose `at`
    /// says so, in the order of the log, since `at` may be historical.
    At(i64),
}

impl AsOf {
    fn includes(self, event: &RawEvent<'_>) -> bool {
        match self {
            Self::Revision(seq) => event.seq <= seq,
            Self::Position(position) => event.position <= position,
            Self::At(at) => event.at <= at,
        }
    }
}

/// Folds a whole stream.
///
/// As in all folds, no event may be missing: if the beginning of the stream was dropped it is
/// [`Error::Compacted`]. A [snapshot](crate::snapshot::replay) stands for what was dropped;
/// [`fold`] takes whatever events it is given.
pub fn project<S: Clone>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
) -> Result<Projected<S>, Error> {
    resume(backend, stream, projection, projection.seed())
}

/// Goes on from what was folded before, with the events that came since.
pub fn resume<S: Clone>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    from: Projected<S>,
) -> Result<Projected<S>, Error> {
    let mut projected = from;
    whole_stream(backend, stream, &mut projected.reached, |event| {
        projection.apply(&mut projected.value, event)
    })?;
    Ok(projected)
}

/// Goes on from what was folded before, with those events.
pub fn fold<'a, S: Clone>(
    projection: &Projection<S>,
    from: Projected<S>,
    events: impl IntoIterator<Item = RawEvent<'a>>,
) -> Result<Projected<S>, Error> {
    let mut projected = from;
    for event in events {
        projection.apply(&mut projected.value, &event)?;
        projected.reached = event.seq;
    }
    Ok(projected)
}

/// What [`project`] gave, or would have given, at a moment of the past.
pub fn as_of<S: Clone>(
    backend: &dyn Backend,
    stream: &StreamName,
    projection: &Projection<S>,
    moment: AsOf,
) -> Result<S, Error> {
    let (mut value, mut reached) = (projection.seed.clone(), Revision::ZERO);
    whole_stream(backend, stream, &mut reached, |event| {
        if moment.includes(event) {
            projection.apply(&mut value, event)?;
        }
        Ok(())
    })?;
    Ok(value)
}

/// Folds the events of all streams, without the reserved ones, in the order of their commits.
pub fn all<S: Clone>(backend: &dyn Backend, projection: &Projection<S>) -> Result<Projected<S, Position>, Error> {
    resume_all(backend, projection, projection.seed())
}

/// Goes on from what [`all`] folded before, with the events that came since.
pub fn resume_all<S: Clone>(
    backend: &dyn Backend,
    projection: &Projection<S>,
    from: Projected<S, Position>,
) -> Result<Projected<S, Position>, Error> {
    let mut projected = from;
    whole_log(backend, &mut projected.reached, |event| {
        projection.apply(&mut projected.value, event)
    })?;
    Ok(projected)
}

/// What [`all`] gave, or would have given, at a moment of the past; a revision is no such moment.
pub fn all_as_of<S: Clone>(backend: &dyn Backend, projection: &Projection<S>, moment: AsOf) -> Result<S, Error> {
    if matches!(moment, AsOf::Revision(_)) {
        return Err(InvalidInput::Contradiction("a revision is a moment of one stream, not of all").into());
    }
    let (mut value, mut reached) = (projection.seed.clone(), Position::ZERO);
    whole_log(backend, &mut reached, |event| {
        if moment.includes(event) {
            projection.apply(&mut value, event)?;
        }
        Ok(())
    })?;
    Ok(value)
}

/// Shows every event of a stream after `reached`, and moves that. None may be missing.
fn whole_stream(
    backend: &dyn Backend,
    stream: &StreamName,
    reached: &mut Revision,
    mut each: impl FnMut(&RawEvent<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let compacted = |available: Revision| Error::Compacted {
        stream: Some(stream.clone()),
        available: available.get(),
    };
    // Asked for first: what comes while the stream is read may or may not be seen.
    let last = backend.last_seq(stream)?;
    page::scan(backend, After::Revision(stream, *reached), |event| {
        if event.seq != reached.next() {
            return Err(compacted(event.seq));
        }
        *reached = event.seq;
        each(event).map(|()| true)
    })?;
    if *reached < last {
        return Err(compacted(last.next()));
    }
    Ok(())
}

/// Shows every event of the store after `reached` but the reserved ones, and moves that. None may
/// be missing.
fn whole_log(
    backend: &dyn Backend,
    reached: &mut Position,
    mut each: impl FnMut(&RawEvent<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let compacted = |available: Position| Error::Compacted {
        stream: None,
        available: available.get(),
    };
    let head = backend.head()?;
    page::scan(backend, After::Position(*reached), |event| {
        if event.position != reached.next() {
            return Err(compacted(event.position));
        }
        *reached = event.position;
        if !event.stream.is_reserved() {
            each(event)?;
        }
        Ok(true)
    })?;
    if *reached < head {
        return Err(compacted(head.next()));
    }
    Ok(())
}
