//! The first admin of a new server, made by whoever can read its log.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{Email, ErrorCode};
use serde::Deserialize;

use super::form::Problem;
use super::{open_page, sign_in};
use crate::error::{ApiError, Result};
use crate::extract::Segments;
use crate::session::{Arrival, OpenForm};
use crate::state::Site;
use crate::web::Shell;

/// Who the first admin is.
#[derive(Template)]
#[template(path = "console/setup.html")]
struct SetupPage<'a> {
    shell: Shell,
    secret: &'a str,
    name: &'a str,
    email: &'a str,
    problem: &'a Problem,
}

#[derive(Deserialize)]
pub(crate) struct SetupForm {
    name: String,
    email: String,
    password: String,
}

/// The form that makes the first admin.
#[utoipa::path(get, path = "/admin/setup/{secret}", tag = "console", params(("secret" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn form(State(site): State<Arc<Site>>, Segments((secret,)): Segments<(String,)>) -> Result<Response> {
    check(&site, &secret).await?;
    page(&site, &secret, "", "", Problem::default())
}

/// Makes the first admin and signs them in.
#[utoipa::path(post, path = "/admin/setup/{secret}", tag = "console", params(("secret" = String, Path)),
    request_body = String, responses((status = 303), (status = 404), (status = 422)))]
pub(crate) async fn set_up(
    State(site): State<Arc<Site>>,
    arrival: Arrival,
    Segments((secret,)): Segments<(String,)>,
    OpenForm(form): OpenForm<SetupForm>,
) -> Result<Response> {
    check(&site, &secret).await?;
    let is_https = arrival.is_https;
    let made = match Email::typed(&form.email) {
        Ok(email) => {
            let set_up = site
                .service
                .set_up(&email, form.name.trim(), form.password, arrival.visit);
            set_up.await.map_err(ApiError::from)
        }
        Err(refusal) => Err(ApiError::from(refusal)),
    };
    match made {
        Ok(session) => sign_in::begin(&site, &session, is_https, ""),
        Err(error) => page(&site, &secret, &form.name, &form.email, Problem::of(error)?),
    }
}

/// A server that is set up has no such page, whoever asks.
async fn check(site: &Site, secret: &str) -> Result<()> {
    if site.setup.is(secret) && !site.service.is_set_up().await? {
        return Ok(());
    }
    Err(ApiError::from_code(ErrorCode::RouteNotFound))
}

fn page(site: &Site, secret: &str, name: &str, email: &str, problem: Problem) -> Result<Response> {
    let response = open_page(site, "Set up this server", |shell| SetupPage {
        shell,
        secret,
        name,
        email,
        problem: &problem,
    })?;
    Ok(problem.mark(response))
}
