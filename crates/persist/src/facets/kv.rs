//! Keys with a present and no history. Values are of any type that serde knows;
//! [`serde_json::Value`] takes whatever is there.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::log::{contradiction, unconditional};
use crate::{Attempt, Backend, Error, InvalidInput, Key, KvChange, KvExpected, Outcome, SqlError, typed};

/// How often [`update`] tries again when others change the key under it.
const MAX_UPDATE_ATTEMPTS: usize = 1000;

/// The value of a key.
pub fn get<T: DeserializeOwned>(backend: &dyn Backend, key: &str) -> Result<Option<T>, Error> {
    let key = checked(key)?;
    Ok(backend.kv_get(&key)?.map(|value| decode(&key, value)).transpose()?)
}

/// The value of a key, or `default` if it is absent.
pub fn get_or<T: DeserializeOwned>(backend: &dyn Backend, key: &str, default: T) -> Result<T, Error> {
    Ok(get(backend, key)?.unwrap_or(default))
}

/// Whether a key is there.
pub fn has(backend: &dyn Backend, key: &str) -> Result<bool, Error> {
    Ok(backend.kv_get(&checked(key)?)?.is_some())
}

/// All keys, ordered, without the reserved ones.
pub fn keys(backend: &dyn Backend) -> Result<Vec<Key>, Error> {
    let mut keys = backend.kv_keys("")?;
    keys.retain(|key| !key.is_reserved());
    Ok(keys)
}

/// Sets a key and answers with its value.
pub fn put<T: Serialize>(backend: &dyn Backend, key: &str, value: T) -> Result<T, Error> {
    unconditional(put_expecting(backend, checked(key)?, KvExpected::Any, value)?)
}

/// Removes a key; an absent one is left absent.
pub fn delete(backend: &dyn Backend, key: &str) -> Result<(), Error> {
    let key = checked(key)?;
    backend.commit(KvChange::Delete { key }.into()).map(drop)
}

/// Sets a key if it holds `expected` (`None`: if it is absent).
pub fn cas<T: Serialize>(
    backend: &dyn Backend,
    key: &str,
    expected: Option<&T>,
    value: T,
) -> Result<Attempt<T>, Error> {
    let expected = match expected {
        Some(expected) => KvExpected::Value(typed::value(expected)?),
        None => KvExpected::Absent,
    };
    put_expecting(backend, checked(key)?, expected, value)
}

/// Sets a key if it is absent.
pub fn put_new<T: Serialize>(backend: &dyn Backend, key: &str, value: T) -> Result<Attempt<T>, Error> {
    put_expecting(backend, checked(key)?, KvExpected::Absent, value)
}

/// Changes a key by a function of its value, or of `default` if it is absent, and answers with the
/// new value. No change of others is lost: `change` is called again on what they left.
pub fn update<T: Serialize + DeserializeOwned>(
    backend: &dyn Backend,
    key: &str,
    default: &T,
    mut change: impl FnMut(&T) -> T,
) -> Result<T, Error> {
    let key = checked(key)?;
    for _ in 0..MAX_UPDATE_ATTEMPTS {
        let actual = backend.kv_get(&key)?;
        let (value, expected) = match actual {
            Some(actual) => (change(&decode(&key, actual.clone())?), KvExpected::Value(actual)),
            None => (change(default), KvExpected::Absent),
        };
        if let Ok(value) = put_expecting(backend, key.clone(), expected, value)?.into_result() {
            return Ok(value);
        }
    }
    Err(Error::Busy)
}

fn checked(key: &str) -> Result<Key, InvalidInput> {
    Key::new(key).map_err(InvalidInput::Key)
}

fn decode<T: DeserializeOwned>(key: &Key, value: Value) -> Result<T, SqlError> {
    serde_json::from_value(value)
        .map_err(|error| SqlError::decode(format_args!("the value of {key} is of another type: {error}")))
}

fn put_expecting<T: Serialize>(
    backend: &dyn Backend,
    key: Key,
    expected: KvExpected,
    value: T,
) -> Result<Attempt<T>, Error> {
    let change = KvChange::Put {
        key,
        value: typed::value(&value)?,
        expected,
    };
    match backend.commit(change.into())? {
        Outcome::Conflict(conflict) => Ok(Attempt::Conflict(conflict)),
        Outcome::Committed { .. } => Ok(Attempt::Committed(value)),
        Outcome::Duplicate(_) => Err(contradiction("a commit without a receipt has no duplicate")),
    }
}
