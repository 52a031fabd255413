//! Refusals as pages for people.

use askama::Template;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, header};

use super::page::html;
use crate::error::{ApiError, Refused};
use crate::extract::text;
use crate::web;

/// Says what went wrong.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'static str,
    message: &'a str,
}

/// A refusal as a page, whoever asks.
pub(crate) struct PageError(ApiError);

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
        as_page(self.0.into_response())
    }
}

/// Turns refusals into pages where a browser goes; programs and scripts get the JSON.
pub(crate) async fn refusals_as_pages(request: Request, next: Next) -> Response {
    let wants_page = is_visit(&request);
    let response = next.run(request).await;
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    if wants_page && is_json && response.extensions().get::<Refused>().is_some() {
        as_page(response)
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
fn as_page(refused: Response) -> Response {
    let Some(refusal) = refused.extensions().get::<Refused>() else {
        return refused;
    };
    let title = web::text::refused(refused.status());
    let page = ErrorPage {
        title,
        message: &refusal.message,
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
