//! `…/links`: tester links, which open one channel of an app to whoever holds them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dist_api::{ErrorBody, LinkCreate, LinkCreated, Page, Paging};
use dist_model::{ChannelName, InstallLink, LinkId, Slug};
use http::StatusCode;

use super::page;
use crate::error::Result;
use crate::extract::{Identity, Payload, Query, Segments, paging};
use crate::state::Site;

/// An app's tester links, without their secrets.
#[utoipa::path(get, path = "/api/apps/{slug}/links", tag = "links", params(("slug" = Slug, Path), Paging),
    responses((status = 200, body = Page<InstallLink>), (status = "default", body = ErrorBody)))]
pub(crate) async fn of_app(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug,)): Segments<(Slug,)>,
    Query(query): Query<Paging>,
) -> Result<Json<Page<InstallLink>>> {
    Ok(page(site.service.links(&caller, &slug, None, &paging(query)).await?))
}

/// A channel's tester links, without their secrets.
#[utoipa::path(get, path = "/api/apps/{slug}/channels/{name}/links", tag = "links",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path), Paging),
    responses((status = 200, body = Page<InstallLink>), (status = "default", body = ErrorBody)))]
pub(crate) async fn of_channel(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    Query(query): Query<Paging>,
) -> Result<Json<Page<InstallLink>>> {
    let links = site.service.links(&caller, &slug, Some(&name), &paging(query)).await?;
    Ok(page(links))
}

/// Makes a tester link; the address with its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/apps/{slug}/channels/{name}/links", tag = "links",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)), request_body = LinkCreate,
    responses((status = 201, body = LinkCreated), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    payload: Payload,
) -> Result<(StatusCode, Json<LinkCreated>)> {
    let request: LinkCreate = payload.json_or_default()?;
    let intent = request.intent(name, site.service.now())?;
    let made = site
        .service
        .create_link(&caller, &slug, intent, payload.idempotency()?)
        .await?;
    let answer = LinkCreated::new(made.link, made.secret.as_deref(), &site.links);
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Revokes a tester link, at once and for ever.
#[utoipa::path(delete, path = "/api/apps/{slug}/links/{id}", tag = "links",
    params(("slug" = Slug, Path), ("id" = LinkId, Path)),
    responses((status = 200, body = InstallLink), (status = "default", body = ErrorBody)))]
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, id)): Segments<(Slug, LinkId)>,
) -> Result<Json<InstallLink>> {
    Ok(Json(site.service.revoke_link(&caller, &slug, &id).await?))
}
