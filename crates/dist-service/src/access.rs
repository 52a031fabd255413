//! Who asks, and what they may.

use std::sync::Arc;

use dist_model::{Actor, App, ChannelName, ErrorCode, Refusal, Scope, Slug, Timestamp, Token, Visibility};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A stranger.
    Anonymous,
    /// Somebody at a shell with the store's folder, by user id: may do everything.
    Local(u32),
    /// A program with a token that was alive when the request began.
    Token(Arc<Token>),
    /// The platform itself.
    System,
}

/// Who asks, and in which request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The request's id, kept with the events that it causes.
    pub request_id: Option<Arc<str>>,
}

/// Why a credential was turned away.
#[derive(Debug)]
pub struct Denied {
    /// What the caller is told.
    pub refusal: Refusal,
    /// The token, where it is one of ours.
    pub token: Option<Arc<Token>>,
}

impl Caller {
    /// A caller outside any request.
    pub fn new(principal: Principal) -> Self {
        Self {
            principal,
            request_id: None,
        }
    }

    /// Who events name as their actor. Strangers cause none but counts of themselves.
    pub(crate) fn actor(&self) -> Actor {
        match &self.principal {
            Principal::Anonymous | Principal::System => Actor::System,
            Principal::Local(uid) => Actor::Local(*uid),
            Principal::Token(token) => Actor::Token(token.name.clone()),
        }
    }

    /// Refuses a caller who lacks `scope` for the app and channel.
    pub(crate) fn require(
        &self,
        scope: Scope,
        app: Option<&Slug>,
        channel: Option<&ChannelName>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match &self.principal {
            Principal::Local(_) | Principal::System => Ok(()),
            Principal::Anonymous => Err(Refusal::new(ErrorCode::AuthMissing, ErrorCode::AuthMissing.help())),
            Principal::Token(token) => {
                token.check_alive(now)?;
                token.check_scope(scope, app, channel)
            }
        }
    }

    /// Refuses a caller who may not move the channel, which both `promote` and `publish` allow.
    pub(crate) fn require_move(&self, app: &Slug, channel: &ChannelName, now: Timestamp) -> Result<(), Refusal> {
        let publishes = matches!(&self.principal, Principal::Token(token) if !token.scopes.allow(Scope::Promote) && token.scopes.allow(Scope::Publish));
        let scope = if publishes { Scope::Publish } else { Scope::Promote };
        self.require(scope, Some(app), Some(channel), now)
    }

    /// The app that the caller's token is bound to.
    pub(crate) fn bound_app(&self) -> Option<&Slug> {
        match &self.principal {
            Principal::Token(token) => token.app_slug.as_ref(),
            _ => None,
        }
    }

    /// True where the caller has `scope` for the app, on whatever channel.
    pub(crate) fn has(&self, scope: Scope, app: &Slug) -> bool {
        match &self.principal {
            Principal::Anonymous => false,
            Principal::Local(_) | Principal::System => true,
            Principal::Token(token) => token.check_scope(scope, Some(app), None).is_ok(),
        }
    }

    /// True where the caller may read the app through the API.
    pub(crate) fn may_read(&self, app: &App) -> bool {
        app.visibility == Visibility::Public || self.has(Scope::Read, &app.slug)
    }

    /// True where the caller may see the app's pages, having their link.
    pub(crate) fn may_install(&self, app: &App) -> bool {
        app.visibility != Visibility::Private || self.may_read(app)
    }
}

/// What an app that is not there, or not to be known of, is answered with: the two must not differ.
pub(crate) fn no_such_app(slug: &Slug) -> Refusal {
    Refusal::new(
        ErrorCode::AppNotFound,
        format!("there is no app {slug}, or none that you may read"),
    )
}
