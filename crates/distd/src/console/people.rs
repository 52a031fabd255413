//! The people who may come in: letting them in, and what each may.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_api::Paging;
use dist_model::decide::UserIntent;
use dist_model::{App, Email, Refusal, Role, Roles, Slug, Timestamp, User, UserChanges, UserId};
use dist_service::{Invited, UserRow};
use serde::Deserialize;

use super::done::{Done, Note};
use super::form::Problem;
use super::{Visit, apps_to_choose, see_other};
use crate::error::{ApiError, Result};
use crate::extract::{Query, Segments, paging};
use crate::session::{Empty, Form};
use crate::state::Site;
use crate::web::{Section, Shell};

/// Everybody, a row each.
#[derive(Template)]
#[template(path = "console/people.html")]
struct PeoplePage {
    shell: Shell,
    note: Option<Note>,
    rows: Vec<UserRow>,
    next_cursor: Option<String>,
}

/// Somebody, or somebody new, and what they may.
#[derive(Template)]
#[template(path = "console/person.html")]
struct PersonPage<'a> {
    shell: Shell,
    /// Who it is; nobody yet where somebody is let in.
    known: Option<&'a UserRow>,
    fields: &'a PersonForm,
    /// To choose from; a role may be for an app that CI makes later.
    apps: Vec<App>,
    problem: &'a Problem,
}

/// The link with which somebody sets their password, this once.
#[derive(Template)]
#[template(path = "console/invited.html")]
struct InvitedPage<'a> {
    shell: Shell,
    user: &'a User,
    link: String,
    expires_at: Timestamp,
}

/// Asks whether somebody is to be kept out.
#[derive(Template)]
#[template(path = "console/disable.html")]
struct DisablePage<'a> {
    shell: Shell,
    user: &'a User,
}

/// What is typed into the form; it stays there where something is wrong with it.
#[derive(Default, Deserialize)]
pub(crate) struct PersonForm {
    #[serde(default)]
    email: String,
    name: String,
    /// For all apps; empty for none.
    role: String,
    /// Apps, and beside each the role for it; lines without both say nothing.
    #[serde(default)]
    app: Vec<String>,
    #[serde(default)]
    app_role: Vec<String>,
}

impl PersonForm {
    fn of(user: &User) -> Self {
        Self {
            email: user.email.to_string(),
            name: user.name.clone(),
            role: user.role.map(|role| role.to_string()).unwrap_or_default(),
            app: user.app_roles.keys().map(Slug::to_string).collect(),
            app_role: user.app_roles.values().map(Role::to_string).collect(),
        }
    }

    /// The lines of apps: those that are filled in, and two to fill in.
    fn app_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let app = self.app.iter().map(|app| app.trim());
        let lines = app.zip(self.app_role.iter().map(String::as_str));
        lines.filter(|(app, _)| !app.is_empty()).chain([("", ""); 2])
    }

    fn roles(&self) -> Result<Roles, Refusal> {
        let mut app_roles = BTreeMap::new();
        for (app, role) in self.app_lines() {
            if let Some(role) = role_of(role)? {
                app_roles.insert(app.parse()?, role);
            }
        }
        Ok(Roles {
            role: role_of(&self.role)?,
            app_roles,
        })
    }

    fn intent(&self) -> Result<UserIntent, Refusal> {
        let Roles { role, app_roles } = self.roles()?;
        Ok(UserIntent {
            email: Email::typed(&self.email)?,
            name: self.name.trim().to_owned(),
            role,
            app_roles,
        })
    }

    fn changes(&self) -> Result<UserChanges, Refusal> {
        Ok(UserChanges {
            name: Some(self.name.trim().to_owned()),
            roles: Some(self.roles()?),
            disabled: None,
        })
    }
}

/// The roles to choose from, and which is chosen.
fn choices(chosen: &str) -> [(Role, bool); 3] {
    [Role::Viewer, Role::Manager, Role::Admin].map(|role| (role, role.as_str() == chosen))
}

fn role_of(text: &str) -> Result<Option<Role>, Refusal> {
    (!text.is_empty()).then(|| text.parse()).transpose()
}

/// Everybody who may come in.
#[utoipa::path(get, path = "/admin/people", tag = "console", params(Paging),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(query): Query<Paging>,
    Query(done): Query<Done>,
) -> Result<Response> {
    let people = site.service.users(&visit.caller, &paging(query)).await?;
    visit.page("People", Section::People, |shell| PeoplePage {
        shell,
        note: done.plain_note(),
        rows: people.items,
        next_cursor: people.next_cursor,
    })
}

/// The form that lets somebody in.
#[utoipa::path(get, path = "/admin/people/new", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn new(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response> {
    visit.require_admin()?;
    page(&site, &visit, None, &PersonForm::default(), Problem::default()).await
}

/// Lets somebody in, and shows the link for them.
#[utoipa::path(post, path = "/admin/people", tag = "console", request_body = String,
    responses((status = 200, body = String, content_type = "text/html"), (status = 409), (status = 422)))]
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Form { visit, fields }: Form<PersonForm>,
) -> Result<Response> {
    visit.require_admin()?;
    let made = match fields.intent() {
        Ok(intent) => site
            .service
            .create_user(&visit.caller, intent)
            .await
            .map_err(ApiError::from),
        Err(refusal) => Err(ApiError::from(refusal)),
    };
    match made {
        Ok(invited) => show_link(&site, &visit, &invited),
        Err(error) => page(&site, &visit, None, &fields, Problem::of(error)?).await,
    }
}

/// Somebody, and what they may.
#[utoipa::path(get, path = "/admin/people/{id}", tag = "console", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((id,)): Segments<(UserId,)>,
) -> Result<Response> {
    visit.require_admin()?;
    let known = site.service.user(&visit.caller, &id).await?;
    page(
        &site,
        &visit,
        Some(&known),
        &PersonForm::of(&known.user),
        Problem::default(),
    )
    .await
}

/// Changes what somebody is called and may.
#[utoipa::path(post, path = "/admin/people/{id}", tag = "console", params(("id" = String, Path)),
    request_body = String, responses((status = 303), (status = 409), (status = 422)))]
pub(crate) async fn update(
    State(site): State<Arc<Site>>,
    Segments((id,)): Segments<(UserId,)>,
    Form { visit, fields }: Form<PersonForm>,
) -> Result<Response> {
    visit.require_admin()?;
    let updated = match fields.changes() {
        Ok(changes) => site
            .service
            .update_user(&visit.caller, &id, changes)
            .await
            .map_err(ApiError::from),
        Err(refusal) => Err(ApiError::from(refusal)),
    };
    match updated {
        Ok(_) => see_other(&site, "/admin/people?done=person"),
        Err(error) => {
            let problem = Problem::of(error)?;
            let known = site.service.user(&visit.caller, &id).await?;
            page(&site, &visit, Some(&known), &fields, problem).await
        }
    }
}

/// Gives somebody a new link, and shows it.
#[utoipa::path(post, path = "/admin/people/{id}/invite", tag = "console", params(("id" = String, Path)),
    request_body = String, responses((status = 200, body = String, content_type = "text/html"), (status = 409)))]
pub(crate) async fn invite(
    State(site): State<Arc<Site>>,
    Segments((id,)): Segments<(UserId,)>,
    Form { visit, .. }: Form<Empty>,
) -> Result<Response> {
    let invited = site.service.invite_user(&visit.caller, &id).await?;
    show_link(&site, &visit, &invited)
}

/// Asks whether somebody is to be kept out.
#[utoipa::path(get, path = "/admin/people/{id}/disable", tag = "console", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn confirm_disable(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((id,)): Segments<(UserId,)>,
) -> Result<Response> {
    visit.require_admin()?;
    let user = site.service.user(&visit.caller, &id).await?.user;
    visit.page("Disable the account", Section::People, |shell| DisablePage {
        shell,
        user: &user,
    })
}

/// Keeps somebody out from now on.
#[utoipa::path(post, path = "/admin/people/{id}/disable", tag = "console", params(("id" = String, Path)),
    request_body = String, responses((status = 303), (status = 409)))]
pub(crate) async fn disable(
    State(site): State<Arc<Site>>,
    Segments((id,)): Segments<(UserId,)>,
    Form { visit, .. }: Form<Empty>,
) -> Result<Response> {
    set_disabled(&site, &visit, &id, true).await
}

/// Lets somebody in again.
#[utoipa::path(post, path = "/admin/people/{id}/enable", tag = "console", params(("id" = String, Path)),
    request_body = String, responses((status = 303)))]
pub(crate) async fn enable(
    State(site): State<Arc<Site>>,
    Segments((id,)): Segments<(UserId,)>,
    Form { visit, .. }: Form<Empty>,
) -> Result<Response> {
    set_disabled(&site, &visit, &id, false).await
}

async fn set_disabled(site: &Site, visit: &Visit, id: &UserId, disabled: bool) -> Result<Response> {
    let changes = UserChanges {
        disabled: Some(disabled),
        ..UserChanges::default()
    };
    site.service.update_user(&visit.caller, id, changes).await?;
    let deed = if disabled { "disabled" } else { "enabled" };
    see_other(site, &format!("/admin/people?done={deed}"))
}

fn show_link(site: &Site, visit: &Visit, invited: &Invited) -> Result<Response> {
    visit.page("A link to set a password", Section::People, |shell| InvitedPage {
        shell,
        user: &invited.user,
        link: site.links.invitation(&invited.secret),
        expires_at: invited.expires_at,
    })
}

async fn page(
    site: &Site,
    visit: &Visit,
    known: Option<&UserRow>,
    fields: &PersonForm,
    problem: Problem,
) -> Result<Response> {
    let apps = apps_to_choose(site, visit).await?;
    let title = known.map_or("Let somebody in", |row| row.user.email.as_str());
    let response = visit.page(title, Section::People, |shell| PersonPage {
        shell,
        known,
        fields,
        apps,
        problem: &problem,
    })?;
    Ok(problem.mark(response))
}
