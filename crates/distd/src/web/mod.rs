//! What all pages share: how one becomes an answer, what stands around it, and how things are
//! written for people.

pub(crate) mod agent;
pub(crate) mod assets;
pub(crate) mod plot;
pub(crate) mod sentence;
pub(crate) mod text;

use std::fmt;
use std::sync::Arc;

use askama::Template;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use dist_model::{Role, Scope, Timestamp, User};
use dist_service::AuditLine;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use self::sentence::Sentence;
use self::text::Ago;
use crate::error::{ApiError, Result};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What lets a page's own style and scripts through its policy and nobody else's: 128 random bits,
/// new with every answer.
#[derive(Clone)]
pub(crate) struct Nonce(String);

impl Nonce {
    pub(crate) fn new() -> Self {
        Self(STANDARD_NO_PAD.encode(rand::random::<[u8; 16]>()))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// To whom following a link from the page tells the page's address.
#[derive(Clone, Copy)]
pub(crate) enum Referrer {
    /// To nobody: the address may be a secret. For pages without forms, which browsers then send with
    /// `Origin: null`.
    Nobody,
    /// To this site.
    SameOrigin,
}

impl Referrer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "no-referrer",
            Self::SameOrigin => "same-origin",
        }
    }
}

/// A page as an answer, which may load nothing but this site's pictures and what carries the nonce,
/// send forms nowhere else, and stand in nobody's frame.
pub(crate) fn page(page: &impl Template, nonce: &Nonce, referrer: Referrer) -> Result<Response> {
    let text = in_reading_order(page.render().map_err(ApiError::internal)?);
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
    let headers = response.headers_mut();
    let policy = HeaderValue::from_str(&policy).map_err(ApiError::internal)?;
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer.as_str()));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// Leaves out the characters that turn text around. A name that opens an isolate and leaves it open
/// undoes the `<bdi>` that it stands in, and reorders what is beside it (UAX #9, rule X6a).
fn in_reading_order(text: String) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(turns) {
        text.replace(turns, "")
    } else {
        text
    }
}

/// True where htmx asks for what goes inside a page that is there already. When it walks back in
/// the history it needs the whole page again.
pub(crate) fn wants_fragment(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request") && !headers.contains_key("hx-history-restore-request")
}

/// The parts of the console, in the order of its navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Apps,
    Downloads,
    Audit,
    Tokens,
    People,
    Storage,
    Health,
    /// One's own, and no place in the navigation.
    Account,
}

impl Section {
    pub(crate) const ALL: [Self; 7] = [
        Self::Apps,
        Self::Downloads,
        Self::Audit,
        Self::Tokens,
        Self::People,
        Self::Storage,
        Self::Health,
    ];

    /// Those that somebody's roles open.
    pub(crate) fn of(user: &User) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|section| section.is_open_to(user))
            .collect()
    }

    fn is_open_to(self, user: &User) -> bool {
        match self {
            Self::Apps | Self::Downloads | Self::Audit | Self::Account => true,
            Self::Tokens => may_somewhere(user, Scope::Promote),
            Self::People | Self::Storage | Self::Health => user.check_role(Scope::Admin, None).is_ok(),
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Apps => "Apps",
            Self::Downloads => "Downloads",
            Self::Audit => "Audit",
            Self::Tokens => "Tokens",
            Self::People => "People",
            Self::Storage => "Storage",
            Self::Health => "Health",
            Self::Account => "Account",
        }
    }

    /// Where it starts, below the site's own path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Apps => "/admin",
            Self::Downloads => "/admin/downloads",
            Self::Audit => "/admin/audit",
            Self::Tokens => "/admin/tokens",
            Self::People => "/admin/people",
            Self::Storage => "/admin/storage",
            Self::Health => "/admin/health",
            Self::Account => "/admin/account",
        }
    }

    /// The key that goes there, after `g`.
    pub(crate) fn key(self) -> char {
        match self {
            Self::Apps => 'a',
            Self::Downloads => 'd',
            Self::Audit => 'u',
            Self::Tokens => 't',
            Self::People => 'p',
            Self::Storage => 's',
            Self::Health => 'h',
            Self::Account => 'm',
        }
    }
}

/// Whether somebody may for all apps, or if only for one.
pub(crate) fn may_somewhere(user: &User, scope: Scope) -> bool {
    let mut roles = user.app_roles.values().copied().chain(user.role);
    roles.any(|role: Role| role.allows(scope))
}

/// What stands around a console page. Every page's struct has it as `shell`.
pub(crate) struct Shell {
    /// The page's name, as the browser shows it.
    pub title: String,
    /// Where the reader is; in no part of the console where something is looked for or refused.
    pub section: Option<Section>,
    /// Where the navigation leads: what the reader's roles open.
    pub sections: Vec<Section>,
    /// What is before every link: the path of the public URL, without a slash at its end.
    pub base: Arc<str>,
    /// Carried by the style and the scripts.
    pub nonce: Nonce,
    /// Who is signed in, as the audit log names them; the navigation is theirs only.
    pub signed_in: Option<String>,
    /// What forms carry in the field `csrf`; empty without a session.
    pub csrf: String,
    /// True where htmx wants only what goes inside the page that it has.
    pub is_fragment: bool,
    /// The moment of the answer.
    pub now: Timestamp,
}

impl Shell {
    /// How long ago something was, with the exact time behind it.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "templates pass what they show by reference"
    )]
    pub(crate) fn ago(&self, at: &Timestamp) -> Ago {
        Ago { at: *at, now: self.now }
    }

    /// Whether the reader is in this part of the console.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "templates pass what they show by reference"
    )]
    pub(crate) fn is_in(&self, section: &Section) -> bool {
        self.section == Some(*section)
    }

    /// What happened, with links.
    pub(crate) fn sentence(&self, line: &AuditLine) -> Sentence<'_> {
        Sentence::new(&self.base, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_paths_are_each_sections_own() {
        for (place, section) in Section::ALL.into_iter().enumerate() {
            for other in &Section::ALL[place + 1..] {
                assert_ne!(section.key(), other.key());
                assert_ne!(section.path(), other.path());
            }
        }
    }

    #[test]
    fn roles_open_sections() {
        use Section::{Apps, Audit, Downloads, Tokens};
        let person = |role: Option<&str>, app: Option<&str>| -> Vec<Section> {
            let roles = app.map_or_else(|| serde_json::json!({}), |role| serde_json::json!({"acme": role}));
            let user = serde_json::json!({"id": "u1", "email": "ann@example.org", "name": "", "role": role,
                "app_roles": roles, "created_at": "2026-01-01T00:00:00Z"});
            Section::of(&serde_json::from_value(user).unwrap())
        };
        assert_eq!(person(Some("viewer"), None), [Apps, Downloads, Audit]);
        assert_eq!(person(None, Some("manager")), [Apps, Downloads, Audit, Tokens]);
        assert_eq!(person(Some("viewer"), Some("admin")), [Apps, Downloads, Audit, Tokens]);
        assert_eq!(person(Some("admin"), None), Section::ALL);
    }

    #[test]
    fn names_turn_nothing_around() {
        let shown = in_reading_order("<bdi>\u{202e}gnp.exe \u{2066}</bdi> beside \u{5d0}\u{200f}".to_owned());
        assert_eq!(shown, "<bdi>gnp.exe </bdi> beside \u{5d0}\u{200f}");
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(Nonce::new().to_string(), Nonce::new().to_string());
    }
}
