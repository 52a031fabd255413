//! One request of a client's, and how it ends when the server is killed.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Error, anyhow};
use serde_json::Value;

use crate::http::{Client, Request, Step};

/// How much of a body is sent at once, and the pause before it: as over a network, so that a kill
/// may come while the bytes are on their way.
const PIECE_BYTES: usize = 16 << 10;
const PIECE_PAUSE: Duration = Duration::from_micros(500);

/// What a client was doing when the server died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Making a connection.
    Connecting,
    /// Sending an object's bytes.
    SendingUpload,
    /// Waiting for the answer to an upload.
    AwaitingUpload,
    /// Waiting for the answer to a publish.
    Publishing,
    /// Waiting for the answer to a change of a draft.
    Drafting,
    /// Waiting for the answer to a promotion.
    Promoting,
    /// Waiting for the answer to a rollback.
    RollingBack,
    /// Waiting for the answer to a cleanup.
    CleaningUp,
    /// Waiting for the answer to a backup.
    BackingUp,
}

impl Phase {
    /// Whether the server had a part of a request.
    pub fn is_under_way(self) -> bool {
        self != Self::Connecting
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting, between two requests",
            Self::SendingUpload => "sending an upload's body",
            Self::AwaitingUpload => "waiting for an upload's answer",
            Self::Publishing => "publishing",
            Self::Drafting => "filling or publishing a draft",
            Self::Promoting => "promoting",
            Self::RollingBack => "rolling back",
            Self::CleaningUp => "cleaning up",
            Self::BackingUp => "backing up",
        })
    }
}

/// A `POST`.
pub struct Call<'a> {
    /// The path and query.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The key under which it is done once.
    pub key: Option<&'a str>,
    /// What the client is doing while it sends, and while it waits.
    pub phases: [Phase; 2],
    /// The codes of refusals that may come.
    pub may_come: &'a [&'a str],
}

/// How a client's work was cut.
#[derive(Debug)]
pub struct Interrupted {
    /// What it was doing.
    pub phase: Phase,
    /// The publish that was sent and not answered.
    pub request: Option<Unanswered>,
}

/// A publish whose answer never came.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// The path.
    pub path: String,
    /// The body, JSON.
    pub body: String,
    /// The key under which it is done once.
    pub key: String,
}

/// Why a client stops.
pub enum Stop {
    /// The server is gone.
    Cut(Interrupted),
    /// The server answered what it should not.
    Wrong(Error),
}

impl Stop {
    /// The same, of a request that is to be sent again.
    pub fn of(self, request: &Unanswered) -> Self {
        match self {
            Self::Cut(Interrupted { phase, .. }) if phase.is_under_way() => Self::Cut(Interrupted {
                phase,
                request: Some(request.clone()),
            }),
            stop => stop,
        }
    }
}

impl Call<'_> {
    /// Sends it and gives the answer; `None` where it was refused with one of the codes that may
    /// come.
    pub fn send(&self, client: &Client) -> Result<Option<Value>, Stop> {
        let phase = Cell::new(Phase::Connecting);
        let headers = self.key.map(|key| ("Idempotency-Key", key));
        let sent = client.connect().and_then(|mut connection| {
            let request = Request {
                method: "POST",
                path: self.path,
                headers: headers.as_slice(),
                length: self.body.len() as u64,
                body: &mut Pieces(self.body),
            };
            connection.exchange(request, |step| {
                phase.set(match step {
                    Step::Connecting => Phase::Connecting,
                    Step::Sending => self.phases[0],
                    Step::Waiting => self.phases[1],
                });
            })
        });
        let answer = sent.map_err(|error| cut(&error, phase.get()))?;
        if answer.is_ok() {
            return Ok(Some(answer.json()));
        }
        if self.may_come.contains(&answer.code().as_str()) {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&answer.body);
        let what = anyhow!("POST {} answered {}: {said}", self.path, answer.status);
        Err(Stop::Wrong(what))
    }
}

/// The connection broke while the client was at this.
fn cut(error: &io::Error, phase: Phase) -> Stop {
    // A server that is alive and silent is a failure of its own, and no kill.
    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
        return Stop::Wrong(anyhow!("no answer while {phase}: {error}"));
    }
    Stop::Cut(Interrupted { phase, request: None })
}

/// Bytes that come in pieces.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = PIECE_BYTES.min(buffer.len());
        if self.0.len() > count {
            sleep(PIECE_PAUSE);
        }
        self.0
            .take(count as u64)
            .read(buffer)
            .inspect(|count| self.0 = &self.0[*count..])
    }
}
