//! The pages through which people install: the index, a channel's page, and what an iPhone needs.

mod page;
mod visitor;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dist_api::Paging;
use dist_model::{ChannelName, ErrorCode, IosMode, Platform, Refusal, Slug};
use http::{HeaderMap, header};

use self::page::{AppEntry, ErrorPage, IndexPage, InstallPage, PlistPage, html};
use self::visitor::Visitor;
use crate::error::{ApiError, Result};
use crate::extract::{Identity, Query, Segments, paging};
use crate::state::Site;

/// A refusal as a page for people.
pub(crate) struct PageError(ApiError);

impl<E> From<E> for PageError
where
    ApiError: From<E>,
{
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let message = if self.0.status().is_server_error() {
            self.0.refusal.code.help().to_owned()
        } else {
            self.0.refusal.message.clone()
        };
        let refused = self.0.into_response();
        let mut page = html("Not here", &ErrorPage { message }).unwrap_or_else(IntoResponse::into_response);
        *page.status_mut() = refused.status();
        page.extensions_mut().extend(refused.extensions().clone());
        page
    }
}

/// The apps that the visitor may see.
#[utoipa::path(get, path = "/", tag = "install", params(Paging),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn index(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Query(query): Query<Paging>,
) -> Result<Response, PageError> {
    let apps = site.service.apps(&caller, &paging(query)).await?;
    let mut entries = Vec::with_capacity(apps.items.len());
    for app in apps.items {
        let channels = site.service.channels(&caller, &app.slug).await?;
        entries.push(AppEntry::new(app, &channels, &site.links));
    }
    let page = IndexPage {
        entries,
        next_cursor: apps.next_cursor,
    };
    Ok(html("Apps", &page)?)
}

/// A channel's install page.
#[utoipa::path(get, path = "/install/{slug}/{channel}", tag = "install",
    params(("slug" = Slug, Path), ("channel" = ChannelName, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, channel)): Segments<(Slug, ChannelName)>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let shown = site.service.install(&caller, &slug, &channel).await?;
    let mut offered = Vec::new();
    for artifact in shown.release.iter().flat_map(|release| &release.artifacts) {
        // What the page links to and what the download allows is decided by the same rule.
        let allowed = site
            .service
            .download(&caller, &artifact.sha256, Some(&artifact.id))
            .await
            .is_ok();
        offered.push((artifact, allowed));
    }
    let page = InstallPage::new(&shown, &offered, Visitor::of(&headers), &site.links);
    let mut response = html(&shown.app.display_name, &page)?;
    let vary = header::HeaderValue::from_static("user-agent, sec-ch-ua-platform");
    response.headers_mut().insert(header::VARY, vary);
    Ok(response)
}

/// What an iPhone fetches to install from a channel of an app in the mode `enterprise`.
#[utoipa::path(get, path = "/install/{slug}/{channel}/manifest.plist", tag = "install",
    params(("slug" = Slug, Path), ("channel" = ChannelName, Path)),
    responses((status = 200, body = String, content_type = "text/xml"), (status = 404)))]
pub(crate) async fn manifest(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, channel)): Segments<(Slug, ChannelName)>,
) -> Result<Response> {
    let shown = site.service.install(&caller, &slug, &channel).await?;
    let nothing = || {
        let message = "nothing here can be installed on an iPhone from a page";
        ApiError::from(Refusal::new(ErrorCode::RouteNotFound, message))
    };
    if shown.app.ios_mode != IosMode::Enterprise {
        return Err(nothing());
    }
    let release = shown.release.as_ref().ok_or_else(nothing)?;
    let is_ipa = |artifact: &&dist_model::Artifact| artifact.platform == Platform::Ios;
    let artifact = release.artifacts.iter().find(is_ipa).ok_or_else(nothing)?;
    let bundle_id = shown.app.bundle_ids.get(&Platform::Ios).ok_or_else(nothing)?;
    let plist = PlistPage::new(artifact, bundle_id, &release.release, &shown.app, &site.links);
    let text = askama::Template::render(&plist).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response())
}
