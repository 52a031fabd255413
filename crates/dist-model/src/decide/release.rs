//! What becomes of a release: a draft is published or discarded, a published release yanked or let
//! go by retention.

use std::collections::BTreeSet;

use super::channel::MoveState;
use super::publish::{PublishStatus, Published, check_artifact, check_policy, finish};
use super::{Context, Decided};
use crate::{App, Artifact, ChannelName, ErrorCode, Event, Platform, Refusal, Release, ReleaseStatus, events};

/// A draft that is to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishDraftState {
    /// The app.
    pub app: App,
    /// The draft.
    pub release: Release,
    /// Its artifacts.
    pub artifacts: Vec<Artifact>,
    /// The channel to move, if one is.
    pub channel: Option<MoveState>,
    /// Whether that channel ever pointed at that release.
    pub was_in_channel: bool,
}

/// What the publisher of a draft asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DraftIntent {
    /// The channel, where it is another than the draft's own.
    pub channel: Option<ChannelName>,
    /// The platforms that the release must have.
    pub require: BTreeSet<Platform>,
    /// The revision of the channel that the publisher saw: `channel.moved` where it is another.
    pub if_current: Option<u64>,
}

/// Validates a whole draft and makes it immutable. Publishing a published release again is
/// [`PublishStatus::Unchanged`], as [`super::publish()`] of the same artifacts is.
pub fn publish_draft(
    state: PublishDraftState,
    intent: &DraftIntent,
    context: &Context,
) -> Result<Decided<Published>, Refusal> {
    let label = state.release.label();
    match state.release.status {
        ReleaseStatus::Draft => {}
        ReleaseStatus::Published => return publish_again(state, intent),
        ReleaseStatus::Yanked => return Err(Refusal::new(ErrorCode::ReleaseYanked, format!("{label} was yanked"))),
        ReleaseStatus::Deleted => {
            return Err(Refusal::new(
                ErrorCode::ReleaseDeleted,
                format!("{label} was cleaned up"),
            ));
        }
    }
    let PublishDraftState {
        app,
        mut release,
        artifacts,
        channel,
        ..
    } = state;
    if let Some(channel) = &channel {
        channel.check_revision(intent.if_current)?;
        check_policy(channel)?;
    }
    check_complete(&label, &artifacts, &intent.require)?;
    for artifact in &artifacts {
        check_artifact(&app, artifact.platform, &artifact.filename, artifact.validation_status)?;
    }
    release.status = ReleaseStatus::Published;
    release.published_at = Some(context.now);
    let wanted = intent.channel.clone().or_else(|| release.channel.clone());
    finish(app, release, artifacts, channel, wanted.as_ref(), Vec::new())
}

/// A published release again: its channel moves only if it never pointed there, so that an old job that
/// is run again does not downgrade it.
fn publish_again(state: PublishDraftState, intent: &DraftIntent) -> Result<Decided<Published>, Refusal> {
    let release = state.release;
    check_complete(&release.label(), &state.artifacts, &intent.require)?;
    let mut events = Vec::new();
    let mut last = state.channel.as_ref().and_then(|channel| channel.last.clone());
    if let Some(channel) = state.channel.filter(|_| !state.was_in_channel) {
        channel.check_revision(intent.if_current)?;
        check_policy(&channel)?;
        let moved = channel.push(&release.id, None);
        events.push(Event::ChannelPublished(moved.clone()));
        last = Some(moved);
    }
    Ok(Decided {
        events,
        value: Published {
            status: PublishStatus::Unchanged,
            app: state.app,
            release,
            artifacts: state.artifacts,
            channel: last,
        },
    })
}

/// Refuses a release that lacks a platform which it must have.
fn check_complete(label: &str, artifacts: &[Artifact], require: &BTreeSet<Platform>) -> Result<(), Refusal> {
    let present: BTreeSet<Platform> = artifacts.iter().map(|artifact| artifact.platform).collect();
    let missing: Vec<&str> = require.difference(&present).map(|platform| platform.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::ReleaseIncomplete,
        format!(
            "{label} has no artifact for {}: wait for its job, or publish without requiring it",
            missing.join(", ")
        ),
    )
    .with("missing", missing))
}

/// Marks a published release so that it is never offered again. The caller has made sure that no
/// channel points at it, or rolls those channels back in the same transaction.
pub fn yank(release: &Release, in_use: &[ChannelName], reason: Option<String>) -> Result<Decided<()>, Refusal> {
    let label = release.label();
    match release.status {
        ReleaseStatus::Published => {}
        ReleaseStatus::Draft => {
            return Err(Refusal::new(
                ErrorCode::ReleaseIsDraft,
                format!("{label} is a draft: discard it instead"),
            ));
        }
        ReleaseStatus::Yanked => {
            return Ok(Decided {
                events: vec![],
                value: (),
            });
        }
        ReleaseStatus::Deleted => {
            return Err(Refusal::new(
                ErrorCode::ReleaseDeleted,
                format!("{label} was cleaned up"),
            ));
        }
    }
    if !in_use.is_empty() {
        let names: Vec<&str> = in_use.iter().map(ChannelName::as_str).collect();
        return Err(Refusal::new(
            ErrorCode::ReleaseInUse,
            format!(
                "{label} is what {} offers: move the channel first, or yank with --and-rollback",
                names.join(", ")
            ),
        )
        .with("channels", names));
    }
    Ok(Decided {
        events: vec![Event::ReleaseYanked(reference(release, reason))],
        value: (),
    })
}

/// Throws a draft away.
pub fn discard(release: &Release) -> Result<Decided<()>, Refusal> {
    if release.status != ReleaseStatus::Draft {
        return Err(Refusal::new(
            ErrorCode::ReleaseNotDraft,
            format!(
                "{} is {}: only a draft can be discarded; yank it instead",
                release.label(),
                release.status
            ),
        ));
    }
    Ok(Decided {
        events: vec![Event::ReleaseDiscarded(reference(release, None))],
        value: (),
    })
}

impl Release {
    /// The event that says that retention let this release go.
    pub fn deleted_event(&self, reason: &str) -> Event {
        Event::ReleaseDeleted(reference(self, Some(reason.to_owned())))
    }
}

fn reference(release: &Release, reason: Option<String>) -> events::ReleaseRef {
    events::ReleaseRef {
        app_id: release.app_id.clone(),
        release_id: release.id.clone(),
        version: release.version.clone(),
        build: release.build.clone(),
        reason,
    }
}
