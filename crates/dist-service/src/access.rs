//! Who asks, and what they may.

use std::sync::Arc;

use dist_model::{
    Actor, App, ChannelName, Email, ErrorCode, InstallLink, Refusal, Scope, Session, Slug, Timestamp, Token, User,
    Visibility,
};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A stranger.
    Anonymous,
    /// Somebody at a shell with the store's folder, by user id: may do everything.
    Local(u32),
    /// A program with a token that was alive when the request began.
    Token(Arc<Token>),
    /// A person with a session that was alive when the request began.
    Person(Arc<Person>),
    /// Somebody who is proving who they are, by e-mail address: may nothing yet, and what they do is
    /// theirs.
    SigningIn(Arc<Email>),
    /// Whoever holds a tester link: may install what its channel offers, and nothing else.
    Link(Arc<InstallLink>),
    /// The platform itself.
    System,
}

/// A person who is signed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Who.
    pub user: User,
    /// Since when, and where.
    pub session: Session,
}

impl Person {
    /// Refuses somebody whose session is over or who may no longer sign in.
    pub(crate) fn check_alive(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.session.is_alive(now) && self.user.disabled_at.is_none() {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::AuthSessionEnded,
            ErrorCode::AuthSessionEnded.help(),
        ))
    }
}

/// Which apps a caller has a right for, as far as it is known without looking at apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach<'a> {
    /// All of them.
    All,
    /// These, perhaps none.
    Apps(Vec<&'a Slug>),
}

impl Reach<'_> {
    /// Whether it holds an app, or, for what belongs to no single app, all of them.
    pub(crate) fn holds(&self, app: Option<&Slug>) -> bool {
        match self {
            Self::All => true,
            Self::Apps(apps) => app.is_some_and(|app| apps.contains(&app)),
        }
    }

    /// The slugs as a text that `LIKE '%,' || slug || ',%'` finds them in; `None` for all. Slugs have
    /// neither commas nor wildcards.
    pub(crate) fn slugs(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Apps(apps) => Some(apps.iter().fold(",".to_owned(), |list, app| list + app.as_str() + ",")),
        }
    }
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
    pub fn actor(&self) -> Actor {
        match &self.principal {
            Principal::Anonymous | Principal::Link(_) | Principal::System => Actor::System,
            Principal::Person(person) => Actor::User(person.user.email.to_string()),
            Principal::SigningIn(email) => Actor::User(email.to_string()),
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
            Principal::Anonymous | Principal::SigningIn(_) | Principal::Link(_) => {
                Err(Refusal::new(ErrorCode::AuthMissing, ErrorCode::AuthMissing.help()))
            }
            Principal::Token(token) => {
                token.check_alive(now)?;
                token.check_scope(scope, app, channel)
            }
            Principal::Person(person) => {
                person.check_alive(now)?;
                person.user.check_role(scope, app)
            }
        }
    }

    /// Refuses a caller who may not move the channel, which both `promote` and `publish` allow; without
    /// a channel, one who may move none of the app's.
    pub(crate) fn require_move(
        &self,
        app: &Slug,
        channel: Option<&ChannelName>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let publishes = matches!(&self.principal, Principal::Token(token) if !token.scopes.allow(Scope::Promote) && token.scopes.allow(Scope::Publish));
        let scope = if publishes { Scope::Publish } else { Scope::Promote };
        self.require(scope, Some(app), channel, now)
    }

    /// The app that the caller's token is bound to.
    pub(crate) fn bound_app(&self) -> Option<&Slug> {
        match &self.principal {
            Principal::Token(token) => token.app_slug.as_ref(),
            _ => None,
        }
    }

    /// The person who asks, where one does.
    pub fn person(&self) -> Option<&Person> {
        match &self.principal {
            Principal::Person(person) => Some(person),
            _ => None,
        }
    }

    /// The apps for which the caller has `scope`.
    pub(crate) fn reach(&self, scope: Scope) -> Reach<'_> {
        match &self.principal {
            Principal::Anonymous | Principal::SigningIn(_) | Principal::Link(_) => Reach::Apps(Vec::new()),
            Principal::Local(_) | Principal::System => Reach::All,
            Principal::Token(token) if !token.scopes.allow(scope) => Reach::Apps(Vec::new()),
            Principal::Token(token) => token.app_slug.as_ref().map_or(Reach::All, |app| Reach::Apps(vec![app])),
            Principal::Person(person) if person.user.role.is_some_and(|role| role.allows(scope)) => Reach::All,
            Principal::Person(person) => {
                let roles = person.user.app_roles.iter();
                Reach::Apps(
                    roles
                        .filter(|(_, role)| role.allows(scope))
                        .map(|(app, _)| app)
                        .collect(),
                )
            }
        }
    }

    /// The apps whose tokens the caller may see and cut off: a manager need not wait for an admin when
    /// one leaks.
    pub(crate) fn reach_of_tokens(&self) -> Reach<'_> {
        self.reach(if self.person().is_some() {
            Scope::Promote
        } else {
            Scope::Admin
        })
    }

    /// Refuses a caller who may see no tokens at all.
    pub(crate) fn require_tokens(&self, now: Timestamp) -> Result<(), Refusal> {
        match (&self.principal, self.reach_of_tokens()) {
            (Principal::Person(person), Reach::Apps(apps)) if !apps.is_empty() => person.check_alive(now),
            (Principal::Person(_), _) => self.require(Scope::Promote, None, None, now),
            _ => self.require(Scope::Admin, self.bound_app(), None, now),
        }
    }

    /// True where the caller has `scope` for the app, on whatever channel.
    pub(crate) fn has(&self, scope: Scope, app: &Slug) -> bool {
        match &self.principal {
            Principal::Anonymous | Principal::SigningIn(_) | Principal::Link(_) => false,
            Principal::Local(_) | Principal::System => true,
            Principal::Token(token) => token.check_scope(scope, Some(app), None).is_ok(),
            Principal::Person(person) => person.user.check_role(scope, Some(app)).is_ok(),
        }
    }

    /// True where the caller may read the app through the API.
    pub(crate) fn may_read(&self, app: &App) -> bool {
        app.visibility == Visibility::Public || self.has(Scope::Read, &app.slug)
    }

    /// Refuses whoever comes with a tester link that has ended.
    pub(crate) fn check_link(&self, now: Timestamp) -> Result<(), Refusal> {
        match &self.principal {
            Principal::Link(link) => link.check_alive(now),
            _ => Ok(()),
        }
    }

    /// True where the caller holds a tester link to the channel.
    pub(crate) fn opens(&self, app: &Slug, channel: &ChannelName) -> bool {
        matches!(&self.principal, Principal::Link(link) if link.app_slug == *app && link.channel == *channel)
    }

    /// The private apps some of whose files the caller may have.
    pub(crate) fn reach_of_files(&self) -> Reach<'_> {
        match &self.principal {
            Principal::Link(link) => Reach::Apps(vec![&link.app_slug]),
            _ => self.reach(Scope::Read),
        }
    }
}

/// What an app that is not there, or not to be known of, is answered with: the two must not differ.
pub(crate) fn no_such_app(slug: &Slug) -> Refusal {
    Refusal::new(
        ErrorCode::AppNotFound,
        format!("there is no app {slug}, or none that you may read"),
    )
}
