//! One request at a time for each upload.
//!
//! A client whose connection broke comes back at once, while the server may wait half a minute
//! before it gives up on the old connection. So whoever comes later asks whoever is writing to
//! stop, and goes on from there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use dist_blobs::StagingName;
use dist_model::ErrorCode;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::timeout;

use crate::error::{ApiError, Result};

/// How often, and how many times, the one who writes is asked to stop.
const ASK_EVERY: Duration = Duration::from_millis(100);
const ASK_TIMES: usize = 50;

/// The uploads that requests are at work on.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<StagingName, Weak<Seat>>>);

#[derive(Default)]
struct Seat {
    taken: Arc<tokio::sync::Mutex<()>>,
    wanted: Notify,
}

/// The right to be at work on an upload.
pub(super) struct Turn {
    seat: Arc<Seat>,
    _taken: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for the upload to be free, and asks whoever is at work on it to stop.
    ///
    /// # Errors
    /// `upload.locked` where they do not within some seconds.
    pub(super) async fn take(&self, name: &StagingName) -> Result<Turn> {
        let seat = self.seat(name);
        for _ in 0..ASK_TIMES {
            seat.wanted.notify_waiters();
            if let Ok(taken) = timeout(ASK_EVERY, Arc::clone(&seat.taken).lock_owned()).await {
                return Ok(Turn { seat, _taken: taken });
            }
        }
        Err(ApiError::from_code(ErrorCode::UploadLocked))
    }

    fn seat(&self, name: &StagingName) -> Arc<Seat> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = seats.get(name).and_then(Weak::upgrade) {
            return seat;
        }
        seats.retain(|_, seat| seat.strong_count() > 0);
        let seat = Arc::new(Seat::default());
        seats.insert(name.clone(), Arc::downgrade(&seat));
        seat
    }
}

impl Turn {
    /// Ready once somebody else wants the upload.
    pub(super) fn wanted(&self) -> Notified<'_> {
        self.seat.wanted.notified()
    }
}
