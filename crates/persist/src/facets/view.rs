//! A fold over a stream, with a name and a value at hand.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Backend, Error, Hub, Projected, Projection, StreamName, SubscriberId, snapshot};

/// A fold over a stream, whose [snapshot] is its value at hand.
///
/// ```
/// use std::sync::Arc;
///
/// use persist::{Hub, MemoryLog, NewEvent, Projection, StreamName, View};
/// use serde_json::json;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::new(Arc::new(MemoryLog::default()));
/// let orders = StreamName::new("orders")?;
/// let count = Projection::new("order-count", 1, 0_u64, |count, _| *count += 1);
/// let view = Arc::new(View::new(orders.clone(), count));
/// view.attach(&hub);
///
/// hub.publish(&orders, NewEvent::new("placed", 0, json!({"total": 12})))?;
/// assert_eq!(view.peek(&**hub.backend())?, 1);
/// # Ok(())
/// # }
/// ```
pub struct View<S> {
    stream: StreamName,
    projection: Projection<S>,
}

impl<S: Clone + Serialize + DeserializeOwned> View<S> {
    /// A view of a stream.
    pub fn new(stream: StreamName, projection: Projection<S>) -> Self {
        Self { stream, projection }
    }

    /// The name of the projection.
    pub fn name(&self) -> &str {
        self.projection.name()
    }

    /// The stream.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The value as it is now: folds what came since it was last refreshed.
    pub fn value(&self, backend: &dyn Backend) -> Result<S, Error> {
        Ok(snapshot::replay(backend, &self.stream, &self.projection)?.value)
    }

    /// The value as it was last refreshed. No event is read.
    pub fn peek(&self, backend: &dyn Backend) -> Result<S, Error> {
        let snapshot = snapshot::load(backend, &self.stream, &self.projection)?;
        Ok(snapshot.unwrap_or_else(|| self.projection.seed()).value)
    }

    /// Brings the value at hand to where the stream is.
    pub fn refresh(&self, backend: &dyn Backend) -> Result<Projected<S>, Error> {
        snapshot::checkpoint(backend, &self.stream, &self.projection)
    }

    /// Refreshes the view whenever an event of its stream is published there, until that is
    /// [unsubscribed](Hub::unsubscribe).
    pub fn attach(self: &Arc<Self>, hub: &Hub) -> SubscriberId
    where
        S: Send + Sync + 'static,
    {
        let (view, backend) = (Arc::clone(self), Arc::clone(hub.backend()));
        hub.subscribe(&self.stream, move |_| {
            // What is published stays published. If this fails the value at hand lags, as it may,
            // and the next event catches up.
            let _ = view.refresh(&*backend);
        })
    }
}
