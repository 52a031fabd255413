//! What becomes of a draft: a page that says what publishing or discarding it will change, and the
//! forms on them.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::decide::DraftIntent;
use dist_model::{ChannelName, ErrorCode, Refusal, ReleaseDetail, ReleaseStatus, Slug};
use dist_service::{PlannedPublish, Selector};
use serde::Deserialize;

use super::consequences::{self, Consequence};
use super::form::Problem;
use super::moves::stale;
use super::{Visit, done, see_other};
use crate::error::Result;
use crate::extract::{Query, Segments};
use crate::session::{Empty, Form};
use crate::state::Site;
use crate::web::{Section, Shell};

/// Says what publishing a draft will change, and asks.
#[derive(Template)]
#[template(path = "console/publish.html")]
struct PublishPage<'a> {
    shell: Shell,
    plan: &'a PlannedPublish,
    consequences: Vec<Consequence>,
    problem: &'a Problem,
}

/// Asks whether a draft is to be thrown away.
#[derive(Template)]
#[template(path = "console/discard.html")]
struct DiscardPage<'a> {
    shell: Shell,
    slug: &'a Slug,
    draft: &'a ReleaseDetail,
}

/// The channel, where it is another than the draft's own.
#[derive(Default, Deserialize)]
pub(crate) struct PublishQuery {
    #[serde(default)]
    channel: String,
}

/// The form: the channel, and its revision where it was seen.
#[derive(Deserialize)]
pub(crate) struct PublishForm {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    revision: Option<u64>,
}

/// What publishing a draft will change.
#[utoipa::path(get, path = "/admin/apps/{slug}/releases/{id}/publish", tag = "console",
    params(("slug" = Slug, Path), ("id" = String, Path), ("channel" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403), (status = 409)))]
pub(crate) async fn confirm_publish(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, id)): Segments<(Slug, String)>,
    Query(query): Query<PublishQuery>,
) -> Result<Response> {
    let channel = channel_of(&query.channel)?;
    page(&site, &visit, &slug, &id, channel, Problem::default()).await
}

async fn page(
    site: &Site,
    visit: &Visit,
    slug: &Slug,
    id: &str,
    channel: Option<ChannelName>,
    problem: Problem,
) -> Result<Response> {
    let selector = Selector::new(id, None);
    let plan = site
        .service
        .plan_publish(&visit.caller, slug, &selector, channel.as_ref());
    let plan = plan.await?;
    let consequences = match &plan.channel {
        Some((channel, from)) => consequences::of(&channel.name, from.as_ref(), &plan.release),
        None => Vec::new(),
    };
    let title = format!("Publish {}", plan.release.release.label());
    let page = visit.page(title, Section::Apps, |shell| PublishPage {
        shell,
        plan: &plan,
        consequences,
        problem: &problem,
    })?;
    Ok(problem.mark(page))
}

/// Validates a draft, makes it immutable and moves its channel.
#[utoipa::path(post, path = "/admin/apps/{slug}/releases/{id}/publish", tag = "console",
    params(("slug" = Slug, Path), ("id" = String, Path)), request_body = String,
    responses((status = 303), (status = 409), (status = 412), (status = 422)))]
pub(crate) async fn publish(
    State(site): State<Arc<Site>>,
    Segments((slug, id)): Segments<(Slug, String)>,
    Form { visit, fields }: Form<PublishForm>,
) -> Result<Response> {
    let channel = channel_of(&fields.channel)?;
    let intent = DraftIntent {
        channel: channel.clone(),
        if_current: fields.revision,
        ..DraftIntent::default()
    };
    let selector = Selector::new(&id, None);
    let published = site
        .service
        .publish_draft(&visit.caller, &slug, &selector, intent, None);
    match published.await {
        Ok(published) => {
            let told = published
                .channel
                .as_ref()
                .map(|moved| done::moved(&moved.channel, moved.revision));
            let told = told.unwrap_or_else(|| "done=published".to_owned());
            see_other(&site, &format!("/admin/apps/{slug}?{told}"))
        }
        Err(error) => page(&site, &visit, &slug, &id, channel, stale(error)?).await,
    }
}

/// Asks whether a draft is to be thrown away.
#[utoipa::path(get, path = "/admin/apps/{slug}/releases/{id}/discard", tag = "console",
    params(("slug" = Slug, Path), ("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403), (status = 409)))]
pub(crate) async fn confirm_discard(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, id)): Segments<(Slug, String)>,
) -> Result<Response> {
    visit.require_manager(&slug)?;
    let selector = Selector::new(&id, None);
    let draft = site.service.release(&visit.caller, &slug, &selector).await?;
    let label = draft.release.label();
    if draft.release.status != ReleaseStatus::Draft {
        let message = format!("{label} is {}: only a draft can be discarded", draft.release.status);
        return Err(Refusal::new(ErrorCode::ReleaseNotDraft, message).into());
    }
    visit.page(format!("Discard the draft {label}"), Section::Apps, |shell| {
        DiscardPage {
            shell,
            slug: &slug,
            draft: &draft,
        }
    })
}

/// Throws a draft away.
#[utoipa::path(post, path = "/admin/apps/{slug}/releases/{id}/discard", tag = "console",
    params(("slug" = Slug, Path), ("id" = String, Path)), request_body = String,
    responses((status = 303), (status = 409)))]
pub(crate) async fn discard(
    State(site): State<Arc<Site>>,
    Segments((slug, id)): Segments<(Slug, String)>,
    Form { visit, .. }: Form<Empty>,
) -> Result<Response> {
    let selector = Selector::new(&id, None);
    site.service.discard(&visit.caller, &slug, &selector).await?;
    see_other(&site, &format!("/admin/apps/{slug}?done=discarded"))
}

fn channel_of(text: &str) -> Result<Option<ChannelName>, Refusal> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.parse()).transpose()
}
