//! The pages through which people install: the index, a channel's page, and what an iPhone needs.

mod commands;
mod index;
mod kind;
mod known;
mod memo;
pub(crate) mod notes;
mod page;
mod platforms;
mod plist;
pub(crate) mod qr;
mod refusal;
mod section;
pub(crate) mod text;
mod urls;
mod visitor;

use std::sync::Arc;

use askama::Template as _;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dist_api::Paging;
use dist_model::{Artifact, ChannelName, ErrorCode, IosMode, Platform, Refusal, Slug};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use self::index::IndexPage;
pub(crate) use self::memo::Pages;
use self::memo::{Key, Made};
use self::page::{InstallPage, html_with_preview};
use self::plist::PlistPage;
pub(crate) use self::refusal::{PageError, refusals_as_pages};
use self::section::Scene;
use self::urls::Urls;
use self::visitor::Visitor;
use crate::error::{ApiError, Result};
use crate::extract::{Identity, Query, Segments, TesterQuery, paging, tester_secret};
use crate::state::Site;

/// The file that an address leads to which names a platform and perhaps a processor: what most people
/// want there, or the first where none is meant for people.
pub(crate) fn for_most<'a>(platform: Platform, arch: Option<&str>, artifacts: &'a [Artifact]) -> Option<&'a Artifact> {
    let best = section::best(
        platform,
        &artifacts.iter().collect::<Vec<_>>(),
        Visitor::on(platform, arch),
    );
    best.or(artifacts.first())
}

const ACCEPT_CH: HeaderName = HeaderName::from_static("accept-ch");

/// The public apps.
#[utoipa::path(get, path = "/", tag = "install", params(Paging),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn index(
    State(site): State<Arc<Site>>,
    // What is public is so for everybody, but a credential that is no good is told so.
    Identity(_): Identity,
    Query(query): Query<Paging>,
) -> Result<Response, PageError> {
    let apps = site.service.install_index(&paging(query)).await?;
    // A server that offers something has been set up well enough for whoever comes to install.
    let is_set_up = !apps.items.is_empty() || site.service.is_set_up().await?;
    let page = IndexPage::new(apps, is_set_up, &site.links);
    Ok(html_with_preview(&IndexPage::preview(&site.links), &page)?)
}

/// A channel's install page.
#[utoipa::path(get, path = "/install/{slug}/{channel}", tag = "install",
    params(("slug" = Slug, Path), ("channel" = ChannelName, Path), TesterQuery),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, channel)): Segments<(Slug, ChannelName)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let stamp = site.service.install_stamp(&caller, &slug, &channel).await?;
    let urls = Urls {
        links: &site.links,
        slug: &slug,
        channel: &channel,
        secret: tester_secret(&caller, &uri),
    };
    let (visitor, now) = (Visitor::of(&headers), site.service.now());
    let key = Key::new(urls.page(), stamp, visitor, now);
    let made = if let Some(made) = site.pages.find(&key) {
        made
    } else {
        let shown = site.service.install(&caller, &slug, &channel).await?;
        let scene = Scene {
            app: &shown.offer.app,
            urls,
            downloads: &shown.downloads,
            visitor,
            now,
        };
        let (page, preview) = InstallPage::new(&shown, &scene);
        let text = page.render().map_err(ApiError::internal)?;
        site.pages.keep(key, Made { preview, text })
    };
    let mut response = html_with_preview(&made.preview, &made.text)?;
    let headers = response.headers_mut();
    headers.insert(ACCEPT_CH, HeaderValue::from_static(visitor::HINTS));
    headers.insert(header::VARY, HeaderValue::from_static(visitor::VARY));
    Ok(response)
}

/// What an iPhone fetches to install from a channel of an app in the mode `enterprise`.
#[utoipa::path(get, path = "/install/{slug}/{channel}/manifest.plist", tag = "install",
    params(("slug" = Slug, Path), ("channel" = ChannelName, Path), TesterQuery),
    responses((status = 200, body = String, content_type = "text/xml"), (status = 404)))]
pub(crate) async fn manifest(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, channel)): Segments<(Slug, ChannelName)>,
    uri: Uri,
) -> Result<Response> {
    let offer = site.service.offer(&caller, &slug, &channel).await?;
    let urls = Urls {
        links: &site.links,
        slug: &slug,
        channel: &channel,
        secret: tester_secret(&caller, &uri),
    };
    let is_enterprise = offer.app.ios_mode == IosMode::Enterprise;
    let plist = is_enterprise.then(|| PlistPage::new(&offer, urls)).flatten();
    let plist = plist.ok_or_else(|| {
        let message = "nothing here can be installed on an iPhone from a page";
        Refusal::new(ErrorCode::RouteNotFound, message)
    })?;
    let text = plist.render().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response())
}
