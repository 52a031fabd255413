//! What clients meant to do and what the server acknowledged.

use std::collections::{BTreeMap, BTreeSet};

/// A release that clients set out to make, or to fill.
#[derive(Clone, Debug, Default)]
pub struct Intent {
    /// The digests of all artifacts that it may come to have.
    pub artifacts: BTreeSet<String>,
    /// Whether the release is filled as a draft, so that it may stand there with fewer.
    pub is_draft: bool,
}

/// An acknowledged publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The release.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// An acknowledged move of a channel.
#[derive(Clone, Debug)]
pub struct Move {
    /// The app.
    pub app: String,
    /// The channel.
    pub channel: String,
    /// The channel's revision after it.
    pub revision: u64,
    /// What the channel pointed at after it.
    pub release: String,
}

/// Everything that clients know of a store.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By version, which is used once over all apps.
    pub intents: BTreeMap<String, Intent>,
    /// Releases that were published.
    pub published: Vec<Publish>,
    /// Drafts that were begun: version and id.
    pub drafted: Vec<Publish>,
    /// Artifacts that were added to drafts: version and digest.
    pub added: Vec<(String, String)>,
    /// Channels that were moved.
    pub moves: Vec<Move>,
    /// Objects that were uploaded.
    pub uploads: Vec<String>,
    /// The folders of backups.
    pub backups: Vec<String>,
}

impl Ledger {
    /// How many changes were acknowledged.
    pub fn len(&self) -> usize {
        self.published.len()
            + self.drafted.len()
            + self.added.len()
            + self.moves.len()
            + self.uploads.len()
            + self.backups.len()
    }
}
