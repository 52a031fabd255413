//! The events that the log is made of: everything that ever happened, one variant an action.

use serde_json::{Map, Value};

use crate::{Session, TokenId, UserId, events};

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
    StoreUpgraded(events::StoreUpgraded) "store.upgraded"
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
            | Self::StoreUpgraded(_)
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
