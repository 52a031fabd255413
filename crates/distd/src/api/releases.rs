//! `/api/apps/{slug}/releases`: publishing, drafts, yanking.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use dist_api::manifest::{ArtifactEntry, Form, Manifest, SCHEMA};
use dist_api::{
    ArtifactsAdd, DraftPublish, ErrorBody, Order, Page, Paging, PublishResult, ReleaseQuery, ReleaseView, Yank,
    YankResult,
};
use dist_model::decide::{DraftIntent, PublishStatus, Published};
use dist_model::{Build, ErrorCode, Refusal, Release, Slug};
use dist_service::{ArtifactRequest, PublishRequest, ReleaseFilter, ReleaseOrder, Selector, YankIntent};
use http::{StatusCode, header};

use super::page;
use crate::error::Result;
use crate::extract::{Identity, Payload, Query, Segments, paging};
use crate::state::Site;

/// The build of a version that names several.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BuildQuery {
    /// Where the release is named by its version: the build.
    #[param(value_type = Option<String>)]
    build: Option<Build>,
}

impl BuildQuery {
    fn select(self, release: &str) -> Selector {
        Selector::new(release, self.build)
    }
}

/// An app's releases, the newest first unless asked for otherwise.
#[utoipa::path(get, path = "/api/apps/{slug}/releases", tag = "releases",
    params(("slug" = Slug, Path), ReleaseQuery, Paging),
    responses((status = 200, body = Page<ReleaseView>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug,)): Segments<(Slug,)>,
    Query(query): Query<ReleaseQuery>,
    Query(part): Query<Paging>,
) -> Result<Json<Page<ReleaseView>>> {
    let filter = ReleaseFilter {
        status: query.status,
        version: query.version,
        order: match query.order {
            Some(Order::Semver) => ReleaseOrder::SemVer,
            Some(Order::Newest) | None => ReleaseOrder::Newest,
        },
    };
    let found = site.service.releases(&caller, &slug, &filter, &paging(part)).await?;
    Ok(page(found.map(|detail| ReleaseView::new(&detail, &site.links))))
}

/// The JSON Schema of the manifest, `dist.json`, for editors.
#[utoipa::path(get, path = "/api/manifest.schema.json", tag = "releases",
    responses((status = 200, body = Object, content_type = "application/schema+json")))]
pub(crate) async fn schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/schema+json")], SCHEMA)
}

/// Publishes a release whose objects were uploaded, or begins or fills a draft.
#[utoipa::path(post, path = "/api/apps/{slug}/releases", tag = "releases", params(("slug" = Slug, Path)),
    request_body = Manifest,
    responses(
        (status = 201, body = PublishResult),
        (status = 200, description = "published before with the same artifacts", body = PublishResult),
        (status = "default", body = ErrorBody),
    ))]
pub(crate) async fn publish(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug,)): Segments<(Slug,)>,
    payload: Payload,
) -> Result<(StatusCode, Json<PublishResult>)> {
    let manifest = Manifest::parse(payload.bytes(), Form::Request)?;
    if manifest.app != slug {
        let message = format!("the manifest is for {}, and the path for {slug}", manifest.app);
        return Err(Refusal::new(ErrorCode::ManifestInvalidField, message)
            .with("field", "/app")
            .into());
    }
    let request = PublishRequest {
        slug,
        display_name: manifest.display_name,
        version: manifest.version,
        build: manifest.build,
        channel: manifest.channel,
        notes: manifest.notes.unwrap_or_default(),
        source: manifest.source,
        draft: manifest.draft,
        strict: manifest.strict,
        artifacts: artifact_requests(manifest.artifacts)?,
    };
    let published = site.service.publish(&caller, request, payload.idempotency()?).await?;
    Ok(render(&site, &published))
}

fn artifact_requests(entries: Vec<ArtifactEntry>) -> Result<Vec<ArtifactRequest>, Refusal> {
    let request = |(index, entry): (usize, ArtifactEntry)| {
        let sha256 = entry.sha256.ok_or_else(|| {
            Refusal::new(
                ErrorCode::ManifestMissingField,
                "an artifact needs its sha256: upload the file first, then name it by its digest",
            )
            .with("field", format!("/artifacts/{index}/sha256"))
        })?;
        Ok(ArtifactRequest {
            platform: entry.platform,
            arch: entry.arch,
            package_type: entry.package_type,
            filename: entry.filename,
            content_type: entry.content_type,
            sha256,
            size_bytes: entry.size_bytes,
            metadata: entry.metadata,
        })
    };
    entries.into_iter().enumerate().map(request).collect()
}

/// 201 where something was made, 200 where it was there.
fn render(site: &Site, published: &Published) -> (StatusCode, Json<PublishResult>) {
    let status = match published.status {
        PublishStatus::Unchanged => StatusCode::OK,
        PublishStatus::Published | PublishStatus::Draft => StatusCode::CREATED,
    };
    (status, Json(PublishResult::new(published, &site.links)))
}

/// A release, by id or version.
#[utoipa::path(get, path = "/api/apps/{slug}/releases/{id}", tag = "releases",
    params(("slug" = Slug, Path), ("id" = String, Path, description = "the id, or the version"), BuildQuery),
    responses((status = 200, body = ReleaseView), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, id)): Segments<(Slug, String)>,
    Query(query): Query<BuildQuery>,
) -> Result<Json<ReleaseView>> {
    let detail = site.service.release(&caller, &slug, &query.select(&id)).await?;
    Ok(Json(ReleaseView::new(&detail, &site.links)))
}

/// Adds artifacts to a draft.
#[utoipa::path(post, path = "/api/apps/{slug}/releases/{id}/artifacts", tag = "releases",
    params(("slug" = Slug, Path), ("id" = String, Path), BuildQuery), request_body = ArtifactsAdd,
    responses((status = 201, body = PublishResult), (status = "default", body = ErrorBody)))]
pub(crate) async fn add_artifacts(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, id)): Segments<(Slug, String)>,
    Query(query): Query<BuildQuery>,
    payload: Payload,
) -> Result<(StatusCode, Json<PublishResult>)> {
    let ArtifactsAdd { artifacts } = payload.json()?;
    let artifacts = artifact_requests(artifacts)?;
    let published = site
        .service
        .add_artifacts(&caller, &slug, &query.select(&id), artifacts, payload.idempotency()?)
        .await?;
    Ok(render(&site, &published))
}

/// Publishes a draft: validates the whole and makes it immutable.
#[utoipa::path(post, path = "/api/apps/{slug}/releases/{id}/publish", tag = "releases",
    params(("slug" = Slug, Path), ("id" = String, Path), BuildQuery), request_body = DraftPublish,
    responses(
        (status = 201, body = PublishResult),
        (status = 200, description = "published before", body = PublishResult),
        (status = "default", body = ErrorBody),
    ))]
pub(crate) async fn publish_draft(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, id)): Segments<(Slug, String)>,
    Query(query): Query<BuildQuery>,
    payload: Payload,
) -> Result<(StatusCode, Json<PublishResult>)> {
    let DraftPublish { channel, require } = payload.json_or_default()?;
    let intent = DraftIntent {
        channel,
        require,
        ..DraftIntent::default()
    };
    let published = site
        .service
        .publish_draft(&caller, &slug, &query.select(&id), intent, payload.idempotency()?)
        .await?;
    Ok(render(&site, &published))
}

/// Discards a draft.
#[utoipa::path(delete, path = "/api/apps/{slug}/releases/{id}", tag = "releases",
    params(("slug" = Slug, Path), ("id" = String, Path), BuildQuery),
    responses((status = 200, body = Release), (status = "default", body = ErrorBody)))]
pub(crate) async fn discard(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, id)): Segments<(Slug, String)>,
    Query(query): Query<BuildQuery>,
) -> Result<Json<Release>> {
    Ok(Json(site.service.discard(&caller, &slug, &query.select(&id)).await?))
}

/// Withdraws a release: it keeps its bytes and is never offered again.
#[utoipa::path(post, path = "/api/apps/{slug}/releases/{id}/yank", tag = "releases",
    params(("slug" = Slug, Path), ("id" = String, Path), BuildQuery), request_body = Yank,
    responses((status = 200, body = YankResult), (status = "default", body = ErrorBody)))]
pub(crate) async fn yank(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, id)): Segments<(Slug, String)>,
    Query(query): Query<BuildQuery>,
    payload: Payload,
) -> Result<Json<YankResult>> {
    let Yank { and_rollback, reason } = payload.json_or_default()?;
    let release = query.select(&id);
    let intent = YankIntent {
        and_rollback,
        reason,
        ..YankIntent::default()
    };
    let yanked = site
        .service
        .yank(&caller, &slug, &release, intent, payload.idempotency()?)
        .await?;
    Ok(Json(YankResult::from(&yanked)))
}
