//! People: letting them in, changing what they may, and their passwords.

use dist_model::decide::{self, Decided, UserIntent};
use dist_model::{
    Email, ErrorCode, Event, Refusal, Role, Scope, SignIn, Timestamp, User, UserChanges, UserId, check_password, events,
};
use persist::{SqlRead, SqlReadExt as _, params};

use crate::people::{self, Credentials, no_such, select_users};
use crate::rows::parsed_opt;
use crate::session::end_all;
use crate::{Caller, Error, NewSession, Page, Paging, Principal, Service, Visit, password, secret};

const KIND: &str = "invitation_";

/// How long the link to set a password is good, in milliseconds: three days.
const INVITATION_MS: i64 = 3 * 24 * 3_600_000;

/// A person with a link with which they set a password.
#[derive(Clone, PartialEq)]
pub struct Invited {
    /// The person.
    pub user: User,
    /// The link's secret, this once.
    pub secret: String,
    /// When the link ends.
    pub expires_at: Timestamp,
}

/// A person as those see them who administer people.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRow {
    /// The person.
    pub user: User,
    /// True where they set a password.
    pub has_password: bool,
    /// Until when a link to set one is good.
    pub invited_until: Option<Timestamp>,
    /// The provider that they sign in with, by its issuer URL.
    pub issuer: Option<String>,
    /// When they were last seen.
    pub last_seen_at: Option<Timestamp>,
}

impl Service {
    /// True where somebody administers everything; until then the server is to be set up.
    pub async fn is_set_up(&self) -> Result<bool, Error> {
        self.read(|tx| Ok(people::any_admin(tx, None)?))
    }

    /// Makes the first admin and signs them in. Whoever calls this has made sure that the one who asks
    /// holds the server's one-time link.
    ///
    /// # Errors
    /// `setup.done`, `user.password_weak`, `user.invalid_email`.
    pub async fn set_up(&self, email: &Email, name: &str, password: String, visit: Visit) -> Result<NewSession, Error> {
        check_password(&password, email)?;
        let password_hash = password::hash(&*self.setup().entropy, password).await?;
        let intent = UserIntent {
            email: email.clone(),
            name: name.to_owned(),
            role: Some(Role::Admin),
            app_roles: std::collections::BTreeMap::new(),
        };
        let user = self
            .write(&Caller::new(Principal::System), move |tx, scene| {
                if people::any_admin(&*tx, None)? {
                    return Err(no_such(ErrorCode::SetupDone).into());
                }
                let taken = people::credentials(&*tx, &intent.email)?.is_some();
                let mut decided = decide::create_user(taken, &intent, &scene.context, &mut scene.ids())?;
                decided.events.push(password_set(&decided.value, password_hash));
                Ok(decided)
            })
            .await?;
        self.start_session(user, SignIn::Setup, visit, |_, _| Ok(Vec::new()))
            .await
    }

    /// Lets a person in, with a link with which they set their password.
    ///
    /// # Errors
    /// `user.exists`, `user.invalid`.
    pub async fn create_user(&self, caller: &Caller, intent: UserIntent) -> Result<Invited, Error> {
        let secret = secret::new_secret(&*self.setup().entropy)?;
        self.write(caller, move |tx, scene| {
            scene.caller.require(Scope::Admin, None, None, scene.context.now)?;
            let taken = people::credentials(&*tx, &intent.email)?.is_some();
            let decided = decide::create_user(taken, &intent, &scene.context, &mut scene.ids())?;
            let mut events = decided.events;
            let invited = invite(decided.value, secret, scene.context.now, &mut events);
            Ok(Decided { events, value: invited })
        })
        .await
    }

    /// Gives a person a new link with which they set a password; an older link ends.
    ///
    /// # Errors
    /// `user.not_found`, `user.disabled`.
    pub async fn invite_user(&self, caller: &Caller, id: &UserId) -> Result<Invited, Error> {
        let (secret, id) = (secret::new_secret(&*self.setup().entropy)?, id.clone());
        self.write(caller, move |tx, scene| {
            scene.caller.require(Scope::Admin, None, None, scene.context.now)?;
            let user = people::user(&*tx, &id)?.ok_or_else(|| no_such(ErrorCode::UserNotFound))?;
            if user.disabled_at.is_some() {
                return Err(no_such(ErrorCode::UserDisabled).into());
            }
            let mut events = Vec::new();
            let invited = invite(user, secret, scene.context.now, &mut events);
            Ok(Decided { events, value: invited })
        })
        .await
    }

    /// Who an invitation is for.
    ///
    /// # Errors
    /// `user.invitation_invalid`.
    pub async fn invitation(&self, secret: &str) -> Result<User, Error> {
        let hash = secret::hash(KIND, secret);
        let now = self.now();
        let found = self.read(|tx| Ok::<_, Error>(people::invited(tx, &hash)?))?;
        Ok(still_invited(found, now)?.user)
    }

    /// Sets the password of whoever holds an invitation, ends their other sessions, and signs them in.
    ///
    /// # Errors
    /// `user.invitation_invalid`, `user.password_weak`.
    pub async fn accept_invitation(&self, secret: &str, password: String, visit: Visit) -> Result<NewSession, Error> {
        let user = self.invitation(secret).await?;
        check_password(&password, &user.email)?;
        let password_hash = password::hash(&*self.setup().entropy, password).await?;
        let (hash, now) = (secret::hash(KIND, secret), self.now());
        self.start_session(user, SignIn::Invitation, visit, move |tx, user| {
            still_invited(people::invited(tx, &hash)?, now)?;
            let mut events = vec![password_set(user, password_hash)];
            events.extend(end_all(tx, user, None, now)?);
            Ok(events)
        })
        .await
    }

    /// Changes the caller's own password and ends their other sessions.
    ///
    /// # Errors
    /// `auth.wrong_password`, `user.password_weak`.
    pub async fn change_password(&self, caller: &Caller, old: String, new: String) -> Result<(), Error> {
        let person = caller.person().ok_or_else(|| no_such(ErrorCode::UserNotFound))?;
        let email = person.user.email.clone();
        check_password(&new, &email)?;
        let address = person.session.address.parse().unwrap_or(std::net::IpAddr::from([0; 4]));
        self.throttle().attempt(Some(&email), address, self.now())?;
        let found = self.read(|tx| Ok::<_, Error>(people::credentials(tx, &email)?))?;
        let hash = found.and_then(|found| found.password_hash);
        if !password::matches(hash, old).await? {
            return Err(no_such(ErrorCode::AuthWrongPassword).into());
        }
        self.throttle().succeeded(&email, address);
        let password_hash = password::hash(&*self.setup().entropy, new).await?;
        self.write(caller, move |tx, scene| {
            let person = scene.caller.person().ok_or_else(|| no_such(ErrorCode::UserNotFound))?;
            // The session may have ended while the passwords were hashed, with a change of its owner's.
            person.check_alive(scene.context.now)?;
            let mut events = vec![password_set(&person.user, password_hash)];
            events.extend(end_all(
                &*tx,
                &person.user,
                Some(&person.session.id),
                scene.context.now,
            )?);
            Ok(Decided { events, value: () })
        })
        .await
    }

    /// Sets anybody's password and ends their sessions: for whoever has the store's folder, and whom
    /// no mail reaches. Over HTTP people set their own.
    ///
    /// # Errors
    /// `user.not_found`, `user.password_weak`.
    pub async fn set_password(&self, caller: &Caller, id: &UserId, password: String) -> Result<User, Error> {
        let user = self.user(caller, id).await?.user;
        check_password(&password, &user.email)?;
        let password_hash = password::hash(&*self.setup().entropy, password).await?;
        self.write(caller, move |tx, scene| {
            scene.caller.require(Scope::Admin, None, None, scene.context.now)?;
            let mut events = vec![password_set(&user, password_hash)];
            events.extend(end_all(&*tx, &user, None, scene.context.now)?);
            Ok(Decided { events, value: user })
        })
        .await
    }

    /// Changes what a person is called and may. Who is disabled is signed out everywhere.
    ///
    /// # Errors
    /// `user.not_found`, `user.invalid`, `user.last_admin`.
    pub async fn update_user(&self, caller: &Caller, id: &UserId, changes: UserChanges) -> Result<User, Error> {
        let id = id.clone();
        self.write(caller, move |tx, scene| {
            scene.caller.require(Scope::Admin, None, None, scene.context.now)?;
            let user = people::user(&*tx, &id)?.ok_or_else(|| no_such(ErrorCode::UserNotFound))?;
            let others = people::any_admin(&*tx, Some(&id))?;
            let mut decided = decide::update_user(&user, &changes, others, &scene.context)?;
            if decided.value.disabled_at.is_some() {
                decided.events.extend(end_all(&*tx, &user, None, scene.context.now)?);
            }
            Ok(decided)
        })
        .await
    }

    /// The people, by e-mail address.
    pub async fn users(&self, caller: &Caller, paging: &Paging) -> Result<Page<UserRow>, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        let after = paging.after::<1>("users")?.map_or_else(String::new, |[email]| email);
        let users = self.read(|tx| {
            let sql = select_users!("WHERE email > ?1 ORDER BY email LIMIT ?2");
            let found = tx.query_all(sql, params![&after, paging.sql_limit()], people::read_credentials)?;
            let rows = found.into_iter().map(|found| with_last_seen(tx, found));
            rows.collect::<Result<Vec<_>, Error>>()
        })?;
        Ok(Page::cut(users, paging, "users", |row| [row.user.email.to_string()]))
    }

    /// A person, for those who administer people and for themselves.
    ///
    /// # Errors
    /// `user.not_found`.
    pub async fn user(&self, caller: &Caller, id: &UserId) -> Result<UserRow, Error> {
        if caller.person().is_none_or(|person| person.user.id != *id) {
            caller.require(Scope::Admin, None, None, self.now())?;
        }
        self.read(|tx| {
            let sql = select_users!("WHERE id = ?1");
            let found = tx.query_opt(sql, params![id.as_str()], people::read_credentials)?;
            with_last_seen(tx, found.ok_or_else(|| no_such(ErrorCode::UserNotFound))?)
        })
    }

    /// The person with an e-mail address, for those who administer people.
    ///
    /// # Errors
    /// `user.not_found`.
    pub async fn user_by_email(&self, caller: &Caller, email: &Email) -> Result<User, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        let found = self.read(|tx| Ok::<_, Error>(people::credentials(tx, email)?))?;
        Ok(found.ok_or_else(|| no_such(ErrorCode::UserNotFound))?.user)
    }
}

fn with_last_seen(tx: &dyn SqlRead, found: Credentials) -> Result<UserRow, Error> {
    let sql = "SELECT max(coalesce(last_seen_at, created_at)) FROM sessions WHERE user_id = ?1";
    let seen = tx.query_opt(sql, params![found.user.id.as_str()], |row| parsed_opt(row, 0))?;
    Ok(UserRow {
        has_password: found.password_hash.is_some(),
        invited_until: found.invited_until,
        issuer: found.issuer,
        last_seen_at: seen.flatten(),
        user: found.user,
    })
}

fn invite(user: User, secret: String, now: Timestamp, events: &mut Vec<Event>) -> Invited {
    let expires_at = now.plus_millis(INVITATION_MS);
    events.push(Event::UserInvited(events::UserInvited {
        user_id: user.id.clone(),
        email: user.email.clone(),
        secret_hash: secret::hash(KIND, &secret),
        expires_at,
    }));
    Invited {
        user,
        secret,
        expires_at,
    }
}

fn still_invited(found: Option<Credentials>, now: Timestamp) -> Result<Credentials, Refusal> {
    let good =
        |found: &Credentials| found.user.disabled_at.is_none() && found.invited_until.is_some_and(|until| now < until);
    found.filter(good).ok_or_else(|| no_such(ErrorCode::InvitationInvalid))
}

fn password_set(user: &User, password_hash: String) -> Event {
    Event::PasswordSet(events::PasswordSet {
        user_id: user.id.clone(),
        email: user.email.clone(),
        password_hash,
    })
}
