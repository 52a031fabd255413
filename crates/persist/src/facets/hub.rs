//! Callbacks that run with the append that they are about.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log;
use crate::{Backend, Error, NewEvent, Recorded, StreamName};

/// Publishes events to callbacks of this process. Clones are handles to the same hub.
///
/// The callbacks of a stream see what is published through the hub, and nothing else: not what
/// [`log::append`] or another process appends. A [`Subscription`](crate::Subscription) sees all of
/// it, on its own time.
///
/// ```
/// use std::sync::Arc;
///
/// use persist::{Hub, MemoryLog, NewEvent, StreamName, kv};
/// use serde_json::json;
///
/// let hub = Hub::new(Arc::new(MemoryLog::default()));
/// let orders = StreamName::new("orders")?;
/// let backend = Arc::clone(hub.backend());
/// hub.subscribe(&orders, move |recorded| {
///     kv::put(&*backend, "newest", recorded.event.seq).expect("the read model can be written");
/// });
///
/// hub.publish(&orders, NewEvent::new("placed", 0, json!({"total": 12})))?;
/// assert_eq!(kv::get(&**hub.backend(), "newest")?, Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Hub {
    backend: Arc<dyn Backend>,
    subscribers: Arc<Mutex<Subscribers>>,
}

#[derive(Default)]
struct Subscribers {
    /// How many there ever were.
    count: u64,
    /// Those of each stream stand together, in the order in which they subscribed.
    callbacks: BTreeMap<SubscriberId, Callback>,
}

type Callback = Arc<dyn Fn(&Recorded) + Send + Sync>;

/// A subscriber of a [`Hub`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId {
    stream: StreamName,
    number: u64,
}

impl Hub {
    /// A hub without subscribers, which appends to that backend.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            subscribers: Arc::default(),
        }
    }

    /// What it appends to.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Calls `callback` with every event that is published to a stream from now on. It may use
    /// the hub; one that keeps a handle of the hub keeps it alive until it is unsubscribed.
    pub fn subscribe(&self, stream: &StreamName, callback: impl Fn(&Recorded) + Send + Sync + 'static) -> SubscriberId {
        let mut subscribers = self.subscribers();
        subscribers.count += 1;
        let id = SubscriberId {
            stream: stream.clone(),
            number: subscribers.count,
        };
        subscribers.callbacks.insert(id.clone(), Arc::new(callback));
        id
    }

    /// Ends a subscription. An event that is being published may still reach it.
    pub fn unsubscribe(&self, id: &SubscriberId) {
        let ended = self.subscribers().callbacks.remove(id);
        // Dropped only now that the lock is free: what a callback holds may use the hub too.
        drop(ended);
    }

    /// How many subscribers a stream has.
    pub fn subscriber_count(&self, stream: &StreamName) -> usize {
        self.subscribers().of_stream(stream).count()
    }

    /// Appends an event and then, since it is durable, calls the stream's subscribers with it on
    /// this thread, in the order in which they subscribed. Blocks.
    ///
    /// What is durable stays so: a callback that panics, which the panic hook reports, neither
    /// fails the publication nor keeps the others from being called.
    pub fn publish(&self, stream: &StreamName, event: NewEvent) -> Result<Recorded, Error> {
        let recorded = log::append(&*self.backend, stream, event)?;
        let callbacks: Vec<Callback> = self.subscribers().of_stream(stream).cloned().collect();
        for callback in callbacks {
            let _ = catch_unwind(AssertUnwindSafe(|| callback(&recorded)));
        }
        Ok(recorded)
    }

    /// Nothing that runs with the lock held can panic.
    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscribers {
    fn of_stream(&self, stream: &StreamName) -> impl Iterator<Item = &Callback> {
        let first = SubscriberId {
            stream: stream.clone(),
            number: 0,
        };
        let from_there = self.callbacks.range(first..);
        from_there
            .take_while(move |(id, _)| id.stream == *stream)
            .map(|(_, callback)| callback)
    }
}
