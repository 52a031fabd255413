//! What a page shows of one platform: the best file for the visitor with an action that is true,
//! what is known of it, and the other files.

use std::collections::BTreeSet;

use askama::Template;
use dist_inspect::arch::spelled;
use dist_inspect::{Finding, Severity};
use dist_model::{App, Artifact, ArtifactId, Platform, Timestamp, Visibility};
use dist_service::findings;

use super::commands::{Commands, on_linux, to_install, to_verify};
use super::kind::Kind;
use super::known::Known;
use super::platforms;
use super::text::{oldest_system, platform_name, processor, visible, visible_or};
use super::urls::Urls;
use super::visitor::Visitor;
use crate::web::text::human_size;

/// Who looks at what, and when.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub app: &'a App,
    pub urls: Urls<'a>,
    /// What the visitor may download.
    pub downloads: &'a BTreeSet<ArtifactId>,
    pub visitor: Visitor,
    pub now: Timestamp,
}

/// What is there for one platform.
#[derive(Template)]
#[template(path = "section.html")]
pub(super) struct Section {
    pub id: &'static str,
    pub title: &'static str,
    /// The files in a few words, for a section that is closed.
    pub summary: String,
    pub is_visitors: bool,
    actions: Vec<Action>,
    /// What will happen, and what to do then.
    remarks: Vec<String>,
    /// What may keep the file from working.
    warnings: Vec<String>,
    facts: Vec<Fact>,
    install: Option<Commands>,
    verify: Option<Commands>,
    others: Vec<FileRow>,
}

/// A button.
pub(super) struct Action {
    pub label: String,
    pub detail: String,
    pub url: String,
    /// True where it does what people came for.
    pub is_primary: bool,
}

/// Something that is known of a file.
pub(super) struct Fact {
    pub name: &'static str,
    pub value: String,
    /// True for digests, which are compared and not read.
    pub is_code: bool,
}

/// A file beside the best one.
struct FileRow {
    filename: String,
    /// Absent where the visitor may not have the file, or is not meant to.
    url: Option<String>,
    about: String,
    size: String,
    sha256: String,
    warnings: Vec<String>,
    install: Option<Commands>,
}

/// What there is to say of a platform's best file.
#[derive(Default)]
pub(super) struct Told {
    pub actions: Vec<Action>,
    pub remarks: Vec<String>,
    pub facts: Vec<Fact>,
    /// The findings that the remarks have said already, by code.
    pub said: &'static [&'static str],
}

impl Fact {
    pub(super) fn text(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
            is_code: false,
        }
    }

    pub(super) fn code(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
            is_code: true,
        }
    }
}

/// The file of a platform that suits the visitor best, of those that a person opens.
pub(super) fn best<'a>(platform: Platform, artifacts: &[&'a Artifact], visitor: Visitor) -> Option<&'a Artifact> {
    // The manifest for iPhones names the first too.
    if platform == Platform::Ios {
        return artifacts.first().copied();
    }
    let place = |artifact: &&&Artifact| {
        let suits = visitor.suits(platform, &artifact.arch)?;
        let place = Kind::of(artifact).place(platform, visitor)?;
        Some((suits, place, spelled(&artifact.arch) == "x86"))
    };
    let opened = artifacts.iter().filter(|artifact| place(artifact).is_some());
    opened.min_by_key(place).copied()
}

impl Scene<'_> {
    /// Whether the file is what gets onto a device. Of an app in `TestFlight`, it is Apple's own.
    fn is_installed(&self, artifact: &Artifact) -> bool {
        !(artifact.platform == Platform::Ios && platforms::is_testflight(self.app))
    }

    /// Where the visitor may download a file.
    pub(super) fn download(&self, artifact: &Artifact) -> Option<String> {
        let is_there = self.is_installed(artifact) && self.downloads.contains(&artifact.id);
        is_there.then(|| self.urls.download(artifact))
    }

    /// True where the addresses on the page open for whatever fetches them, and not only for the
    /// browser that somebody signed in with.
    pub(super) fn opens_elsewhere(&self) -> bool {
        self.app.visibility != Visibility::Private || self.urls.secret.is_some()
    }

    /// What fetches and installs a file on Linux. A shell has none of the visitor's rights but those that
    /// are in an address, so that what is private is fetched by the browser.
    fn install_commands(&self, artifact: &Artifact) -> Option<Commands> {
        let url = self.download(artifact)?;
        let url = self.opens_elsewhere().then_some(url.as_str());
        (artifact.platform == Platform::Linux).then(|| on_linux(artifact, url))
    }
}

impl Section {
    /// What there is for `platform`, where there is anything.
    pub(super) fn new(platform: Platform, artifacts: &[&Artifact], scene: &Scene<'_>) -> Option<Self> {
        if artifacts.is_empty() {
            return None;
        }
        let best = best(platform, artifacts, scene.visitor);
        let mut section = Self {
            id: platform.as_str(),
            title: platform_name(platform),
            summary: summary(artifacts),
            is_visitors: scene.visitor.platform() == Some(platform),
            actions: Vec::new(),
            remarks: Vec::new(),
            warnings: Vec::new(),
            facts: Vec::new(),
            install: None,
            verify: None,
            others: Vec::new(),
        };
        match best {
            Some(best) => section.tell(best, artifacts, scene),
            None => section.remarks.extend(platforms::without_best(platform, artifacts)),
        }
        let others = artifacts
            .iter()
            .filter(|artifact| best.is_none_or(|best| best.id != artifact.id));
        section.others = others.map(|artifact| FileRow::new(artifact, scene)).collect();
        Some(section)
    }

    fn tell(&mut self, best: &Artifact, artifacts: &[&Artifact], scene: &Scene<'_>) {
        let told = platforms::tell(best, scene);
        self.actions = told.actions;
        if let Some(first) = self.actions.first()
            && first.is_primary
            && !scene.visitor.tells_processor(best.platform)
        {
            self.actions.extend(alternatives(best, artifacts, scene));
        }
        self.remarks = told.remarks;
        self.warnings = warnings(best, scene, told.said);
        self.facts = facts(best, told.facts);
        self.install = scene.install_commands(best);
        if self.install.is_none() && scene.download(best).is_some() {
            // What was downloaded is on the machine that the visitor sits at.
            let here = scene.visitor.platform().unwrap_or(best.platform);
            self.verify = to_verify(best, here);
        }
    }
}

/// Files of the same kind for other processors, where the visitor's is not known.
fn alternatives(best: &Artifact, artifacts: &[&Artifact], scene: &Scene<'_>) -> Vec<Action> {
    const MOST: usize = 2;
    let is_alternative = |artifact: &&&Artifact| {
        artifact.arch != best.arch && Kind::of(artifact) == Kind::of(best) && !artifact.arch.is_empty()
    };
    let found = artifacts.iter().filter(is_alternative).filter_map(|artifact| {
        Some(Action {
            label: format!("For {}", processor(artifact.platform, &artifact.arch)),
            detail: human_size(artifact.size_bytes),
            url: scene.download(artifact)?,
            is_primary: false,
        })
    });
    found.take(MOST).collect()
}

/// The one file, or how many there are.
fn summary(artifacts: &[&Artifact]) -> String {
    match artifacts {
        [one] => format!("{} · {}", about(one), human_size(one.size_bytes)),
        many => format!("{} files", many.len()),
    }
}

/// The kind of a file, and what it is for.
pub(super) fn about(artifact: &Artifact) -> String {
    let kind = Kind::of(artifact).name(artifact);
    match processor(artifact.platform, &artifact.arch) {
        none if none.is_empty() => kind.into_owned(),
        processor => format!("{kind}, {processor}"),
    }
}

fn facts(artifact: &Artifact, told: Vec<Fact>) -> Vec<Fact> {
    let filename = visible_or(artifact.filename.as_str(), "file");
    let mut facts = vec![
        Fact::text("File", filename),
        Fact::text("Kind", about(artifact)),
        Fact::text("Size", human_size(artifact.size_bytes)),
    ];
    facts.extend(needs(artifact).map(|needs| Fact::text("Requires", needs)));
    facts.extend(told);
    facts.push(Fact::code("SHA-256", artifact.sha256.to_string()));
    facts
}

fn needs(artifact: &Artifact) -> Option<String> {
    let version = Known::of(artifact).text("min_os")?;
    oldest_system(artifact.platform, version)
}

/// What may keep a file from working, in the words of its inspection.
fn warnings(artifact: &Artifact, scene: &Scene<'_>, said: &[&str]) -> Vec<String> {
    /// Good to know for those who publish, and the end of it for those who install.
    const DECISIVE: &[&str] = &["apk.old_target", "nupkg.update_only"];
    let is_told = |finding: &Finding| {
        let code = finding.code.as_ref();
        let matters = finding.severity == Severity::Warning || DECISIVE.contains(&code);
        matters && scene.is_installed(artifact) && !said.contains(&code)
    };
    let findings = findings(&artifact.metadata).into_iter().filter(is_told);
    findings.map(|finding| visible(&finding.message)).collect()
}

impl FileRow {
    fn new(artifact: &Artifact, scene: &Scene<'_>) -> Self {
        let about = about(artifact);
        Self {
            filename: visible_or(artifact.filename.as_str(), "file"),
            url: scene.download(artifact),
            about: needs(artifact).map_or_else(|| about.clone(), |needs| format!("{about} · {needs}")),
            size: human_size(artifact.size_bytes),
            sha256: artifact.sha256.to_string(),
            warnings: warnings(artifact, scene, &[]),
            install: to_install(artifact).filter(|_| scene.downloads.contains(&artifact.id)),
        }
    }
}
