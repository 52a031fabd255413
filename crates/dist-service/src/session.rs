//! Signing in and out.

use std::net::IpAddr;
use std::sync::Arc;

use dist_model::decide::Decided;
use dist_model::{Email, ErrorCode, Event, Refusal, Session, SessionId, SignIn, Timestamp, User, events};
use persist::{SqlRead, SqlReadExt as _, params};

use crate::access::Person;
use crate::people::{self, no_such, select_sessions};
use crate::service::Scene;
use crate::{Caller, Error, Principal, Service, password, secret};

const KIND: &str = "session_";

/// How much of what a browser calls itself is kept, in characters.
const AGENT_CHARS: usize = 200;

/// Where somebody signs in from.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The address of their machine.
    pub address: IpAddr,
    /// What their browser calls itself.
    pub user_agent: String,
    /// The session that the same browser has already: it ends where another begins.
    pub replaces: Option<SessionId>,
}

/// A session that has just begun.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The secret for the cookie, this once.
    pub secret: String,
    /// Who signed in.
    pub person: Arc<Person>,
}

impl Service {
    /// Finds whose session a cookie's secret is of; `None` where there is none that is alive.
    pub async fn session_of(&self, secret: &str) -> Result<Option<Principal>, Error> {
        if !secret::is_secret(secret) {
            return Ok(None);
        }
        let hash = secret::hash(KIND, secret);
        let now = self.now();
        let person = self.read(|tx| {
            let Some(session) = people::session_by_hash(tx, &hash)? else {
                return Ok::<_, Error>(None);
            };
            let user = people::user(tx, &session.user_id)?;
            Ok(user.map(|user| Person { user, session }))
        })?;
        let Some(mut person) = person else { return Ok(None) };
        // The table learns of it a few seconds later.
        let seen = self.usage().session_seen(&person.session.id);
        person.session.last_seen_at = person.session.last_seen_at.max(seen);
        if person.check_alive(now).is_err() {
            return Ok(None);
        }
        self.usage().session_used(&person.session.id, now);
        Ok(Some(Principal::Person(Arc::new(person))))
    }

    /// Signs a person in with their password.
    ///
    /// # Errors
    /// `auth.wrong_password`, whatever is wrong, and after as long a time; `auth.too_many_attempts`.
    pub async fn sign_in(&self, email: &str, password: String, visit: Visit) -> Result<NewSession, Error> {
        let typed = Email::typed(email).ok();
        self.throttle().attempt(typed.as_ref(), visit.address, self.now())?;
        let found = match &typed {
            Some(email) => self.read(|tx| Ok::<_, Error>(people::credentials(tx, email)?))?,
            None => None,
        };
        let hash = found.as_ref().and_then(|found| found.password_hash.clone());
        let good = password::matches(hash.clone(), password).await?;
        let user = found.map(|found| found.user);
        match user {
            Some(user) if good && user.disabled_at.is_none() => {
                self.throttle().succeeded(&user.email, visit.address);
                let method = SignIn::Password;
                self.start_session(user, method, visit, move |tx, user| {
                    // The password may have been changed while it was being compared.
                    let now = people::credentials(tx, &user.email)?;
                    let same = now.is_some_and(|now| now.password_hash == hash);
                    if same {
                        Ok(Vec::new())
                    } else {
                        Err(wrong_password().into())
                    }
                })
                .await
            }
            known => {
                let event = Event::SignInRefused(events::SignInRefused {
                    email: known.map(|user| user.email),
                    address: visit.address.to_string(),
                    code: ErrorCode::AuthWrongPassword.as_str().to_owned(),
                });
                self.write(&Caller::new(Principal::Anonymous), move |_, _| {
                    Ok(Decided {
                        events: vec![event],
                        value: (),
                    })
                })
                .await?;
                Err(wrong_password().into())
            }
        }
    }

    /// Begins a session of a person whom the caller of this has made sure of. `prepare` looks at the
    /// person as they are inside the transaction and may add events before the session's own.
    pub(crate) async fn start_session(
        &self,
        user: User,
        method: SignIn,
        visit: Visit,
        prepare: impl FnOnce(&dyn SqlRead, &User) -> Result<Vec<Event>, Error> + Send + 'static,
    ) -> Result<NewSession, Error> {
        let secret = secret::new_secret(&*self.setup().entropy)?;
        let secret_hash = secret::hash(KIND, &secret);
        let caller = Caller::new(Principal::SigningIn(Arc::new(user.email.clone())));
        self.write(&caller, move |tx, scene| {
            let user = people::user(&*tx, &user.id)?.filter(|user| user.disabled_at.is_none());
            let user = user.ok_or_else(wrong_password)?;
            let mut events = prepare(&*tx, &user)?;
            if let Some(id) = &visit.replaces {
                events.extend(end(&*tx, id, &user, scene.context.now)?);
            }
            let session = new_session(&user, method, &visit, scene)?;
            events.push(Event::SessionStarted(events::SessionStarted {
                session: session.clone(),
                email: user.email.clone(),
                secret_hash,
            }));
            let person = Arc::new(Person { user, session });
            Ok(Decided {
                events,
                value: NewSession { secret, person },
            })
        })
        .await
    }

    /// Ends one of the caller's own sessions.
    ///
    /// # Errors
    /// `session.not_found`.
    pub async fn end_session(&self, caller: &Caller, id: &SessionId) -> Result<(), Error> {
        let id = id.clone();
        self.write(caller, move |tx, scene| {
            let person = scene
                .caller
                .person()
                .ok_or_else(|| no_such(ErrorCode::SessionNotFound))?;
            let event = end(&*tx, &id, &person.user, scene.context.now)?;
            let event = event.ok_or_else(|| no_such(ErrorCode::SessionNotFound))?;
            Ok(Decided {
                events: vec![event],
                value: (),
            })
        })
        .await
    }

    /// The caller's own sessions that are alive, newest first.
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<Session>, Error> {
        let person = caller.person().ok_or_else(|| no_such(ErrorCode::SessionNotFound))?;
        let now = self.now();
        let mut sessions = self.read(|tx| alive(tx, &person.user, now))?;
        sessions.reverse();
        Ok(sessions)
    }
}

fn wrong_password() -> Refusal {
    Refusal::new(ErrorCode::AuthWrongPassword, ErrorCode::AuthWrongPassword.help())
}

fn new_session(user: &User, method: SignIn, visit: &Visit, scene: &Scene) -> Result<Session, Error> {
    let now = scene.context.now;
    Ok(Session {
        id: scene.ids()().try_into()?,
        user_id: user.id.clone(),
        method,
        address: visit.address.to_string(),
        user_agent: visit
            .user_agent
            .chars()
            .filter(|c| !c.is_control())
            .take(AGENT_CHARS)
            .collect(),
        created_at: now,
        expires_at: now.plus_millis(Session::LIFETIME_MS),
        last_seen_at: None,
        ended_at: None,
    })
}

/// The event that ends a session of `user`, where it is one and goes on.
fn end(tx: &dyn SqlRead, id: &SessionId, user: &User, now: Timestamp) -> Result<Option<Event>, Error> {
    let session = people::session(tx, id)?.filter(|session| session.user_id == user.id && session.is_alive(now));
    Ok(session.map(|session| ended(session, user)))
}

fn ended(session: Session, user: &User) -> Event {
    Event::SessionEnded(events::SessionEnded {
        session_id: session.id,
        user_id: user.id.clone(),
        email: user.email.clone(),
    })
}

/// The events that end all sessions of `user` but `keep`.
pub(crate) fn end_all(
    tx: &dyn SqlRead,
    user: &User,
    keep: Option<&SessionId>,
    now: Timestamp,
) -> Result<Vec<Event>, Error> {
    let others = alive(tx, user, now)?
        .into_iter()
        .filter(|session| Some(&session.id) != keep);
    Ok(others.map(|session| ended(session, user)).collect())
}

/// A person's sessions that go on, oldest first.
fn alive(tx: &dyn SqlRead, user: &User, now: Timestamp) -> Result<Vec<Session>, Error> {
    let since = now.plus_millis(-Session::LIFETIME_MS).to_string();
    let sql = select_sessions!("WHERE user_id = ?1 AND created_at > ?2 AND ended_at IS NULL ORDER BY created_at");
    let mut sessions = tx.query_all(sql, params![user.id.as_str(), &since], people::read_session)?;
    sessions.retain(|session| session.is_alive(now));
    Ok(sessions)
}
