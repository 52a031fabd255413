//! Publishing straight, and filling a draft.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::channel::MoveState;
use super::{AppIntent, Context, Decided, NewId, create_app, update_app};
use crate::{
    App, AppChanges, Artifact, ArtifactId, ArtifactKey, Build, ChannelMove, ChannelName, ChannelPolicy, Digest,
    ErrorCode, Event, FileName, Platform, Refusal, Release, ReleaseId, ReleaseStatus, Slug, Source, ValidationStatus,
    Version, Visibility, events,
};

/// An artifact that somebody wants to publish; its bytes are in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactIntent {
    /// What it runs on.
    pub platform: Platform,
    /// The processor, or the empty text.
    pub arch: String,
    /// The kind of file.
    pub package_type: String,
    /// The name under which it is downloaded.
    pub filename: FileName,
    /// The media type.
    pub content_type: String,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// How many they are.
    pub size_bytes: u64,
    /// What was found inside and what the manifest adds.
    pub metadata: Map<String, Value>,
    /// What the check found.
    pub validation_status: ValidationStatus,
    /// The id inside the artifact (bundle id, package name), where one was found.
    pub bundle_id: Option<String>,
}

/// A release that somebody wants.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishIntent {
    /// The app.
    pub slug: Slug,
    /// Its name for people, used only when the publish creates the app.
    pub display_name: Option<String>,
    /// The version.
    pub version: Version,
    /// The build.
    pub build: Build,
    /// The channel to move, or none.
    pub channel: Option<ChannelName>,
    /// Release notes.
    pub notes: String,
    /// Where the build came from.
    pub source: Source,
    /// The artifacts.
    pub artifacts: Vec<ArtifactIntent>,
    /// True to begin or fill a draft rather than to publish.
    pub draft: bool,
}

/// What a new app gets where the intent does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Defaults {
    /// Who may see an app that a publish creates.
    pub visibility: Visibility,
}

/// What is there when a release is published.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishState {
    /// The app, if it exists.
    pub app: Option<App>,
    /// The release of the same version and build, with its artifacts.
    pub release: Option<(Release, Vec<Artifact>)>,
    /// The channel, where the app exists and a channel is wanted; one that was never moved where
    /// there is none yet.
    pub channel: Option<MoveState>,
    /// Whether that channel ever pointed at that release.
    pub was_in_channel: bool,
}

/// What a publish came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PublishStatus {
    /// The release is published now.
    Published,
    /// It was published before with the same artifacts.
    Unchanged,
    /// It is a draft.
    Draft,
}

/// The answer to a publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// What it came to.
    pub status: PublishStatus,
    /// The app.
    pub app: App,
    /// The release.
    pub release: Release,
    /// All its artifacts.
    pub artifacts: Vec<Artifact>,
    /// The newest move of the channel that was named: it points at this release, or stays at
    /// another where it had this one before.
    pub channel: Option<ChannelMove>,
}

/// Decides a publish, or a contribution to a draft.
pub fn publish(
    mut state: PublishState,
    intent: &PublishIntent,
    defaults: Defaults,
    context: &Context,
    new_id: NewId<'_>,
) -> Result<Decided<Published>, Refusal> {
    check_distinct(&intent.artifacts)?;
    let mut events = Vec::new();
    let app = admit_app(state.app.take(), intent, defaults, context, new_id, &mut events)?;
    if let (Some(channel), false) = (&state.channel, intent.draft) {
        check_policy(channel)?;
    }
    match state.release.take() {
        Some((release, artifacts)) if release.status == ReleaseStatus::Draft => {
            if !intent.draft {
                return Err(Refusal::new(
                    ErrorCode::ReleaseIsDraft,
                    format!(
                        "{} is a draft: add to it with --draft, then `dist release publish`",
                        release.label()
                    ),
                ));
            }
            fill_draft(app, release, artifacts, intent, new_id, events)
        }
        Some((release, artifacts)) => republish(app, release, artifacts, &state, intent),
        None if intent.draft => {
            let release = new_release(&app, intent, ReleaseStatus::Draft, context, new_id)?;
            events.push(Event::ReleaseDrafted(events::ReleaseDrafted {
                release: release.clone(),
            }));
            fill_draft(app, release, Vec::new(), intent, new_id, events)
        }
        None => {
            let release = new_release(&app, intent, ReleaseStatus::Published, context, new_id)?;
            let mut artifacts = intent
                .artifacts
                .iter()
                .map(|wanted| new_artifact(&release, wanted, new_id))
                .collect::<Result<Vec<_>, _>>()?;
            Artifact::sort(&mut artifacts);
            finish(app, release, artifacts, state.channel, intent.channel.as_ref(), events)
        }
    }
}

fn check_distinct(artifacts: &[ArtifactIntent]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for artifact in artifacts {
        if !seen.insert(artifact.key()) {
            return Err(Refusal::new(
                ErrorCode::ArtifactDuplicate,
                format!(
                    "two artifacts are {} {} {} {}: give them different file names",
                    artifact.platform, artifact.arch, artifact.package_type, artifact.filename
                ),
            )
            .with("filename", artifact.filename.as_str()));
        }
    }
    Ok(())
}

pub(super) fn check_policy(channel: &MoveState) -> Result<(), Refusal> {
    if channel.channel.policy == ChannelPolicy::PromoteOnly {
        let name = &channel.channel.name;
        return Err(Refusal::new(ErrorCode::PromoteOnly, format!("the channel {name} takes promotions only: publish to another channel, then `dist release promote --to-channel {name}`")).with("channel", name.as_str()));
    }
    Ok(())
}

pub(super) fn check_artifact(
    app: &App,
    platform: Platform,
    filename: &FileName,
    status: ValidationStatus,
) -> Result<(), Refusal> {
    if !app.allows(platform) {
        return Err(Refusal::new(
            ErrorCode::PlatformNotAllowed,
            format!(
                "{filename}: the app {} does not allow {platform}; an admin can, with `dist app set --allow-platforms`",
                app.slug
            ),
        )
        .with("platform", platform.as_str()));
    }
    if status == ValidationStatus::Failed {
        return Err(Refusal::new(
            ErrorCode::ArtifactFailed,
            format!("{filename} cannot be what it claims to be: see its findings with `dist inspect`"),
        )
        .with("filename", filename.as_str()));
    }
    Ok(())
}

/// The app to publish into: made if there is none, its bundle ids recorded, every artifact checked
/// against it.
fn admit_app(
    app: Option<App>,
    intent: &PublishIntent,
    defaults: Defaults,
    context: &Context,
    new_id: NewId<'_>,
    events: &mut Vec<Event>,
) -> Result<App, Refusal> {
    let exists = app.is_some();
    let app = if let Some(app) = app {
        app
    } else {
        let settings = AppChanges {
            display_name: intent.display_name.clone(),
            visibility: Some(defaults.visibility),
            ..AppChanges::default()
        };
        let made = create_app(None, &intent.slug, &AppIntent { settings }, context, new_id)?;
        made.value
    };
    let mut recorded = BTreeMap::new();
    for artifact in &intent.artifacts {
        check_artifact(&app, artifact.platform, &artifact.filename, artifact.validation_status)?;
        let Some(found) = &artifact.bundle_id else { continue };
        let expected = app
            .bundle_ids
            .get(&artifact.platform)
            .or_else(|| recorded.get(&artifact.platform));
        match expected {
            Some(expected) if expected != found => {
                return Err(Refusal::new(
                    ErrorCode::BundleIdMismatch,
                    format!(
                        "{} is {found}, but the app {} is {expected} on {}: is it another app's build?",
                        artifact.filename, app.slug, artifact.platform
                    ),
                )
                .with("expected", expected.as_str())
                .with("found", found.as_str()));
            }
            Some(_) => {}
            None => {
                recorded.insert(artifact.platform, found.clone());
            }
        }
    }
    let updated = update_app(
        &app,
        &AppChanges {
            bundle_ids: recorded,
            ..AppChanges::default()
        },
        context,
    )?;
    if exists {
        events.extend(updated.events);
    } else {
        events.push(Event::AppCreated(events::AppCreated {
            app: updated.value.clone(),
        }));
    }
    Ok(updated.value)
}

/// The same version and build again: a success without effect where the artifacts are the same,
/// and the channel moves only if it never pointed there, so that an old job that is run again
/// does not downgrade it.
fn republish(
    app: App,
    release: Release,
    artifacts: Vec<Artifact>,
    state: &PublishState,
    intent: &PublishIntent,
) -> Result<Decided<Published>, Refusal> {
    let label = release.label();
    match release.status {
        ReleaseStatus::Yanked => {
            return Err(Refusal::new(
                ErrorCode::ReleaseYanked,
                format!("{label} was yanked; publish under a new version or build"),
            ));
        }
        ReleaseStatus::Deleted => {
            return Err(Refusal::new(
                ErrorCode::ReleaseDeleted,
                format!("{label} was cleaned up; publish under a new version or build"),
            ));
        }
        ReleaseStatus::Draft | ReleaseStatus::Published => {}
    }
    let known: BTreeMap<ArtifactKey, Digest> = artifacts
        .iter()
        .map(|artifact| (artifact.key(), artifact.sha256))
        .collect();
    let wanted: BTreeMap<ArtifactKey, Digest> = intent
        .artifacts
        .iter()
        .map(|artifact| (artifact.key(), artifact.sha256))
        .collect();
    let same = if intent.draft {
        wanted.iter().all(|(key, digest)| known.get(key) == Some(digest))
    } else {
        known == wanted
    };
    if !same {
        return Err(Refusal::new(ErrorCode::ReleaseConflict, format!("{label} is published with other artifacts; releases never change, so publish under a new version or build")).with("release", release.id.as_str()));
    }
    let mut events = Vec::new();
    let mut channel = state.channel.as_ref().and_then(|state| state.last.clone());
    if let (Some(state), false, false) = (&state.channel, state.was_in_channel, intent.draft) {
        let moved = state.push(&release.id, None);
        events.push(Event::ChannelPublished(moved.clone()));
        channel = Some(moved);
    }
    Ok(Decided {
        events,
        value: Published {
            status: PublishStatus::Unchanged,
            app,
            release,
            artifacts,
            channel,
        },
    })
}

fn fill_draft(
    app: App,
    release: Release,
    mut artifacts: Vec<Artifact>,
    intent: &PublishIntent,
    new_id: NewId<'_>,
    mut events: Vec<Event>,
) -> Result<Decided<Published>, Refusal> {
    for wanted in &intent.artifacts {
        let standing = artifacts.iter().position(|artifact| artifact.key() == wanted.key());
        let mut replaced = None;
        if let Some(place) = standing {
            if artifacts[place].sha256 == wanted.sha256 {
                continue;
            }
            let old = artifacts.remove(place);
            replaced = Some((old.id, old.sha256));
        }
        let artifact = new_artifact(&release, wanted, new_id)?;
        events.push(Event::ArtifactAdded(events::ArtifactAdded {
            artifact: artifact.clone(),
            replaced,
        }));
        artifacts.push(artifact);
    }
    Artifact::sort(&mut artifacts);
    Ok(Decided {
        events,
        value: Published {
            status: PublishStatus::Draft,
            app,
            release,
            artifacts,
            channel: None,
        },
    })
}

/// The events that make a release immutable and move its channel.
pub(super) fn finish(
    app: App,
    mut release: Release,
    artifacts: Vec<Artifact>,
    channel: Option<MoveState>,
    wanted: Option<&ChannelName>,
    mut events: Vec<Event>,
) -> Result<Decided<Published>, Refusal> {
    if artifacts.is_empty() {
        return Err(Refusal::new(
            ErrorCode::ReleaseEmpty,
            format!("{} has no artifacts: a release needs at least one", release.label()),
        ));
    }
    release.channel = wanted.cloned();
    events.push(Event::ReleasePublished(events::ReleasePublished {
        release: release.clone(),
        artifacts: artifacts.clone(),
    }));
    let moved = wanted.map(|name| {
        let state = channel.unwrap_or_else(|| MoveState {
            channel: crate::Channel::new(app.id.clone(), name.clone()),
            last: None,
        });
        state.push(&release.id, None)
    });
    events.extend(moved.clone().map(Event::ChannelPublished));
    Ok(Decided {
        events,
        value: Published {
            status: PublishStatus::Published,
            app,
            release,
            artifacts,
            channel: moved,
        },
    })
}

fn new_release(
    app: &App,
    intent: &PublishIntent,
    status: ReleaseStatus,
    context: &Context,
    new_id: NewId<'_>,
) -> Result<Release, Refusal> {
    Ok(Release {
        id: ReleaseId::try_from(new_id())?,
        app_id: app.id.clone(),
        version: intent.version.clone(),
        build: intent.build.clone(),
        channel: intent.channel.clone(),
        notes: intent.notes.clone(),
        created_by: context.actor.clone(),
        created_at: context.now,
        published_at: (status == ReleaseStatus::Published).then_some(context.now),
        status,
        source: intent.source.clone(),
    })
}

fn new_artifact(release: &Release, wanted: &ArtifactIntent, new_id: NewId<'_>) -> Result<Artifact, Refusal> {
    Ok(Artifact {
        id: ArtifactId::try_from(new_id())?,
        app_id: release.app_id.clone(),
        release_id: release.id.clone(),
        platform: wanted.platform,
        arch: wanted.arch.clone(),
        package_type: wanted.package_type.clone(),
        filename: wanted.filename.clone(),
        content_type: wanted.content_type.clone(),
        size_bytes: wanted.size_bytes,
        sha256: wanted.sha256,
        storage_key: format!("objects/{}", wanted.sha256),
        metadata: wanted.metadata.clone(),
        validation_status: wanted.validation_status,
    })
}

impl ArtifactIntent {
    /// See [`Artifact::icon`].
    pub fn icon(&self) -> Option<Digest> {
        crate::artifact::icon_in(&self.metadata)
    }

    fn key(&self) -> ArtifactKey {
        ArtifactKey {
            platform: self.platform,
            arch: self.arch.clone(),
            package_type: self.package_type.clone(),
            filename: self.filename.clone(),
        }
    }
}
