//! The server's side: a line in, a line out.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::MAX_LINE_BYTES;
use super::wire::{
    self, Answer, AnyKey, Bytes, CommitOutcome, Events, Found, Hello, Line, Nothing, PageStart, Refusal, Request,
    Stream,
};
use crate::blob::BlobStore;
use crate::{
    After, Append, Backend, Commit, Event, ExpectedRevision, InvalidInput, KvChange, KvExpected, NewEvent, Outcome,
    Revision, StreamName, Truncation, catalog, log,
};

/// Answers requests until the input ends: one line for each line, in their order.
///
/// An error is one of the transport; what is wrong with a request is its answer. Requests are
/// performed one after the other; those of several connections share their transactions, as
/// writers of one process do.
///
/// ```
/// use persist::{MemoryBlobs, MemoryLog, protocol};
///
/// let input = br#"{"op":"persist/append","args":["s",{"stream":"s","seq":1,"type":"t","at":0,"data":7}]}
/// {"op":"persist/last-seq","args":["s"]}
/// "#;
/// let mut output = Vec::new();
/// protocol::serve(&MemoryLog::default(), &MemoryBlobs::default(), &input[..], &mut output)?;
/// assert_eq!(output, b"{\"ok\":null}\n{\"ok\":1}\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve(
    backend: &dyn Backend,
    blobs: &dyn BlobStore,
    mut input: impl BufRead,
    mut output: impl Write,
) -> io::Result<()> {
    let server = Server { backend, blobs };
    let mut line = Vec::new();
    loop {
        let answer = match wire::read_line(&mut input, &mut line, MAX_LINE_BYTES)? {
            Line::Whole => Request::parse(&line).and_then(|request| server.perform(&request)),
            Line::TooLong => Err(too_long()),
            Line::End => return Ok(()),
        };
        let mut answer = serde_json::to_vec(&answer.map_or_else(Answer::Error, Answer::Ok))?;
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.flush()?;
    }
}

fn too_long() -> Refusal {
    let message = format!("a line has at most {MAX_LINE_BYTES} bytes; send less in one request");
    Refusal::new("line_too_long", message)
}

struct Server<'a> {
    backend: &'a dyn Backend,
    blobs: &'a dyn BlobStore,
}

impl Server<'_> {
    /// Every operation, a line each.
    fn perform(&self, request: &Request<'_>) -> Result<Box<RawValue>, Refusal> {
        let Self { backend, blobs } = self;
        let args = request.args;
        match &*request.op {
            "persist/append" => with(args, |(Stream(stream), event)| self.append(stream, event)),
            "persist/read" => with(args, |(Stream(stream),)| self.read(&stream)),
            "persist/last-seq" => with(args, |(Stream(stream),)| Ok(backend.last_seq(&stream)?)),
            "persist/streams" => with(args, |[]: Nothing| Ok(catalog::streams_all(*backend)?)),
            "persist/truncate" => with(args, |(Stream(stream), through)| self.truncate(stream, through)),
            "persist/kv-get" => with(args, |(AnyKey(key),)| Ok(backend.kv_get(&key)?)),
            "persist/kv-put" => with(args, |(AnyKey(key), value)| {
                let expected = KvExpected::Any;
                self.change(KvChange::Put { key, value, expected })
            }),
            "persist/kv-delete" => with(args, |(AnyKey(key),)| self.change(KvChange::Delete { key })),
            "persist/kv-has?" => with(args, |(AnyKey(key),)| Ok(backend.kv_get(&key)?.is_some())),
            "persist/kv-keys" => with(args, |[]: Nothing| Ok(backend.kv_keys("")?)),
            "blob/put" => with(args, |(bytes, mime): (_, String)| self.put_blob(bytes, &mime)),
            "blob/get" => with(args, |(cid,): (String,)| {
                Ok(blobs.get(&cid)?.map(|bytes| Bytes { bytes }))
            }),
            "blob/has?" => with(args, |(cid,): (String,)| Ok(blobs.has(&cid)?)),
            "persist/hello" => with(args, |[]: Nothing| self.hello()),
            "persist/commit" => with(args, |(commit,)| self.commit(commit)),
            "persist/read-page" => self.read_page(args),
            "persist/count" => with(args, |(Stream(stream),)| Ok(backend.count(&stream)?)),
            "persist/stream-revisions" => with(args, |[]: Nothing| Ok(backend.stream_revisions()?)),
            "persist/kv-find" => with(args, |(AnyKey(key),)| {
                Ok(backend.kv_get(&key)?.map(|value| Found { value }))
            }),
            "persist/kv-keys-with-prefix" => with(args, |(prefix,): (String,)| Ok(backend.kv_keys(&prefix)?)),
            "persist/receipt" => with(args, |(scope, key): (String, String)| {
                Ok(backend.find_receipt(&scope, &key)?)
            }),
            unknown => Err(unknown_op(unknown)),
        }
    }

    fn append(&self, stream: StreamName, event: &RawValue) -> Result<(), Refusal> {
        let event: Event = object(event)?;
        if event.stream != stream {
            return Err(Refusal::bad_arguments(&"the event is of another stream"));
        }
        if event.seq == Revision::ZERO {
            return Err(Refusal::bad_arguments(&"the seq of a stream's first event is 1"));
        }
        let expected = ExpectedRevision::Exact(event.seq.previous());
        let new = NewEvent::new(event.r#type, event.at, event.data);
        match self.backend.commit(Append::new(stream, expected, vec![new]).into())? {
            Outcome::Committed { .. } | Outcome::Duplicate(_) => Ok(()),
            Outcome::Conflict(conflict) => Err(conflict.into()),
        }
    }

    fn read(&self, stream: &StreamName) -> Result<Vec<Event>, Refusal> {
        let events = log::read(self.backend, stream)?;
        Ok(events.into_iter().map(|recorded| recorded.event).collect())
    }

    fn truncate(&self, stream: StreamName, through: Revision) -> Result<(), Refusal> {
        let commit = Commit {
            truncations: vec![Truncation { stream, through }],
            ..Commit::default()
        };
        self.backend.commit(commit)?;
        Ok(())
    }

    fn change(&self, change: KvChange) -> Result<(), Refusal> {
        self.backend.commit(change.into())?;
        Ok(())
    }

    fn put_blob(&self, bytes: &RawValue, mime: &str) -> Result<String, Refusal> {
        let Bytes { bytes } = object(bytes)?;
        Ok(self.blobs.put(&bytes, mime)?)
    }

    fn hello(&self) -> Result<Hello, Refusal> {
        Ok(Hello {
            protocol: wire::VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            store: self.backend.identity()?,
            head: self.backend.head()?,
        })
    }

    fn commit(&self, commit: &RawValue) -> Result<CommitOutcome, Refusal> {
        let commit: Commit = object(commit)?;
        Ok(self.backend.commit(commit)?.into())
    }

    fn read_page(&self, args: &RawValue) -> Result<Box<RawValue>, Refusal> {
        let (place, limit) = arguments(args)?;
        let after = match &place {
            PageStart::Revision(stream, revision) => After::Revision(stream, *revision),
            PageStart::Position(position) => After::Position(*position),
        };
        let page = self.backend.page(after, limit)?;
        json(&Events::of(&page)?)
    }
}

fn unknown_op(op: &str) -> Refusal {
    // Enough to know it by; a line's worth of it would only come back.
    let op: String = op.chars().take(100).collect();
    Refusal::new("unknown_op", format!("there is no operation {op:?}"))
}

/// Performs an operation with its arguments.
fn with<'a, A: Deserialize<'a>, R: Serialize>(
    args: &'a RawValue,
    perform: impl FnOnce(A) -> Result<R, Refusal>,
) -> Result<Box<RawValue>, Refusal> {
    json(&perform(arguments(args)?)?)
}

fn arguments<'a, A: Deserialize<'a>>(args: &'a RawValue) -> Result<A, Refusal> {
    serde_json::from_str(args.get()).map_err(|error| Refusal::bad_arguments(&error))
}

fn object<'a, T: Deserialize<'a>>(argument: &'a RawValue) -> Result<T, Refusal> {
    wire::object(argument.get()).map_err(|error| Refusal::bad_arguments(&error))
}

fn json(value: &impl Serialize) -> Result<Box<RawValue>, Refusal> {
    to_raw_value(value).map_err(|error| crate::Error::from(InvalidInput::NotJson(error.to_string())).into())
}
