//! Two releases side by side.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{ArtifactComparison, ErrorCode, FactChange, Refusal, Release, Slug};
use dist_service::{ComparePage as Found, Paging, ReleaseSearch, Selector};
use serde::Deserialize;

use super::{Visit, facts};
use crate::error::Result;
use crate::extract::{Query, Segments};
use crate::state::Site;
use crate::web::{Section, Shell, text};

/// How many of the newest releases are offered to choose from.
const CHOICES: u32 = 50;

/// What differs between two releases.
#[derive(Template)]
#[template(path = "console/compare.html")]
struct ComparePage {
    shell: Shell,
    slug: Slug,
    before: Release,
    after: Release,
    files: Vec<ArtifactComparison>,
    choices: Vec<Release>,
}

impl ComparePage {
    /// How much the size of a file changed, with its sign.
    fn growth(pair: &ArtifactComparison) -> String {
        match pair.size_difference() {
            None | Some(0) => String::new(),
            Some(more) if more > 0 => format!("+{}", text::human_size(more.unsigned_abs())),
            Some(less) => format!("−{}", text::human_size(less.unsigned_abs())),
        }
    }

    /// What changed of a file but lists: who signed, what it needs, and everything else.
    fn changes(pair: &ArtifactComparison) -> Vec<Change> {
        let signer = pair.signer.iter().map(|change| Change::new(change, true));
        let rest = pair.min_os.iter().chain(&pair.facts);
        signer.chain(rest.map(|change| Change::new(change, false))).collect()
    }
}

/// A fact before and after.
struct Change {
    name: String,
    before: String,
    after: String,
    /// Whether it says that somebody else signed.
    is_grave: bool,
}

impl Change {
    fn new(change: &FactChange, is_grave: bool) -> Self {
        let side = |value: &Option<serde_json::Value>| value.as_ref().map(facts::text).unwrap_or_default();
        Self {
            name: facts::name(&change.fact),
            before: side(&change.before),
            after: side(&change.after),
            is_grave,
        }
    }
}

/// The two, by id or version; what is left out is chosen.
#[derive(Default, Deserialize)]
pub(crate) struct CompareQuery {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// The releases to compare: the newest, and of those that were published before it the newest. What is
/// older than all of `releases` is compared with the newest.
fn usual(query: CompareQuery, releases: &[Release]) -> Result<(String, String), Refusal> {
    let none = || {
        let message = "there is no earlier release to compare with; publish another one first";
        Refusal::new(ErrorCode::ReleaseNotFound, message)
    };
    let newest = releases.first().ok_or_else(none)?.id.to_string();
    let to = if query.to.is_empty() { newest.clone() } else { query.to };
    if !query.from.is_empty() {
        return Ok((query.from, to));
    }
    let is_it = |release: &Release| release.id.as_str() == to || release.version.as_str() == to;
    match releases.iter().position(is_it) {
        Some(place) => Ok((releases.get(place + 1).ok_or_else(none)?.id.to_string(), to)),
        None => Ok((to, newest)),
    }
}

/// What differs between two releases.
#[utoipa::path(get, path = "/admin/apps/{slug}/compare", tag = "console",
    params(("slug" = Slug, Path), ("from" = Option<String>, Query), ("to" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn compare(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug,)): Segments<(Slug,)>,
    Query(query): Query<CompareQuery>,
) -> Result<Response> {
    let newest = Paging {
        cursor: None,
        limit: CHOICES,
    };
    let all = ReleaseSearch::default();
    let app = site.service.app_page(&visit.caller, &slug, &all, &newest).await?;
    let mut choices: Vec<Release> = app.releases.items.into_iter().map(|row| row.release).collect();
    let (from, to) = usual(query, &choices)?;
    let (from, to) = (Selector::new(&from, None), Selector::new(&to, None));
    let found = site.service.compare_releases(&visit.caller, &slug, &from, &to).await?;
    let Found {
        before,
        after,
        comparison,
        ..
    } = found;
    for chosen in [&before, &after] {
        if choices.iter().all(|release| release.id != chosen.id) {
            choices.push(chosen.clone());
        }
    }
    let title = format!("{} and {}", before.label(), after.label());
    visit.page(title, Section::Apps, |shell| ComparePage {
        shell,
        slug,
        before,
        after,
        files: comparison.artifacts,
        choices,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: &str, version: &str) -> Release {
        let release = serde_json::json!({"id": id, "app_id": "p1", "version": version, "build": "", "channel": null,
            "notes": "", "created_by": "system", "created_at": "2026-01-01T00:00:00Z", "published_at": null,
            "status": "published", "source": {}});
        serde_json::from_value(release).unwrap()
    }

    #[test]
    fn a_release_is_compared_with_the_one_before_it() {
        let releases = [release("r3", "3"), release("r2", "2"), release("r1", "1")];
        let usual = |from: &str, to: &str, releases| {
            let (from, to) = (from.to_owned(), to.to_owned());
            usual(CompareQuery { from, to }, releases).ok()
        };
        for (from, to, compared) in [
            ("", "", Some(("r2", "r3"))),
            ("", "r2", Some(("r1", "r2"))),
            ("", "2", Some(("r1", "2"))),
            ("r1", "", Some(("r1", "r3"))),
            ("r3", "r1", Some(("r3", "r1"))),
            ("", "r1", None),
            // Older than all that are listed.
            ("", "r0", Some(("r0", "r3"))),
        ] {
            let compared = compared.map(|(from, to): (&str, &str)| (from.to_owned(), to.to_owned()));
            assert_eq!(usual(from, to, &releases[..]), compared, "{from} {to}");
        }
        assert_eq!(usual("", "", &[]), None);
    }
}
