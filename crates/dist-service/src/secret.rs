//! Secrets of ours: 32 random bytes, of which only the SHA-256 is kept.

use dist_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::{Entropy, Error};

/// A new secret as 64 hexadecimal characters.
pub(crate) fn new_secret(entropy: &dyn Entropy) -> Result<String, Error> {
    let mut random = [0; 32];
    entropy
        .fill(&mut random)
        .map_err(|error| Error::file("reading randomness", error))?;
    Ok(hex::encode(random))
}

/// What is kept of a secret of the kind `kind`. Its 256 random bits need no salt and no slow hash;
/// the kind keeps one kind's secret from being taken for another's.
pub(crate) fn hash(kind: &str, secret: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(format!("{kind}{secret}")).into())
}

/// True for what could be a secret: 64 lower-case hexadecimal characters.
pub(crate) fn is_secret(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
