//! The shapes that go over the wire, the same for both sides.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::commit::present;
use crate::{
    Committed, Conflict, Error, ExpectedRevision, InvalidInput, Key, Outcome, Page, Position, RawEvent, Receipt,
    Revision, StoreIdentity, StreamName, page,
};

/// The version of the protocol, which both sides must have.
pub(crate) const VERSION: u32 = 1;
/// The longest request, in bytes without the end of its line.
pub const MAX_LINE_BYTES: usize = 32 << 20;
/// The largest buffer that is kept for the next line.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// What was read of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole,
    /// More than the limit, of which nothing is kept.
    TooLong,
    /// There are no more lines.
    End,
}

/// Reads a line into `line`, without its end. One that ends with the input counts.
pub(crate) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, max: usize) -> io::Result<Line> {
    line.clear();
    line.shrink_to(MAX_KEPT_BYTES);
    // One byte more than the longest line is its end, or shows that it is longer.
    let longest = (max as u64).saturating_add(1);
    if input.by_ref().take(longest).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.pop_if(|last| *last == b'\n').is_some() || line.len() <= max {
        return Ok(Line::Whole);
    }
    *line = Vec::new();
    input.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

/// A request as it is read; its arguments are not, until it is known what they should be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request<'a> {
    #[serde(borrow)]
    pub(crate) op: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) args: &'a RawValue,
}

impl<'a> Request<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let broken = |why: &dyn std::fmt::Display| {
            Refusal::new(
                "broken_line",
                format!("a request is one line {{\"op\":\"…\",\"args\":[…]}} in UTF-8: {why}"),
            )
        };
        let text = std::str::from_utf8(line).map_err(|error| broken(&error))?;
        object(text).map_err(|error| broken(&error))
    }
}

/// Reads an object into a struct, for which an array would do as well otherwise.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    if !text.trim_start().starts_with('{') {
        return Err(de::Error::custom("expected an object"));
    }
    serde_json::from_str(text)
}

/// The arguments of an operation that takes none; `()` would be null.
pub(crate) type Nothing = [(); 0];

/// The line of a request. `args` is a tuple or an array.
pub(crate) fn request(op: &str, args: &impl Serialize) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Request<'a, A> {
        op: &'a str,
        args: &'a A,
    }
    let text = serde_json::to_vec(&Request { op, args });
    let mut line = text.map_err(|error| InvalidInput::NotJson(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

/// What an answer holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer<T> {
    Ok(T),
    Error(Refusal),
}

/// Why a request was not performed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<Revision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) actual: Option<Revision>,
}

impl Refusal {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            expected: None,
            actual: None,
        }
    }

    pub(crate) fn bad_arguments(why: &dyn std::fmt::Display) -> Self {
        Self::new(
            "bad_arguments",
            format!("the arguments are not those of the operation: {why}"),
        )
    }
}

impl From<Error> for Refusal {
    /// The message tells the causes too, since only text comes over.
    fn from(error: Error) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        // A cause that the error's own words tell already is not told twice.
        while let Some(cause) = source {
            let why = cause.to_string();
            if !message.ends_with(&why) {
                message = format!("{message}: {why}");
            }
            source = cause.source();
        }
        Self::new(error.code().to_owned(), message)
    }
}

impl From<Conflict> for Refusal {
    fn from(conflict: Conflict) -> Self {
        let message = "the seq is not the one after the stream's last; read the stream and decide again";
        let refusal = Self::new("conflict", message);
        match conflict {
            Conflict::Revision {
                expected: ExpectedRevision::Exact(expected),
                actual,
                ..
            } => Self {
                expected: Some(expected),
                actual: Some(actual.unwrap_or_default()),
                ..refusal
            },
            _ => refusal,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match &*refusal.code {
            "full" => Self::Full,
            "busy" => Self::Busy,
            "log_full" => Self::LogFull,
            "closed" => Self::Closed,
            "gone" => Self::Gone,
            _ => Self::Remote {
                code: refusal.code.into_owned(),
                message: refusal.message,
            },
        }
    }
}

/// The name of a stream, reserved or not.
#[derive(Deserialize)]
pub(crate) struct Stream(#[serde(deserialize_with = "StreamName::deserialize_below")] pub(crate) StreamName);

/// A key, reserved or not.
#[derive(Deserialize)]
pub(crate) struct AnyKey(#[serde(deserialize_with = "Key::deserialize_below")] pub(crate) Key);

/// What the server says of itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The version of the protocol.
    pub(crate) protocol: u32,
    /// The version of the server's crate.
    pub(crate) version: Cow<'static, str>,
    pub(crate) store: StoreIdentity,
    pub(crate) head: Position,
}

/// Where a page begins: [`After`](crate::After) with a name of its own.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PageStart {
    Revision(
        #[serde(deserialize_with = "StreamName::deserialize_below")] StreamName,
        Revision,
    ),
    Position(Position),
}

/// A [`Page`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Events<'a> {
    #[serde(borrow)]
    events: Vec<Stored<'a>>,
    last: bool,
}

/// A [`RawEvent`].
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    position: Position,
    #[serde(deserialize_with = "StreamName::deserialize_below")]
    stream: StreamName,
    seq: Revision,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    at: i64,
    recorded_at: i64,
    format: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    data: Option<&'a RawValue>,
}

impl<'a> Events<'a> {
    pub(crate) fn of(page: &'a Page) -> Result<Self, Error> {
        let events = page.iter().map(Stored::of).collect::<Result<_, _>>()?;
        let last = page.is_last();
        Ok(Self { events, last })
    }

    pub(crate) fn into_page(self) -> Page {
        let mut page = if self.last { Page::last() } else { Page::default() };
        for event in &self.events {
            let raw = RawEvent {
                position: event.position,
                stream: &event.stream,
                seq: event.seq,
                r#type: &event.r#type,
                at: event.at,
                recorded_at: event.recorded_at,
                format: event.format,
                meta: event.meta.map(RawValue::get),
                body: event.data.map(RawValue::get),
            };
            // What a server with larger pages sends beyond ours is asked for again.
            if !page.offer(&raw, usize::MAX) {
                break;
            }
        }
        page
    }
}

impl<'a> Stored<'a> {
    fn of(event: RawEvent<'a>) -> Result<Self, Error> {
        let raw = |text: &'a str| -> Result<&'a RawValue, Error> {
            // Staging writes no line ends, and one would end the answer.
            if text.contains('\n') {
                return Err(page::undecodable(event.stream, event.seq, &"it is not on one line"));
            }
            serde_json::from_str(text).map_err(|error| page::undecodable(event.stream, event.seq, &error))
        };
        Ok(Self {
            position: event.position,
            stream: event.stream.clone(),
            seq: event.seq,
            r#type: event.r#type.into(),
            at: event.at,
            recorded_at: event.recorded_at,
            format: event.format,
            meta: event.meta.map(raw).transpose()?,
            data: event.body.map(raw).transpose()?,
        })
    }
}

/// What became of a commit that has no value.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CommitOutcome {
    Committed(Committed),
    Duplicate(Receipt),
    Conflict(Conflict),
}

impl From<Outcome<()>> for CommitOutcome {
    fn from(outcome: Outcome<()>) -> Self {
        match outcome {
            Outcome::Committed { committed, .. } => Self::Committed(committed),
            Outcome::Duplicate(receipt) => Self::Duplicate(receipt),
            Outcome::Conflict(conflict) => Self::Conflict(conflict),
        }
    }
}

impl From<CommitOutcome> for Outcome<()> {
    fn from(outcome: CommitOutcome) -> Self {
        match outcome {
            CommitOutcome::Committed(committed) => Self::Committed { value: (), committed },
            CommitOutcome::Duplicate(receipt) => Self::Duplicate(receipt),
            CommitOutcome::Conflict(conflict) => Self::Conflict(conflict),
        }
    }
}

/// A value that is there, even if it is null.
#[derive(Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) value: Value,
}

/// Bytes, as `{"$bytes":"<base64>"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bytes {
    #[serde(rename = "$bytes", serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub(crate) bytes: Vec<u8>,
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    BASE64
        .decode(String::deserialize(deserializer)?)
        .map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn lines_end_with_their_newline_with_the_input_or_with_the_limit() {
        let mut input = Cursor::new(b"12345\n\n123456\n1234567890\n12345");
        let mut line = Vec::new();
        let mut next = || (read_line(&mut input, &mut line, 5).unwrap(), line.clone());
        assert_eq!(next(), (Line::Whole, b"12345".to_vec()));
        assert_eq!(next(), (Line::Whole, vec![]));
        assert_eq!(next(), (Line::TooLong, vec![]));
        assert_eq!(next(), (Line::TooLong, vec![]));
        assert_eq!(next(), (Line::Whole, b"12345".to_vec()));
        assert_eq!(next(), (Line::End, vec![]));
    }

    #[test]
    fn a_refusal_tells_its_causes_once() {
        let error = Error::Invalid(InvalidInput::Stream(StreamName::new("").unwrap_err()));
        let refusal = Refusal::from(error);
        assert_eq!(refusal.code, "name_length");
        let message = "the request is not valid: the name of the stream: it has 1 to 200 bytes, not 0";
        assert_eq!(refusal.message, message);
    }
}
