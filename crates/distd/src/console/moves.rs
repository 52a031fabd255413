//! Promoting and rolling back: a page that says what will change, and the form on it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{ChannelName, ErrorCode, Refusal, Release, ReleaseStatus, Slug};
use dist_service::{AppPage, Paging, PlannedMove, PromoteFrom, ReleaseSearch, Selector};
use serde::Deserialize;

use super::consequences::{self, Consequence};
use super::form::Problem;
use super::{Visit, done, see_other};
use crate::error::{ApiError, Result};
use crate::extract::{Query, Segments};
use crate::session::Form;
use crate::state::Site;
use crate::web::{Section, Shell};

/// How many of the newest releases are offered to choose from.
const CHOICES: u32 = 30;

/// Says what moving a channel will change, and asks.
#[derive(Template)]
#[template(path = "console/move.html")]
struct MovePage<'a> {
    shell: Shell,
    slug: &'a Slug,
    verb: Verb,
    /// `None` where nothing can be moved; `problem` says why.
    plan: Option<&'a PlannedMove>,
    consequences: Vec<Consequence>,
    /// What to promote to where; empty for a rollback.
    choices: Choices,
    /// The release that is chosen.
    release: &'a str,
    problem: &'a Problem,
}

/// How a channel moves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Promote,
    RollBack,
}

/// The channels and releases of an app to choose from.
#[derive(Default)]
struct Choices {
    channels: Vec<ChannelName>,
    releases: Vec<Release>,
}

impl MovePage<'_> {
    fn is_chosen(&self, choice: &Release) -> bool {
        choice.id.as_str() == self.release
    }

    /// Whether there is something to confirm: not where the channel points there already.
    fn is_ready(&self) -> bool {
        self.plan.is_some_and(|plan| {
            let from = plan.from.as_ref().map(|from| &from.release.id);
            from != Some(&plan.to.release.id)
        })
    }
}

/// What is to be promoted to where; what is left out is chosen.
#[derive(Default, Deserialize)]
pub(crate) struct PromoteQuery {
    #[serde(default)]
    release: String,
    #[serde(default)]
    channel: String,
}

/// The form of a promotion.
#[derive(Deserialize)]
pub(crate) struct PromoteForm {
    release: String,
    channel: ChannelName,
    revision: u64,
}

/// The form of a rollback.
#[derive(Deserialize)]
pub(crate) struct RollbackForm {
    revision: u64,
}

impl Choices {
    async fn of(site: &Site, visit: &Visit, slug: &Slug) -> Result<(Self, AppPage)> {
        let published = ReleaseSearch {
            status: Some(ReleaseStatus::Published),
            ..ReleaseSearch::default()
        };
        let newest = Paging {
            cursor: None,
            limit: CHOICES,
        };
        let page = site.service.app_page(&visit.caller, slug, &published, &newest).await?;
        let channels = page.channels.iter().map(|stand| stand.channel.name.clone());
        let releases = page.releases.items.iter().map(|row| row.release.clone());
        let choices = Self {
            channels: channels.collect(),
            releases: releases.collect(),
        };
        Ok((choices, page))
    }
}

/// The channel to promote a release to where nobody says: `stable`, or the first that does not point
/// at it.
fn usual_channel(page: &AppPage, release: &str) -> Option<ChannelName> {
    let pointing = |stand: &&dist_service::ChannelStand| {
        let current = stand.channel.current_release_id.as_ref();
        current.is_none_or(|current| current.as_str() != release)
    };
    let open = page.channels.iter().filter(pointing);
    let names = open.map(|stand| &stand.channel.name);
    names.min_by_key(|name| name.as_str() != "stable").cloned()
}

/// What promoting a release will change.
#[utoipa::path(get, path = "/admin/apps/{slug}/promote", tag = "console",
    params(("slug" = Slug, Path), ("release" = Option<String>, Query), ("channel" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403)))]
pub(crate) async fn confirm_promotion(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug,)): Segments<(Slug,)>,
    Query(query): Query<PromoteQuery>,
) -> Result<Response> {
    visit.require_manager(&slug)?;
    promotion(&site, &visit, &slug, &query, Problem::default()).await
}

async fn promotion(
    site: &Site,
    visit: &Visit,
    slug: &Slug,
    query: &PromoteQuery,
    problem: Problem,
) -> Result<Response> {
    let (choices, page) = Choices::of(site, visit, slug).await?;
    let newest = choices.releases.first().map(|release| release.id.to_string());
    let release = Some(query.release.clone()).filter(|release| !release.is_empty());
    let release = release.or(newest);
    let channel = match query.channel.trim() {
        "" => usual_channel(&page, release.as_deref().unwrap_or_default()),
        name => Some(name.parse()?),
    };
    let (Some(channel), Some(release)) = (channel, release) else {
        let message = if choices.releases.is_empty() {
            "no release is published; publish a draft, or a build from CI, first"
        } else if choices.channels.is_empty() {
            "there is no channel yet; name a channel to promote it to"
        } else {
            "every channel that is there offers it already; name a channel to promote it to"
        };
        let problem = Problem::of(Refusal::new(ErrorCode::UsageError, message))?;
        return visit.page("Promote", Section::Apps, |shell| MovePage {
            shell,
            slug,
            verb: Verb::Promote,
            plan: None,
            consequences: Vec::new(),
            choices,
            release: &query.release,
            problem: &problem,
        });
    };
    let selector = Selector::new(&release, None);
    let plan = site
        .service
        .plan_promotion(&visit.caller, slug, &channel, &selector)
        .await?;
    confirm(visit, slug, Verb::Promote, &plan, choices, problem)
}

/// Points a channel at a release.
#[utoipa::path(post, path = "/admin/apps/{slug}/promote", tag = "console", params(("slug" = Slug, Path)),
    request_body = String, responses((status = 303), (status = 409), (status = 412)))]
pub(crate) async fn promote(
    State(site): State<Arc<Site>>,
    Segments((slug,)): Segments<(Slug,)>,
    Form { visit, fields }: Form<PromoteForm>,
) -> Result<Response> {
    let PromoteForm {
        release,
        channel,
        revision,
    } = fields;
    let from = PromoteFrom::Release(Selector::new(&release, None));
    let moved = site
        .service
        .promote(&visit.caller, &slug, &channel, from, Some(revision), None)
        .await;
    match moved {
        Ok(moved) => back(&site, &slug, &channel, moved.revision),
        Err(error) => {
            let problem = stale(error)?;
            let channel = channel.to_string();
            promotion(&site, &visit, &slug, &PromoteQuery { release, channel }, problem).await
        }
    }
}

/// What rolling a channel back will change.
#[utoipa::path(get, path = "/admin/apps/{slug}/channels/{name}/rollback", tag = "console",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403), (status = 409)))]
pub(crate) async fn confirm_rollback(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
) -> Result<Response> {
    rollback(&site, &visit, &slug, &name, Problem::default()).await
}

async fn rollback(site: &Site, visit: &Visit, slug: &Slug, name: &ChannelName, problem: Problem) -> Result<Response> {
    let plan = site.service.plan_rollback(&visit.caller, slug, name).await?;
    confirm(visit, slug, Verb::RollBack, &plan, Choices::default(), problem)
}

/// Points a channel at what it pointed at before.
#[utoipa::path(post, path = "/admin/apps/{slug}/channels/{name}/rollback", tag = "console",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)), request_body = String,
    responses((status = 303), (status = 409), (status = 412)))]
pub(crate) async fn roll_back(
    State(site): State<Arc<Site>>,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    Form { visit, fields }: Form<RollbackForm>,
) -> Result<Response> {
    let moved = site
        .service
        .roll_back(&visit.caller, &slug, &name, Some(fields.revision), None)
        .await;
    match moved {
        Ok(moved) => back(&site, &slug, &name, moved.revision),
        Err(error) => rollback(&site, &visit, &slug, &name, stale(error)?).await,
    }
}

/// What is asked anew since somebody moved the channel meanwhile; every other refusal stays one.
pub(super) fn stale(error: dist_service::Error) -> Result<Problem> {
    let error = ApiError::from(error);
    if error.refusal.code == ErrorCode::ChannelMoved {
        return Problem::of(error);
    }
    Err(error)
}

fn back(site: &Site, slug: &Slug, channel: &ChannelName, revision: u64) -> Result<Response> {
    see_other(site, &format!("/admin/apps/{slug}?{}", done::moved(channel, revision)))
}

fn confirm(
    visit: &Visit,
    slug: &Slug,
    verb: Verb,
    plan: &PlannedMove,
    choices: Choices,
    problem: Problem,
) -> Result<Response> {
    let (channel, label) = (&plan.channel.name, plan.to.release.label());
    let title = match verb {
        Verb::Promote => format!("Promote {label} to {channel}"),
        Verb::RollBack => format!("Roll {channel} back to {label}"),
    };
    let page = visit.page(title, Section::Apps, |shell| MovePage {
        shell,
        slug,
        verb,
        plan: Some(plan),
        consequences: consequences::of_move(plan),
        choices,
        release: plan.to.release.id.as_str(),
        problem: &problem,
    })?;
    Ok(problem.mark(page))
}
