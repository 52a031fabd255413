//! One box for everything that has a name.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::ReleaseStatus;
use dist_service::{Found, SearchHit};
use serde::Deserialize;

use super::Visit;
use crate::error::Result;
use crate::extract::Query;
use crate::state::Site;
use crate::web::Shell;

/// What was found, the best group first.
#[derive(Template)]
#[template(path = "console/search.html")]
struct SearchPage {
    shell: Shell,
    text: String,
    groups: Vec<Group>,
}

/// What is of one kind.
struct Group {
    title: &'static str,
    hits: Vec<Hit>,
}

/// A hit as a line.
struct Hit {
    /// Below the console's own path.
    path: String,
    name: String,
    /// What tells it from others of the same name.
    beside: String,
    /// How a release stands, where that is not simply published.
    status: Option<ReleaseStatus>,
}

#[derive(Deserialize)]
pub(crate) struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// The hits by kind. The kind of the best hit is first, and within a kind they keep their order.
fn groups(hits: Vec<SearchHit>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for hit in hits {
        let (title, hit) = line(hit.found);
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.hits.push(hit),
            None => groups.push(Group { title, hits: vec![hit] }),
        }
    }
    groups
}

fn line(found: Found) -> (&'static str, Hit) {
    let hit = |path, name, beside| Hit {
        path,
        name,
        beside,
        status: None,
    };
    match found {
        Found::App { slug, display_name } => ("Apps", hit(format!("/apps/{slug}"), display_name, slug.to_string())),
        Found::Release {
            app,
            release,
            status,
            commit,
        } => {
            let path = format!("/apps/{app}/releases/{}", release.id);
            let beside = commit.map_or_else(|| app.to_string(), |commit| format!("{app} · commit {commit}"));
            let hit = Hit {
                status: Some(status).filter(|status| *status != ReleaseStatus::Published),
                ..hit(path, release.label, beside)
            };
            ("Releases", hit)
        }
        Found::Artifact {
            app,
            release,
            filename,
            sha256,
        } => {
            let path = format!("/apps/{app}/releases/{}", release.id);
            let beside = format!("{app} {} · {sha256}", release.label);
            ("Files", hit(path, filename.to_string(), beside))
        }
        Found::Channel { app, name } => {
            let path = format!("/apps/{app}/channels/{name}");
            ("Channels", hit(path, name.to_string(), app.to_string()))
        }
        Found::Token { id, name } => ("Tokens", hit(format!("/tokens/{id}"), name, String::new())),
    }
}

/// What a text finds.
#[utoipa::path(get, path = "/admin/search", tag = "console", params(("q" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn search(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(SearchQuery { q: text }): Query<SearchQuery>,
) -> Result<Response> {
    let groups = groups(site.service.search(&visit.caller, &text).await?);
    visit.page("Search", None, |shell| SearchPage { shell, text, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_the_best_hit_is_first() {
        let app = |slug: &str| Found::App {
            slug: slug.parse().unwrap(),
            display_name: "Acme".to_owned(),
        };
        let channel = Found::Channel {
            app: "acme".parse().unwrap(),
            name: "beta".parse().unwrap(),
        };
        let hits = [channel, app("beta"), app("acme")].map(|found| SearchHit { found, exact: false });
        let groups = groups(hits.into());
        let told: Vec<_> = groups.iter().map(|group| (group.title, group.hits.len())).collect();
        assert_eq!(told, [("Channels", 1), ("Apps", 2)]);
        assert_eq!(groups[0].hits[0].path, "/apps/acme/channels/beta");
    }
}
