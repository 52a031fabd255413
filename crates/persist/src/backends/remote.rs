//! The request protocol's client: a backend that another process keeps.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::blob::BlobStore;
use crate::protocol::wire::{
    self, Answer, AnyKey, Bytes, CommitOutcome, Events, Found, Hello, Line, Nothing, PageStart, Stream,
};
use crate::{
    After, Backend, Commit, CommitFuture, Commits, Error, Key, Outcome, Page, Position, Receipt, Revision,
    StoreIdentity, StreamName,
};

/// The longest answer: what the longest request can come back as, with room to spare.
const MAX_ANSWER_BYTES: usize = 8 * wire::MAX_LINE_BYTES;
/// How often the head is asked for while somebody listens: soon enough for whoever waits for
/// others, and less work for the server than a single commit.
const HEAD_POLL: Duration = Duration::from_millis(50);

/// A store, and the blobs beside it, in another process, which runs `persist serve` or
/// [`protocol::serve`](crate::protocol::serve). Clones are handles to the same connection, which
/// ends with the last one.
///
/// Requests of all handles go out as they come and are answered in order; commits that should
/// share a transaction come over several connections. A connection that is lost stays lost: reads
/// and later commits are [`Error::Transport`]. A commit whose answer was lost with it is
/// [`Error::OutcomeUnknown`]; repeated over a new connection with its receipt, it is told from one
/// that was not performed.
///
/// ```no_run
/// use persist::{NewEvent, RemoteBackend, StreamName, log};
/// use std::path::Path;
///
/// let store = RemoteBackend::unix(Path::new("/run/orders/store.sock"))?;
/// let orders = StreamName::new("orders")?;
/// log::append_once(&store, &orders, "request-7", NewEvent::new("placed", 0, 12.into()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RemoteBackend {
    connection: Arc<Connection>,
}

struct Connection {
    queue: mpsc::Sender<Question>,
    loss: Arc<Loss>,
    commits: Arc<Commits>,
    /// Whether the head is being polled for `commits`.
    is_watched: AtomicBool,
}

/// A request, and who takes the line of its answer. That is dropped if there will be none.
struct Question {
    line: Vec<u8>,
    reply: Reply,
}

type Reply = Box<dyn FnOnce(&[u8]) + Send>;

/// Why nothing goes over the connection any more, once that is so.
type Loss = OnceLock<Arc<io::Error>>;

impl RemoteBackend {
    /// Speaks the protocol over any transport, once the server has said that it does too. When the
    /// last handle is gone the writer is dropped, after all that was handed over; the server has to
    /// take that as the end of its input.
    pub fn connect(reader: impl BufRead + Send + 'static, writer: impl Write + Send + 'static) -> Result<Self, Error> {
        Self::start(reader, writer, || ())
    }

    /// Connects to the Unix socket of a server.
    pub fn unix(path: &Path) -> Result<Self, Error> {
        let reader = UnixStream::connect(path).map_err(transport)?;
        let stream = reader.try_clone().map_err(transport)?;
        let hang_up = |stream: &UnixStream| stream.shutdown(Shutdown::Write);
        Self::connect(BufReader::new(reader), Socket { stream, hang_up })
    }

    /// Connects to the TCP socket of a server.
    pub fn tcp(address: impl ToSocketAddrs) -> Result<Self, Error> {
        let reader = TcpStream::connect(address).map_err(transport)?;
        reader.set_nodelay(true).map_err(transport)?;
        let stream = reader.try_clone().map_err(transport)?;
        let hang_up = |stream: &TcpStream| stream.shutdown(Shutdown::Write);
        Self::connect(BufReader::new(reader), Socket { stream, hang_up })
    }

    /// Starts a server that speaks over its standard input and output. Its input ends with the
    /// last handle, and it with that.
    pub fn spawn(mut command: Command) -> Result<Self, Error> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(transport)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(transport(io::Error::other("the child has no pipes")));
        };
        Self::start(BufReader::new(stdout), stdin, move || {
            // Without its output it is of no more use, if it has not ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        })
    }

    fn start(
        reader: impl BufRead + Send + 'static,
        writer: impl Write + Send + 'static,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Error> {
        let (queue, questions) = mpsc::channel();
        let (asked, replies) = mpsc::channel();
        let (loss, commits) = (Arc::new(Loss::new()), Arc::new(Commits::default()));
        let (writers, readers) = (Arc::clone(&loss), (Arc::clone(&loss), Arc::clone(&commits)));
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let spawned = thread("persist-remote-reader").spawn(move || {
            let (loss, commits) = readers;
            let _ = loss.set(Arc::new(read_answers(reader, &replies)));
            commits.close();
            drop(replies);
            at_end();
        });
        spawned.map_err(transport)?;
        let spawned = thread("persist-remote-writer").spawn(move || {
            if let Err(error) = write_questions(writer, &questions, &asked) {
                let _ = writers.set(Arc::new(error));
            }
        });
        spawned.map_err(transport)?;
        let connection = Connection {
            queue,
            loss,
            commits,
            is_watched: AtomicBool::new(false),
        };
        let Hello { protocol, version, .. } = connection.ask("persist/hello", &Nothing::default())?;
        if protocol != wire::VERSION {
            let own = wire::VERSION;
            return Err(transport(io::Error::other(format!(
                "the server (version {version}) speaks version {protocol} of the protocol, not {own}"
            ))));
        }
        Ok(Self {
            connection: Arc::new(connection),
        })
    }

    fn ask<T: DeserializeOwned + Send + 'static>(&self, op: &str, args: &impl Serialize) -> Result<T, Error> {
        self.connection.ask(op, args)
    }

    fn hello(&self) -> Result<Hello, Error> {
        self.ask("persist/hello", &Nothing::default())
    }
}

/// Writes requests, as long as there are handles and they can be written.
fn write_questions(
    mut writer: impl Write,
    questions: &mpsc::Receiver<Question>,
    asked: &mpsc::Sender<Reply>,
) -> io::Result<()> {
    for Question { line, reply } in questions {
        // Before the line, so that its answer finds it. Without a reader nobody is left to tell.
        if asked.send(reply).is_err() {
            break;
        }
        writer.write_all(&line)?;
        writer.flush()?;
    }
    Ok(())
}

/// Hands answers to those who asked, in order, and says why that ended.
fn read_answers(mut reader: impl BufRead, replies: &mpsc::Receiver<Reply>) -> io::Error {
    let mut line = Vec::new();
    loop {
        match wire::read_line(&mut reader, &mut line, MAX_ANSWER_BYTES) {
            Ok(Line::Whole) => match replies.try_recv() {
                Ok(reply) => reply(&line),
                Err(_) => return io::Error::other("the server answers what nobody asked"),
            },
            Ok(Line::TooLong) => return io::Error::other("an answer is too long"),
            Ok(Line::End) => return io::ErrorKind::UnexpectedEof.into(),
            Err(error) => return error,
        }
    }
}

impl Connection {
    fn send(&self, line: Vec<u8>, reply: impl FnOnce(&[u8]) + Send + 'static) -> Result<(), Error> {
        if self.loss.get().is_some() {
            return Err(self.lost());
        }
        let reply = Box::new(reply);
        self.queue.send(Question { line, reply }).map_err(|_| self.lost())
    }

    /// Asks what may be asked again, so that a lost answer is no more than a lost connection.
    fn ask<T: DeserializeOwned + Send + 'static>(&self, op: &str, args: &impl Serialize) -> Result<T, Error> {
        self.ask_raw(op, args, |raw| serde_json::from_str(raw.get()))
    }

    fn ask_raw<T: Send + 'static>(
        &self,
        op: &str,
        args: &impl Serialize,
        read: fn(&RawValue) -> serde_json::Result<T>,
    ) -> Result<T, Error> {
        let (sender, answer) = mpsc::sync_channel(1);
        self.send(wire::request(op, args)?, move |line| {
            let _ = sender.send(value(line, read));
        })?;
        answer.recv().unwrap_or_else(|_| Err(self.lost()))
    }

    /// Hands a commit over. `reply` is dropped if its outcome was lost.
    fn submit(
        &self,
        commit: &Commit,
        reply: impl FnOnce(Result<Outcome<()>, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let commits = Arc::clone(&self.commits);
        self.send(wire::request("persist/commit", &(commit,))?, move |line| {
            let outcome: Result<CommitOutcome, _> = value(line, |raw| serde_json::from_str(raw.get()));
            if matches!(outcome, Ok(CommitOutcome::Committed(_))) {
                commits.notify();
            }
            reply(outcome.map(Outcome::from).map_err(|error| match error {
                Error::Transport(why) => unknown(&why),
                other => other,
            }));
        })
    }

    fn lost(&self) -> Error {
        let why = self.loss.get().cloned();
        Error::Transport(why.unwrap_or_else(|| Arc::new(io::ErrorKind::BrokenPipe.into())))
    }

    fn unanswered(&self) -> Error {
        match self.lost() {
            Error::Transport(why) => unknown(&why),
            other => other,
        }
    }
}

/// What the line of an answer holds.
fn value<T>(line: &[u8], read: fn(&RawValue) -> serde_json::Result<T>) -> Result<T, Error> {
    let not_understood = |error: serde_json::Error| transport(error.into());
    match serde_json::from_slice(line).map_err(not_understood)? {
        Answer::Ok(raw) => read(raw).map_err(not_understood),
        Answer::Error(refusal) => Err(refusal.into()),
    }
}

fn transport(error: io::Error) -> Error {
    Error::Transport(Arc::new(error))
}

fn unknown(why: &dyn std::fmt::Display) -> Error {
    Error::OutcomeUnknown(format!("the connection was lost before the answer came: {why}"))
}

/// The writing half of a socket. The other side has to see its end, which the reading half would
/// hide by keeping the socket open.
struct Socket<S> {
    stream: S,
    hang_up: fn(&S) -> io::Result<()>,
}

impl<S: Write> Write for Socket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        // If it fails there is no other side any more.
        let _ = (self.hang_up)(&self.stream);
    }
}

/// Tells of what others commit, until the last handle or the connection is gone.
fn watch(connection: Weak<Connection>) -> io::Result<()> {
    let thread = thread::Builder::new().name("persist-remote-watch".to_owned());
    let watching = move || {
        let mut seen = None;
        while let Some(connection) = connection.upgrade()
            && connection.loss.get().is_none()
        {
            let hello: Result<Hello, _> = connection.ask("persist/hello", &Nothing::default());
            let head = hello.ok().map(|hello| hello.head);
            if head.is_some() && head != seen {
                seen = head;
                connection.commits.notify();
            }
            drop(connection);
            thread::sleep(HEAD_POLL);
        }
    };
    thread.spawn(watching).map(drop)
}

impl Backend for RemoteBackend {
    fn identity(&self) -> Result<StoreIdentity, Error> {
        Ok(self.hello()?.store)
    }

    fn commit(&self, commit: Commit) -> Result<Outcome<()>, Error> {
        let (sender, outcome) = mpsc::sync_channel(1);
        self.connection.submit(&commit, move |outcome| {
            let _ = sender.send(outcome);
        })?;
        outcome.recv().unwrap_or_else(|_| Err(self.connection.unanswered()))
    }

    fn commit_async(&self, commit: Commit) -> CommitFuture<'_> {
        let (sender, outcome) = oneshot::channel();
        let sent = self.connection.submit(&commit, move |outcome| {
            let _ = sender.send(outcome);
        });
        Box::pin(async move {
            sent?;
            outcome.await.unwrap_or_else(|_| Err(self.connection.unanswered()))
        })
    }

    fn page(&self, after: After<'_>, limit: usize) -> Result<Page, Error> {
        let start = match after {
            After::Revision(stream, revision) => PageStart::Revision(stream.clone(), revision),
            After::Position(position) => PageStart::Position(position),
        };
        self.connection.ask_raw("persist/read-page", &(start, limit), |raw| {
            serde_json::from_str::<Events<'_>>(raw.get()).map(Events::into_page)
        })
    }

    fn last_seq(&self, stream: &StreamName) -> Result<Revision, Error> {
        self.ask("persist/last-seq", &(stream,))
    }

    fn count(&self, stream: &StreamName) -> Result<u64, Error> {
        self.ask("persist/count", &(stream,))
    }

    fn stream_revisions(&self) -> Result<Vec<(StreamName, Revision)>, Error> {
        let revisions: Vec<(Stream, Revision)> = self.ask("persist/stream-revisions", &Nothing::default())?;
        Ok(revisions.into_iter().map(|(Stream(name), last)| (name, last)).collect())
    }

    fn head(&self) -> Result<Position, Error> {
        Ok(self.hello()?.head)
    }

    fn kv_get(&self, key: &Key) -> Result<Option<Value>, Error> {
        let found: Option<Found> = self.ask("persist/kv-find", &(key,))?;
        Ok(found.map(|found| found.value))
    }

    fn kv_keys(&self, prefix: &str) -> Result<Vec<Key>, Error> {
        let keys: Vec<AnyKey> = self.ask("persist/kv-keys-with-prefix", &(prefix,))?;
        Ok(keys.into_iter().map(|AnyKey(key)| key).collect())
    }

    fn find_receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        self.ask("persist/receipt", &(scope, key))
    }

    fn commits(&self) -> Arc<Commits> {
        let Connection {
            is_watched, commits, ..
        } = &*self.connection;
        if !is_watched.swap(true, Ordering::AcqRel) && watch(Arc::downgrade(&self.connection)).is_err() {
            // Own commits are told all the same, and the next listener tries again.
            is_watched.store(false, Ordering::Release);
        }
        Arc::clone(commits)
    }
}

impl BlobStore for RemoteBackend {
    fn put(&self, bytes: &[u8], mime: &str) -> Result<String, Error> {
        let bytes = Bytes {
            bytes: bytes.to_owned(),
        };
        self.ask("blob/put", &(bytes, mime))
    }

    fn get(&self, cid: &str) -> Result<Option<Vec<u8>>, Error> {
        let found: Option<Bytes> = self.ask("blob/get", &(cid,))?;
        Ok(found.map(|found| found.bytes))
    }

    fn has(&self, cid: &str) -> Result<bool, Error> {
        self.ask("blob/has?", &(cid,))
    }
}
