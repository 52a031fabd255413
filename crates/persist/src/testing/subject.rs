//! A backend under test, with the short forms that the cases are written in.

use serde_json::Value;

use crate::{Backend, Conflict, Error, ExpectedRevision, NewEvent, Recorded, Revision, StreamName, log};

type Restart = dyn FnMut(Box<dyn Backend>) -> Box<dyn Backend>;

/// A backend under test, and how to start it again.
pub struct Subject {
    backend: Option<Box<dyn Backend>>,
    restart: Box<Restart>,
}

impl Subject {
    /// An empty backend. `restart` ends the one that it is given and starts it again on what that
    /// one kept.
    pub fn new(backend: Box<dyn Backend>, restart: impl FnMut(Box<dyn Backend>) -> Box<dyn Backend> + 'static) -> Self {
        Self {
            backend: Some(backend),
            restart: Box::new(restart),
        }
    }

    pub(super) fn restart(&mut self) {
        self.backend = self.backend.take().map(&mut self.restart);
    }

    /// The backend.
    ///
    /// # Panics
    /// If the restart before it panicked.
    #[allow(clippy::expect_used)] // There always is one, but for the moment of a restart.
    pub(super) fn backend(&self) -> &dyn Backend {
        self.backend.as_deref().expect("a backend")
    }

    pub(super) fn append(&self, name: &str, data: Value) -> Recorded {
        must(log::append(self.backend(), &stream(name), event(data)))
    }

    pub(super) fn append_at(&self, name: &str, r#type: &str, at: i64, data: Value) -> Recorded {
        must(log::append(
            self.backend(),
            &stream(name),
            NewEvent::new(r#type, at, data),
        ))
    }

    pub(super) fn append_expect(&self, name: &str, expected: u64, data: Value) -> Result<Recorded, Conflict> {
        let expected = ExpectedRevision::Exact(Revision::new(expected));
        must(log::append_expect(self.backend(), &stream(name), expected, event(data)))
    }

    pub(super) fn append_once(&self, name: &str, key: &str, data: Value) -> Result<Recorded, Conflict> {
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
pub(super) fn free<T>(result: Result<T, Conflict>) -> T {
    result.expect("no conflict")
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
