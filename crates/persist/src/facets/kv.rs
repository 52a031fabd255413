//! Keys with a present and no history.

use serde_json::Value;

use crate::{Backend, Commit, Conflict, Error, KvChange, KvExpected, Outcome};

/// How often [`update`] tries again when others change the key under it.
const MAX_UPDATE_ATTEMPTS: usize = 1000;

/// The value of a key.
pub fn get<B: Backend + ?Sized>(backend: &B, key: &str) -> Result<Option<Value>, Error> {
    backend.kv_get(key)
}

/// The value of a key, or `default` if it is absent.
pub fn get_or<B: Backend + ?Sized>(backend: &B, key: &str, default: Value) -> Result<Value, Error> {
    Ok(backend.kv_get(key)?.unwrap_or(default))
}

/// Whether a key is there.
pub fn has<B: Backend + ?Sized>(backend: &B, key: &str) -> Result<bool, Error> {
    Ok(backend.kv_get(key)?.is_some())
}

/// All keys, ordered.
pub fn keys<B: Backend + ?Sized>(backend: &B) -> Result<Vec<String>, Error> {
    backend.kv_keys()
}

/// Sets a key and answers with its value.
pub fn put<B: Backend + ?Sized>(backend: &B, key: &str, value: Value) -> Result<Value, Error> {
    put_expecting(backend, key, KvExpected::Any, value)?
        .map_err(|_| Error::invalid("an unconditional put cannot conflict"))
}

/// Removes a key; an absent one is left absent.
pub fn delete<B: Backend + ?Sized>(backend: &B, key: &str) -> Result<(), Error> {
    backend
        .commit(KvChange::Delete { key: key.to_owned() }.into())
        .map(drop)
}

/// Sets a key if it holds `expected` (`None`: if it is absent).
pub fn cas<B: Backend + ?Sized>(
    backend: &B,
    key: &str,
    expected: Option<Value>,
    value: Value,
) -> Result<Result<Value, Conflict>, Error> {
    let expected = expected.map_or(KvExpected::Absent, KvExpected::Value);
    put_expecting(backend, key, expected, value)
}

/// Sets a key if it is absent.
pub fn put_new<B: Backend + ?Sized>(backend: &B, key: &str, value: Value) -> Result<Result<Value, Conflict>, Error> {
    put_expecting(backend, key, KvExpected::Absent, value)
}

/// Changes a key by a function of its value, or of `default` if it is absent, and answers with the
/// new value. No change of others is lost: `change` is called again on what they left.
pub fn update<B: Backend + ?Sized>(
    backend: &B,
    key: &str,
    default: &Value,
    mut change: impl FnMut(&Value) -> Value,
) -> Result<Value, Error> {
    for _ in 0..MAX_UPDATE_ATTEMPTS {
        let actual = backend.kv_get(key)?;
        let value = change(actual.as_ref().unwrap_or(default));
        if let Ok(value) = cas(backend, key, actual, value)? {
            return Ok(value);
        }
    }
    Err(Error::Busy)
}

fn put_expecting<B: Backend + ?Sized>(
    backend: &B,
    key: &str,
    expected: KvExpected,
    value: Value,
) -> Result<Result<Value, Conflict>, Error> {
    let change = KvChange::Put {
        key: key.to_owned(),
        value: value.clone(),
        expected,
    };
    match backend.commit(Commit::from(change))? {
        Outcome::Conflict(conflict) => Ok(Err(conflict)),
        Outcome::Committed { .. } | Outcome::Duplicate(_) => Ok(Ok(value)),
    }
}
