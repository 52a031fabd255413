//! All apps, and what each channel of theirs points at.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_api::Paging;
use dist_model::{
    App, Artifact, ChannelDetail, Release, ReleaseDetail, ReleaseStatus, Timestamp, ValidationStatus, Visibility,
};
use dist_service::ReleaseFilter;

use super::Visit;
use crate::error::Result;
use crate::extract::{Query, paging};
use crate::state::Site;
use crate::web::{Section, Shell, text};

/// The apps, a row each.
#[derive(Template)]
#[template(path = "console/apps.html")]
struct AppsPage {
    shell: Shell,
    rows: Vec<AppRow>,
    next_cursor: Option<String>,
    /// Where CI publishes to.
    server: String,
}

/// An app, with what is out and what came last.
struct AppRow {
    slug: String,
    name: String,
    visibility: Visibility,
    icon: Option<String>,
    channels: Vec<Pointer>,
    newest: Option<Newest>,
}

/// A channel and what it points at.
struct Pointer {
    channel: String,
    current: Option<Release>,
    moved_at: Option<Timestamp>,
}

/// The release that was published last.
struct Newest {
    id: String,
    label: String,
    files: String,
    published_at: Option<Timestamp>,
    platforms: String,
    validation: ValidationStatus,
}

impl AppRow {
    fn new(app: App, channels: Vec<ChannelDetail>, newest: Option<&ReleaseDetail>) -> Self {
        let mut artifacts = newest.into_iter().flat_map(|detail| &detail.artifacts);
        Self {
            icon: artifacts.find_map(Artifact::icon).map(|icon| icon.to_string()),
            slug: app.slug.into(),
            name: app.display_name,
            visibility: app.visibility,
            channels: channels.into_iter().map(Pointer::new).collect(),
            newest: newest.map(Newest::new),
        }
    }
}

impl Pointer {
    fn new(detail: ChannelDetail) -> Self {
        Self {
            channel: detail.channel.name.to_string(),
            current: detail.current,
            moved_at: detail.moved_at,
        }
    }
}

impl Newest {
    fn new(detail: &ReleaseDetail) -> Self {
        let platforms: BTreeSet<_> = detail.artifacts.iter().map(|artifact| artifact.platform).collect();
        let platforms: Vec<_> = platforms.into_iter().map(text::platform).collect();
        Self {
            id: detail.release.id.to_string(),
            label: detail.release.label(),
            files: text::count(detail.artifacts.len() as u64, "file"),
            published_at: detail.release.published_at,
            platforms: platforms.join(", "),
            validation: worst(&detail.artifacts),
        }
    }
}

/// What the checks of a release come to: what its worst artifact is.
fn worst(artifacts: &[Artifact]) -> ValidationStatus {
    let badness = |status: &ValidationStatus| match status {
        ValidationStatus::Passed => 0,
        ValidationStatus::Pending => 1,
        ValidationStatus::Warning => 2,
        ValidationStatus::Failed => 3,
    };
    let statuses = artifacts.iter().map(|artifact| artifact.validation_status);
    statuses.max_by_key(badness).unwrap_or_default()
}

/// All apps that the reader may see.
#[utoipa::path(get, path = "/admin", tag = "console", params(Paging),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn list(State(site): State<Arc<Site>>, visit: Visit, Query(query): Query<Paging>) -> Result<Response> {
    let published = ReleaseFilter {
        status: Some(ReleaseStatus::Published),
        ..ReleaseFilter::default()
    };
    let newest_only = dist_service::Paging { cursor: None, limit: 1 };
    let apps = site.service.apps(&visit.caller, &paging(query)).await?;
    let mut rows = Vec::with_capacity(apps.items.len());
    for app in apps.items {
        let channels = site.service.channels(&visit.caller, &app.slug).await?;
        let releases = site
            .service
            .releases(&visit.caller, &app.slug, &published, &newest_only);
        let newest = releases.await?.items.pop();
        rows.push(AppRow::new(app, channels, newest.as_ref()));
    }
    visit.page("Apps", Section::Apps, |shell| AppsPage {
        shell,
        rows,
        next_cursor: apps.next_cursor,
        server: site.links.base().to_owned(),
    })
}
