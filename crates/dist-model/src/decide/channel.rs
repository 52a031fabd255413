//! Channels: promotion, rollback, settings.

use super::Decided;
use crate::{
    Channel, ChannelChanges, ChannelMove, ChannelName, ErrorCode, Event, MoveCause, Refusal, Release, ReleaseId,
    ReleaseStatus, events,
};

/// A channel as a move finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct MoveState {
    /// The channel; one that was never moved where there is none yet.
    pub channel: Channel,
    /// The move that brought it where it is.
    pub last: Option<ChannelMove>,
}

/// An entry of a channel's history, as a rollback looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackEntry {
    /// The release that it pointed at.
    pub release_id: ReleaseId,
    /// The revision of the entry beneath.
    pub below: Option<u64>,
    /// Where the release stands today.
    pub status: ReleaseStatus,
}

impl MoveState {
    /// Refuses when the caller saw another revision.
    pub(super) fn check_revision(&self, if_current: Option<u64>) -> Result<(), Refusal> {
        match if_current {
            Some(expected) if expected != self.channel.revision => Err(Refusal::new(
                ErrorCode::ChannelMoved,
                format!(
                    "the channel {} is at revision {}, not {expected}: somebody moved it; look again, then decide",
                    self.channel.name, self.channel.revision
                ),
            )
            .with("expected", expected)
            .with("actual", self.channel.revision)),
            _ => Ok(()),
        }
    }

    /// The move that puts `release` on top of the history.
    pub(super) fn push(&self, release: &ReleaseId, from_channel: Option<ChannelName>) -> ChannelMove {
        ChannelMove {
            app_id: self.channel.app_id.clone(),
            channel: self.channel.name.clone(),
            revision: self.channel.revision + 1,
            release_id: release.clone(),
            previous_release_id: self.channel.current_release_id.clone(),
            below: (self.channel.revision > 0).then_some(self.channel.revision),
            from_channel,
        }
    }
}

/// Refuses a release that a channel may not point at.
fn check_offerable(release: &Release) -> Result<(), Refusal> {
    let label = release.label();
    match release.status {
        ReleaseStatus::Published => Ok(()),
        ReleaseStatus::Draft => Err(Refusal::new(
            ErrorCode::ReleaseIsDraft,
            format!("{label} is a draft: publish it first"),
        )),
        ReleaseStatus::Yanked => Err(Refusal::new(
            ErrorCode::ReleaseYanked,
            format!("{label} was yanked and is never offered again"),
        )),
        ReleaseStatus::Deleted => Err(Refusal::new(
            ErrorCode::ReleaseDeleted,
            format!("{label} was cleaned up; publish it under a new build"),
        )),
    }
}

/// Points the channel at `release`; where it points there already, there is no event, and the answer
/// is the move that made it so.
pub fn promote(
    state: &MoveState,
    release: &Release,
    from_channel: Option<ChannelName>,
    if_current: Option<u64>,
) -> Result<Decided<ChannelMove>, Refusal> {
    state.check_revision(if_current)?;
    check_offerable(release)?;
    if let Some(last) = state.last.as_ref().filter(|last| last.release_id == release.id) {
        return Ok(Decided {
            events: vec![],
            value: last.clone(),
        });
    }
    let moved = state.push(&release.id, from_channel);
    Ok(Decided {
        events: vec![Event::ChannelPromoted(moved.clone())],
        value: moved,
    })
}

/// Points the channel at what it pointed at before, skipping what may no longer be offered.
///
/// `entry` answers the history's entry of a revision. It is asked from the top down until one can
/// be offered, so a rollback costs as much as it skips.
pub fn roll_back<E: From<Refusal>>(
    state: &MoveState,
    if_current: Option<u64>,
    mut entry: impl FnMut(u64) -> Result<Option<StackEntry>, E>,
) -> Result<Decided<ChannelMove>, E> {
    state.check_revision(if_current)?;
    let current = state.channel.current_release_id.as_ref();
    let mut below = state.last.as_ref().and_then(|last| last.below);
    while let Some(revision) = below {
        let Some(found) = entry(revision)? else { break };
        if found.status == ReleaseStatus::Published && Some(&found.release_id) != current {
            let moved = ChannelMove {
                below: found.below,
                ..state.push(&found.release_id, None)
            };
            return Ok(Decided {
                events: vec![Event::ChannelRolledBack(moved.clone())],
                value: moved,
            });
        }
        below = found.below;
    }
    Err(Refusal::new(
        ErrorCode::ChannelNoPrevious,
        format!(
            "the channel {} has no earlier release that can still be offered; promote one instead",
            state.channel.name
        ),
    )
    .into())
}

/// Changes a channel's settings; no event where nothing changes and the channel exists.
pub fn update_channel(exists: bool, channel: &Channel, changes: &ChannelChanges) -> Result<Decided<Channel>, Refusal> {
    changes.validate()?;
    let mut changed = channel.clone();
    changed.apply(changes);
    if exists && changed == *channel {
        return Ok(Decided {
            events: vec![],
            value: changed,
        });
    }
    let event = Event::ChannelUpdated(events::ChannelUpdated {
        app_id: channel.app_id.clone(),
        channel: channel.name.clone(),
        changes: changes.clone(),
    });
    Ok(Decided {
        events: vec![event],
        value: changed,
    })
}

impl ChannelMove {
    /// The event that says that this move was made for `cause`.
    pub fn into_event(self, cause: MoveCause) -> Event {
        match cause {
            MoveCause::Published | MoveCause::Imported => Event::ChannelPublished(self),
            MoveCause::Promoted => Event::ChannelPromoted(self),
            MoveCause::RolledBack => Event::ChannelRolledBack(self),
        }
    }
}
