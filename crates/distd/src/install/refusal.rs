//! Refusals as pages for people.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::page::html;
use crate::error::{ApiError, Refused};
use crate::extract::text;
use crate::observe::Facts;
use crate::state::Site;
use crate::web;

/// Says what went wrong.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'static str,
    message: &'a str,
    /// Where somebody may sign in who would then see more.
    sign_in: Option<String>,
}

/// A refusal as a page, whoever asks.
pub(crate) struct PageError(ApiError);

/// Marks it until [`refusals_as_pages`] makes the page.
#[derive(Clone)]
struct ForPeople;

impl<E> From<E> for PageError
where
    ApiError: From<E>,
{
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut refused = self.0.into_response();
        refused.extensions_mut().insert(ForPeople);
        refused
    }
}

/// Turns refusals into pages where a browser goes; programs and scripts get the JSON.
pub(crate) async fn refusals_as_pages(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let wants_page = is_visit(&request);
    let path = request.uri().path().to_owned();
    let facts = request.extensions().get::<Arc<Facts>>().cloned();
    let response = next.run(request).await;
    // A private app is there for who has signed in, and looks like none to everybody else.
    let may_sign_in = response.status() == StatusCode::NOT_FOUND
        && path.starts_with("/install/")
        && facts.is_none_or(|facts| facts.actor().is_none());
    let sign_in = || {
        let next = utf8_percent_encode(&path, NON_ALPHANUMERIC);
        may_sign_in.then(|| format!("{}/admin/sign-in?next={next}", site.links.path()))
    };
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    let is_for_people = response.extensions().get::<ForPeople>().is_some();
    if is_for_people || (wants_page && is_json) {
        as_page(response, sign_in())
    } else {
        response
    }
}

/// True where somebody follows a link or types an address that is not the API's.
fn is_visit(request: &Request) -> bool {
    let accepts_html =
        |headers: &HeaderMap| text(headers, header::ACCEPT).is_some_and(|kinds| kinds.contains("text/html"));
    request.method() == Method::GET && !request.uri().path().starts_with("/api/") && accepts_html(request.headers())
}

/// The same answer with a page as its body.
fn as_page(refused: Response, sign_in: Option<String>) -> Response {
    let Some(refusal) = refused.extensions().get::<Refused>() else {
        return refused;
    };
    let title = web::text::refused(refused.status());
    let page = ErrorPage {
        title,
        message: &refusal.message,
        sign_in,
    };
    let mut page = html(title, &page).unwrap_or_else(IntoResponse::into_response);
    *page.status_mut() = refused.status();
    for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
        page.headers_mut()
            .extend(refused.headers().get(&name).map(|value| (name.clone(), value.clone())));
    }
    page.extensions_mut().extend(refused.extensions().clone());
    page
}
