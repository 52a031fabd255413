//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_service::NewSession;
use http::header;
use serde::Deserialize;

use super::form::Problem;
use super::{open_page, see_other};
use crate::error::Result;
use crate::extract::Query;
use crate::oidc::Provider;
use crate::session::{Arrival, Empty, Form, OpenForm};
use crate::state::Site;
use crate::web::Shell;

/// Where to sign in; on a new server, where to find the link that makes the first admin.
#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage<'a> {
    shell: Shell,
    is_set_up: bool,
    /// What people call the provider that they can sign in with.
    provider: Option<&'a str>,
    email: &'a str,
    next: &'a str,
    problem: &'a Problem,
}

/// Where to go afterwards: a page of the console, an install page, or nowhere special.
#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    pub next: String,
}

/// What somebody signs in with.
#[derive(Deserialize)]
pub(crate) struct SignInForm {
    email: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// The form to sign in with.
#[utoipa::path(get, path = "/admin/sign-in", tag = "console", params(("next" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    arrival: Arrival,
    Query(Next { next }): Query<Next>,
) -> Result<Response> {
    if arrival.visit.replaces.is_some() {
        return see_other(&site, page_of_ours(&next));
    }
    page(&site, "", &next, Problem::default()).await
}

/// Begins a session.
#[utoipa::path(post, path = "/admin/sign-in", tag = "console", request_body = String,
    responses((status = 303), (status = 401), (status = 429)))]
pub(crate) async fn sign_in(
    State(site): State<Arc<Site>>,
    arrival: Arrival,
    OpenForm(form): OpenForm<SignInForm>,
) -> Result<Response> {
    let is_https = arrival.is_https;
    match site.service.sign_in(&form.email, form.password, arrival.visit).await {
        Ok(session) => begin(&site, &session, is_https, &form.next),
        Err(error) => page(&site, &form.email, &form.next, Problem::of(error)?).await,
    }
}

/// Ends the session.
#[utoipa::path(post, path = "/admin/sign-out", tag = "console", request_body = String, responses((status = 303)))]
pub(crate) async fn sign_out(State(site): State<Arc<Site>>, form: Form<Empty>) -> Result<Response> {
    let visit = form.visit;
    site.service
        .end_session(&visit.caller, &visit.person.session.id)
        .await?;
    let mut response = see_other(&site, "/admin/sign-in")?;
    response.headers_mut().insert(header::SET_COOKIE, site.cookies.end()?);
    Ok(response)
}

pub(crate) async fn page(site: &Site, email: &str, next: &str, problem: Problem) -> Result<Response> {
    let is_set_up = site.service.is_set_up().await?;
    let title = if is_set_up { "Sign in" } else { "A new server" };
    let response = open_page(site, title, |shell| SignInPage {
        shell,
        is_set_up,
        provider: site.oidc.as_ref().map(Provider::name),
        email,
        next,
        problem: &problem,
    })?;
    Ok(problem.mark(response))
}

/// Hands a session to the browser and goes to where somebody wanted to.
pub(crate) fn begin(site: &Site, session: &NewSession, is_https: bool, next: &str) -> Result<Response> {
    let mut response = see_other(site, page_of_ours(next))?;
    let cookie = site.cookies.begin(session, is_https)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The page of the console, or the install page, that `next` names; the console's first one where it
/// names none: whoever made up a link to sign in leads nobody astray.
pub(crate) fn page_of_ours(next: &str) -> &str {
    let rest = next.strip_prefix("/admin");
    let is_console = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let is_page = is_console || next.starts_with("/install/");
    let is_plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_page && is_plain { next } else { "/admin" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_people_stay_here() {
        for next in ["/admin", "/admin/apps/acme?tab=1", "/admin?cursor=x", "/install/a/b"] {
            assert_eq!(page_of_ours(next), next);
        }
        for next in [
            "",
            "https://evil.example.org",
            "//evil.example.org",
            "/administer",
            "/installer",
            "/admin/\r\nset-cookie: a=b",
            "/admin/\\evil",
            "admin",
        ] {
            assert_eq!(page_of_ours(next), "/admin", "{next:?}");
        }
    }
}
