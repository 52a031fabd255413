//! An app: its channels side by side, and its releases.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{App, ChannelPolicy, Platform, Refusal, ReleaseStatus, Slug};
use dist_service::{AppPage as Found, Paging, ReleaseSearch};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::Visit;
use super::done::{Done, Note};
use super::rights::Rights;
use crate::error::Result;
use crate::extract::{Query, Segments};
use crate::state::Site;
use crate::web::{Section, Shell, text};

/// How many releases a page shows.
const RELEASES: u32 = 50;

/// An app.
#[derive(Template)]
#[template(path = "console/app.html")]
struct AppPage {
    shell: Shell,
    rights: Rights,
    note: Option<Note>,
    found: Found,
    query: AppQuery,
    /// The query of the next page.
    next: Option<String>,
    server: String,
    install: String,
}

/// Which releases to show; empty texts let all through.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct AppQuery {
    q: String,
    status: String,
    platform: String,
    cursor: String,
}

impl AppQuery {
    fn search(&self) -> Result<ReleaseSearch, Refusal> {
        let given = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        Ok(ReleaseSearch {
            status: given(&self.status).map(|text| text.parse()).transpose()?,
            platform: given(&self.platform).map(|text| text.parse()).transpose()?,
            text: given(&self.q),
        })
    }

    /// The same further on, as the query of an address.
    fn at(&self, cursor: &str) -> String {
        let fields = [
            ("q", &*self.q),
            ("status", &self.status),
            ("platform", &self.platform),
            ("cursor", cursor),
        ];
        let pairs = fields.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        pairs.join("&")
    }

    fn is_narrow(&self) -> bool {
        [&self.q, &self.status, &self.platform]
            .iter()
            .any(|text| !text.is_empty())
    }

    /// The statuses to choose from, and which is chosen.
    fn statuses(&self) -> [(ReleaseStatus, bool); 4] {
        use ReleaseStatus::{Deleted, Draft, Published, Yanked};
        [Draft, Published, Yanked, Deleted].map(|status| (status, status.as_str() == self.status))
    }

    /// The platforms to choose from, and which is chosen.
    fn platforms(&self) -> Vec<(Platform, bool)> {
        let all = Platform::ALL.into_iter();
        all.map(|platform| (platform, platform.as_str() == self.platform))
            .collect()
    }
}

impl AppPage {
    fn app(&self) -> &App {
        &self.found.app
    }
}

/// An app with its channels and releases.
#[utoipa::path(get, path = "/admin/apps/{slug}", tag = "console", params(("slug" = Slug, Path),
    ("q" = Option<String>, Query), ("status" = Option<String>, Query), ("platform" = Option<String>, Query),
    ("cursor" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug,)): Segments<(Slug,)>,
    Query(query): Query<AppQuery>,
    Query(done): Query<Done>,
) -> Result<Response> {
    let paging = Paging {
        cursor: (!query.cursor.is_empty()).then(|| query.cursor.clone()),
        limit: RELEASES,
    };
    let mut found = site
        .service
        .app_page(&visit.caller, &slug, &query.search()?, &paging)
        .await?;
    let next = found.releases.next_cursor.take().map(|cursor| query.at(&cursor));
    let note = done.note(&site, &visit, &slug).await?;
    let rights = visit.rights(&slug);
    let install = format!("{}/install/{slug}", site.links.base());
    visit.page(found.app.display_name.clone(), Section::Apps, |shell| AppPage {
        shell,
        rights,
        note,
        found,
        query,
        next,
        server: site.links.base().to_owned(),
        install,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_filter() {
        let query = AppQuery {
            q: "a&b=c".to_owned(),
            platform: "ios".to_owned(),
            ..AppQuery::default()
        };
        assert_eq!(query.at("n+1"), "q=a%26b%3Dc&status=&platform=ios&cursor=n%2B1");
    }
}
