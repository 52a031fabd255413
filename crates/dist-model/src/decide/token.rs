//! Tokens.

use std::collections::BTreeSet;

use super::{Context, Decided, NewId};
use crate::token::check_name;
use crate::{ChannelName, Digest, ErrorCode, Event, Refusal, Scopes, Slug, Timestamp, Token, TokenId, events};

/// A token that somebody wants.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenIntent {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The one app that it is for.
    pub app_slug: Option<Slug>,
    /// The channels that it may move; all where empty.
    pub channels: BTreeSet<ChannelName>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Makes a token whose secret has the SHA-256 `token_hash`.
pub fn create_token(
    name_taken: bool,
    intent: &TokenIntent,
    token_hash: Digest,
    context: &Context,
    new_id: NewId<'_>,
) -> Result<Decided<Token>, Refusal> {
    check_name(&intent.name)?;
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::TokenInvalid, message));
    if intent.scopes.0.is_empty() {
        return invalid("a token needs at least one scope: read, publish, promote or admin");
    }
    if intent.expires_at.is_some_and(|at| at <= context.now) {
        return invalid("the token would have expired before it is made");
    }
    if name_taken {
        return Err(Refusal::new(
            ErrorCode::TokenExists,
            format!(
                "a token named {:?} exists or existed; names are never used twice, so that the audit log stays clear",
                intent.name
            ),
        ));
    }
    let token = Token {
        id: TokenId::try_from(new_id())?,
        name: intent.name.clone(),
        scopes: intent.scopes.clone(),
        app_slug: intent.app_slug.clone(),
        channels: intent.channels.clone(),
        created_at: context.now,
        expires_at: intent.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let event = Event::TokenCreated(events::TokenCreated {
        token: token.clone(),
        token_hash,
    });
    Ok(Decided {
        events: vec![event],
        value: token,
    })
}
