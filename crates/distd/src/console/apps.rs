//! All apps, and what each channel of theirs points at.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::Visibility;
use dist_service::AppRow;
use serde::Deserialize;

use super::Visit;
use crate::error::Result;
use crate::extract::Query;
use crate::state::Site;
use crate::web::{Section, Shell, text};

/// The apps, a row each.
#[derive(Template)]
#[template(path = "console/apps.html")]
struct AppsPage {
    shell: Shell,
    rows: Vec<AppRow>,
    /// How many there are in all.
    all: u64,
    /// What the rows were asked to have in their name.
    text: String,
    /// Whether the reader may make apps and tokens.
    is_admin: bool,
    /// Where CI publishes to.
    server: String,
}

/// What an app is asked to have in its name.
#[derive(Default, Deserialize)]
pub(crate) struct AppsQuery {
    #[serde(default)]
    q: String,
}

/// Whether an app is called so, whatever the case.
fn is_called(row: &AppRow, text: &str) -> bool {
    let text = text.to_lowercase();
    row.app.slug.as_str().contains(&text) || row.app.display_name.to_lowercase().contains(&text)
}

/// All apps that the reader may see.
#[utoipa::path(get, path = "/admin", tag = "console", params(("q" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(query): Query<AppsQuery>,
) -> Result<Response> {
    let mut rows = site.service.apps_page(&visit.caller).await?;
    let (all, text) = (rows.len() as u64, query.q.trim().to_owned());
    rows.retain(|row| is_called(row, &text));
    let is_admin = visit.require_admin().is_ok();
    visit.page("Apps", Section::Apps, |shell| AppsPage {
        shell,
        rows,
        all,
        text,
        is_admin,
        server: site.links.base().to_owned(),
    })
}
