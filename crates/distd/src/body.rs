//! Bodies on their way in, held to a pace, and on their way out.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::Limits;
use crate::connection::Slot;

/// Why a request's body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client sent nothing, or too little, for too long.
    #[error("the client is too slow")]
    TooSlow,
    /// The connection broke, or what came was not a body.
    #[error("the body broke off")]
    Cut(#[source] hyper::Error),
}

impl BodyError {
    /// The same, seen through axum's erased body.
    pub(crate) fn find(error: &axum::Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

/// A request's body, which ends with an error when the client is too slow. Only time spent waiting
/// for the client counts, not what the server takes to do something with the bytes.
pub(crate) struct RequestBody {
    inner: Incoming,
    pace: Pace,
    slot: Arc<Slot>,
    ended: bool,
}

impl RequestBody {
    /// `body` at a bounded pace, or the empty body where there is none.
    pub(crate) fn wrap(body: Incoming, limits: &Limits, slot: &Arc<Slot>) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            inner: body,
            pace: Pace::new(limits),
            slot: Arc::clone(slot),
            ended: false,
        })
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Pending => {
                if this.pace.waits_too_long(cx) {
                    return Poll::Ready(Some(Err(BodyError::TooSlow)));
                }
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.pace.received(frame.data_ref().map_or(0, Bytes::len));
                this.ended = this.inner.is_end_stream();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Cut(error)))),
            Poll::Ready(None) => {
                this.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.ended {
            self.slot.body_left_unread();
        }
    }
}

/// How fast a client must send.
struct Pace {
    stall_time: Duration,
    window: Duration,
    window_bytes: u64,
    /// When the present wait began.
    waiting_since: Option<Instant>,
    /// Time waited and bytes received in the present window, the present wait aside.
    waited: Duration,
    received: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        Self {
            stall_time: limits.stall_time,
            window: limits.rate_window,
            window_bytes: limits.least_rate.saturating_mul(limits.rate_window.as_secs().max(1)),
            waiting_since: None,
            waited: Duration::ZERO,
            received: 0,
            timer: None,
        }
    }

    fn received(&mut self, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        self.received += bytes as u64;
        if self.waited >= self.window && self.received >= self.window_bytes {
            self.waited = Duration::ZERO;
            self.received = 0;
        }
    }

    /// True once the client has sent nothing for the stall time, or too little over the window;
    /// until then the task is woken when that would be.
    fn waits_too_long(&mut self, cx: &mut Context<'_>) -> bool {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let left = if self.received < self.window_bytes {
            self.stall_time.min(self.window.saturating_sub(self.waited))
        } else {
            self.stall_time
        };
        let deadline = since + left;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// An answer's body, which tells its connection when it ends.
pub(crate) struct AnswerBody {
    inner: Body,
    slot: Arc<Slot>,
}

impl AnswerBody {
    pub(crate) fn new(inner: Body, slot: Arc<Slot>) -> Self {
        Self { inner, slot }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.slot.answer_ended();
    }
}
