//! Passwords: hashed with Argon2id, one at a time, off the threads that serve.

use std::sync::{LazyLock, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

use crate::service::blocking;
use crate::{Entropy, Error};

/// A hash takes 19 MiB (the crate's default parameters, which are OWASP's): one after the other, so
/// that whoever tries many passwords takes no more memory than whoever tries one.
static TURN: Mutex<()> = Mutex::new(());

/// The PHC string of a password.
pub(crate) async fn hash(entropy: &dyn Entropy, password: String) -> Result<String, Error> {
    let mut salt = [0; 16];
    entropy
        .fill(&mut salt)
        .map_err(|error| Error::file("reading randomness", error))?;
    blocking(move || {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        phc(&password, &salt)
    })
    .await
}

/// Whether `password` is the one that `hash` was made of. Without a hash it takes as long, and is not.
pub(crate) async fn matches(hash: Option<String>, password: String) -> Result<bool, Error> {
    blocking(move || {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hash.as_ref().or(NOBODYS.as_ref()).ok_or_else(|| broken("no hash"))?;
        let known = PasswordHash::new(known).map_err(broken)?;
        let same = Argon2::default().verify_password(password.as_bytes(), &known).is_ok();
        Ok(same && hash.is_some())
    })
    .await
}

/// What the passwords of people are compared with who do not exist.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| phc("", &[0; 16]).ok());

fn phc(password: &str, salt: &[u8]) -> Result<String, Error> {
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(broken)?;
    Ok(hash.to_string())
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Broken(format!("a password could not be hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hash = hash(&OsEntropy, "correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let matches = async |hash: Option<&str>, password: &str| {
            super::matches(hash.map(str::to_owned), password.to_owned())
                .await
                .unwrap()
        };
        assert!(matches(Some(&hash), "correct horse").await);
        assert!(!matches(Some(&hash), "correct horsf").await);
        assert!(!matches(None, "").await);
    }

    #[test]
    fn nobodys_password_costs_as_much_as_anybodys() {
        let nobodys = NOBODYS.as_ref().unwrap();
        assert!(nobodys.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{nobodys}");
    }
}
