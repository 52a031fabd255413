//! What a writer hands over, and what comes back.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{ExpectedRevision, Key, NewEvent, Position, Recorded, Revision, StreamName};

/// Events for one stream, which get contiguous revisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// The stream.
    #[serde(deserialize_with = "StreamName::deserialize_below")]
    pub stream: StreamName,
    /// What must be true of the stream.
    pub expected: ExpectedRevision,
    /// The events, in order.
    pub events: Vec<NewEvent>,
    /// Whether each event also gets a pointer in the timeline [`StreamName::global`].
    #[serde(default)]
    pub global: bool,
}

impl Append {
    /// An append that is not on the timeline.
    pub fn new(stream: StreamName, expected: ExpectedRevision, events: Vec<NewEvent>) -> Self {
        Self {
            stream,
            expected,
            events,
            global: false,
        }
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KvChange {
    /// Sets the key.
    Put {
        /// The key.
        #[serde(deserialize_with = "Key::deserialize_below")]
        key: Key,
        /// The value to set: at most 8 MiB as JSON, at most 100 levels deep.
        value: Value,
        /// What must be there.
        expected: KvExpected,
    },
    /// Removes the key; an absent one is left absent.
    Delete {
        /// The key.
        #[serde(deserialize_with = "Key::deserialize_below")]
        key: Key,
    },
}

/// What a put expects to find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvExpected {
    /// Anything or nothing.
    Any,
    /// Nothing.
    Absent,
    /// This value.
    Value(Value),
}

impl KvExpected {
    /// Whether what is there fits.
    pub fn admits(&self, actual: Option<&Value>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => actual.is_none(),
            Self::Value(value) => actual == Some(value),
        }
    }
}

/// The receipt that makes a commit idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewReceipt {
    /// Whose key it is: a principal, or `stream/<name>`. 1 to 1024 bytes.
    pub scope: String,
    /// The idempotency key: 1 to 1024 bytes.
    pub key: String,
    /// The SHA-256 of the request; the same key with another one is a conflict.
    pub request_hash: [u8; 32],
    /// What to tell who asks again.
    pub result: ReceiptResult,
}

/// What a receipt tells who asks again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptResult {
    /// This.
    Value(Value),
    /// Which event was the commit's first, as `{"stream", "seq", "at", "meta"}`: what the request
    /// does not say, so that the event can be told again even when it has been compacted away.
    FirstEvent,
}

/// Dropping the beginning of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    /// The stream.
    #[serde(deserialize_with = "StreamName::deserialize_below")]
    pub stream: StreamName,
    /// The last event to drop. The stream's next event gets the same revision as without.
    pub through: Revision,
}

/// A receipt that is in the store, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The SHA-256 of the request.
    pub request_hash: [u8; 32],
    /// What to tell who asks again.
    pub result: Value,
    /// The head of the store after the commit: the position of its last event, if it had any.
    pub position: Position,
    /// When it was recorded, in Unix milliseconds, by the store's clock.
    pub created_at: i64,
}

/// What is committed together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    /// Events, in order; several appends may go to one stream.
    pub appends: Vec<Append>,
    /// Changes of keys, in order.
    pub kv: Vec<KvChange>,
    /// Beginnings of streams to drop, after the appends.
    pub truncations: Vec<Truncation>,
    /// The receipt, if the commit is idempotent.
    pub receipt: Option<NewReceipt>,
}

impl From<Append> for Commit {
    fn from(append: Append) -> Self {
        Self {
            appends: vec![append],
            ..Self::default()
        }
    }
}

impl From<KvChange> for Commit {
    fn from(change: KvChange) -> Self {
        Self {
            kv: vec![change],
            ..Self::default()
        }
    }
}

/// What was committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// The events of this commit, in order.
    pub events: Vec<Recorded>,
    /// The head of the store after it.
    pub head: Position,
}

/// What was in the way of a commit, which then has written nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// A stream is not where it was expected to be.
    Revision {
        /// The stream.
        #[serde(deserialize_with = "StreamName::deserialize_below")]
        stream: StreamName,
        /// What was expected.
        expected: ExpectedRevision,
        /// The stream's last revision; `None` if nothing was ever appended to it.
        actual: Option<Revision>,
    },
    /// A key does not hold what was expected.
    Value {
        /// The key.
        #[serde(deserialize_with = "Key::deserialize_below")]
        key: Key,
        /// What was expected.
        expected: KvExpected,
        /// What is there; `None` if the key is absent.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        actual: Option<Value>,
    },
    /// The idempotency key was used for another request.
    Receipt {
        /// Whose key it is.
        scope: String,
        /// The key.
        key: String,
    },
}

/// What a command decided: what to commit, and what to answer once that is durable.
#[derive(Clone, Debug, Default)]
pub struct Decision<T> {
    /// What to commit.
    pub commit: Commit,
    /// What to answer.
    pub value: T,
}

/// A field that is there, even if it is null.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// It is durable.
    Committed {
        /// The command's answer.
        value: T,
        /// What was committed.
        committed: Committed,
    },
    /// The same request was committed before, under this receipt; nothing was written now.
    Duplicate(Receipt),
    /// Something was in the way; nothing was written.
    Conflict(Conflict),
}

/// What became of a write through a facet that expects something.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a conflict has written nothing"]
pub enum Attempt<T> {
    /// It is durable.
    Committed(T),
    /// The same request was committed before, with this result; nothing was written now.
    Duplicate(T),
    /// Something was in the way; nothing was written.
    Conflict(Conflict),
}

impl<T> Attempt<T> {
    /// The result of this write or of the one that it repeats, or what was in the way.
    pub fn into_result(self) -> Result<T, Conflict> {
        match self {
            Self::Committed(value) | Self::Duplicate(value) => Ok(value),
            Self::Conflict(conflict) => Err(conflict),
        }
    }

    /// Whether something was in the way.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// The same outcome with another result.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Committed(value) => Attempt::Committed(change(value)),
            Self::Duplicate(value) => Attempt::Duplicate(change(value)),
            Self::Conflict(conflict) => Attempt::Conflict(conflict),
        }
    }
}
