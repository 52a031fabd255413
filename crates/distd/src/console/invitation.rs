//! The page behind the link with which somebody sets their password.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::Email;
use serde::Deserialize;

use super::form::Problem;
use super::{open_page, sign_in};
use crate::error::Result;
use crate::extract::Segments;
use crate::session::{Arrival, OpenForm};
use crate::state::Site;
use crate::web::Shell;

/// The one field that is left to fill in.
#[derive(Template)]
#[template(path = "console/invitation.html")]
struct InvitationPage<'a> {
    shell: Shell,
    secret: &'a str,
    email: &'a Email,
    problem: &'a Problem,
}

#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    password: String,
}

/// The form that sets a password.
#[utoipa::path(get, path = "/admin/invitation/{secret}", tag = "console", params(("secret" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 410)))]
pub(crate) async fn form(State(site): State<Arc<Site>>, Segments((secret,)): Segments<(String,)>) -> Result<Response> {
    page(&site, &secret, Problem::default()).await
}

/// Sets the password and signs in.
#[utoipa::path(post, path = "/admin/invitation/{secret}", tag = "console", params(("secret" = String, Path)),
    request_body = String, responses((status = 303), (status = 410), (status = 422)))]
pub(crate) async fn accept(
    State(site): State<Arc<Site>>,
    arrival: Arrival,
    Segments((secret,)): Segments<(String,)>,
    OpenForm(form): OpenForm<PasswordForm>,
) -> Result<Response> {
    let is_https = arrival.is_https;
    let accepted = site.service.accept_invitation(&secret, form.password, arrival.visit);
    match accepted.await {
        Ok(session) => sign_in::begin(&site, &session, is_https, ""),
        Err(error) => page(&site, &secret, Problem::of(error)?).await,
    }
}

/// A link that is no good any more has no form: the answer says so instead.
async fn page(site: &Site, secret: &str, problem: Problem) -> Result<Response> {
    let user = site.service.invitation(secret).await?;
    let response = open_page(site, "Set your password", |shell| InvitationPage {
        shell,
        secret,
        email: &user.email,
        problem: &problem,
    })?;
    Ok(problem.mark(response))
}
