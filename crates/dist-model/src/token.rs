//! Tokens: what programs sign in with.

use std::collections::BTreeSet;

use crate::app::text_enum;
use crate::{ChannelName, ErrorCode, Refusal, Slug, Timestamp, TokenId};

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read what is not public.
    Read,
    /// Upload, create releases, move the channels that it is scoped to.
    Publish,
    /// Move channels.
    Promote,
    /// Everything.
    Admin,
}

text_enum!(Scope, "scope", Read "read", Publish "publish", Promote "promote", Admin "admin");

/// The scopes of a token, never empty.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = Vec<Scope>))]
#[serde(transparent)]
pub struct Scopes(pub BTreeSet<Scope>);

impl Scopes {
    /// True where these scopes hold `needed`, directly or because a stronger one implies it.
    pub fn allow(&self, needed: Scope) -> bool {
        self.0.iter().any(|held| match held {
            Scope::Admin => true,
            Scope::Publish | Scope::Promote => *held == needed || needed == Scope::Read,
            Scope::Read => needed == Scope::Read,
        })
    }
}

/// A credential for a program. The SHA-256 of its secret is in the log and in the table's
/// `token_hash`, and never in an answer; the secret itself is nowhere.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// The id.
    pub id: TokenId,
    /// The name: unique for ever, since the audit log names actors by it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The one app that it is for, or null for all.
    pub app_slug: Option<Slug>,
    /// The channels that it may move; all where empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub channels: BTreeSet<ChannelName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, or null for never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take a few seconds; not part of the history.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, or null.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// Refuses a token that was revoked or has expired by `now`.
    pub fn check_alive(&self, now: Timestamp) -> Result<(), Refusal> {
        if let Some(at) = self.revoked_at {
            return Err(Refusal::new(
                ErrorCode::AuthRevoked,
                format!(
                    "the token {:?} was revoked at {at}; ask an admin for a new one",
                    self.name
                ),
            ));
        }
        if let Some(at) = self.expires_at.filter(|at| *at <= now) {
            return Err(Refusal::new(
                ErrorCode::AuthExpired,
                format!("the token {:?} expired at {at}; ask an admin for a new one", self.name),
            ));
        }
        Ok(())
    }

    /// Refuses a token that lacks `scope`, is for another app, or is for other channels.
    ///
    /// `None` for `app` means something that belongs to no single app: a token that is bound to an
    /// app may not.
    pub fn check_scope(&self, scope: Scope, app: Option<&Slug>, channel: Option<&ChannelName>) -> Result<(), Refusal> {
        if !self.scopes.allow(scope) {
            return Err(Refusal::new(
                ErrorCode::AuthMissingScope,
                format!(
                    "the token {:?} lacks the scope {scope:?}",
                    self.name,
                    scope = scope.as_str()
                ),
            )
            .with("scope", scope.as_str()));
        }
        if let Some(own) = self.app_slug.as_ref().filter(|own| Some(*own) != app) {
            return Err(Refusal::new(
                ErrorCode::AuthAppForbidden,
                format!("the token {:?} is for the app {own} only", self.name),
            ));
        }
        if let Some(channel) = channel
            && !self.channels.is_empty()
            && !self.channels.contains(channel)
        {
            return Err(Refusal::new(
                ErrorCode::AuthChannelForbidden,
                format!("the token {:?} may not move the channel {channel}", self.name),
            )
            .with("channel", channel.as_str()));
        }
        Ok(())
    }
}

/// Checks a token's name: 1 to 100 characters, printable, no spaces at the ends, no text-direction
/// characters: pages leave those out, and two names would look the same.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let printable = |c: char| !c.is_control() && !crate::names::is_bidi_control(c);
    let good = (1..=100).contains(&name.chars().count()) && name.trim() == name && name.chars().all(printable);
    if good {
        Ok(())
    } else {
        Err(Refusal::new(
            ErrorCode::TokenInvalid,
            "a token's name has 1 to 100 printable characters",
        ))
    }
}
