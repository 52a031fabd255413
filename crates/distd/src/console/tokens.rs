//! What programs sign in with: made, watched and cut off.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_api::Paging;
use dist_model::decide::TokenIntent;
use dist_model::{App, ErrorCode, Refusal, Scope, Scopes, Timestamp, Token, TokenId};
use dist_service::{AuditFilter, AuditLine, AuditPlace};
use serde::Deserialize;

use super::form::Problem;
use super::{Visit, apps_to_choose, see_other};
use crate::error::{ApiError, Result};
use crate::extract::{Query, Segments, paging};
use crate::session::{Empty, Form};
use crate::state::Site;
use crate::web::{Section, Shell};

const DAY_MS: i64 = 86_400_000;
/// How many events the page of a token shows.
const EVENTS: u32 = 50;
/// How many of the releases that it published.
const RELEASES: u32 = 10;

/// All tokens, a row each.
#[derive(Template)]
#[template(path = "console/tokens.html")]
struct TokensPage {
    shell: Shell,
    rows: Vec<Token>,
    may_make: bool,
    next_cursor: Option<String>,
}

/// What a new token is to do.
#[derive(Template)]
#[template(path = "console/token_new.html")]
struct NewTokenPage<'a> {
    shell: Shell,
    fields: &'a TokenForm,
    apps: Vec<App>,
    problem: &'a Problem,
}

/// A token that was just made, with its secret, this once.
#[derive(Template)]
#[template(path = "console/token_made.html")]
struct TokenMadePage<'a> {
    shell: Shell,
    token: &'a Token,
    secret: String,
    snippet: String,
}

/// A token, and what it did.
#[derive(Template)]
#[template(path = "console/token.html")]
struct TokenPage {
    shell: Shell,
    token: Token,
    published: Vec<AuditLine>,
    events: Vec<AuditLine>,
    /// True where there are more events than these.
    is_cut: bool,
}

/// Asks whether a token is to be cut off.
#[derive(Template)]
#[template(path = "console/token_revoke.html")]
struct RevokePage {
    shell: Shell,
    token: Token,
}

/// What is typed into the form; it stays there where something is wrong with it.
#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct TokenForm {
    name: String,
    scope: Vec<String>,
    /// The one app; empty for all.
    app: String,
    /// The channels, with commas or spaces between them; empty for all.
    channels: String,
    /// One of [`LIFETIMES`].
    days: String,
}

/// For how many days a token can be made, and how that is called.
const LIFETIMES: [(&str, &str); 4] = [
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "a year"),
    ("", "until revoked"),
];

/// The scopes, and what each lets a program do.
const SCOPES: [(Scope, &str); 4] = [
    (
        Scope::Publish,
        "upload and publish, and move channels that take publishes",
    ),
    (Scope::Promote, "promote, roll back and yank"),
    (Scope::Read, "read what is not public"),
    (Scope::Admin, "everything, tokens and settings included"),
];

impl Default for TokenForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            scope: Vec::new(),
            app: String::new(),
            channels: String::new(),
            days: "90".to_owned(),
        }
    }
}

impl TokenForm {
    /// The scopes to choose from: each with what it is for, and whether it is chosen.
    fn scopes(&self) -> impl Iterator<Item = (Scope, &'static str, bool)> {
        let chosen = |scope: Scope| self.scope.iter().any(|it| it == scope.as_str());
        SCOPES
            .into_iter()
            .map(move |(scope, text)| (scope, text, chosen(scope)))
    }

    /// The lifetimes to choose from: each with its name, and whether it is chosen.
    fn lifetimes(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        LIFETIMES
            .into_iter()
            .map(|(days, text)| (days, text, self.days == days))
    }

    fn intent(&self, now: Timestamp) -> Result<TokenIntent, Refusal> {
        let scopes: BTreeSet<Scope> = self.scope.iter().map(|scope| scope.parse()).collect::<Result<_, _>>()?;
        let app = Some(self.app.trim()).filter(|app| !app.is_empty());
        let channels = self.channels.split([',', ' ']).filter(|channel| !channel.is_empty());
        if !LIFETIMES.iter().any(|(days, _)| *days == self.days) {
            let message = "a token is made for one of the times to choose from";
            return Err(Refusal::new(ErrorCode::TokenInvalid, message));
        }
        let days = self.days.parse::<i64>().ok();
        Ok(TokenIntent {
            name: self.name.trim().to_owned(),
            scopes: Scopes(scopes),
            app_slug: app.map(str::parse).transpose()?,
            channels: channels.map(str::parse).collect::<Result<_, _>>()?,
            expires_at: days.map(|days| now.plus_millis(days * DAY_MS)),
        })
    }
}

/// How a token stands, as a chip says it.
fn standing(token: &Token, now: Timestamp) -> &'static str {
    if token.revoked_at.is_some() {
        "revoked"
    } else if token.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "active"
    }
}

/// What a CI job runs with the token: its secret stands in the CI's own settings.
fn snippet(token: &Token, server: &str) -> String {
    let app = token.app_slug.as_ref().map_or("my-app", |app| app.as_str());
    let channel = token.channels.first().map_or("beta", |channel| channel.as_str());
    let command = if token.scopes.allow(Scope::Publish) {
        format!("dist ci publish --app {app} --version \"$VERSION\" --channel {channel} FILE…")
    } else if token.scopes.allow(Scope::Promote) {
        format!("dist release promote --app {app} --release \"$VERSION\" --channel {channel}")
    } else {
        "dist app list".to_owned()
    };
    format!("# DIST_TOKEN is a secret of the CI\nexport DIST_SERVER={server}\n{command}")
}

/// All tokens that the reader may cut off.
#[utoipa::path(get, path = "/admin/tokens", tag = "console", params(Paging),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn list(State(site): State<Arc<Site>>, visit: Visit, Query(query): Query<Paging>) -> Result<Response> {
    let tokens = site.service.tokens(&visit.caller, &paging(query)).await?;
    visit.page("Tokens", Section::Tokens, |shell| TokensPage {
        shell,
        rows: tokens.items,
        may_make: visit.may_somewhere(Scope::Admin),
        next_cursor: tokens.next_cursor,
    })
}

/// The form that makes a token.
#[utoipa::path(get, path = "/admin/tokens/new", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn new(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response> {
    visit.require_somewhere(Scope::Admin)?;
    form_page(&site, &visit, &TokenForm::default(), Problem::default()).await
}

/// Makes a token and shows its secret, in this answer and nowhere else.
#[utoipa::path(post, path = "/admin/tokens", tag = "console", request_body = String,
    responses((status = 200, body = String, content_type = "text/html"), (status = 409), (status = 422)))]
pub(crate) async fn create(State(site): State<Arc<Site>>, Form { visit, fields }: Form<TokenForm>) -> Result<Response> {
    visit.require_somewhere(Scope::Admin)?;
    let made = match fields.intent(site.service.now()) {
        Ok(intent) => {
            let made = site.service.create_token(&visit.caller, intent, None).await;
            made.map_err(ApiError::from)
        }
        Err(refusal) => Err(ApiError::from(refusal)),
    };
    match made {
        Ok(made) => visit.page("A new token", Section::Tokens, |shell| TokenMadePage {
            shell,
            snippet: snippet(&made.token, site.links.base()),
            secret: made.secret.unwrap_or_default(),
            token: &made.token,
        }),
        Err(error) => form_page(&site, &visit, &fields, Problem::of(error)?).await,
    }
}

async fn form_page(site: &Site, visit: &Visit, fields: &TokenForm, problem: Problem) -> Result<Response> {
    let mut apps = apps_to_choose(site, visit).await?;
    let user = &visit.person.user;
    apps.retain(|app| user.check_role(Scope::Admin, Some(&app.slug)).is_ok());
    let response = visit.page("New token", Section::Tokens, |shell| NewTokenPage {
        shell,
        fields,
        apps,
        problem: &problem,
    })?;
    Ok(problem.mark(response))
}

/// A token, and what it did.
#[utoipa::path(get, path = "/admin/tokens/{id}", tag = "console", params(("id" = TokenId, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((id,)): Segments<(TokenId,)>,
) -> Result<Response> {
    let token = site.service.token(&visit.caller, &id).await?;
    let everything = visit.may_read_whole_log();
    let all = AuditFilter {
        actor: Some(format!("token:{}", token.name)),
        // Whoever may not read all of the log reads what belongs to the token's app.
        app: token.app_slug.clone().filter(|_| !everything),
        ..AuditFilter::default()
    };
    let releases = AuditFilter {
        action: Some("release.published".to_owned()),
        ..all.clone()
    };
    let service = &site.service;
    let events = service
        .audit_page(&visit.caller, &all, AuditPlace::Newest, EVENTS)
        .await?;
    let published = service
        .audit_page(&visit.caller, &releases, AuditPlace::Newest, RELEASES)
        .await?;
    visit.page(token.name.clone(), Section::Tokens, |shell| TokenPage {
        shell,
        token,
        published: published.lines,
        is_cut: events.older.is_some(),
        events: events.lines,
    })
}

/// Asks whether a token is to be cut off.
#[utoipa::path(get, path = "/admin/tokens/{id}/revoke", tag = "console", params(("id" = TokenId, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn confirm_revoke(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((id,)): Segments<(TokenId,)>,
) -> Result<Response> {
    let token = site.service.token(&visit.caller, &id).await?;
    visit.page("Revoke the token", Section::Tokens, |shell| RevokePage { shell, token })
}

/// Cuts a token off, and goes to what it did.
#[utoipa::path(post, path = "/admin/tokens/{id}/revoke", tag = "console", params(("id" = TokenId, Path)),
    request_body = String, responses((status = 303), (status = 404), (status = 409)))]
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Segments((id,)): Segments<(TokenId,)>,
    Form { visit, .. }: Form<Empty>,
) -> Result<Response> {
    site.service.revoke_token(&visit.caller, &id).await?;
    see_other(&site, &format!("/admin/tokens/{id}"))
}
