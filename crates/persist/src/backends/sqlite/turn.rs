//! Whose turn it is to write.
//!
//! The writer's thread serves the queue. A caller that blocks anyway runs its command on its own
//! thread when nobody waits: two threads that wake each other take a third of a quick commit.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::Inner;
use super::sequencer::{Job, Request, Shared, Writer};
use crate::Error;

/// How long the writer looks for more before it sleeps: whoever was just answered often has more,
/// and to be woken takes as long as a quick commit.
const PATIENCE: Duration = Duration::from_micros(50);

/// Serves the queue until the store stops, and ends the writer.
pub(super) fn run(turn: &Turn, shared: &Shared, mut queue: mpsc::Receiver<Request>) {
    while wait(&queue, shared) {
        turn.take(|writer| {
            // It leaves the queue under the lock: what is in the queue is what nobody serves yet.
            if let Ok(first) = queue.try_recv() {
                writer.serve(first, &mut queue);
            }
        });
    }
    queue.close();
    // What is on its way into the queue still arrives.
    while let Some(first) = queue.blocking_recv() {
        turn.take(|writer| writer.serve(first, &mut queue));
    }
    turn.end();
}

/// Waits until there is something in the queue, or answers `false` if the store stops.
fn wait(queue: &mpsc::Receiver<Request>, shared: &Shared) -> bool {
    let started = Instant::now();
    while !shared.is_stopping() {
        if !queue.is_empty() {
            return true;
        }
        if started.elapsed() < PATIENCE {
            thread::yield_now();
        } else {
            thread::park();
        }
    }
    false
}

/// How requests reach the writer from code that is not async.
impl Inner {
    /// Has a command performed: here if nobody waits, which spares this thread and the writer's
    /// waking each other, or else by the writer's thread in its turn.
    pub(super) fn hand_over(&self, job: Box<dyn Job>) -> Result<(), Error> {
        let nobody_waits = self.queue.capacity() == self.queue.max_capacity();
        let led = if nobody_waits && !self.shared.is_stopping() {
            self.turn.lead(job)
        } else {
            Err(job)
        };
        match led {
            Ok(checkpoint_due) => {
                if checkpoint_due {
                    self.wake();
                }
                Ok(())
            }
            Err(job) => self.send(Request::Command(job)),
        }
    }

    /// Puts a request into the queue, and waits while that is full.
    pub(super) fn send(&self, request: Request) -> Result<(), Error> {
        self.queue.blocking_send(request).map_err(|_| self.closed())?;
        self.thread.unpark();
        Ok(())
    }

    /// Lets the writer's thread look after its own. If the queue is full it is awake.
    fn wake(&self) {
        let _ = self.queue.try_send(Request::Task(Box::new(|_| ())));
        self.thread.unpark();
    }

    /// Panics wherever waiting for the writer is wrong, even if there would be no wait this time.
    pub(super) fn assert_may_block(&self) {
        assert!(!self.turn.is_mine(), "a command of a store cannot wait for that store");
        // A channel without a sender does not wait, but panics in an async context all the same.
        let (_, nothing) = oneshot::channel::<()>();
        let _ = nothing.blocking_recv();
    }
}

/// Who holds it has the writer: its thread for what is in the queue, or a caller for one command.
pub(super) struct Turn {
    /// `None` once the store is shut down.
    writer: Mutex<Option<Writer>>,
    /// The thread that has it.
    holder: Mutex<Option<ThreadId>>,
}

impl Turn {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            writer: Mutex::new(Some(writer)),
            holder: Mutex::default(),
        }
    }

    /// Performs a job on this thread if the writer is free, or gives it back. Answers whether a
    /// checkpoint is due, which is left to the writer's thread: no commit waits for one.
    pub(super) fn lead(&self, job: Box<dyn Job>) -> Result<bool, Box<dyn Job>> {
        let Ok(mut writer) = self.writer.try_lock() else {
            return Err(job);
        };
        let Some(writer) = writer.as_mut() else {
            return Err(job);
        };
        self.hold(writer, |writer| writer.perform(vec![job]));
        Ok(writer.checkpointer.is_due())
    }

    /// Waits for the writer and lets `serve` have it. That is not for long: nobody leads while
    /// something is in the queue.
    fn take(&self, serve: impl FnOnce(&mut Writer)) {
        if let Some(writer) = lock(&self.writer).as_mut() {
            self.hold(writer, serve);
        }
    }

    fn hold(&self, writer: &mut Writer, serve: impl FnOnce(&mut Writer)) {
        *lock(&self.holder) = Some(thread::current().id());
        writer.guard(serve);
        *lock(&self.holder) = None;
    }

    /// Whether this is called from within a command or a task.
    pub(super) fn is_mine(&self) -> bool {
        *lock(&self.holder) == Some(thread::current().id())
    }

    /// Closes the writer's connection.
    fn end(&self) {
        self.take(|writer| {
            if writer.shared.poisoned.get().is_none() {
                writer.checkpointer.truncate(&writer.connection);
            }
        });
        lock(&self.writer).take();
    }
}

/// No panic gets past [`Writer::guard`], so that no lock is ever poisoned.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
