//! The log's vocabulary: streams, events, and their places in them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::StreamName;

/// Both places are plain numbers with a meaning; this gives them the same few operations.
macro_rules! place {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);
            /// The first.
            pub const FIRST: Self = Self(1);

            /// The place with this number.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// Its number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The place after it.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The place before it; that of zero is zero.
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }

        impl From<$name> for u64 {
            fn from(place: $name) -> Self {
                place.0
            }
        }
    };
}

place! {
    /// The place of an event in its stream, from 1. [`Revision::ZERO`] is that of an empty stream.
    Revision
}

place! {
    /// The place of an event in the store, from 1, dense and in the order of the commits.
    Position
}

/// What an append expects of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedRevision {
    /// Nothing.
    Any,
    /// That nothing was ever appended to it.
    NoStream,
    /// That something was.
    StreamExists,
    /// That its last event is this one. `Exact(Revision::ZERO)` is the same as `NoStream`.
    Exact(Revision),
}

impl ExpectedRevision {
    /// Whether a stream whose last revision is `actual` (`None`: there is no stream) fits.
    pub fn admits(self, actual: Option<Revision>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual.is_none(),
            Self::StreamExists => actual.is_some(),
            Self::Exact(revision) => actual.unwrap_or_default() == revision,
        }
    }
}

/// An event that is to be appended. [`NewEvent::typed`] makes one of an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// What happened: 1 to 200 bytes without control characters.
    pub r#type: String,
    /// When it happened, in Unix milliseconds, as the caller says; it may be historical.
    pub at: i64,
    /// The facts: at most 8 MiB as JSON, at most 100 levels deep.
    pub data: Value,
    /// What is known about the event but is not part of it: actor, request id, cause.
    #[serde(default)]
    pub meta: Value,
    /// The version of the schema of `data`.
    #[serde(default = "first_format")]
    pub format: u32,
}

fn first_format() -> u32 {
    1
}

impl NewEvent {
    /// An event of format 1 without `meta`.
    pub fn new(r#type: impl Into<String>, at: i64, data: Value) -> Self {
        Self {
            r#type: r#type.into(),
            at,
            data,
            meta: Value::Null,
            format: 1,
        }
    }
}

/// An event. `(stream, seq)` is its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The stream that it belongs to.
    #[serde(deserialize_with = "StreamName::deserialize_below")]
    pub stream: StreamName,
    /// Its place there.
    pub seq: Revision,
    /// What happened.
    pub r#type: String,
    /// When it happened, in Unix milliseconds, as the caller said.
    pub at: i64,
    /// The facts.
    pub data: Value,
}

/// An event with what the store knows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// Its place in the store.
    pub position: Position,
    /// When it was recorded, in Unix milliseconds, by the store's clock. No fold depends on it.
    pub recorded_at: i64,
    /// The version of the schema of the event's data.
    pub format: u32,
    /// What is known about the event but is not part of it.
    pub meta: Value,
}
