//! Sessions: people who signed in.

use crate::app::text_enum;
use crate::{SessionId, Timestamp, UserId};

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignIn {
    /// With the one-time link of a new server.
    Setup,
    /// With the link of an invitation, or to set a new password.
    Invitation,
    /// With a password.
    Password,
    /// Through an `OpenID` Connect provider.
    Oidc,
}

text_enum!(SignIn, "way to sign in", Setup "setup", Invitation "invitation", Password "password", Oidc "oidc");

/// A time during which somebody is signed in at one browser. The SHA-256 of its secret is in the log
/// and in the table; the secret itself is only in that browser's cookie.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// How.
    pub method: SignIn,
    /// The address that they came from.
    pub address: String,
    /// What their browser calls itself, shortened.
    pub user_agent: String,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When the session ends whatever happens.
    pub expires_at: Timestamp,
    /// When it was last used, give or take a few seconds; not part of the history.
    pub last_seen_at: Option<Timestamp>,
    /// When it was ended, or null.
    pub ended_at: Option<Timestamp>,
}

impl Session {
    /// How long a session lasts at most, in milliseconds: a week.
    pub const LIFETIME_MS: i64 = 7 * 24 * 3_600_000;
    /// How long it lasts unused, in milliseconds: 12 hours.
    pub const IDLE_MS: i64 = 12 * 3_600_000;

    /// True where it was not ended, is not over, and was used not too long before `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        let used = self
            .last_seen_at
            .map_or(self.created_at, |seen| seen.max(self.created_at));
        self.ended_at.is_none() && now < self.expires_at && now < used.plus_millis(Self::IDLE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_unused_and_in_any_case() {
        let at = Timestamp::from_millis;
        let session = |seen: Option<i64>, ended: Option<i64>| Session {
            id: "s".parse().unwrap(),
            user_id: "u".parse().unwrap(),
            method: SignIn::Password,
            address: String::new(),
            user_agent: String::new(),
            created_at: at(0),
            expires_at: at(Session::LIFETIME_MS),
            last_seen_at: seen.map(at),
            ended_at: ended.map(at),
        };
        let (idle, life) = (Session::IDLE_MS, Session::LIFETIME_MS);
        for (seen, ended, now, alive) in [
            (None, None, idle - 1, true),
            (None, None, idle, false),
            (Some(idle - 1), None, idle, true),
            (Some(life - 1), None, life, false),
            (None, Some(1), 2, false),
        ] {
            assert_eq!(
                session(seen, ended).is_alive(at(now)),
                alive,
                "{seen:?} {ended:?} {now}"
            );
        }
    }
}
