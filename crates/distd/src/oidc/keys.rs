//! The keys that a provider signs with (RFC 7517, RFC 7518 section 6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// A provider's keys, as it publishes them.
#[derive(Deserialize)]
pub(super) struct RawKeySet {
    keys: Vec<Value>,
}

/// A provider's keys of the kinds that are known here.
pub(super) struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    material: Material,
}

enum Material {
    /// Modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point.
    P256(Vec<u8>),
}

/// How tokens may be signed. There is no `none`, and nothing that is signed with a shared secret.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl From<RawKeySet> for KeySet {
    /// Keys of other kinds are for somebody else.
    fn from(raw: RawKeySet) -> Self {
        let keys = raw.keys.into_iter();
        let keys = keys.filter_map(|key| serde_json::from_value(key).ok());
        Self(keys.filter_map(Key::read).collect())
    }
}

impl Key {
    fn read(raw: RawKey) -> Option<Self> {
        if raw.r#use.as_deref().is_some_and(|r#use| r#use != "sig") {
            return None;
        }
        let (material, name) = match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (unsigned(&raw.n?)?, unsigned(&raw.e?)?);
                (Material::Rsa { n, e }, "RS256")
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (
                    URL_SAFE_NO_PAD.decode(raw.x?).ok()?,
                    URL_SAFE_NO_PAD.decode(raw.y?).ok()?,
                );
                let is_point = x.len() == 32 && y.len() == 32;
                (
                    Material::P256(is_point.then(|| [&[4], &x[..], &y[..]].concat())?),
                    "ES256",
                )
            }
            _ => return None,
        };
        let is_for_it = raw.alg.as_deref().is_none_or(|alg| alg == name);
        is_for_it.then_some(Self { id: raw.kid, material })
    }

    fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Material::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            _ => false,
        }
    }
}

impl KeySet {
    /// Whether a key of this set has signed `message`; `None` where the one that is named is not in
    /// it. Without a name any of them may have.
    pub(super) fn verifies(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let mut named = self
            .0
            .iter()
            .filter(|key| id.is_none() || key.id.as_deref() == id)
            .peekable();
        named.peek()?;
        Some(named.any(|key| key.verifies(algorithm, message, signature)))
    }
}

/// A number without the zeros that some put before it.
fn unsigned(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}
