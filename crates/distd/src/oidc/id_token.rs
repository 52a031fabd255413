//! What a provider signs of who somebody is (`OpenID` Connect Core 1.0, sections 2 and 3.1.3.7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dist_model::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::keys::{Algorithm, KeySet};

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY_S: f64 = 60.0;
/// The longest name that a provider may have for somebody, in bytes (Core, section 2).
const SUBJECT_BYTES: usize = 255;

/// What a token must say to be believed.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: Timestamp,
}

/// Why a token is not believed.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum IdTokenError {
    #[error("it is no signed token")]
    Malformed,
    #[error("it is signed in a way that is not accepted")]
    Algorithm,
    #[error("it is signed with a key that the provider does not publish")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("its claim {0} is wrong")]
    Claim(&'static str),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// What a token says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub sub: String,
    #[serde(flatten)]
    pub person: Person,
    iss: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
}

/// What a provider says of a person, in a token or when asked (Core, section 5.1).
#[derive(Debug, Deserialize)]
pub(super) struct Person {
    pub name: Option<String>,
    pub email: Option<String>,
    #[serde(default)]
    email_verified: Value,
    /// Entra's own word for it: the address's domain belongs to the tenant.
    #[serde(default)]
    xms_edov: Value,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Person {
    /// The address, where the provider has made sure that it is the person's.
    pub(super) fn verified_email(&self) -> Option<&str> {
        let is_verified = is_true(&self.email_verified) || is_true(&self.xms_edov);
        self.email.as_deref().filter(|_| is_verified)
    }
}

impl Claims {
    fn check(self, expected: &Expected) -> Result<Self, IdTokenError> {
        #[expect(clippy::cast_precision_loss, reason = "a fraction of a second is not looked at")]
        let now = expected.now.as_millis() as f64 / 1000.0;
        let audience = self.aud.all();
        let is_for_us = audience.iter().any(|one| one == expected.client_id);
        let party = self.azp.as_deref();
        let party_is_us = party.map_or(audience.len() == 1, |party| party == expected.client_id);
        for (claim, holds) in [
            ("iss", self.iss == expected.issuer),
            ("aud", is_for_us),
            ("azp", party_is_us),
            ("exp", now < self.exp + LEEWAY_S),
            ("iat", self.iat <= now + LEEWAY_S),
            ("nbf", self.nbf.is_none_or(|from| from <= now + LEEWAY_S)),
            ("nonce", self.nonce.as_deref() == Some(expected.nonce)),
            ("sub", (1..=SUBJECT_BYTES).contains(&self.sub.len())),
        ] {
            if !holds {
                return Err(IdTokenError::Claim(claim));
            }
        }
        Ok(self)
    }
}

/// Providers disagree on what a truth looks like.
fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_u64() == Some(1) || matches!(value.as_str(), Some("true" | "1"))
}

/// What a token says, once it is certain that the provider said it, to us, in answer to this question,
/// and not too long ago.
pub(super) fn verify(token: &str, keys: &KeySet, expected: &Expected) -> Result<Claims, IdTokenError> {
    let (message, signature) = token.rsplit_once('.').ok_or(IdTokenError::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(IdTokenError::Malformed)?;
    let header: Header = read(header)?;
    let algorithm = Algorithm::from_name(&header.alg).ok_or(IdTokenError::Algorithm)?;
    if header.crit.is_some() {
        return Err(IdTokenError::Algorithm);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| IdTokenError::Malformed)?;
    match keys.verifies(header.kid.as_deref(), algorithm, message.as_bytes(), &signature) {
        None => Err(IdTokenError::UnknownKey),
        Some(false) => Err(IdTokenError::Signature),
        Some(true) => read::<Claims>(claims)?.check(expected),
    }
}

fn read<T: DeserializeOwned>(part: &str) -> Result<T, IdTokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| IdTokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| IdTokenError::Malformed)
}
