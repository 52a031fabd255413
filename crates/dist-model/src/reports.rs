//! What reads and maintenance answer: plain facts, the same at a shell and over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Actor, App, Artifact, Build, Channel, ChannelMove, ChannelName, Digest, FileName, MoveCause, Release, ReleaseId,
    Timestamp, Version,
};

/// A release with its artifacts and the channels that point at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseDetail {
    /// The release.
    pub release: Release,
    /// Its artifacts.
    pub artifacts: Vec<Artifact>,
    /// The channels that point at it.
    pub channels: Vec<ChannelName>,
}

/// A channel with the release that it points at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelDetail {
    /// The channel.
    pub channel: Channel,
    /// What it points at.
    pub current: Option<Release>,
    /// When it was last moved.
    pub moved_at: Option<Timestamp>,
}

/// How a channel was moved, or that it stood there already.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// The app.
    pub app: App,
    /// The release that the channel points at now.
    pub release: Release,
    /// The channel's name.
    pub channel: ChannelName,
    /// The channel's revision now.
    pub revision: u64,
    /// What it pointed at before the move; where it did not move, before its last one.
    pub previous_release_id: Option<ReleaseId>,
    /// False where it pointed there already.
    pub changed: bool,
    /// What those who install from the channel would run into.
    pub warnings: Vec<Warning>,
}

/// Something about an artifact that a channel offers, which keeps nobody from offering it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Warning {
    /// The artifact's file name.
    pub filename: FileName,
    /// The stable code, `area.reason`.
    pub code: String,
    /// What is so, in a sentence.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// What a yank came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Yanked {
    /// The release as it is now.
    pub release: Release,
    /// The channels that were rolled back in the same transaction.
    pub rolled_back: Vec<ChannelMove>,
    /// False where it was yanked before.
    pub changed: bool,
}

/// One entry of a channel's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryEntry {
    /// The channel's revision after the move.
    pub revision: u64,
    /// What it pointed at from then on.
    pub release_id: ReleaseId,
    /// The release's version.
    pub version: Version,
    /// The release's build.
    pub build: Build,
    /// What it pointed at before.
    pub previous_release_id: Option<ReleaseId>,
    /// Why it moved.
    pub cause: MoveCause,
    /// Where a promotion took the release from.
    pub from_channel: Option<ChannelName>,
    /// Who moved it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub actor: Actor,
    /// When.
    pub created_at: Timestamp,
}

/// What a cleanup did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CleanupReport {
    /// True where nothing was changed.
    pub dry_run: bool,
    /// The releases that retention lets go.
    pub releases: Vec<RetiredRelease>,
    /// The objects that nothing refers to and that are, or would be, removed now.
    pub objects: Vec<RemovedObject>,
    /// How many objects nothing refers to that wait for the grace to pass.
    pub doomed: u64,
    /// How many stale staging files were, or would be, swept.
    pub staging_files: u64,
    /// The bytes of all that was, or would be, removed.
    pub freed_bytes: u64,
    /// Why objects were left alone although the grace has passed: a backup is being taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_off: Option<String>,
}

/// A release that retention lets go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetiredRelease {
    /// The app's slug.
    pub app: crate::Slug,
    /// The release.
    pub release_id: ReleaseId,
    /// Its version.
    pub version: Version,
    /// Its build.
    pub build: Build,
}

/// An object that a cleanup removes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemovedObject {
    /// Its digest.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// What a verification found; `ok` where there is nothing to find.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyReport {
    /// True where no problem was found.
    pub ok: bool,
    /// How many objects were re-hashed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many events the log holds.
    pub events: u64,
    /// The problems.
    pub problems: Vec<StoreProblem>,
}

/// Something wrong with a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreProblem {
    /// `object_corrupt`, `object_missing`, `object_unreadable`, `object_size`, `foreign_file`,
    /// `dangling_reference`, `projection_differs`, `database_damaged`.
    pub kind: String,
    /// The object, row or table.
    pub subject: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupReport {
    /// The folder that it was written to.
    pub path: String,
    /// The log's position that it holds.
    pub position: u64,
    /// How many objects it holds.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of those were copied; the others are shared with an earlier backup beside it.
    #[serde(default)]
    pub copied_bytes: u64,
    /// The objects that releases are made of and that it lacks, since the store has lost or damaged them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Digest>,
}

/// What an upgrade of a store did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreUpgradeReport {
    /// False where the store was made for this version already, and nothing was done.
    pub upgraded: bool,
    /// The position of the log's last event.
    pub position: u64,
    /// The folder with the database as it was before.
    pub backup: Option<String>,
}

/// What a rebuild found and mended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreRebuildReport {
    /// How many events were replayed.
    pub events: u64,
    /// The tables that differed from the log, with how many rows; empty where all was well.
    pub differing: BTreeMap<String, u64>,
}
