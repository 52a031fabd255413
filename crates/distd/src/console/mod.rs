//! The console: the pages of those who run releases. A page's struct stands above the handler that
//! fills it; its template extends `templates/console/layout.html`.

pub(crate) mod apps;

use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use dist_model::{Actor, ErrorCode};
use dist_service::{Caller, Principal};
use http::request::Parts;

use crate::error::{ApiError, Refused, Result};
use crate::extract::Identity;
use crate::observe::Facts;
use crate::state::Site;
use crate::web::{self, Nonce, Referrer, Section, Shell};

/// Somebody who is signed in opens a page, or sends a form of one.
pub(crate) struct Visit {
    /// Who.
    pub caller: Caller,
    site: Arc<Site>,
    is_fragment: bool,
}

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self> {
        let Identity(caller) = Identity::from_request_parts(parts, site).await?;
        if matches!(caller.principal, Principal::Anonymous) {
            return Err(ApiError::from_code(ErrorCode::AuthMissing));
        }
        Ok(Self {
            caller,
            site: Arc::clone(site),
            is_fragment: web::wants_fragment(&parts.headers),
        })
    }
}

impl Visit {
    /// The page that `fill` makes, as an answer.
    pub(crate) fn page<P: Template>(
        &self,
        title: impl Into<String>,
        section: Section,
        fill: impl FnOnce(Shell) -> P,
    ) -> Result<Response> {
        let signed_in = match &self.caller.principal {
            Principal::Token(token) => Some(Actor::Token(token.name.clone()).to_string()),
            _ => None,
        };
        let shell = shell(&self.site, title.into(), section, signed_in, self.is_fragment);
        let nonce = shell.nonce.clone();
        web::page(&fill(shell), &nonce, Referrer::SameOrigin)
    }
}

/// What stands around every page of the console.
fn shell(site: &Site, title: String, section: Section, signed_in: Option<String>, is_fragment: bool) -> Shell {
    Shell {
        title,
        section,
        base: Arc::from(site.links.path()),
        nonce: Nonce::new(),
        signed_in,
        csrf: String::new(),
        is_fragment,
        now: site.service.now(),
    }
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

/// Below `/admin` people read the answers: refusals become pages. Everywhere else programs do.
pub(crate) async fn refusals_as_pages(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/admin" && !path.starts_with("/admin/") {
        return next.run(request).await;
    }
    let is_fragment = web::wants_fragment(request.headers());
    let facts = request.extensions().get::<Arc<Facts>>().cloned();
    let mut response = next.run(request).await;
    let Some(refused) = response.extensions().get::<Refused>() else {
        return response;
    };
    let token = facts.as_ref().and_then(|facts| facts.recognised());
    let signed_in = token.map(|token| Actor::Token(token.name.clone()).to_string());
    let title = response.status().canonical_reason().unwrap_or("Not done").to_owned();
    let page = RefusalPage {
        shell: shell(&site, title, Section::Apps, signed_in, is_fragment),
        message: refused.message.clone(),
        code: refused.code.as_str(),
        request_id: facts.map(|facts| facts.request_id.to_string()).unwrap_or_default(),
    };
    // Where not even this page can be made, the refusal goes out as it is.
    if let Ok(page) = web::page(&page, &page.shell.nonce, Referrer::SameOrigin) {
        let (head, body) = page.into_parts();
        *response.body_mut() = body;
        response.headers_mut().extend(head.headers);
    }
    response
}
