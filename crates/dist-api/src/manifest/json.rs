//! JSON without second meanings: a key that stands twice in one object is refused, where
//! `serde_json::Value` would silently keep the last.

use std::fmt;

use dist_model::{ErrorCode, Refusal};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How long a manifest may be, in bytes: what the server takes as a JSON body.
const LONGEST: usize = 1 << 20;

/// Reads one JSON object, and nothing behind it.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if bytes.len() > LONGEST {
        return Err(Refusal::new(
            ErrorCode::RequestTooLarge,
            format!("the manifest has {} bytes; at most {LONGEST} are read", bytes.len()),
        )
        .with("size_bytes", bytes.len())
        .with("limit", LONGEST));
    }
    // Editors on Windows write a byte order mark that no JSON reader is obliged to take.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| not_json(&error))?;
    match value {
        Value::Object(map) => Ok(map),
        other => Err(Refusal::new(
            ErrorCode::ManifestInvalidField,
            format!("the manifest is {}: it must be an object, {{…}}", kind(&other)),
        )
        .with("field", "")),
    }
}

fn not_json(error: &serde_json::Error) -> Refusal {
    let (line, column) = (error.line(), error.column());
    let full = error.to_string();
    let place = format!(" at line {line} column {column}");
    let reason = full.strip_suffix(&place).unwrap_or(&full);
    Refusal::new(
        ErrorCode::ManifestInvalidJson,
        format!("the manifest is not JSON: line {line}, column {column}: {reason}"),
    )
    .with("line", line)
    .with("column", column)
}

/// What a value is, with its article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Builds a [`Value`]; its recursion is bounded by `serde_json`'s depth limit.
#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} stands twice in one object")));
            }
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(map.into())
    }
}
