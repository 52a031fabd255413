//! Channels: mutable pointers to releases, with a history.

use crate::app::text_enum;
use crate::{AppId, ChannelName, ErrorCode, Refusal, ReleaseId};

/// Who may move a channel, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChannelPolicy {
    /// Builds may be published straight to it.
    #[default]
    Open,
    /// It moves by promotion and rollback only.
    PromoteOnly,
}

text_enum!(ChannelPolicy, "channel policy", Open "open", PromoteOnly "promote_only");

/// A named pointer to a published release of its app.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Channel {
    /// The app that it belongs to.
    pub app_id: AppId,
    /// The name.
    pub name: ChannelName,
    /// What it points at, or null before its first move.
    pub current_release_id: Option<ReleaseId>,
    /// How often it was moved; `If-Match` compares with it.
    pub revision: u64,
    /// Who may move it, and how.
    pub policy: ChannelPolicy,
    /// The share of users meant to get the release, 0 to 100; recorded, not enforced.
    pub rollout_percent: u8,
    /// How many releases of its lineage retention keeps; 0 keeps all.
    pub retention_keep: u32,
}

impl Channel {
    /// A channel that was never moved, with default settings.
    pub fn new(app_id: AppId, name: ChannelName) -> Self {
        Self {
            app_id,
            name,
            current_release_id: None,
            revision: 0,
            policy: ChannelPolicy::default(),
            rollout_percent: 100,
            retention_keep: 0,
        }
    }

    /// Sets what `changes` names; used when a change is decided and when its event is applied.
    pub fn apply(&mut self, changes: &ChannelChanges) {
        if let Some(policy) = changes.policy {
            self.policy = policy;
        }
        if let Some(percent) = changes.rollout_percent {
            self.rollout_percent = percent;
        }
        if let Some(keep) = changes.retention_keep {
            self.retention_keep = keep;
        }
    }
}

/// The settings of a channel that change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelChanges {
    /// Who may move it, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<ChannelPolicy>,
    /// 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_percent: Option<u8>,
    /// How many releases of its lineage retention keeps; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_keep: Option<u32>,
}

impl ChannelChanges {
    /// Checks the values by themselves.
    pub fn validate(&self) -> Result<(), Refusal> {
        if self.rollout_percent.is_some_and(|percent| percent > 100) {
            return Err(Refusal::new(ErrorCode::ChannelInvalid, "rollout_percent is 0 to 100"));
        }
        Ok(())
    }
}

/// Why a channel moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MoveCause {
    /// A release was published straight to it.
    Published,
    /// A release was promoted to it.
    Promoted,
    /// It went back to what it pointed at before.
    RolledBack,
    /// It came so from an older store.
    Imported,
}

text_enum!(MoveCause, "cause of a move", Published "published", Promoted "promoted", RolledBack "rolled_back", Imported "imported");

/// One move of a channel: an entry of its history, and the data of the event that says so.
///
/// The history is a stack that forgets nothing: an entry names, in `below`, the revision of the
/// entry that a rollback would look at next. A promotion puts its entry on top of the current one;
/// a rollback to an earlier entry takes that entry's `below`. After releases A, B, C, two
/// rollbacks so lead to A, and a third finds nothing.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelMove {
    /// The app.
    pub app_id: AppId,
    /// The channel.
    pub channel: ChannelName,
    /// The channel's revision after the move; the first move makes 1.
    pub revision: u64,
    /// What it points at now.
    pub release_id: ReleaseId,
    /// What it pointed at before.
    pub previous_release_id: Option<ReleaseId>,
    /// The revision of the entry beneath, or null at the bottom.
    pub below: Option<u64>,
    /// Where a promotion took the release from, when a channel was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_channel: Option<ChannelName>,
}
