//! What a channel offers now: for updaters that ask, and for links that always lead to the newest.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dist_api::{ArtifactView, ErrorBody, LatestView, ReleaseRef};
use dist_model::{Build, ChannelName, ErrorCode, Platform, Refusal, Slug, Version};
use dist_service::{Caller, LatestQuery};
use http::{StatusCode, header};

use crate::error::Result;
use crate::extract::{Identity, Query, Segments};
use crate::install::for_most;
use crate::state::Site;

/// What an updater runs, and on what.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UpdateQuery {
    /// The version that it runs.
    #[param(value_type = Option<String>)]
    version: Option<Version>,
    /// The build that it runs.
    #[param(value_type = Option<String>)]
    build: Option<Build>,
    /// What it runs on.
    platform: Option<Platform>,
    /// The processor, in whatever spelling.
    arch: Option<String>,
}

/// Whether there is an update, and where.
#[utoipa::path(get, path = "/api/apps/{slug}/channels/{name}/latest", tag = "channels",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path), UpdateQuery),
    responses((status = 200, body = LatestView), (status = "default", body = ErrorBody)))]
pub(crate) async fn check(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    Query(query): Query<UpdateQuery>,
) -> Result<Json<LatestView>> {
    let query = LatestQuery {
        version: query.version,
        build: query.build,
        platform: query.platform,
        arch: query.arch,
    };
    let latest = site.service.latest(&caller, &slug, &name, &query).await?;
    Ok(Json(LatestView {
        update_available: latest.update_available,
        release: ReleaseRef::from(&latest.release),
        notes: latest.release.notes,
        published_at: latest.release.published_at,
        artifacts: latest
            .artifacts
            .iter()
            .map(|artifact| ArtifactView::new(artifact, &site.links))
            .collect(),
    }))
}

/// Leads to the channel's artifact for a platform: of several, to the one that most people want.
#[utoipa::path(get, path = "/latest/{slug}/{channel}/{platform}", tag = "download",
    params(("slug" = Slug, Path), ("channel" = ChannelName, Path), ("platform" = Platform, Path)),
    responses((status = 302), (status = "default", body = ErrorBody)))]
pub(crate) async fn follow(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, channel, platform)): Segments<(Slug, ChannelName, Platform)>,
) -> Result<Response> {
    redirect(&site, &caller, &slug, &channel, platform, None).await
}

/// Leads to the channel's artifact for a platform and processor.
#[utoipa::path(get, path = "/latest/{slug}/{channel}/{platform}/{arch}", tag = "download",
    params(("slug" = Slug, Path), ("channel" = ChannelName, Path), ("platform" = Platform, Path), ("arch" = String, Path)),
    responses((status = 302), (status = "default", body = ErrorBody)))]
pub(crate) async fn follow_arch(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, channel, platform, arch)): Segments<(Slug, ChannelName, Platform, String)>,
) -> Result<Response> {
    redirect(&site, &caller, &slug, &channel, platform, Some(arch)).await
}

async fn redirect(
    site: &Site,
    caller: &Caller,
    slug: &Slug,
    channel: &ChannelName,
    platform: Platform,
    arch: Option<String>,
) -> Result<Response> {
    let query = LatestQuery {
        platform: Some(platform),
        arch,
        ..LatestQuery::default()
    };
    let latest = site.service.latest(caller, slug, channel, &query).await?;
    let artifact = for_most(platform, query.arch.as_deref(), &latest.artifacts).ok_or_else(|| {
        let message = format!(
            "the channel's release {} has nothing for this platform",
            latest.release.label()
        );
        Refusal::new(ErrorCode::ObjectNotFound, message)
    })?;
    Ok((StatusCode::FOUND, [(header::LOCATION, site.links.artifact(artifact))]).into_response())
}
