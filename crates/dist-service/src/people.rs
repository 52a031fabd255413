//! People, their sessions and tester links as tables: folds of the log, as [`crate::projection`] has
//! them for everything else, and the readers of those tables.

use dist_model::{
    Digest, Email, Event, InstallLink, LinkId, Refusal, Session, SessionId, Timestamp, User, UserId, events,
};
use persist::{InlineProjection, Recorded, Row, SqlError, SqlRead, SqlReadExt as _, SqlTx, Table, params};

use crate::projection::{decode, text};
use crate::rows::{json, parsed, parsed_opt};

/// The tables of people.
pub(crate) struct People;

const TABLES: &[Table] = &[
    Table {
        name: "users",
        key: &["id"],
        side: &[],
        ddl: "CREATE TABLE users (
            id TEXT NOT NULL PRIMARY KEY,
            email TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            role TEXT,
            app_roles TEXT NOT NULL,
            password_hash TEXT,
            issuer TEXT,
            subject TEXT,
            invitation_hash TEXT,
            invitation_expires_at TEXT,
            created_at TEXT NOT NULL,
            disabled_at TEXT,
            UNIQUE (issuer, subject)
        );
        CREATE UNIQUE INDEX users_invitation ON users (invitation_hash)",
    },
    Table {
        name: "sessions",
        key: &["id"],
        side: &["last_seen_at"],
        ddl: "CREATE TABLE sessions (
            id TEXT NOT NULL PRIMARY KEY,
            user_id TEXT NOT NULL,
            secret_hash TEXT NOT NULL UNIQUE,
            method TEXT NOT NULL,
            address TEXT NOT NULL,
            user_agent TEXT NOT NULL,
            created_at TEXT NOT NULL,
            expires_at TEXT NOT NULL,
            last_seen_at TEXT,
            ended_at TEXT
        );
        CREATE INDEX sessions_user ON sessions (user_id, created_at)",
    },
    Table {
        name: "install_links",
        key: &["id"],
        side: &[],
        ddl: "CREATE TABLE install_links (
            id TEXT NOT NULL PRIMARY KEY,
            app_id TEXT NOT NULL,
            app_slug TEXT NOT NULL,
            channel TEXT NOT NULL,
            note TEXT NOT NULL,
            secret_hash TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL,
            expires_at TEXT NOT NULL,
            revoked_at TEXT
        );
        CREATE INDEX install_links_app ON install_links (app_id, created_at)",
    },
];

impl InlineProjection for People {
    fn name(&self) -> &'static str {
        "people"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [Table] {
        TABLES
    }

    fn apply(&self, tx: &mut dyn SqlTx, recorded: &Recorded) -> Result<(), SqlError> {
        // Most of the log is of releases and objects, and need not be read a second time.
        let of_people = ["user.", "session.", "link."];
        if !of_people.iter().any(|area| recorded.event.r#type.starts_with(area)) {
            return Ok(());
        }
        let at = Timestamp::from_millis(recorded.event.at);
        match decode(recorded)? {
            Event::UserCreated(e) => insert_user(tx, &e.user),
            Event::UserUpdated(e) => update_user(tx, &e, at),
            Event::UserInvited(e) => tx
                .execute(
                    "UPDATE users SET invitation_hash = ?2, invitation_expires_at = ?3 WHERE id = ?1",
                    params![
                        e.user_id.as_str(),
                        &e.secret_hash.to_string(),
                        &e.expires_at.to_string()
                    ],
                )
                .map(drop),
            Event::PasswordSet(e) => {
                let sql = "UPDATE users SET password_hash = ?2, invitation_hash = NULL, invitation_expires_at = NULL WHERE id = ?1";
                tx.execute(sql, params![e.user_id.as_str(), &e.password_hash]).map(drop)
            }
            Event::UserIdentified(e) => tx
                .execute(
                    "UPDATE users SET issuer = ?2, subject = ?3 WHERE id = ?1",
                    params![e.user_id.as_str(), &e.issuer, &e.subject],
                )
                .map(drop),
            Event::SessionStarted(e) => insert_session(tx, &e.session, &e.secret_hash),
            Event::SessionEnded(e) => tx
                .execute(
                    "UPDATE sessions SET ended_at = ?2 WHERE id = ?1",
                    params![e.session_id.as_str(), &at.to_string()],
                )
                .map(drop),
            Event::LinkCreated(e) => insert_link(tx, &e.link, &e.secret_hash),
            Event::LinkRevoked(e) => tx
                .execute(
                    "UPDATE install_links SET revoked_at = ?2 WHERE id = ?1",
                    params![e.link_id.as_str(), &at.to_string()],
                )
                .map(drop),
            _ => Ok(()),
        }
    }
}

fn insert_user(tx: &mut dyn SqlTx, user: &User) -> Result<(), SqlError> {
    let sql = "INSERT INTO users (id, email, name, role, app_roles, created_at, disabled_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.execute(
        sql,
        params![
            user.id.as_str(),
            user.email.as_str(),
            &user.name,
            user.role.map(dist_model::Role::as_str),
            &text(&user.app_roles)?,
            &user.created_at.to_string(),
            user.disabled_at.map(|at| at.to_string()).as_deref(),
        ],
    )
    .map(drop)
}

/// What a change means is known in one place, `User::apply`.
fn update_user(tx: &mut dyn SqlTx, event: &events::UserUpdated, at: Timestamp) -> Result<(), SqlError> {
    let user = user(&*tx, &event.user_id)?;
    let mut user = user.ok_or_else(|| SqlError::decode(format!("{} was changed and is not there", event.user_id)))?;
    user.apply(&event.changes, at);
    tx.execute(
        "UPDATE users SET name = ?2, role = ?3, app_roles = ?4, disabled_at = ?5 WHERE id = ?1",
        params![
            user.id.as_str(),
            &user.name,
            user.role.map(dist_model::Role::as_str),
            &text(&user.app_roles)?,
            user.disabled_at.map(|at| at.to_string()).as_deref(),
        ],
    )
    .map(drop)
}

fn insert_session(tx: &mut dyn SqlTx, session: &Session, secret_hash: &Digest) -> Result<(), SqlError> {
    let sql = "INSERT INTO sessions (id, user_id, secret_hash, method, address, user_agent, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.execute(
        sql,
        params![
            session.id.as_str(),
            session.user_id.as_str(),
            &secret_hash.to_string(),
            session.method.as_str(),
            &session.address,
            &session.user_agent,
            &session.created_at.to_string(),
            &session.expires_at.to_string(),
        ],
    )
    .map(drop)
}

fn insert_link(tx: &mut dyn SqlTx, link: &InstallLink, secret_hash: &Digest) -> Result<(), SqlError> {
    let sql = "INSERT INTO install_links (id, app_id, app_slug, channel, note, secret_hash, created_at, expires_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.execute(
        sql,
        params![
            link.id.as_str(),
            link.app_id.as_str(),
            link.app_slug.as_str(),
            link.channel.as_str(),
            &link.note,
            &secret_hash.to_string(),
            &link.created_at.to_string(),
            &link.expires_at.to_string(),
            link.revoked_at.map(|at| at.to_string()).as_deref(),
        ],
    )
    .map(drop)
}

macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, name, role, app_roles, created_at, disabled_at, password_hash, invitation_expires_at, issuer FROM users ",
            $rest
        )
    };
}
pub(crate) use select_users;

macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, method, address, user_agent, created_at, expires_at, last_seen_at, ended_at FROM sessions ",
            $rest
        )
    };
}
pub(crate) use select_sessions;

macro_rules! select_links {
    ($rest:literal) => {
        concat!(
            "SELECT id, app_id, app_slug, channel, note, created_at, expires_at, revoked_at FROM install_links ",
            $rest
        )
    };
}
pub(crate) use select_links;

pub(crate) fn read_user(row: &Row<'_>) -> Result<User, SqlError> {
    Ok(User {
        id: parsed(row, 0)?,
        email: parsed(row, 1)?,
        name: row.get(2)?,
        role: parsed_opt(row, 3)?,
        app_roles: json(row, 4)?,
        created_at: parsed(row, 5)?,
        disabled_at: parsed_opt(row, 6)?,
    })
}

/// A person with what proves who they are.
pub(crate) struct Credentials {
    pub user: User,
    /// The PHC string of their password, if they set one.
    pub password_hash: Option<String>,
    /// Until when the link to set one is good.
    pub invited_until: Option<Timestamp>,
    /// The provider that vouched for them, by its issuer URL.
    pub issuer: Option<String>,
}

pub(crate) fn read_credentials(row: &Row<'_>) -> Result<Credentials, SqlError> {
    Ok(Credentials {
        user: read_user(row)?,
        password_hash: row.get(7)?,
        invited_until: parsed_opt(row, 8)?,
        issuer: row.get(9)?,
    })
}

pub(crate) fn read_session(row: &Row<'_>) -> Result<Session, SqlError> {
    Ok(Session {
        id: parsed(row, 0)?,
        user_id: parsed(row, 1)?,
        method: parsed(row, 2)?,
        address: row.get(3)?,
        user_agent: row.get(4)?,
        created_at: parsed(row, 5)?,
        expires_at: parsed(row, 6)?,
        last_seen_at: parsed_opt(row, 7)?,
        ended_at: parsed_opt(row, 8)?,
    })
}

pub(crate) fn read_link(row: &Row<'_>) -> Result<InstallLink, SqlError> {
    Ok(InstallLink {
        id: parsed(row, 0)?,
        app_id: parsed(row, 1)?,
        app_slug: parsed(row, 2)?,
        channel: parsed(row, 3)?,
        note: row.get(4)?,
        created_at: parsed(row, 5)?,
        expires_at: parsed(row, 6)?,
        revoked_at: parsed_opt(row, 7)?,
    })
}

pub(crate) fn user(tx: &dyn SqlRead, id: &UserId) -> Result<Option<User>, SqlError> {
    tx.query_opt(select_users!("WHERE id = ?1"), params![id.as_str()], read_user)
}

pub(crate) fn credentials(tx: &dyn SqlRead, email: &Email) -> Result<Option<Credentials>, SqlError> {
    let sql = select_users!("WHERE email = ?1");
    tx.query_opt(sql, params![email.as_str()], read_credentials)
}

pub(crate) fn invited(tx: &dyn SqlRead, secret_hash: &Digest) -> Result<Option<Credentials>, SqlError> {
    let sql = select_users!("WHERE invitation_hash = ?1");
    tx.query_opt(sql, params![&secret_hash.to_string()], read_credentials)
}

pub(crate) fn session(tx: &dyn SqlRead, id: &SessionId) -> Result<Option<Session>, SqlError> {
    tx.query_opt(select_sessions!("WHERE id = ?1"), params![id.as_str()], read_session)
}

pub(crate) fn session_by_hash(tx: &dyn SqlRead, secret_hash: &Digest) -> Result<Option<Session>, SqlError> {
    let sql = select_sessions!("WHERE secret_hash = ?1");
    tx.query_opt(sql, params![&secret_hash.to_string()], read_session)
}

pub(crate) fn link(tx: &dyn SqlRead, id: &LinkId) -> Result<Option<InstallLink>, SqlError> {
    tx.query_opt(select_links!("WHERE id = ?1"), params![id.as_str()], read_link)
}

pub(crate) fn link_by_hash(tx: &dyn SqlRead, secret_hash: &Digest) -> Result<Option<InstallLink>, SqlError> {
    let sql = select_links!("WHERE secret_hash = ?1");
    tx.query_opt(sql, params![&secret_hash.to_string()], read_link)
}

/// Whether anybody who may sign in administers everything, apart from `but`.
pub(crate) fn any_admin(tx: &dyn SqlRead, but: Option<&UserId>) -> Result<bool, SqlError> {
    let sql = "SELECT 1 FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> ?1 LIMIT 1";
    Ok(tx
        .query_opt(sql, params![but.map_or("", UserId::as_str)], |_| Ok(()))?
        .is_some())
}

/// What an id of ours that is not there is answered with.
pub(crate) fn no_such(code: dist_model::ErrorCode) -> Refusal {
    Refusal::new(code, code.help())
}
