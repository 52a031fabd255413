//! The console: the pages of those who run releases. A page's struct stands above the handler that
//! fills it; its template extends `templates/console/layout.html`.

pub(crate) mod account;
pub(crate) mod app;
pub(crate) mod app_settings;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod channel;
pub(crate) mod channel_settings;
pub(crate) mod compare;
mod consequences;
mod done;
pub(crate) mod downloads;
pub(crate) mod draft;
mod facts;
mod form;
pub(crate) mod health;
pub(crate) mod invitation;
pub(crate) mod links;
pub(crate) mod live;
pub(crate) mod moves;
pub(crate) mod oidc;
pub(crate) mod people;
pub(crate) mod release;
mod rights;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod setup;
pub(crate) mod sign_in;
pub(crate) mod storage;
pub(crate) mod tokens;
pub(crate) mod yank;

use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use dist_model::{App, ErrorCode, ErrorKind, Refusal, Scope, Slug};
use dist_service::{Caller, Paging, Person, Principal};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::rights::Rights;
use crate::error::{ApiError, Refused, Result};
use crate::extract::text;
use crate::observe::Facts;
use crate::session;
use crate::state::Site;
use crate::web::{self, Nonce, Referrer, Section, Shell};

/// Somebody who is signed in opens a page, or sends a form of one. As an argument of a handler it
/// lets in who has a role, if only for one app; what the role allows, the service knows.
pub(crate) struct Visit {
    /// Who.
    pub caller: Caller,
    /// The same.
    pub person: Arc<Person>,
    /// What the forms on the page carry.
    pub csrf: String,
    site: Arc<Site>,
    is_fragment: bool,
}

/// A visit of somebody who may not have a role.
pub(crate) struct AnyVisit(pub Visit);

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self> {
        let visit = Self::of(parts, site).await?;
        let user = &visit.person.user;
        if user.role.is_none() && user.app_roles.is_empty() {
            let message = "nobody has given you a role yet; ask an admin";
            return Err(Refusal::new(ErrorCode::AuthRole, message).into());
        }
        Ok(visit)
    }
}

impl FromRequestParts<Arc<Site>> for AnyVisit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self> {
        Visit::of(parts, site).await.map(Self)
    }
}

impl Visit {
    /// Whoever the request's cookie says is signed in. Tokens are for programs, and open no pages.
    pub(crate) async fn of(parts: &Parts, site: &Arc<Site>) -> Result<Self> {
        let principal = session::of(&parts.headers, site).await?;
        let Some(Principal::Person(person)) = principal else {
            return Err(ApiError::from_code(ErrorCode::AuthSessionEnded));
        };
        let principal = Principal::Person(Arc::clone(&person));
        let facts = parts.extensions.get::<Arc<Facts>>();
        if let Some(facts) = facts {
            facts.recognise(principal.clone());
        }
        Ok(Self {
            caller: Caller {
                principal,
                request_id: facts.map(|facts| Arc::clone(&facts.request_id)),
            },
            person,
            csrf: site.cookies.csrf(&parts.headers),
            site: Arc::clone(site),
            is_fragment: web::wants_fragment(&parts.headers),
        })
    }

    /// Refuses who does not administer everything, before a page offers what they may not.
    ///
    /// # Errors
    /// `auth.role`.
    pub(crate) fn require_admin(&self) -> Result<()> {
        Ok(self.person.user.check_role(Scope::Admin, None)?)
    }

    /// Whether the person may for all apps, or if only for one.
    pub(crate) fn may_somewhere(&self, scope: Scope) -> bool {
        web::may_somewhere(&self.person.user, scope)
    }

    /// Refuses who may for no app at all, before a page offers what they may not.
    ///
    /// # Errors
    /// `auth.role`.
    pub(crate) fn require_somewhere(&self, scope: Scope) -> Result<()> {
        if self.may_somewhere(scope) {
            return Ok(());
        }
        Ok(self.person.user.check_role(scope, None)?)
    }

    /// Refuses who may not move the app's channels, before a page offers what they may not.
    ///
    /// # Errors
    /// `auth.role`.
    pub(crate) fn require_manager(&self, app: &Slug) -> Result<()> {
        Ok(self.person.user.check_role(Scope::Promote, Some(app))?)
    }

    /// The same for who may change the app's settings.
    ///
    /// # Errors
    /// `auth.role`.
    pub(crate) fn require_admin_of(&self, app: &Slug) -> Result<()> {
        Ok(self.person.user.check_role(Scope::Admin, Some(app))?)
    }

    /// What they may do with an app.
    pub(crate) fn rights(&self, app: &Slug) -> Rights {
        Rights::of(&self.person.user, app)
    }

    /// The page that `fill` makes, as an answer.
    pub(crate) fn page<P: Template>(
        &self,
        title: impl Into<String>,
        section: impl Into<Option<Section>>,
        fill: impl FnOnce(Shell) -> P,
    ) -> Result<Response> {
        let shell = Shell {
            section: section.into(),
            sections: Section::of(&self.person.user),
            signed_in: Some(self.person.user.email.to_string()),
            csrf: self.csrf.clone(),
            is_fragment: self.is_fragment,
            ..shell(&self.site, title)
        };
        answer(shell, fill)
    }
}

/// A page that strangers may see, as an answer.
pub(crate) fn open_page<P: Template>(site: &Site, title: &str, fill: impl FnOnce(Shell) -> P) -> Result<Response> {
    answer(shell(site, title), fill)
}

/// Pages of the console tell their address to this site: they have forms, and a browser that may not
/// tell it hides from where a form comes too, which is asked (see [`crate::session`]).
fn answer<P: Template>(shell: Shell, fill: impl FnOnce(Shell) -> P) -> Result<Response> {
    let nonce = shell.nonce.clone();
    web::page(&fill(shell), &nonce, Referrer::SameOrigin)
}

/// What stands around a page that nobody is signed in to.
fn shell(site: &Site, title: impl Into<String>) -> Shell {
    Shell {
        title: title.into(),
        section: None,
        sections: Vec::new(),
        base: Arc::from(site.links.path()),
        nonce: Nonce::new(),
        signed_in: None,
        csrf: String::new(),
        is_fragment: false,
        now: site.service.now(),
    }
}

/// The apps that a form offers to choose from; others are typed.
async fn apps_to_choose(site: &Site, visit: &Visit) -> Result<Vec<App>> {
    let most = Paging {
        cursor: None,
        limit: 200,
    };
    Ok(site.service.apps(&visit.caller, &most).await?.items)
}

/// Goes on to another page of this site, by its path below the site's own.
pub(crate) fn see_other(site: &Site, path: &str) -> Result<Response> {
    let location = format!("{}{path}", site.links.path());
    let location = HeaderValue::from_str(&location).map_err(ApiError::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// Says why there is no such page, or why what was asked for was not done.
#[derive(Template)]
#[template(path = "console/refusal.html")]
struct RefusalPage {
    shell: Shell,
    message: String,
    code: &'static str,
    request_id: String,
}

/// Below `/admin` people read the answers: refusals become pages, and strangers are sent to sign in.
/// Everywhere else programs do.
pub(crate) async fn refusals_as_pages(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/admin" && !path.starts_with("/admin/") {
        return next.run(request).await;
    }
    let asked = Asked {
        is_read: request.method() == Method::GET,
        uri: request.uri().clone(),
        headers: request.headers().clone(),
        facts: request.extensions().get::<Arc<Facts>>().cloned(),
    };
    let mut response = next.run(request).await;
    let Some(refused) = response.extensions().get::<Refused>() else {
        return response;
    };
    if is_page(response.headers()) {
        return response;
    }
    if refused.code.kind() == ErrorKind::Unauthenticated {
        // What waits for events would take the form for one.
        if text(&asked.headers, header::ACCEPT) == Some("text/event-stream") {
            return response;
        }
        return asked.to_sign_in(&site).unwrap_or(response);
    }
    // Where not even this page can be made, the refusal goes out as it is.
    if let Ok(page) = asked.refusal(&site, response.status(), refused).await {
        let (head, body) = page.into_parts();
        *response.body_mut() = body;
        response.headers_mut().extend(head.headers);
    }
    response
}

/// What is left of a request when its answer is there.
struct Asked {
    is_read: bool,
    uri: Uri,
    headers: HeaderMap,
    facts: Option<Arc<Facts>>,
}

impl Asked {
    /// To the sign-in page, and from there back to what was asked for, unless that was a form. Being
    /// asked who one is, is no refusal.
    fn to_sign_in(&self, site: &Site) -> Result<Response> {
        let wanted = self.uri.path_and_query().filter(|_| self.is_read);
        let wanted = wanted.map_or_else(String::new, |wanted| {
            format!("?next={}", utf8_percent_encode(wanted.as_str(), NON_ALPHANUMERIC))
        });
        let mut response = see_other(site, &format!("/admin/sign-in{wanted}"))?;
        if web::wants_fragment(&self.headers) {
            // The browser itself would follow a redirect, and put the form into the middle of a page.
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            if let Some(location) = response.headers_mut().remove(header::LOCATION) {
                response.headers_mut().insert(HX_REDIRECT, location);
            }
        }
        Ok(response)
    }

    /// In the frame of who is signed in, even where no handler has asked who that is.
    async fn refusal(&self, site: &Site, status: StatusCode, refused: &Refused) -> Result<Response> {
        let facts = self.facts.as_ref();
        let person = match session::of(&self.headers, site).await {
            Ok(Some(Principal::Person(person))) => Some(person),
            _ => None,
        };
        let shell = Shell {
            sections: person
                .as_ref()
                .map(|person| Section::of(&person.user))
                .unwrap_or_default(),
            signed_in: person.map(|person| person.user.email.to_string()),
            csrf: site.cookies.csrf(&self.headers),
            is_fragment: web::wants_fragment(&self.headers),
            ..shell(site, web::text::refused(status))
        };
        answer(shell, |shell| RefusalPage {
            shell,
            message: refused.message.clone(),
            code: refused.code.as_str(),
            request_id: facts.map(|facts| facts.request_id.to_string()).unwrap_or_default(),
        })
    }
}

const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// A form with what was wrong with it is a page already.
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    use askama::Template;

    /// Every part of `macros.html`, given what breaks out of markup where it is not escaped.
    #[derive(Template)]
    #[template(
        ext = "html",
        source = r#"{% import "console/macros.html" as ui %}
{% call ui::chip("passed") %}{% endcall %}
{% call ui::tag(hostile) %}{% endcall %}
{% call ui::copy(hostile, "the link") %}{% endcall %}
{% call ui::digest(hostile) %}{% endcall %}
{% call ui::command(hostile) %}{% endcall %}
{% call ui::empty(hostile) %}<p>Next.</p>{% endcall %}
{% call ui::flash("failed", hostile) %}{% endcall %}
{% call ui::stat("Files", hostile, "") %}{% endcall %}
{% call ui::stat("Files", 3, "in all") %}{% endcall %}
{% call ui::finding("warning", "a.b", hostile, "") %}{% endcall %}
{% call ui::field("Name", "name", hostile, "", hostile) %}{% endcall %}
{% call ui::field("Name", "name", "", "A hint", "") %}{% endcall %}
{% call ui::pager(cursor) %}{% endcall %}"#
    )]
    struct Parts {
        hostile: &'static str,
        cursor: Option<String>,
    }

    #[test]
    fn parts_escape_what_they_are_given() {
        let parts = Parts {
            hostile: "\"'><script>",
            cursor: Some("a&b=c".to_owned()),
        };
        let text = parts.render().unwrap();
        assert!(!text.contains("<script>") && !text.contains("\"'"), "{text}");
        assert_eq!(text.matches("&#34;&#39;&#62;&#60;script&#62;").count(), 13, "{text}");
        for part in [
            "role=\"alert\"",
            "class=\"chip chip-passed\"",
            "aria-invalid=\"true\" aria-describedby=\"name-error\"",
            "aria-describedby=\"name-hint\"",
            "?cursor=a%26b%3Dc",
            "<small>in all</small>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
