//! A release: what was found in it, where it stands and stood, and who did what to it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_inspect::{Finding, Severity};
use dist_model::{Release, ReleaseStatus, Slug};
use dist_service::{ArtifactRow, AuditLine, AuditPlace, ReleasePage as Found, Selector, Stay};

use super::Visit;
use super::done::{Done, Note};
use super::facts::{self, Fact};
use super::rights::Rights;
use crate::error::Result;
use crate::extract::{Query, Segments};
use crate::install::{notes, qr};
use crate::state::Site;
use crate::web::{Section, Shell, text};

/// How many events of its timeline a page shows.
const EVENTS: u32 = 50;

/// A release.
#[derive(Template)]
#[template(path = "console/release.html")]
struct ReleasePage {
    shell: Shell,
    rights: Rights,
    note: Option<Note>,
    slug: Slug,
    release: Release,
    findings: Vec<Told>,
    artifacts: Vec<File>,
    stays: Vec<Stay>,
    installs: Vec<Install>,
    run_url: Option<String>,
    notes_html: String,
    timeline: Vec<AuditLine>,
    has_older_events: bool,
}

/// A finding, and the files that it was found in.
struct Told {
    finding: Finding,
    files: Vec<String>,
}

/// An artifact with what is known of it.
struct File {
    row: ArtifactRow,
    facts: Vec<Fact>,
    declared: Vec<Fact>,
    url: String,
}

/// A channel that offers the release, and its install page.
struct Install {
    channel: String,
    url: String,
    code: String,
}

impl ReleasePage {
    fn is_draft(&self) -> bool {
        self.release.status == ReleaseStatus::Draft
    }

    fn is_published(&self) -> bool {
        self.release.status == ReleaseStatus::Published
    }

    /// Its size in all.
    fn size(&self) -> String {
        text::human_size(self.artifacts.iter().map(|file| file.row.artifact.size_bytes).sum())
    }

    fn downloads(&self) -> u64 {
        self.artifacts.iter().map(|file| file.row.downloads).sum()
    }
}

/// The findings of all files, the worst first, each once.
fn findings(artifacts: &[ArtifactRow]) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    for row in artifacts {
        let file = row.artifact.filename.to_string();
        for finding in dist_service::findings(&row.artifact.metadata) {
            match told.iter_mut().find(|known| known.finding == finding) {
                Some(known) => known.files.push(file.clone()),
                None => told.push(Told {
                    finding,
                    files: vec![file.clone()],
                }),
            }
        }
    }
    let harmless = |told: &Told| match told.finding.severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Info => 2,
    };
    told.sort_by_key(harmless);
    told
}

/// The page of a CI run, where it is one of the web.
fn web_page(url: Option<&String>) -> Option<String> {
    let url = url?;
    let is_web = ["https://", "http://"].iter().any(|scheme| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    is_web.then(|| url.clone())
}

impl Told {
    fn severity(&self) -> &'static str {
        match self.finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

impl File {
    fn new(row: ArtifactRow, site: &Site) -> Self {
        let artifact = &row.artifact;
        Self {
            facts: facts::found(artifact),
            declared: facts::declared(artifact),
            url: site.links.artifact(artifact),
            row,
        }
    }

    /// Its icon, where pages may show it: that of a draft nobody may have.
    fn icon(&self, page: &ReleasePage) -> Option<String> {
        let icon = self.row.artifact.icon().filter(|_| page.is_published());
        icon.map(|icon| icon.to_string())
    }

    /// What the fold says before it is opened.
    fn summary(&self) -> String {
        text::counted(&self.facts, "fact")
    }
}

fn installs(found: &Found, site: &Site) -> Vec<Install> {
    let now = found.stays.iter().filter(|stay| stay.ended.is_none());
    let installs = now.map(|stay| {
        let url = site.links.install(found.app.slug.as_str(), stay.channel.as_str());
        Install {
            channel: stay.channel.to_string(),
            code: qr::svg(&url),
            url,
        }
    });
    installs.collect()
}

/// A release.
#[utoipa::path(get, path = "/admin/apps/{slug}/releases/{id}", tag = "console",
    params(("slug" = Slug, Path), ("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, id)): Segments<(Slug, String)>,
    Query(done): Query<Done>,
) -> Result<Response> {
    let selector = Selector::new(&id, None);
    let found = site.service.release_page(&visit.caller, &slug, &selector).await?;
    let rights = visit.rights(&slug);
    let note = done.note(&site, &visit, &slug).await?;
    let (mut timeline, mut has_older_events) = (Vec::new(), false);
    if rights.read {
        let newest = AuditPlace::Newest;
        let events = site
            .service
            .release_timeline(&visit.caller, &slug, &selector, newest, EVENTS);
        let events = events.await?;
        (timeline, has_older_events) = (events.lines, events.older.is_some());
    }
    let title = found.release.label();
    visit.page(title, Section::Apps, |shell| ReleasePage {
        shell,
        rights,
        note,
        slug,
        findings: findings(&found.artifacts),
        installs: installs(&found, &site),
        run_url: web_page(found.release.source.run_url.as_ref()),
        notes_html: notes::render(&found.release.notes),
        artifacts: found.artifacts.into_iter().map(|row| File::new(row, &site)).collect(),
        stays: found.stays,
        release: found.release,
        timeline,
        has_older_events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_linked() {
        for (url, linked) in [
            ("https://ci.example.org/1", true),
            ("HTTP://ci", true),
            ("javascript:alert(1)", false),
            (" https://ci", false),
            ("ä", false),
        ] {
            assert_eq!(web_page(Some(&url.to_owned())).is_some(), linked, "{url}");
        }
    }
}
