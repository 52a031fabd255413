//! The events that the log is made of: everything that ever happened, one variant an action.

use serde_json::{Map, Value};

use crate::{Session, TokenId, UserId};

/// The data of the events, one struct a shape. Their JSON is stored for ever: fields are added
/// with a default, never renamed or removed.
pub mod events {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};
    use serde_json::{Map, Value};

    use crate::{
        Actor, App, AppChanges, AppId, Artifact, ArtifactId, Build, Channel, ChannelChanges, ChannelMove, ChannelName,
        Digest, Email, InstallLink, LinkId, Release, ReleaseId, Session, SessionId, Slug, Timestamp, Token, TokenId,
        User, UserChanges, UserId, Version,
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
}

/// What an event was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditTarget {
    /// The kind: `app`, `release`, `channel`, `link`, `token`, `user`, `object`, `store`, `access`.
    pub kind: &'static str,
    /// The id or name.
    pub id: String,
    /// The app that it belongs to, where it belongs to one.
    pub app_id: Option<String>,
}

macro_rules! event_types {
    ($($name:ident($data:ty) $action:literal)*) => {
        /// One event. Its action is the event's type in the log and the action in the audit.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the action says it, and the data's type has the documentation")]
        #[allow(clippy::large_enum_variant, reason = "events are few and short-lived")]
        pub enum Event {
            $($name($data),)*
        }

        impl Event {
            /// Every action.
            pub const ACTIONS: &'static [&'static str] = &[$($action),*];

            /// The action: the event's type in the log.
            pub fn action(&self) -> &'static str {
                match self { $(Self::$name(_) => $action,)* }
            }

            /// The data as JSON, for the log.
            ///
            /// # Errors
            /// Only where a map has keys that are no text, which none of the types has.
            pub fn to_data(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$name(data) => serde_json::to_value(data),)* }
            }

            /// The event that an action and its data say; `None` for an action that this version
            /// does not know.
            pub fn from_data(action: &str, data: &Value) -> Option<Result<Self, serde_json::Error>> {
                use serde::Deserialize as _;
                match action {
                    $($action => Some(<$data>::deserialize(data).map(Self::$name)),)*
                    _ => None,
                }
            }
        }
    };
}

event_types! {
    AppCreated(events::AppCreated) "app.created"
    AppUpdated(events::AppUpdated) "app.updated"
    AppImported(events::AppCreated) "app.imported"
    ReleaseDrafted(events::ReleaseDrafted) "release.drafted"
    ArtifactAdded(events::ArtifactAdded) "artifact.added"
    ReleasePublished(events::ReleasePublished) "release.published"
    ReleaseYanked(events::ReleaseRef) "release.yanked"
    ReleaseDiscarded(events::ReleaseRef) "release.discarded"
    ReleaseDeleted(events::ReleaseRef) "release.deleted"
    ReleaseImported(events::ReleaseImported) "release.imported"
    ChannelPublished(crate::ChannelMove) "channel.published"
    ChannelPromoted(crate::ChannelMove) "channel.promoted"
    ChannelRolledBack(crate::ChannelMove) "channel.rolled_back"
    ChannelUpdated(events::ChannelUpdated) "channel.updated"
    ChannelImported(events::ChannelImported) "channel.imported"
    TokenCreated(events::TokenCreated) "token.created"
    TokenRevoked(events::TokenRevoked) "token.revoked"
    TokenImported(events::TokenImported) "token.imported"
    ObjectUploaded(events::ObjectUploaded) "object.uploaded"
    StoreCleaned(events::StoreCleaned) "store.cleaned"
    StoreBackedUp(events::StoreBackedUp) "store.backed_up"
    StoreRestored(events::StoreRestored) "store.restored"
    StoreRebuilt(events::StoreRebuilt) "store.rebuilt"
    StoreImported(events::StoreImported) "store.imported"
    AuditImported(events::AuditImported) "audit.imported"
    UserCreated(events::UserCreated) "user.created"
    UserUpdated(events::UserUpdated) "user.updated"
    UserInvited(events::UserInvited) "user.invited"
    PasswordSet(events::PasswordSet) "user.password_set"
    UserIdentified(events::UserIdentified) "user.identified"
    SessionStarted(events::SessionStarted) "session.started"
    SessionEnded(events::SessionEnded) "session.ended"
    SignInRefused(events::SignInRefused) "session.refused"
    LinkCreated(events::LinkCreated) "link.created"
    LinkRevoked(events::LinkRevoked) "link.revoked"
    AccessRefused(events::AccessRefused) "access.refused"
    StrangersRefused(events::StrangersRefused) "access.strangers_refused"
}

impl Event {
    /// The stream that it belongs to: one an app, one a token, one a person, one for the system.
    pub fn stream(&self) -> String {
        let target = self.target();
        match (&target.app_id, target.kind) {
            (Some(app), _) => format!("app/{app}"),
            (None, kind @ ("token" | "user")) => format!("{kind}/{}", target.id),
            _ => "system".to_owned(),
        }
    }

    /// What it was done to.
    pub fn target(&self) -> AuditTarget {
        let (kind, id, app_id) = match self {
            Self::AppCreated(e) | Self::AppImported(e) => ("app", e.app.id.to_string(), Some(&e.app.id)),
            Self::AppUpdated(e) => ("app", e.app_id.to_string(), Some(&e.app_id)),
            Self::ReleaseDrafted(e) => ("release", e.release.id.to_string(), Some(&e.release.app_id)),
            Self::ArtifactAdded(e) => ("release", e.artifact.release_id.to_string(), Some(&e.artifact.app_id)),
            Self::ReleasePublished(events::ReleasePublished { release, .. })
            | Self::ReleaseImported(events::ReleaseImported { release, .. }) => {
                ("release", release.id.to_string(), Some(&release.app_id))
            }
            Self::ReleaseYanked(e) | Self::ReleaseDiscarded(e) | Self::ReleaseDeleted(e) => {
                ("release", e.release_id.to_string(), Some(&e.app_id))
            }
            Self::ChannelPublished(e) | Self::ChannelPromoted(e) | Self::ChannelRolledBack(e) => {
                ("channel", e.channel.to_string(), Some(&e.app_id))
            }
            Self::ChannelUpdated(e) => ("channel", e.channel.to_string(), Some(&e.app_id)),
            Self::ChannelImported(e) => ("channel", e.channel.name.to_string(), Some(&e.channel.app_id)),
            Self::TokenCreated(events::TokenCreated { token, .. })
            | Self::TokenImported(events::TokenImported { token, .. }) => ("token", token.id.to_string(), None),
            Self::TokenRevoked(e) => ("token", e.token_id.to_string(), None),
            Self::ObjectUploaded(e) => ("object", e.sha256.to_string(), None),
            Self::StoreCleaned(_)
            | Self::StoreBackedUp(_)
            | Self::StoreRestored(_)
            | Self::StoreRebuilt(_)
            | Self::StoreImported(_) => ("store", "store".to_owned(), None),
            Self::AuditImported(e) => ("audit", e.id.clone(), None),
            Self::UserCreated(e) => ("user", e.user.id.to_string(), None),
            Self::UserUpdated(events::UserUpdated { user_id, .. })
            | Self::UserInvited(events::UserInvited { user_id, .. })
            | Self::PasswordSet(events::PasswordSet { user_id, .. })
            | Self::UserIdentified(events::UserIdentified { user_id, .. })
            | Self::SessionStarted(events::SessionStarted {
                session: Session { user_id, .. },
                ..
            })
            | Self::SessionEnded(events::SessionEnded { user_id, .. }) => ("user", user_id.to_string(), None),
            Self::SignInRefused(e) => ("access", e.address.clone(), None),
            Self::LinkCreated(events::LinkCreated { link, .. }) => ("link", link.id.to_string(), Some(&link.app_id)),
            Self::LinkRevoked(e) => ("link", e.link_id.to_string(), Some(&e.app_id)),
            Self::AccessRefused(e) => {
                let token = e.token_id.as_ref().map(TokenId::as_str);
                let id = token.or(e.user_id.as_ref().map(UserId::as_str));
                ("access", id.unwrap_or_default().to_owned(), None)
            }
            Self::StrangersRefused(e) => ("access", e.address.clone(), None),
        };
        AuditTarget {
            kind,
            id,
            app_id: app_id.map(ToString::to_string),
        }
    }

    /// What the audit shows of an event's data: everything but the hashes of secrets, and of a
    /// published release what names it and its artifacts, since the rest is in their own tables.
    pub fn shown(action: &str, data: &Value) -> Map<String, Value> {
        const RELEASE: &[&str] = &["id", "app_id", "version", "build", "channel", "status", "source"];
        /// The hashes of what proves who somebody is.
        const SECRETS: &[&str] = &["token_hash", "secret_hash", "password_hash"];
        const ARTIFACT: &[&str] = &[
            "id",
            "platform",
            "arch",
            "package_type",
            "filename",
            "size_bytes",
            "sha256",
            "validation_status",
        ];
        match action {
            "release.published" | "release.imported" => {
                let artifacts = data["artifacts"].as_array().into_iter().flatten();
                let artifacts = artifacts
                    .map(|artifact| Value::Object(pick(artifact, ARTIFACT)))
                    .collect();
                Map::from_iter([
                    ("release".to_owned(), Value::Object(pick(&data["release"], RELEASE))),
                    ("artifacts".to_owned(), Value::Array(artifacts)),
                ])
            }
            _ => {
                let mut shown = data.as_object().cloned().unwrap_or_default();
                shown.retain(|name, _| !SECRETS.contains(&name.as_str()));
                shown
            }
        }
    }
}

/// The named members of an object.
fn pick(object: &Value, names: &[&str]) -> Map<String, Value> {
    let members = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), object.get(name)?.clone())));
    members.collect()
}
