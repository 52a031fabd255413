//! Reading old events in their current form. What is stored stays as it was written.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::log;
use crate::{Backend, Error, RawEvent, Recorded, Revision, StreamName};

/// Lifts the data of an event by one format; pure.
type Lift = Arc<dyn Fn(Value) -> Value + Send + Sync>;

/// What lifts the data of old events, by type and format. It is a value: to register is to make
/// another one.
///
/// ```
/// use persist::upcast::Upcasters;
/// use serde_json::json;
///
/// // Since format 2, `placed` has a currency.
/// let upcasters = Upcasters::default().register("placed", 1, |mut data| {
///     data["currency"] = json!("GBP");
///     data
/// });
/// ```
#[derive(Clone, Default)]
pub struct Upcasters {
    by_type: Arc<HashMap<String, HashMap<u32, Lift>>>,
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let formats = self.by_type.iter().map(|(name, lifts)| (name, lifts.keys()));
        f.debug_map().entries(formats).finish()
    }
}

impl Upcasters {
    /// These, and one that lifts the data of `type` from `format` to the next.
    #[must_use]
    pub fn register(
        &self,
        r#type: impl Into<String>,
        format: u32,
        lift: impl Fn(Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        let mut by_type = (*self.by_type).clone();
        by_type.entry(r#type.into()).or_default().insert(format, Arc::new(lift));
        Self {
            by_type: Arc::new(by_type),
        }
    }

    /// The event with its data, and the format of it, lifted as far as there is something
    /// registered; everything else stays.
    pub fn lift(&self, mut recorded: Recorded) -> Recorded {
        if let Some(lifts) = self.by_type.get(&recorded.event.r#type) {
            while let Some(lift) = lifts.get(&recorded.format) {
                recorded.event.data = lift(recorded.event.data);
                recorded.format += 1;
            }
        }
        recorded
    }

    /// The event as a variant of an enum, from its current form.
    pub(crate) fn decode<E: DeserializeOwned>(&self, event: &RawEvent<'_>) -> Result<E, Error> {
        let lifts = self.by_type.get(event.r#type);
        if lifts.is_some_and(|lifts| lifts.contains_key(&event.format)) {
            self.lift(event.to_recorded()?).decode()
        } else {
            event.decode()
        }
    }
}

/// All events of a stream in their current form, oldest first. A
/// [`Projection`](crate::Projection::upcast) folds through upcasters too.
pub fn read(backend: &dyn Backend, stream: &StreamName, upcasters: &Upcasters) -> Result<Vec<Recorded>, Error> {
    let events = log::events(backend, stream, Revision::ZERO);
    events.map(|event| event.map(|event| upcasters.lift(event))).collect()
}
