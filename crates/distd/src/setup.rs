//! The one-time link of a new server, which makes its first admin.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What is remembered of the link that was printed at the start: the hash of its secret. It is in
/// memory only, and each start makes another one.
pub(crate) struct SetupLink(Option<[u8; 32]>);

impl SetupLink {
    /// A new link, and its secret of 256 random bits, this once.
    pub(crate) fn new() -> (Self, String) {
        let secret = rand::random::<[u8; 32]>().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        (Self(Some(hash(&secret))), secret)
    }

    /// No link: the server is set up.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Whether `secret` is the link's. The time that comparing hashes takes tells nothing of secrets.
    pub(crate) fn is(&self, secret: &str) -> bool {
        self.0.is_some_and(|expected| expected == hash(secret))
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::SetupLink;

    #[test]
    fn only_its_own_secret_is_the_links() {
        let (link, secret) = SetupLink::new();
        assert!(link.is(&secret) && secret.len() == 64);
        assert!(!link.is("") && !link.is(&SetupLink::new().1) && !SetupLink::none().is(&secret));
    }
}
