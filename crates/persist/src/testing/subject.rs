//! A backend under test, with the short forms that the cases are written in.

use std::sync::Arc;

use serde_json::Value;

use crate::blob::BlobStore;
use crate::{Attempt, Backend, Error, ExpectedRevision, NewEvent, Projection, Recorded, Revision, StreamName, log};

/// A backend that is running, and the blobs beside it.
pub struct Started {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// The blobs.
    pub blobs: Arc<dyn BlobStore>,
}

/// A backend under test, and how to start it again.
pub struct Subject {
    start: Box<dyn FnMut() -> Started>,
    /// `None` for the moment of a restart.
    started: Option<Started>,
}

impl Subject {
    /// An empty backend. `start` starts it, first on nothing and then, when all handles are gone,
    /// on what the one before kept.
    pub fn new(mut start: impl FnMut() -> Started + 'static) -> Self {
        let started = Some(start());
        Self {
            start: Box::new(start),
            started,
        }
    }

    pub(super) fn restart(&mut self) {
        self.started = None;
        self.started = Some((self.start)());
    }

    #[allow(clippy::expect_used)] // There always is one, but for the moment of a restart.
    fn started(&self) -> &Started {
        self.started.as_ref().expect("a backend")
    }

    /// The backend.
    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.started().backend
    }

    /// The backend, for those who keep it; they are gone before a restart.
    pub(super) fn shared(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.started().backend)
    }

    /// The blobs beside it.
    pub(super) fn blobs(&self) -> &dyn BlobStore {
        &*self.started().blobs
    }

    pub(super) fn append(&self, name: &str, data: Value) -> Recorded {
        must(log::append(self.backend(), &stream(name), event(data)))
    }

    /// Appends numbers, an event each.
    pub(super) fn append_all(&self, name: &str, numbers: &[i64]) {
        for number in numbers {
            self.append(name, Value::from(*number));
        }
    }

    pub(super) fn append_at(&self, name: &str, r#type: &str, at: i64, data: Value) -> Recorded {
        must(log::append(
            self.backend(),
            &stream(name),
            NewEvent::new(r#type, at, data),
        ))
    }

    pub(super) fn append_expect(&self, name: &str, expected: u64, data: Value) -> Attempt<Recorded> {
        let expected = ExpectedRevision::Exact(Revision::new(expected));
        must(log::append_expect(self.backend(), &stream(name), expected, event(data)))
    }

    pub(super) fn append_once(&self, name: &str, key: &str, data: Value) -> Attempt<Recorded> {
        must(log::append_once(self.backend(), &stream(name), key, event(data)))
    }

    pub(super) fn read(&self, name: &str) -> Vec<Recorded> {
        must(log::read(self.backend(), &stream(name)))
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        must(log::count(self.backend(), &stream(name)))
    }
}

/// The value of an operation that no case expects to fail.
#[allow(clippy::expect_used)]
pub(super) fn must<T>(result: Result<T, Error>) -> T {
    result.expect("the backend works")
}

/// The value of an operation that the case expects to meet no conflict.
#[allow(clippy::expect_used)]
pub(super) fn free<T>(attempt: Attempt<T>) -> T {
    attempt.into_result().expect("no conflict")
}

#[allow(clippy::expect_used)]
pub(super) fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("a stream name")
}

pub(super) fn event(data: Value) -> NewEvent {
    NewEvent::new("happened", 0, data)
}

/// The revisions of events, in order.
pub(super) fn seqs(events: &[Recorded]) -> Vec<u64> {
    events.iter().map(|recorded| recorded.event.seq.get()).collect()
}

/// How many events there are.
pub(super) fn count() -> Projection<i64> {
    Projection::new("count", 1, 0, |count, _| *count += 1)
}

/// The sum of the numbers that events are.
pub(super) fn sum() -> Projection<i64> {
    Projection::new("sum", 1, 0, |sum, recorded| {
        *sum += recorded.event.data.as_i64().unwrap_or(0);
    })
}
