//! `/api/apps/{slug}/channels`: where channels point, and moving them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dist_api::{ChannelView, ErrorBody, MoveResult, Page, Paging, Promote, Rollback};
use dist_model::{Build, ChannelChanges, ChannelName, ErrorCode, HistoryEntry, Refusal, Slug};
use dist_service::{PromoteFrom, Selector};

use super::page;
use crate::error::Result;
use crate::extract::{Identity, IfMatch, Payload, Query, Segments, paging};
use crate::state::Site;

/// An app's channels, by name.
#[utoipa::path(get, path = "/api/apps/{slug}/channels", tag = "channels", params(("slug" = Slug, Path)),
    responses((status = 200, body = Page<ChannelView>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug,)): Segments<(Slug,)>,
) -> Result<Json<Page<ChannelView>>> {
    let channels = site.service.channels(&caller, &slug).await?;
    Ok(Json(Page {
        items: channels
            .iter()
            .map(|detail| ChannelView::new(&slug, detail, &site.links))
            .collect(),
        next_cursor: None,
    }))
}

/// A channel.
#[utoipa::path(get, path = "/api/apps/{slug}/channels/{name}", tag = "channels",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)),
    responses((status = 200, body = ChannelView), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
) -> Result<Json<ChannelView>> {
    let detail = site.service.channel(&caller, &slug, &name).await?;
    Ok(Json(ChannelView::new(&slug, &detail, &site.links)))
}

/// Changes settings of a channel, which is made where there is none.
#[utoipa::path(patch, path = "/api/apps/{slug}/channels/{name}", tag = "channels",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)), request_body = ChannelChanges,
    responses((status = 200, body = ChannelView), (status = "default", body = ErrorBody)))]
pub(crate) async fn update(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    payload: Payload,
) -> Result<Json<ChannelView>> {
    let changes = payload.json()?;
    let detail = site.service.update_channel(&caller, &slug, &name, changes).await?;
    Ok(Json(ChannelView::new(&slug, &detail, &site.links)))
}

/// The moves of a channel, the newest first.
#[utoipa::path(get, path = "/api/apps/{slug}/channels/{name}/history", tag = "channels",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path), Paging),
    responses((status = 200, body = Page<HistoryEntry>), (status = "default", body = ErrorBody)))]
pub(crate) async fn history(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    Query(query): Query<Paging>,
) -> Result<Json<Page<HistoryEntry>>> {
    Ok(page(site.service.history(&caller, &slug, &name, &paging(query)).await?))
}

/// Points a channel at a release, or at what another channel points at.
#[utoipa::path(post, path = "/api/apps/{slug}/channels/{name}/promote", tag = "channels",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path), ("if-match" = Option<u64>, Header, description = "The revision that the channel must still be at.")),
    request_body = Promote,
    responses((status = 200, body = MoveResult), (status = "default", body = ErrorBody)))]
pub(crate) async fn promote(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    IfMatch(if_current): IfMatch,
    payload: Payload,
) -> Result<Json<MoveResult>> {
    let from = promote_from(payload.json()?)?;
    let moved = site
        .service
        .promote(&caller, &slug, &name, from, if_current, payload.idempotency()?)
        .await?;
    Ok(Json(MoveResult::new(&moved, &site.links)))
}

fn promote_from(request: Promote) -> Result<PromoteFrom, Refusal> {
    match (request.release, request.from_channel) {
        (Some(release), None) => {
            let build = request.build.map(|build| build.parse::<Build>()).transpose()?;
            Ok(PromoteFrom::Release(Selector::new(&release, build)))
        }
        (None, Some(channel)) if request.build.is_none() => Ok(PromoteFrom::Channel(channel)),
        _ => Err(Refusal::new(
            ErrorCode::RequestMalformed,
            "name either \"release\", with \"build\" where its version has several, or \"from_channel\"",
        )),
    }
}

/// Takes a channel back to the release before.
#[utoipa::path(post, path = "/api/apps/{slug}/channels/{name}/rollback", tag = "channels",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path), ("if-match" = Option<u64>, Header, description = "The revision that the channel must still be at.")),
    request_body = Rollback,
    responses((status = 200, body = MoveResult), (status = "default", body = ErrorBody)))]
pub(crate) async fn roll_back(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    IfMatch(if_current): IfMatch,
    payload: Payload,
) -> Result<Json<MoveResult>> {
    let Rollback {} = payload.json_or_default()?;
    let moved = site
        .service
        .roll_back(&caller, &slug, &name, if_current, payload.idempotency()?)
        .await?;
    Ok(Json(MoveResult::new(&moved, &site.links)))
}
