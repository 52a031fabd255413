//! People at browsers: the cookies that know them again, and forms that change something.
//!
//! A browser sends the cookie along whoever's page made it ask. So a form changes something only where
//! three things hold: the browser says that the request comes from this site (`Sec-Fetch-Site`,
//! `Origin`), the form has the token that stood in the page, and the cookie is `SameSite=Lax`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use dist_model::{ErrorCode, Refusal, Session};
use dist_service::{Error, NewSession, Principal};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::console::Visit;
use crate::error::{ApiError, Result};
use crate::extract::{read_all, text};
use crate::source::Source;
use crate::state::Site;

/// The largest form, in bytes: release notes are not written here.
const FORM_BYTES: usize = 64 << 10;

/// The cookie of a session.
const SESSION: &str = "dist_session";
/// The cookie of somebody who is at the provider to sign in.
pub(crate) const SIGN_IN: &str = "dist_sign_in";

/// How this site's cookies are called and set.
pub(crate) struct Cookies {
    prefix: &'static str,
    path: String,
    secure: bool,
    origin: Option<String>,
}

impl Cookies {
    /// Cookies of a site whose links begin with `public_url`.
    pub(crate) fn new(public_url: Option<&str>) -> Self {
        let uri = public_url.and_then(|url| url.parse::<http::Uri>().ok());
        let path = uri.as_ref().map_or("", |uri| uri.path().trim_end_matches('/'));
        let secure = uri.as_ref().and_then(http::Uri::scheme_str) == Some("https");
        let origin = uri
            .as_ref()
            .and_then(|uri| Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?)));
        Self {
            // The prefix makes the browser refuse a cookie that a neighbouring host has planted.
            prefix: match (secure, path) {
                (true, "") => "__Host-",
                (true, _) => "__Secure-",
                (false, _) => "",
            },
            path: format!("{path}/"),
            secure,
            origin,
        }
    }

    /// Whether browsers send them over TLS only, by whatever way people come.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// What a request's cookie holds.
    pub(crate) fn get<'a>(&self, name: &str, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let mut pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        pairs.find_map(|pair| {
            let name_and_value = pair.trim().strip_prefix(self.prefix)?;
            name_and_value.strip_prefix(name)?.strip_prefix('=')
        })
    }

    /// The header that makes the browser keep a cookie for some seconds; for none, forget it.
    pub(crate) fn set(&self, name: &str, value: &str, seconds: i64, is_https: bool) -> Result<HeaderValue> {
        let Self {
            prefix, path, secure, ..
        } = self;
        let mut cookie = format!("{prefix}{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax");
        if *secure || is_https {
            cookie.push_str("; Secure");
        }
        HeaderValue::from_str(&cookie).map_err(ApiError::internal)
    }

    /// The header that hands a new session to the browser, which came over TLS or not.
    pub(crate) fn begin(&self, session: &NewSession, is_https: bool) -> Result<HeaderValue> {
        self.set(SESSION, &session.secret, Session::LIFETIME_MS / 1000, is_https)
    }

    /// The header that makes the browser forget its session.
    pub(crate) fn end(&self) -> Result<HeaderValue> {
        self.set(SESSION, "", 0, false)
    }

    /// The token of a session's forms: whoever cannot read the pages cannot know it, and it does not
    /// tell the session's secret.
    pub(crate) fn csrf(&self, headers: &HeaderMap) -> String {
        let secret = self.get(SESSION, headers).unwrap_or_default();
        let digest = Sha256::digest(format!("form_{secret}"));
        digest.iter().take(16).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Refuses a request that another site made the browser send. Browsers say where a request comes
    /// from; whoever does not is no browser, and has no business with forms.
    pub(crate) fn check_origin(&self, headers: &HeaderMap, source: Option<&Source>) -> Result<()> {
        let host = source.and_then(|source| source.host.as_deref());
        let host = host.or_else(|| text(headers, header::HOST));
        let good = match text(headers, "sec-fetch-site") {
            Some(site) => site == "same-origin",
            None => text(headers, header::ORIGIN).is_some_and(|origin| self.is_own(origin, host)),
        };
        if good {
            return Ok(());
        }
        let message = "this request did not come from a page of this server; open the console and try again";
        Err(Refusal::new(ErrorCode::CrossOrigin, message).into())
    }

    /// Whether an origin is this site's: the configured one, or the host that the browser asked.
    fn is_own(&self, origin: &str, host: Option<&str>) -> bool {
        let of_host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        self.origin.as_deref() == Some(origin) || of_host.is_some() && of_host == host
    }
}

/// Who a request's cookie says is signed in.
pub(crate) async fn of(headers: &HeaderMap, site: &Site) -> Result<Option<Principal>, Error> {
    match site.cookies.get(SESSION, headers) {
        Some(secret) => site.service.session_of(secret).await,
        None => Ok(None),
    }
}

/// A form that somebody who is signed in has sent from one of our pages.
pub(crate) struct Form<T> {
    pub visit: Visit,
    pub fields: T,
}

/// A form without fields of its own: its button says all.
#[derive(serde::Deserialize)]
pub(crate) struct Empty {}

#[derive(serde::Deserialize)]
struct Csrf {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let visit = Visit::of(&parts, site).await?;
        site.cookies.check_origin(&parts.headers, parts.extensions.get())?;
        let body = read_all(body, FORM_BYTES).await?;
        if fields::<Csrf>(&body)?.csrf != visit.csrf {
            let message = "the page is from an earlier session; load it again, then try again";
            return Err(Refusal::new(ErrorCode::CrossOrigin, message).into());
        }
        let fields = fields(&body)?;
        Ok(Self { visit, fields })
    }
}

/// A form that a stranger has sent from one of our pages: to sign in, or to set a password.
pub(crate) struct OpenForm<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for OpenForm<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self> {
        let (parts, body) = request.into_parts();
        site.cookies.check_origin(&parts.headers, parts.extensions.get())?;
        fields(&read_all(body, FORM_BYTES).await?).map(Self)
    }
}

fn fields<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_html_form::from_bytes(body).map_err(|error| {
        let message = format!("the form is not what this page takes: {error}");
        Refusal::new(ErrorCode::RequestMalformed, message).into()
    })
}

/// How somebody comes who signs in.
pub(crate) struct Arrival {
    /// Where from.
    pub visit: dist_service::Visit,
    /// True where a proxy says that they came over TLS.
    pub is_https: bool,
}

impl FromRequestParts<Arc<Site>> for Arrival {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self> {
        let replaces = match of(&parts.headers, site).await? {
            Some(Principal::Person(person)) => Some(person.session.id.clone()),
            _ => None,
        };
        let source = parts.extensions.get::<Source>().cloned();
        let source = source.unwrap_or_else(|| site.proxies.source(None, &parts.headers));
        Ok(Self {
            visit: dist_service::Visit {
                address: source.address,
                user_agent: text(&parts.headers, header::USER_AGENT).unwrap_or_default().to_owned(),
                replaces,
            },
            is_https: source.is_https,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn cookies_are_as_strict_as_the_site_allows() {
        for (url, name, end) in [
            (None, "dist_session=", "; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
            (
                Some("https://get.example.org"),
                "__Host-dist_session=",
                "; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
            ),
            (
                Some("https://example.org/dist/"),
                "__Secure-dist_session=",
                "; Path=/dist/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
            ),
        ] {
            let cookie = Cookies::new(url).end().unwrap();
            assert_eq!(cookie.to_str().unwrap(), format!("{name}{end}"));
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let cookies = Cookies::new(None);
        for (sent, found) in [
            ("dist_session=abc", Some("abc")),
            ("a=b; dist_session=abc; c=d", Some("abc")),
            ("xdist_session=abc", None),
            ("dist_session2=abc", None),
        ] {
            assert_eq!(cookies.get(SESSION, &headers(&[("cookie", sent)])), found, "{sent}");
        }
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        let cookies = Cookies::new(Some("https://get.example.org"));
        for (sent, good) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (
                &[("sec-fetch-site", "same-site"), ("origin", "https://get.example.org")],
                false,
            ),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://get.example.org")], true),
            (&[("origin", "http://10.0.0.1:8787"), ("host", "10.0.0.1:8787")], true),
            (
                &[("origin", "https://evil.example.org"), ("host", "get.example.org")],
                false,
            ),
            (&[("origin", "null")], false),
            (&[], false),
        ] {
            assert_eq!(cookies.check_origin(&headers(sent), None).is_ok(), good, "{sent:?}");
        }
    }
}
