//! What all pages share: how one becomes an answer, what stands around it, and how things are
//! written for people.

pub(crate) mod assets;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the page of downloads is the first that draws")
)]
pub(crate) mod plot;
pub(crate) mod text;

use std::fmt;
use std::sync::Arc;

use askama::Template;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use dist_model::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, header};

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
    /// To nobody: the address may be a secret.
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
    let text = page.render().map_err(ApiError::internal)?;
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

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Apps => "Apps",
            Self::Downloads => "Downloads",
            Self::Audit => "Audit",
            Self::Tokens => "Tokens",
            Self::People => "People",
            Self::Storage => "Storage",
            Self::Health => "Health",
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
        }
    }
}

/// What stands around a console page. Every page's struct has it as `shell`.
pub(crate) struct Shell {
    /// The page's name, as the browser shows it.
    pub title: String,
    /// Where the reader is.
    pub section: Section,
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
    fn nonces_differ() {
        assert_ne!(Nonce::new().to_string(), Nonce::new().to_string());
    }
}
