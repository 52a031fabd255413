//! Telling those who wait that something was committed.

use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::{Event, EventListener};

/// The signal of a backend: something was committed, or nothing will be any more.
///
/// It says nothing of what: who listens reads the log from where it stands. Listen first, then
/// read, then wait, and nothing is missed.
#[derive(Debug, Default)]
pub struct Commits {
    event: Event,
    closed: AtomicBool,
}

impl Commits {
    /// Wakes everybody.
    pub fn notify(&self) {
        self.event.notify(usize::MAX);
    }

    /// Says that nothing more will come, and wakes everybody.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.notify();
    }

    /// Whether nothing more will come.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Begins to listen. What it gives can be waited for and awaited.
    pub fn listen(&self) -> EventListener {
        self.event.listen()
    }
}
