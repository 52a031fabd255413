//! One attempt to sign in, and what ties the provider's answer to the browser that asked.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// An attempt, known by the secret in the browser's cookie. What others get to see of it is hashed
/// from the secret, each for one purpose, so that the server need not remember attempts: whoever comes
/// back without the cookie, or with a state that is not its, has not asked.
pub(crate) struct Attempt {
    secret: String,
    /// Where somebody wanted to go.
    pub next: String,
}

impl Attempt {
    /// A new attempt of somebody who wanted to go to `next`.
    pub(crate) fn new(next: &str) -> Self {
        let secret = rand::random::<[u8; 32]>().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Self {
            secret,
            next: next.to_owned(),
        }
    }

    /// The attempt that a cookie holds; `None` where it holds none.
    pub(crate) fn from_cookie(value: &str) -> Option<Self> {
        let (secret, next) = value.split_once('.')?;
        if secret.len() != 64 || !secret.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let next = URL_SAFE_NO_PAD.decode(next).ok()?;
        Some(Self {
            secret: secret.to_owned(),
            next: String::from_utf8(next).ok()?,
        })
    }

    /// What the cookie holds.
    pub(crate) fn to_cookie(&self) -> String {
        format!("{}.{}", self.secret, URL_SAFE_NO_PAD.encode(&self.next))
    }

    /// What the provider gives back through the browser.
    pub(crate) fn state(&self) -> String {
        self.derive("state_")
    }

    /// What the provider signs.
    pub(crate) fn nonce(&self) -> String {
        self.derive("nonce_")
    }

    /// What proves to the provider that whoever brings the code is who asked for it: 43 characters, as
    /// RFC 7636 wants them.
    pub(crate) fn verifier(&self) -> String {
        self.derive("verifier_")
    }

    /// What the provider sees of the verifier beforehand.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    fn derive(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{purpose}{}", self.secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_found_again_by_its_cookie_only() {
        let attempt = Attempt::new("/admin/people?x=\u{e4}");
        let same = Attempt::from_cookie(&attempt.to_cookie()).unwrap();
        assert_eq!(
            (same.state(), same.next.as_str()),
            (attempt.state(), attempt.next.as_str())
        );
        assert_ne!(attempt.state(), Attempt::new("").state());
        assert_ne!(attempt.state(), attempt.nonce());
        assert_eq!(attempt.verifier().len(), 43);
        for cookie in ["", ".", "abc.", &"g".repeat(64), &format!("{}.!", "a".repeat(64))] {
            assert!(Attempt::from_cookie(cookie).is_none(), "{cookie}");
        }
    }
}
