//! One's own account: where one is signed in, and the password.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{Role, Session, SessionId, Slug};
use http::header;
use serde::Deserialize;

use super::done::{Done, Note};
use super::form::Problem;
use super::{AnyVisit, Visit, see_other};
use crate::error::Result;
use crate::extract::{Query, Segments};
use crate::session::{Empty, Form};
use crate::state::Site;
use crate::web::{Section, Shell, agent};

/// What one may, where one is signed in, and a form for another password.
#[derive(Template)]
#[template(path = "console/account.html")]
struct AccountPage<'a> {
    shell: Shell,
    note: Option<Note>,
    role: Option<Role>,
    app_roles: Vec<(&'a Slug, Role)>,
    has_password: bool,
    sessions: &'a [Session],
    own: &'a SessionId,
    problem: &'a Problem,
}

#[derive(Deserialize)]
pub(crate) struct ChangeForm {
    old: String,
    password: String,
}

/// One's own account.
#[utoipa::path(get, path = "/admin/account", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    AnyVisit(visit): AnyVisit,
    Query(done): Query<Done>,
) -> Result<Response> {
    page(&site, &visit, done.plain_note(), Problem::default()).await
}

/// Ends one of one's own sessions.
#[utoipa::path(post, path = "/admin/account/sessions/{id}/end", tag = "console",
    params(("id" = String, Path)), request_body = String, responses((status = 303), (status = 404)))]
pub(crate) async fn end_session(
    State(site): State<Arc<Site>>,
    Segments((id,)): Segments<(SessionId,)>,
    Form { visit, .. }: Form<Empty>,
) -> Result<Response> {
    site.service.end_session(&visit.caller, &id).await?;
    if id != visit.person.session.id {
        return see_other(&site, "/admin/account?done=signed-out");
    }
    let mut response = see_other(&site, "/admin/sign-in")?;
    response.headers_mut().insert(header::SET_COOKIE, site.cookies.end()?);
    Ok(response)
}

/// Changes one's password, which ends all other sessions.
#[utoipa::path(post, path = "/admin/account/password", tag = "console", request_body = String,
    responses((status = 303), (status = 401), (status = 422), (status = 429)))]
pub(crate) async fn change_password(
    State(site): State<Arc<Site>>,
    Form { visit, fields }: Form<ChangeForm>,
) -> Result<Response> {
    let changed = site.service.change_password(&visit.caller, fields.old, fields.password);
    match changed.await {
        Ok(()) => see_other(&site, "/admin/account?done=password"),
        Err(error) => page(&site, &visit, None, Problem::of(error)?).await,
    }
}

async fn page(site: &Site, visit: &Visit, note: Option<Note>, problem: Problem) -> Result<Response> {
    let person = &visit.person;
    let row = site.service.user(&visit.caller, &person.user.id).await?;
    let sessions = site.service.sessions(&visit.caller).await?;
    let response = visit.page(person.user.email.as_str(), Section::Account, |shell| AccountPage {
        shell,
        note,
        role: row.user.role,
        app_roles: row.user.app_roles.iter().map(|(app, role)| (app, *role)).collect(),
        has_password: row.has_password,
        sessions: &sessions,
        own: &person.session.id,
        problem: &problem,
    })?;
    Ok(problem.mark(response))
}
