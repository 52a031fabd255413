//! Requests that may be sent twice and act once.

use dist_model::{ErrorCode, Refusal};
use persist::{NewReceipt, ReceiptResult, SqlRead, SqlStore};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Caller, Error, Principal};

/// A client's key for one request, with a hash of what the request asks for.
#[derive(Clone, Debug)]
pub struct Idempotency {
    key: String,
    request_hash: [u8; 32],
}

/// An answer that a receipt can bring back.
///
/// A receipt holds ids and outcomes, never a secret and never a copy of the entities: those are
/// read again from the tables, where published ones do not change.
pub(crate) trait Receipted: Sized {
    /// What to keep.
    fn receipt(&self) -> Value;

    /// The answer that `receipt` was kept for.
    fn recall(tx: &dyn SqlRead, receipt: &Value) -> Result<Self, Error>;
}

impl Idempotency {
    /// A key of 1 to 200 printable ASCII characters, for the request that `parts` make up (method,
    /// path, body).
    pub fn new(key: &str, parts: &[&[u8]]) -> Result<Self, Refusal> {
        let good = (1..=200).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !good {
            return Err(Refusal::new(
                ErrorCode::IdempotencyInvalid,
                ErrorCode::IdempotencyInvalid.help(),
            ));
        }
        let mut hash = Sha256::new();
        for part in parts {
            // The length keeps ("ab", "c") apart from ("a", "bc").
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Ok(Self {
            key: key.to_owned(),
            request_hash: hash.finalize().into(),
        })
    }

    /// The answer given before, if this request was answered before.
    pub(crate) fn recall<T: Receipted>(&self, tx: &dyn SqlRead, caller: &Caller) -> Result<Option<T>, Error> {
        let Some(receipt) = SqlStore::receipt(tx, &scope(caller), &self.key)? else {
            return Ok(None);
        };
        if receipt.request_hash != self.request_hash {
            return Err(Refusal::new(ErrorCode::IdempotencyMismatch, ErrorCode::IdempotencyMismatch.help()).into());
        }
        T::recall(tx, &receipt.result).map(Some)
    }

    /// The receipt to commit with an answer.
    pub(crate) fn receipt(self, caller: &Caller, result: Value) -> NewReceipt {
        NewReceipt {
            scope: scope(caller),
            key: self.key,
            request_hash: self.request_hash,
            result: ReceiptResult::Value(result),
        }
    }
}

/// Keys belong to who used them: another principal's key of the same text is another key.
fn scope(caller: &Caller) -> String {
    match &caller.principal {
        Principal::Anonymous | Principal::SigningIn(_) | Principal::Link(_) => "anonymous".to_owned(),
        Principal::Person(person) => format!("user/{}", person.user.id),
        Principal::System => "system".to_owned(),
        Principal::Local(uid) => format!("local/{uid}"),
        Principal::Token(token) => format!("token/{}", token.id),
    }
}
