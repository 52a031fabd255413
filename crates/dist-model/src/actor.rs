//! Who did it.

use std::fmt;

use crate::{ErrorCode, Refusal};

/// Who caused an event: `token:<name>`, `user:<email>`, `local:<uid>` or `system`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// A program with a token, by the token's name.
    Token(String),
    /// A person, by e-mail address.
    User(String),
    /// Somebody at a shell on the machine itself, by user id.
    Local(u32),
    /// The platform.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(name) => write!(f, "token:{name}"),
            Self::User(email) => write!(f, "user:{email}"),
            Self::Local(uid) => write!(f, "local:{uid}"),
            Self::System => f.write_str("system"),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        let parsed = match text.split_once(':') {
            Some(("token", name)) => Some(Self::Token(name.to_owned())),
            Some(("user", email)) => Some(Self::User(email.to_owned())),
            Some(("local", uid)) => uid.parse().ok().map(Self::Local),
            _ => (text == "system").then_some(Self::System),
        };
        parsed.ok_or_else(|| {
            Refusal::new(
                ErrorCode::UsageError,
                "an actor is token:NAME, user:EMAIL, local:UID or system",
            )
        })
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> String {
        actor.to_string()
    }
}
