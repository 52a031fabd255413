//! Tokens: signing in with one, making and revoking them.

use std::sync::Arc;

use dist_model::decide::{self, Decided, TokenIntent};
use dist_model::{ErrorCode, Event, Refusal, Scope, Token, TokenId, events};
use persist::{SqlRead, SqlReadExt as _, params};
use serde_json::{Value, json};

use crate::access::Denied;
use crate::idempotency::Receipted;
use crate::{Caller, Error, Idempotency, Principal, Service, rows, secret};

/// What secrets begin with, so that scanners of leaked credentials know them.
const PREFIX: &str = "dist_";

/// A token that was just made.
#[derive(Clone, PartialEq)]
pub struct NewToken {
    /// The secret, this once; `None` where the same request was answered before.
    pub secret: Option<String>,
    /// The token.
    pub token: Token,
}

impl Service {
    /// Finds who a request's `Authorization` header speaks for; without one, a stranger.
    pub async fn authenticate(&self, authorization: Option<&str>) -> Result<Principal, Denied> {
        let Some(header) = authorization else {
            return Ok(Principal::Anonymous);
        };
        let stranger = |code: ErrorCode| Denied {
            refusal: Refusal::new(code, code.help()),
            token: None,
        };
        let hash = secret_of(header)
            .map(|secret| secret::hash(PREFIX, secret))
            .ok_or_else(|| stranger(ErrorCode::AuthMalformed))?;
        let found = self.read(|tx| Ok(rows::token_by_hash(tx, &hash)?));
        let token = found.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a token could not be looked up"
            );
            Denied {
                refusal: error.refusal(),
                token: None,
            }
        })?;
        let token = Arc::new(token.ok_or_else(|| stranger(ErrorCode::AuthUnknownToken))?);
        let now = self.now();
        if let Err(refusal) = token.check_alive(now) {
            return Err(Denied {
                refusal,
                token: Some(token),
            });
        }
        self.usage().token_used(&token.id, now);
        Ok(Principal::Token(token))
    }

    /// Makes a token. Nobody makes a wider one than their own.
    pub async fn create_token(
        &self,
        caller: &Caller,
        intent: TokenIntent,
        idempotency: Option<Idempotency>,
    ) -> Result<NewToken, Error> {
        let secret = secret::new_secret(&*self.setup().entropy)?;
        let token_hash = secret::hash(PREFIX, &secret);
        self.write_once(caller, idempotency, move |tx, scene| {
            let app = intent.app_slug.as_ref();
            scene.caller.require(Scope::Admin, app, None, scene.context.now)?;
            check_no_wider(&scene.caller, &intent)?;
            let taken = tx
                .query_opt(
                    "SELECT 1 FROM tokens WHERE name = ?1",
                    params![&intent.name],
                    |_| Ok(()),
                )?
                .is_some();
            let decided = decide::create_token(taken, &intent, token_hash, &scene.context, &mut scene.ids())?;
            let value = NewToken {
                secret: Some(format!("{PREFIX}{secret}")),
                token: decided.value,
            };
            Ok(Decided {
                events: decided.events,
                value,
            })
        })
        .await
    }

    /// Revokes a token, at once and for ever.
    pub async fn revoke_token(&self, caller: &Caller, id: &TokenId) -> Result<Token, Error> {
        let id = id.clone();
        self.write(caller, move |tx, scene| {
            let caller = &scene.caller;
            caller.require_tokens(scene.context.now)?;
            let within = |token: &Token| caller.reach_of_tokens().holds(token.app_slug.as_ref());
            let found = rows::token(&*tx, &id)?.filter(within);
            let mut token = found.ok_or_else(|| no_such_token(&id))?;
            if let Some(at) = token.revoked_at {
                return Err(Refusal::new(
                    ErrorCode::TokenAlreadyRevoked,
                    format!("the token {:?} was revoked at {at}", token.name),
                )
                .into());
            }
            token.revoked_at = Some(scene.context.now);
            let event = Event::TokenRevoked(events::TokenRevoked {
                token_id: id,
                name: token.name.clone(),
            });
            Ok(Decided {
                events: vec![event],
                value: token,
            })
        })
        .await
    }
}

pub(crate) fn no_such_token(id: &TokenId) -> Refusal {
    Refusal::new(ErrorCode::TokenNotFound, format!("there is no token with the id {id}"))
}

/// The 64 hexadecimal characters of `Bearer dist_<64 hex>`.
fn secret_of(header: &str) -> Option<&str> {
    let (scheme, credential) = header.split_once(' ')?;
    let secret = credential.trim().strip_prefix(PREFIX)?;
    let good = scheme.eq_ignore_ascii_case("bearer") && secret::is_secret(secret);
    good.then_some(secret)
}

/// An admin token that is bound to channels hands out those channels at most; the app was checked
/// before.
fn check_no_wider(caller: &Caller, intent: &TokenIntent) -> Result<(), Refusal> {
    let Principal::Token(own) = &caller.principal else {
        return Ok(());
    };
    let wider = !own.channels.is_empty() && (intent.channels.is_empty() || !intent.channels.is_subset(&own.channels));
    if wider {
        return Err(Refusal::new(
            ErrorCode::AuthChannelForbidden,
            format!("the token {:?} may hand out its own channels only", own.name),
        ));
    }
    Ok(())
}

impl Receipted for NewToken {
    fn receipt(&self) -> Value {
        json!({ "token": self.token.id })
    }

    fn recall(tx: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        let broken = || Error::Broken(format!("a receipt cannot be read: {receipt}"));
        let id = receipt["token"].as_str().ok_or_else(broken)?;
        let token = rows::token(tx, &id.parse()?)?.ok_or_else(broken)?;
        Ok(Self { secret: None, token })
    }
}
