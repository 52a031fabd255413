//! Connections: how many there are, which give way, and how each is served.
//!
//! Slow clients cannot hold the server. A client has a bounded time for its headers, its body and
//! for taking the answer; and when as many connections are open as the server may have, the oldest
//! one without a request under way gives way to a new one. Only where every connection is busy is
//! a new one turned away, at once, with 503.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use dist_model::ErrorCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Sleep, sleep, timeout};
use tower::Service as _;

use crate::body::{AnswerBody, RequestBody};
use crate::config::Limits;
use crate::error::refusal_body;

/// The largest request head. Links and tokens are short; nobody else needs more.
const HEAD_BYTES: usize = 32 << 10;
/// What is read of a body, or written of an answer, at once.
const BUFFER_BYTES: usize = 256 << 10;
/// How long a client that was refused in the middle of its body may take to read why.
const LINGER: Duration = Duration::from_secs(2);
/// How long one that was turned away at the door may.
const TURN_AWAY: Duration = Duration::from_millis(500);

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// The open connections, never more than a cap.
#[derive(Debug)]
pub(crate) struct Connections {
    cap: usize,
    turned_away: AtomicU64,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    /// By id, so oldest first.
    slots: BTreeMap<u64, Arc<Slot>>,
}

/// What a connection is doing, told by those who see it happen: the service when a request
/// begins, the answer's body when it ends, the socket when all is flushed.
#[derive(Debug)]
pub(crate) struct Slot {
    activity: AtomicU8,
    body_unread: AtomicBool,
    give_way: Notify,
}

const IDLE: u8 = 0;
const BUSY: u8 = 1;
const FLUSHING: u8 = 2;

/// A place among the open connections, free again when dropped.
pub(crate) struct Admission {
    id: u64,
    slot: Arc<Slot>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            cap,
            turned_away: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// How many found every connection busy.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// A place for a new connection: a free one, or that of the oldest idle connection, which is
    /// told to give way. `None` where every connection has a request under way.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let mut open = self.lock();
        if open.slots.len() >= self.cap {
            let Some(idle) = open.slots.iter().find(|(_, slot)| slot.is_idle()).map(|(id, _)| *id) else {
                self.turned_away.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            if let Some(slot) = open.slots.remove(&idle) {
                slot.give_way.notify_one();
            }
        }
        let id = open.next_id;
        open.next_id += 1;
        let slot = Arc::new(Slot {
            activity: AtomicU8::new(IDLE),
            body_unread: AtomicBool::new(false),
            give_way: Notify::new(),
        });
        open.slots.insert(id, Arc::clone(&slot));
        Some(Admission {
            id,
            slot,
            connections: Arc::clone(self),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.connections.lock().slots.remove(&self.id);
    }
}

impl Slot {
    fn is_idle(&self) -> bool {
        self.activity.load(Ordering::Acquire) == IDLE
    }

    fn request_began(&self) {
        self.body_unread.store(false, Ordering::Relaxed);
        self.activity.store(BUSY, Ordering::Release);
    }

    /// The answer is produced, and some of it may still wait to be written.
    pub(crate) fn answer_ended(&self) {
        self.activity.store(FLUSHING, Ordering::Release);
    }

    fn flushed(&self) {
        // A connection whose answer is still being produced flushes too, and stays busy.
        let _ = self
            .activity
            .compare_exchange(FLUSHING, IDLE, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// The request's body was given up before its end.
    pub(crate) fn body_left_unread(&self) {
        self.body_unread.store(true, Ordering::Relaxed);
    }
}

/// Serves one connection to its end: the client's, the server's (`stop`), or when it must give way.
///
/// Buffers and state are made when the client says its first word: a thousand silent connections
/// then cost little more than their descriptors.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    admission: Admission,
    router: Router,
    limits: Arc<Limits>,
    mut stop: watch::Receiver<bool>,
) {
    let mut first_byte = [0];
    tokio::select! {
        first = timeout(limits.header_time, stream.peek(&mut first_byte)) => if !matches!(first, Ok(Ok(1..))) {
            return;
        },
        _ = stop.changed() => return,
        () = admission.slot.give_way.notified() => return,
    }
    Box::pin(converse(stream, peer, admission, router, limits, stop)).await;
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    admission: Admission,
    router: Router,
    limits: Arc<Limits>,
    mut stop: watch::Receiver<bool>,
) {
    // Without it the last piece of an answer waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let slot = Arc::clone(&admission.slot);
    let socket = Socket {
        stream,
        slot: Arc::clone(&slot),
        stall_time: limits.stall_time,
        stalled: None,
    };
    let header_time = limits.header_time;
    let service = hyper::service::service_fn({
        let slot = Arc::clone(&slot);
        move |request: hyper::Request<hyper::body::Incoming>| {
            slot.request_began();
            let mut request = request.map(|body| RequestBody::wrap(body, &limits, &slot));
            request.extensions_mut().insert(Peer(peer));
            let answer = router.clone().call(request);
            let slot = Arc::clone(&slot);
            async move {
                answer
                    .await
                    .map(|answer| answer.map(|body| AnswerBody::new(body, slot)))
            }
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time)
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut stopping = false;
    loop {
        tokio::select! {
            // An error here is the client's: it went away, was too slow, or does not speak HTTP.
            _ = &mut connection => break,
            _ = stop.changed(), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            () = slot.give_way.notified() => return,
        }
    }
    if slot.body_unread.load(Ordering::Relaxed) {
        let _ = timeout(LINGER, drain(&mut connection.into_parts().io.into_inner().stream)).await;
    }
}

/// Tells a client that it is not served now: every connection is busy, or the server is stopping.
pub(crate) async fn turn_away(mut stream: TcpStream, code: ErrorCode) {
    let body = refusal_body(code);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = timeout(TURN_AWAY, async {
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        stream.shutdown().await?;
        drain(&mut stream).await
    })
    .await;
}

/// Reads what a client still sends. Closing a socket with unread bytes resets the connection, and
/// the client would lose the answer that says why.
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// A client's socket, which gives up on a client that takes nothing of what is written to it.
struct Socket {
    stream: TcpStream,
    slot: Arc<Slot>,
    stall_time: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Passes a write's outcome on, and turns a wait that lasts too long into an error.
    fn timed<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let time = self.stall_time;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.timed(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.timed(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The codec flushes the socket once it has written all that it had.
        self.slot.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_idle_connection_gives_way() {
        let connections = Arc::new(Connections::new(2));
        let first = connections.admit().unwrap();
        first.slot.request_began();
        let second = connections.admit().unwrap();
        let third = connections.admit().unwrap();
        assert_eq!(connections.len(), 2);
        third.slot.request_began();
        assert!(connections.admit().is_none(), "every connection is busy");

        first.slot.answer_ended();
        assert!(connections.admit().is_none(), "an answer is still being written");
        first.slot.flushed();
        let fourth = connections.admit().unwrap();
        drop((first, second));
        assert_eq!(connections.len(), 2, "who gave way frees no place of another");
        drop((third, fourth));
        assert_eq!(connections.len(), 0);
    }
}
