//! What a publish would come to: the model's own decision, over what can be read.
//!
//! It runs before every publish, so that what will be refused is refused before anything is
//! uploaded; and it is all of `--dry-run`. The store decides again, in its transaction.

use dist_api::manifest::Manifest;
use dist_api::{Paging, ReleaseView};
use dist_model::decide::{
    ArtifactIntent, Context, Defaults, MoveState, PublishIntent, PublishState, PublishStatus, publish,
};
use dist_model::{
    Actor, App, Artifact, Build, Channel, ChannelMove, ChannelName, Digest, ErrorCode, ErrorKind, FileName, Platform,
    Refusal, Release, ReleaseId, Slug, Timestamp, ValidationStatus, Version,
};
use serde::Serialize;

use crate::artifacts::Staged;
use crate::commands::release::label;
use crate::report::{Account, ReportedArtifact, ReportedMove, one_line_json};
use crate::target::{ReleaseName, Target};
use crate::text::{Table, Text, size};

/// What is there where nothing is.
const NOTHING: PublishState = PublishState {
    app: None,
    release: None,
    channel: None,
    was_in_channel: false,
};

/// What `--dry-run` answers.
#[derive(Debug, Serialize)]
pub struct Plan {
    dry_run: bool,
    status: PublishStatus,
    app: PlannedApp,
    release: PlannedRelease,
    artifacts: Vec<PlannedArtifact>,
    channel: Option<PlannedMove>,
}

#[derive(Debug, Serialize)]
struct PlannedApp {
    slug: Slug,
    /// True where the publish makes the app.
    created: bool,
}

#[derive(Debug, Serialize)]
struct PlannedRelease {
    version: Version,
    build: Build,
}

#[derive(Debug, Serialize)]
struct PlannedArtifact {
    platform: Platform,
    filename: FileName,
    size_bytes: u64,
    sha256: Digest,
    validation_status: ValidationStatus,
    /// True where the bytes have to be sent.
    upload: bool,
}

#[derive(Debug, Serialize)]
struct PlannedMove {
    name: ChannelName,
    revision: u64,
    previous_release_id: Option<ReleaseId>,
}

/// A publish, decided.
struct Decision {
    intent: PublishIntent,
    status: PublishStatus,
    moved: Option<ChannelMove>,
    /// True where it makes the app.
    creates_app: bool,
}

/// Refuses what the publish of `manifest` would be refused with.
pub async fn check(target: &Target, manifest: &Manifest, staged: &[Staged]) -> Result<(), Refusal> {
    decide(Some(target), manifest, staged).await.map(drop)
}

/// Says what the publish of `manifest` would do; a target that is not there yet is empty.
///
/// # Errors
/// What the publish itself would be refused with.
pub async fn plan(target: Option<&Target>, manifest: &Manifest, staged: &[Staged]) -> Result<Plan, Refusal> {
    let decision = decide(target, manifest, staged).await?;
    let intent = decision.intent;
    let mut artifacts = Vec::new();
    for artifact in intent.artifacts {
        let there = match target {
            Some(target) => target.object_size(&artifact.sha256).await?.is_some(),
            None => false,
        };
        artifacts.push(PlannedArtifact {
            platform: artifact.platform,
            filename: artifact.filename,
            size_bytes: artifact.size_bytes,
            sha256: artifact.sha256,
            validation_status: artifact.validation_status,
            upload: !there,
        });
    }
    Ok(Plan {
        dry_run: true,
        status: decision.status,
        app: PlannedApp {
            slug: intent.slug,
            created: decision.creates_app,
        },
        release: PlannedRelease {
            version: intent.version,
            build: intent.build,
        },
        artifacts,
        channel: decision.moved.map(|moved| PlannedMove {
            name: moved.channel,
            revision: moved.revision,
            previous_release_id: moved.previous_release_id,
        }),
    })
}

async fn decide(target: Option<&Target>, manifest: &Manifest, staged: &[Staged]) -> Result<Decision, Refusal> {
    let state = match target {
        Some(target) => load(target, manifest).await?,
        None => NOTHING,
    };
    let creates_app = state.app.is_none();
    let intent = intent(manifest, staged)?;
    let context = Context {
        actor: Actor::System,
        now: Timestamp::default(),
    };
    let mut new_id = || "planned".to_owned();
    let decided = publish(state, &intent, Defaults::default(), &context, &mut new_id)?.value;
    Ok(Decision {
        intent,
        status: decided.status,
        moved: decided.channel,
        creates_app,
    })
}

/// Reads what the decision needs. What the caller may not see is taken as not there.
async fn load(target: &Target, manifest: &Manifest) -> Result<PublishState, Refusal> {
    let slug = &manifest.app;
    let Some(app) = found(target.app(slug).await)?.map(|detail| detail.app) else {
        return Ok(NOTHING);
    };
    let name = ReleaseName {
        text: manifest.version.to_string(),
        build: Some(manifest.build.clone()),
    };
    let release = found(target.release(slug, &name).await)?.map(|view| standing(&app, view));
    let (mut channel, mut was_in_channel) = (None, false);
    if let Some(wanted) = &manifest.channel {
        let view = found(target.channel(slug, wanted).await)?;
        if let (Some((release, _)), Some(_)) = (&release, &view) {
            was_in_channel = was_in(target, slug, wanted, &release.id).await?;
        }
        channel = Some(MoveState {
            channel: view.map_or_else(|| Channel::new(app.id.clone(), wanted.clone()), |view| view.channel),
            // A plan tells of moves that would be made, not of those that were.
            last: None,
        });
    }
    Ok(PublishState {
        app: Some(app),
        release,
        channel,
        was_in_channel,
    })
}

fn found<T>(answer: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(refusal) if refusal.code.kind() == ErrorKind::NotFound => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

async fn was_in(target: &Target, slug: &Slug, channel: &ChannelName, release: &ReleaseId) -> Result<bool, Refusal> {
    let mut paging = Paging {
        cursor: None,
        limit: Some(200),
    };
    loop {
        let page = target.history(slug, channel, &paging).await?;
        if page.items.iter().any(|entry| entry.release_id == *release) {
            return Ok(true);
        }
        if page.next_cursor.is_none() || page.next_cursor == paging.cursor {
            return Ok(false);
        }
        paging.cursor = page.next_cursor;
    }
}

/// A release as the model knows it, from its public view.
fn standing(app: &App, view: ReleaseView) -> (Release, Vec<Artifact>) {
    let release = view.release;
    let artifacts = view
        .artifacts
        .into_iter()
        .map(|artifact| Artifact {
            id: artifact.id,
            app_id: app.id.clone(),
            release_id: release.id.clone(),
            platform: artifact.platform,
            arch: artifact.arch,
            package_type: artifact.package_type,
            filename: artifact.filename,
            content_type: artifact.content_type,
            size_bytes: artifact.size_bytes,
            sha256: artifact.sha256,
            storage_key: format!("objects/{}", artifact.sha256),
            metadata: artifact.metadata,
            validation_status: artifact.validation_status,
        })
        .collect();
    (release, artifacts)
}

fn intent(manifest: &Manifest, staged: &[Staged]) -> Result<PublishIntent, Refusal> {
    Ok(PublishIntent {
        slug: manifest.app.clone(),
        display_name: manifest.display_name.clone(),
        version: manifest.version.clone(),
        build: manifest.build.clone(),
        channel: manifest.channel.clone(),
        notes: manifest.notes.clone().unwrap_or_default(),
        source: manifest.source.clone(),
        artifacts: staged.iter().map(artifact_intent).collect::<Result<_, _>>()?,
        draft: manifest.draft,
    })
}

fn artifact_intent(staged: &Staged) -> Result<ArtifactIntent, Refusal> {
    let entry = staged.entry.clone();
    let (Some(platform), Some(filename)) = (entry.platform, entry.filename) else {
        return Err(Refusal::new(
            ErrorCode::PlatformUnknown,
            "an artifact was not looked at",
        ));
    };
    let report = &staged.examined.report;
    let bundle_id = report.facts.get("app_id").and_then(|id| id.as_str());
    Ok(ArtifactIntent {
        platform,
        arch: entry.arch.unwrap_or_default(),
        package_type: entry.package_type.unwrap_or_default(),
        filename,
        content_type: entry.content_type.unwrap_or_default(),
        sha256: staged.examined.sha256,
        size_bytes: staged.examined.stamp.size,
        metadata: entry.metadata,
        validation_status: report.verdict.into(),
        bundle_id: bundle_id.map(str::to_owned),
    })
}

impl Plan {
    /// For CI systems.
    pub fn account(&self) -> Account {
        Account {
            answer: one_line_json(self),
            status: "planned",
            app: self.app.slug.to_string(),
            version: self.release.version.to_string(),
            build: self.release.build.to_string(),
            channel: self.channel.as_ref().map(|channel| ReportedMove {
                name: channel.name.to_string(),
                revision: channel.revision,
                previous_id: channel
                    .previous_release_id
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                from: None,
                to: label(&self.release.version, &self.release.build),
            }),
            artifacts: self
                .artifacts
                .iter()
                .map(|artifact| ReportedArtifact {
                    platform: artifact.platform.to_string(),
                    filename: artifact.filename.to_string(),
                    size_bytes: artifact.size_bytes,
                    sha256: artifact.sha256.to_string(),
                    url: None,
                })
                .collect(),
            ..Account::default()
        }
    }

    /// For people.
    pub fn describe(&self, out: &mut Text) {
        let done = match self.status {
            PublishStatus::Published => "would be published",
            PublishStatus::Unchanged => "is published already, unchanged",
            PublishStatus::Draft => "would be a draft",
        };
        let label = label(&self.release.version, &self.release.build);
        let new = if self.app.created { " (a new app)" } else { "" };
        out.line(format!("{}{new} {label} {done}", self.app.slug));
        out.table(&Table::default().rows(&self.artifacts, |artifact| {
            [
                format!("  {}", artifact.platform),
                artifact.filename.to_string(),
                size(artifact.size_bytes),
                if artifact.upload { "to upload" } else { "there already" }.to_owned(),
            ]
        }));
        if let Some(channel) = &self.channel {
            out.line(format!(
                "{} would be at {label} (revision {})",
                channel.name, channel.revision
            ));
        }
    }
}
