//! The data of the events, one struct a shape. Their JSON is stored for ever: fields are added with a
//! default, never renamed or removed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Actor, App, AppChanges, AppId, Artifact, ArtifactId, Build, Channel, ChannelChanges, ChannelMove, ChannelName,
    Digest, Email, InstallLink, LinkId, Release, ReleaseId, Session, SessionId, Slug, Timestamp, Token, TokenId, User,
    UserChanges, UserId, Version,
};

/// An app came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppCreated {
    /// The app as made.
    pub app: App,
}

/// Settings of an app changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppUpdated {
    /// The app.
    pub app_id: AppId,
    /// Its slug, for readers of the log.
    pub slug: Slug,
    /// What changed.
    pub changes: AppChanges,
}

/// A draft was begun; it has no artifacts yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseDrafted {
    /// The draft.
    pub release: Release,
}

/// An artifact was added to a draft, or replaced the one of the same name there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArtifactAdded {
    /// The artifact.
    pub artifact: Artifact,
    /// The id and digest of what it replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<(ArtifactId, Digest)>,
}

/// A release became immutable, with all its artifacts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleasePublished {
    /// The release as it stays.
    pub release: Release,
    /// All its artifacts.
    pub artifacts: Vec<Artifact>,
}

/// Something happened to a whole release: it was yanked, discarded or cleaned up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// The app.
    pub app_id: AppId,
    /// The release.
    pub release_id: ReleaseId,
    /// Its version, for readers of the log.
    pub version: Version,
    /// Its build.
    pub build: Build,
    /// Why, in the words of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Settings of a channel changed; the channel is made where it was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelUpdated {
    /// The app.
    pub app_id: AppId,
    /// The channel.
    pub channel: ChannelName,
    /// What changed.
    pub changes: ChannelChanges,
}

/// A token was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenCreated {
    /// The token.
    pub token: Token,
    /// The SHA-256 of its secret.
    pub token_hash: Digest,
}

/// A token was revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// The token.
    pub token_id: TokenId,
    /// Its name, for readers of the log.
    pub name: String,
}

/// Bytes arrived, whole and durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectUploaded {
    /// Their digest.
    pub sha256: Digest,
    /// How many.
    pub size_bytes: u64,
    /// True where the store had them already.
    pub deduplicated: bool,
}

/// A cleanup removed objects that nothing referred to, and stale staging files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreCleaned {
    /// The objects removed, with their sizes.
    pub objects: BTreeMap<Digest, u64>,
    /// How many staging files were swept.
    pub staging_files: u64,
}

/// A backup was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreBackedUp {
    /// Where to.
    pub destination: String,
    /// The position that it holds.
    pub position: u64,
    /// How many objects it holds.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The store was made from a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreRestored {
    /// The position that the backup held.
    pub position: u64,
}

/// The tables were made again from the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreRebuilt {
    /// The tables that differed from the log, with how many rows.
    pub differing: BTreeMap<String, u64>,
}

/// A newer version of the program took the store over: its tables were made again from the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreUpgraded {
    /// The version of the program.
    pub version: String,
    /// What the tables were made by, as `name@version …`.
    pub from: String,
    /// What they are made by from then on.
    pub to: String,
    /// The folder with the database as it was before.
    pub backup: String,
}

/// The older format's store was taken over; the entities follow as events of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreImported {
    /// How many of each.
    pub counts: BTreeMap<String, u64>,
}

/// A release with its artifacts came from the older format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseImported {
    /// The release.
    pub release: Release,
    /// Its artifacts.
    pub artifacts: Vec<Artifact>,
}

/// A channel came from the older format, with its history, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelImported {
    /// The channel.
    pub channel: Channel,
    /// The move that made it point where it points, if it was ever moved.
    pub moved: Option<ChannelMove>,
}

/// A token came from the older format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenImported {
    /// The token.
    pub token: Token,
    /// The SHA-256 of its secret.
    pub token_hash: Digest,
}

/// An audit event of the older format, as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditImported {
    /// Its id there.
    pub id: String,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: String,
    /// The kind of thing that it was done to.
    pub target_type: String,
    /// The thing.
    pub target_id: String,
    /// What changed.
    pub metadata: Map<String, Value>,
}

/// A person was let in, without a way to prove who they are yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserCreated {
    /// The person.
    pub user: User,
}

/// A person's name or roles changed, or they may no longer, or again, sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserUpdated {
    /// The person.
    pub user_id: UserId,
    /// Their address, for readers of the log.
    pub email: Email,
    /// What changed.
    pub changes: UserChanges,
}

/// A person got a link with which to set a password, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserInvited {
    /// The person.
    pub user_id: UserId,
    /// Their address, for readers of the log.
    pub email: Email,
    /// The SHA-256 of the link's secret.
    pub secret_hash: Digest,
    /// When the link ends.
    pub expires_at: Timestamp,
}

/// A person set a password; the link to do so, if there was one, is used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PasswordSet {
    /// The person.
    pub user_id: UserId,
    /// Their address, for readers of the log.
    pub email: Email,
    /// The password's hash, as a PHC string of Argon2id.
    pub password_hash: String,
}

/// A provider of `OpenID` Connect vouched for a person for the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserIdentified {
    /// The person.
    pub user_id: UserId,
    /// Their address, for readers of the log.
    pub email: Email,
    /// The provider.
    pub issuer: String,
    /// What the provider calls them, for ever.
    pub subject: String,
}

/// Somebody signed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// The session.
    pub session: Session,
    /// Their address, for readers of the log.
    pub email: Email,
    /// The SHA-256 of the session's secret.
    pub secret_hash: Digest,
}

/// A session was ended before its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// The session.
    pub session_id: SessionId,
    /// Whose it was.
    pub user_id: UserId,
    /// Their address, for readers of the log.
    pub email: Email,
}

/// Somebody tried to sign in and was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignInRefused {
    /// Whose account it was tried with, where there is such an account: what else was typed may be
    /// somebody's password.
    pub email: Option<Email>,
    /// The address that they came from.
    pub address: String,
    /// The code of the refusal.
    pub code: String,
}

/// A tester link was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkCreated {
    /// The link.
    pub link: InstallLink,
    /// The SHA-256 of its secret.
    pub secret_hash: Digest,
}

/// A tester link was revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkRevoked {
    /// The link.
    pub link_id: LinkId,
    /// The app.
    pub app_id: AppId,
    /// The channel that it opened, for readers of the log.
    pub channel: ChannelName,
}

/// A credential that is known was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessRefused {
    /// The token, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// The person, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The code of the refusal.
    pub code: String,
    /// What was asked for, such as `POST /api/apps/acme/releases`.
    pub request: String,
}

/// Strangers were refused, counted by address and minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrangersRefused {
    /// The address that they came from.
    pub address: String,
    /// The minute, as the time of its beginning.
    pub minute: Timestamp,
    /// How many requests.
    pub count: u64,
}
