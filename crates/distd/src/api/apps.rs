//! `/api/apps`: apps and their settings.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dist_api::{AppCreate, AppDetail, ChannelView, ErrorBody, Page, Paging};
use dist_model::{App, AppChanges, Slug};
use http::StatusCode;

use super::page;
use crate::error::Result;
use crate::extract::{Identity, Payload, Query, Segments, paging};
use crate::state::Site;

/// The apps that the caller may list, by slug.
#[utoipa::path(get, path = "/api/apps", tag = "apps", params(Paging),
    responses((status = 200, body = Page<App>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Query(query): Query<Paging>,
) -> Result<Json<Page<App>>> {
    Ok(page(site.service.apps(&caller, &paging(query)).await?))
}

/// Makes an app.
#[utoipa::path(post, path = "/api/apps", tag = "apps", request_body = AppCreate,
    responses((status = 201, body = App), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    payload: Payload,
) -> Result<(StatusCode, Json<App>)> {
    let AppCreate { slug, settings } = payload.json()?;
    let app = site
        .service
        .create_app(&caller, slug, settings, payload.idempotency()?)
        .await?;
    Ok((StatusCode::CREATED, Json(app)))
}

/// An app with its channels and its 20 newest releases.
#[utoipa::path(get, path = "/api/apps/{slug}", tag = "apps", params(("slug" = Slug, Path)),
    responses((status = 200, body = AppDetail), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug,)): Segments<(Slug,)>,
) -> Result<Json<AppDetail>> {
    let overview = site.service.app(&caller, &slug).await?;
    let view = |detail| ChannelView::new(&slug, detail, &site.links);
    Ok(Json(AppDetail {
        channels: overview.channels.iter().map(view).collect(),
        app: overview.app,
        releases: overview.releases,
    }))
}

/// Changes settings of an app; what is absent stays.
#[utoipa::path(patch, path = "/api/apps/{slug}", tag = "apps", params(("slug" = Slug, Path)), request_body = AppChanges,
    responses((status = 200, body = App), (status = "default", body = ErrorBody)))]
pub(crate) async fn update(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug,)): Segments<(Slug,)>,
    payload: Payload,
) -> Result<Json<App>> {
    Ok(Json(site.service.update_app(&caller, &slug, payload.json()?).await?))
}
