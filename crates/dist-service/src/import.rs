//! The store of the older format: one `db.json` beside the objects, imported once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dist_blobs::sync_folder;
use dist_model::{
    Actor, App, AppId, Artifact, ArtifactId, Channel, ChannelMove, ChannelName, Digest, ErrorCode, Event, FileName,
    IosMode, Platform, Refusal, Release, ReleaseId, ReleaseStatus, Scope, Scopes, Slug, Source, Timestamp, Token,
    TokenId, ValidationStatus, Visibility, events,
};
use persist::{Commit, Decision, SqlReadExt as _, SqlTx, SubmitError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::service::{append, off_runtime};
use crate::{Error, Service};

/// A `db.json` that was read and understood as a whole.
pub(crate) struct OldStore {
    path: PathBuf,
    events: Vec<(Timestamp, Event)>,
}

/// Reads the folder's `db.json`, if it has one. What is broken is refused before anything is made.
pub(crate) fn read(data: &Path) -> Result<Option<OldStore>, Error> {
    let path = data.join("db.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(format!("reading {}", path.display()), error)),
    };
    // By way of an object, since a struct would be read out of a list too.
    let object: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|error| invalid(&path, &error.to_string()))?;
    let document: Document =
        serde_json::from_value(Value::Object(object)).map_err(|error| invalid(&path, &error.to_string()))?;
    let events = document.into_events().map_err(|message| invalid(&path, &message))?;
    Ok(Some(OldStore { path, events }))
}

fn invalid(path: &Path, message: &str) -> Error {
    Refusal::new(
        ErrorCode::ImportInvalid,
        format!(
            "{} cannot be imported, and nothing was changed: {message}",
            path.display()
        ),
    )
    .into()
}

/// Makes the old store's contents the first events of the log, in one transaction, and then renames
/// the file. A crash in between is met by the next start, which finds the events and renames.
pub(crate) fn run(service: &Service, old: &OldStore) -> Result<(), Error> {
    let mut commit = Commit::default();
    for (at, event) in &old.events {
        append(&mut commit, event, *at, json!({ "actor": Actor::System.to_string() }))?;
    }
    let shown = old.path.display().to_string();
    let command = move |tx: &mut dyn SqlTx| {
        let first: Option<String> =
            tx.query_opt("SELECT action FROM audit_events WHERE id = 1", &[], |row| row.get(0))?;
        match first.as_deref() {
            None => Ok(Decision { commit, value: true }),
            Some("store.imported") => Ok(Decision {
                commit: Commit::default(),
                value: false,
            }),
            Some(_) => Err(Error::from(Refusal::new(
                ErrorCode::ImportInvalid,
                format!("{shown} lies beside a store that has a history of its own: move the file away, or the store"),
            ))),
        }
    };
    let imported = off_runtime(|| match service.log().submit_blocking(command) {
        // What the tables refuse is in the file; the store has nothing yet that could be damaged.
        Err(SubmitError::Store(persist::Error::Projection { source, .. })) => {
            Err(invalid(&old.path, &source.to_string()))
        }
        imported => Ok(imported?),
    })?;
    if let persist::Outcome::Committed { value: true, .. } = imported {
        tracing::info!(events = old.events.len(), "imported db.json");
    }
    let mut renamed = old.path.clone().into_os_string();
    renamed.push(".imported");
    fs::rename(&old.path, &renamed).map_err(|error| Error::file(format!("renaming {}", old.path.display()), error))?;
    sync_folder(service.data())?;
    Ok(())
}

/// The file: absent arrays and members are empty or have their default.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Document {
    #[serde(deserialize_with = "or_default")]
    apps: Vec<OldApp>,
    #[serde(deserialize_with = "or_default")]
    releases: Vec<OldRelease>,
    #[serde(deserialize_with = "or_default")]
    artifacts: Vec<OldArtifact>,
    #[serde(deserialize_with = "or_default")]
    channels: Vec<OldChannel>,
    #[serde(deserialize_with = "or_default")]
    tokens: Vec<OldToken>,
    #[serde(deserialize_with = "or_default")]
    audit_events: Vec<OldAudit>,
}

/// Null and absent are the same.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

macro_rules! old {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct $name { $(#[serde(deserialize_with = "or_default")] $field: $type),* }
    };
}

old!(OldApp {
    id: String, slug: String, display_name: String, bundle_ids: BTreeMap<String, String>, allowed_platforms: Vec<String>, owner: String,
    visibility: String, ios_mode: String, ios_public_download: bool, testflight_url: Option<String>, created_at: String, updated_at: String,
});
old!(OldRelease {
    id: String, app_id: String, version: String, build: String, channel: Option<String>, notes: String, created_by: String, created_at: String,
    published_at: Option<String>, status: String, source: Value,
});
old!(OldArtifact {
    id: String, app_id: String, release_id: String, platform: String, arch: String, package_type: String, filename: String, content_type: String,
    size_bytes: u64, sha256: String, storage_key: String, metadata: Map<String, Value>, validation_status: String,
});
old!(OldChannel {
    app_id: String, name: String, current_release_id: Option<String>, revision: u64, policy: String, rollout_percent: Option<u8>, retention_keep: u32,
});
old!(OldToken {
    id: String, name: String, token_hash: String, scopes: Value, app_slug: Option<String>, channels: Vec<String>, created_at: String,
    expires_at: Option<String>, last_used_at: Option<String>, revoked_at: Option<String>,
});
old!(OldAudit {
    id: Value, actor: String, action: String, target_type: String, target_id: String, metadata: Map<String, Value>, created_at: String,
});

type Read<T> = Result<T, String>;

/// What there must be once of each.
#[derive(Default)]
struct Once(BTreeSet<(&'static str, String)>);

impl Once {
    fn see(&mut self, what: &'static str, name: &impl ToString) -> Read<()> {
        let name = name.to_string();
        if self.0.insert((what, name.clone())) {
            Ok(())
        } else {
            Err(format!("the {what} {name:?} is there twice"))
        }
    }
}

/// Parses a text, naming what it belongs to where it is wrong.
fn parse<T: std::str::FromStr<Err = Refusal>>(what: &str, text: &str) -> Read<T> {
    text.parse()
        .map_err(|refusal: Refusal| format!("{what}: {}", refusal.message))
}

/// The same with a default for what is empty.
fn parse_or<T: std::str::FromStr<Err = Refusal>>(what: &str, text: &str, default: T) -> Read<T> {
    if text.is_empty() {
        Ok(default)
    } else {
        parse(what, text)
    }
}

fn parse_opt<T: std::str::FromStr<Err = Refusal>>(what: &str, text: Option<&str>) -> Read<Option<T>> {
    text.filter(|text| !text.is_empty())
        .map(|text| parse(what, text))
        .transpose()
}

/// Whoever an old event names: one of today's spellings, or a person.
fn actor(text: &str) -> Actor {
    if text.is_empty() {
        return Actor::System;
    }
    Actor::try_from(text.to_owned()).unwrap_or_else(|_| Actor::User(text.to_owned()))
}

fn from_value<T: DeserializeOwned + Default>(what: &str, value: Value) -> Read<T> {
    if value.is_null() {
        return Ok(T::default());
    }
    serde_json::from_value(value).map_err(|error| format!("{what}: {error}"))
}

impl Document {
    /// How many there are of each.
    fn counts(&self) -> BTreeMap<String, u64> {
        [
            ("apps", self.apps.len()),
            ("releases", self.releases.len()),
            ("artifacts", self.artifacts.len()),
            ("channels", self.channels.len()),
            ("tokens", self.tokens.len()),
            ("audit_events", self.audit_events.len()),
        ]
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count as u64))
        .collect()
    }

    fn into_events(self) -> Read<Vec<(Timestamp, Event)>> {
        let counts = self.counts();
        let mut artifacts: BTreeMap<String, Vec<Artifact>> = BTreeMap::new();
        for old in self.artifacts {
            artifacts.entry(old.release_id.clone()).or_default().push(old.read()?);
        }
        let (mut events, mut once) = (Vec::new(), Once::default());
        let mut apps = BTreeSet::new();
        for old in self.apps {
            let app = old.read()?;
            once.see("app", &app.id)?;
            once.see("slug", &app.slug)?;
            apps.insert(app.id.clone());
            events.push((app.created_at, Event::AppImported(events::AppCreated { app })));
        }
        let mut releases = BTreeMap::new();
        for old in self.releases {
            let artifacts = artifacts.remove(&old.id).unwrap_or_default();
            let release = old.read(&apps)?;
            once.see("release", &release.id)?;
            let Release {
                app_id, version, build, ..
            } = &release;
            once.see("release of an app", &format!("{app_id} {version} {build}"))?;
            releases.insert(release.id.clone(), (release.app_id.clone(), release.status));
            events.push((
                release.created_at,
                Event::ReleaseImported(events::ReleaseImported { release, artifacts }),
            ));
        }
        if let Some(release) = artifacts.keys().next() {
            return Err(format!(
                "an artifact belongs to the release {release}, which is not there"
            ));
        }
        for old in self.channels {
            let (channel, moved) = old.read(&apps, &releases)?;
            events.push((
                Timestamp::default(),
                Event::ChannelImported(events::ChannelImported { channel, moved }),
            ));
        }
        for old in self.tokens {
            let (token, token_hash) = old.read()?;
            once.see("token", &token.id)?;
            once.see("token's name", &token.name)?;
            once.see("token's hash", &token_hash)?;
            events.push((
                token.created_at,
                Event::TokenImported(events::TokenImported { token, token_hash }),
            ));
        }
        for old in self.audit_events {
            events.push(old.read()?);
        }
        // One that was never given a time happened when the last thing known of happened.
        let newest = events.iter().map(|(at, _)| *at).max().unwrap_or_default();
        events.insert(0, (newest, Event::StoreImported(events::StoreImported { counts })));
        for (at, event) in &mut events {
            if matches!(event, Event::ChannelImported(_)) {
                *at = newest;
            }
        }
        Ok(events)
    }
}

impl OldApp {
    fn read(self) -> Read<App> {
        let what = format!("app {:?}", self.id);
        let slug: Slug = parse(&what, &self.slug)?;
        let created_at = parse_or(&what, &self.created_at, Timestamp::default())?;
        let mut bundle_ids = BTreeMap::new();
        for (platform, id) in self.bundle_ids {
            bundle_ids.insert(parse::<Platform>(&what, &platform)?, id);
        }
        Ok(App {
            id: parse(&what, &self.id)?,
            display_name: if self.display_name.is_empty() {
                slug.to_string()
            } else {
                self.display_name
            },
            slug,
            bundle_ids,
            allowed_platforms: self
                .allowed_platforms
                .iter()
                .map(|platform| parse(&what, platform))
                .collect::<Read<_>>()?,
            owner: if self.owner.is_empty() {
                Actor::System.to_string()
            } else {
                self.owner
            },
            visibility: parse_or(&what, &self.visibility, Visibility::default())?,
            ios_mode: parse_or(&what, &self.ios_mode, IosMode::default())?,
            ios_public_download: self.ios_public_download,
            testflight_url: self.testflight_url.filter(|url| !url.is_empty()),
            created_at,
            updated_at: parse_or(&what, &self.updated_at, created_at)?,
        })
    }
}

impl OldRelease {
    fn read(self, apps: &BTreeSet<AppId>) -> Read<Release> {
        let what = format!("release {:?}", self.id);
        let app_id: AppId = parse(&what, &self.app_id)?;
        if !apps.contains(&app_id) {
            return Err(format!("{what}: its app {app_id} is not there"));
        }
        let created_at = parse_or(&what, &self.created_at, Timestamp::default())?;
        let status = parse_or(&what, &self.status, ReleaseStatus::Published)?;
        let published_at = parse_opt(&what, self.published_at.as_deref())?;
        Ok(Release {
            id: parse(&what, &self.id)?,
            app_id,
            version: parse(&what, &self.version)?,
            build: parse(&what, &self.build)?,
            channel: parse_opt(&what, self.channel.as_deref())?,
            notes: self.notes,
            created_by: actor(&self.created_by),
            created_at,
            published_at: published_at.or((status != ReleaseStatus::Draft).then_some(created_at)),
            status,
            source: from_value::<Source>(&what, self.source)?,
        })
    }
}

impl OldArtifact {
    fn read(self) -> Read<Artifact> {
        let what = format!("artifact {:?}", self.id);
        let sha256: Digest = parse(&what, &self.sha256)?;
        let filename = if self.filename.is_empty() {
            sha256.to_string()
        } else {
            self.filename
        };
        Ok(Artifact {
            id: parse::<ArtifactId>(&what, &self.id)?,
            app_id: parse(&what, &self.app_id)?,
            release_id: parse(&what, &self.release_id)?,
            platform: parse(&what, &self.platform)?,
            arch: self.arch,
            package_type: self.package_type,
            filename: parse::<FileName>(&what, &filename)?,
            content_type: if self.content_type.is_empty() {
                "application/octet-stream".to_owned()
            } else {
                self.content_type
            },
            size_bytes: self.size_bytes,
            sha256,
            storage_key: format!("objects/{sha256}"),
            metadata: self.metadata,
            validation_status: parse_or(&what, &self.validation_status, ValidationStatus::default())?,
        })
    }
}

impl OldChannel {
    fn read(
        self,
        apps: &BTreeSet<AppId>,
        releases: &BTreeMap<ReleaseId, (AppId, ReleaseStatus)>,
    ) -> Read<(Channel, Option<ChannelMove>)> {
        let what = format!("channel {:?}", self.name);
        let app_id: AppId = parse(&what, &self.app_id)?;
        if !apps.contains(&app_id) {
            return Err(format!("{what}: its app {app_id} is not there"));
        }
        let name: ChannelName = parse(&what, &self.name)?;
        let mut channel = Channel::new(app_id, name);
        channel.policy = parse_or(&what, &self.policy, channel.policy)?;
        channel.rollout_percent = self.rollout_percent.unwrap_or(100).min(100);
        channel.retention_keep = self.retention_keep;
        let Some(release_id) = parse_opt::<ReleaseId>(&what, self.current_release_id.as_deref())? else {
            return Ok((channel, None));
        };
        if releases.get(&release_id) != Some(&(channel.app_id.clone(), ReleaseStatus::Published)) {
            return Err(format!(
                "{what}: it points at {release_id}, which is no published release of its app"
            ));
        }
        let moved = ChannelMove {
            app_id: channel.app_id.clone(),
            channel: channel.name.clone(),
            revision: self.revision.max(1),
            release_id,
            previous_release_id: None,
            below: None,
            from_channel: None,
        };
        Ok((channel, Some(moved)))
    }
}

impl OldToken {
    fn read(self) -> Read<(Token, Digest)> {
        let what = format!("token {:?}", self.name);
        // A list, or one text with commas.
        let scopes: Vec<String> = match self.scopes {
            Value::String(text) => text.split(',').map(|scope| scope.trim().to_owned()).collect(),
            other => from_value(&what, other)?,
        };
        let token = Token {
            id: parse::<TokenId>(&what, &self.id)?,
            name: if self.name.is_empty() { self.id } else { self.name },
            scopes: Scopes(
                scopes
                    .iter()
                    .map(|scope| parse::<Scope>(&what, scope))
                    .collect::<Read<_>>()?,
            ),
            app_slug: parse_opt(&what, self.app_slug.as_deref())?,
            channels: self
                .channels
                .iter()
                .map(|channel| parse(&what, channel))
                .collect::<Read<_>>()?,
            created_at: parse_or(&what, &self.created_at, Timestamp::default())?,
            expires_at: parse_opt(&what, self.expires_at.as_deref())?,
            last_used_at: parse_opt(&what, self.last_used_at.as_deref())?,
            revoked_at: parse_opt(&what, self.revoked_at.as_deref())?,
        };
        Ok((token, parse(&what, &self.token_hash)?))
    }
}

impl OldAudit {
    fn read(self) -> Read<(Timestamp, Event)> {
        let id = match self.id {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let what = format!("audit event {id:?}");
        let at = parse_or(&what, &self.created_at, Timestamp::default())?;
        let event = events::AuditImported {
            id,
            actor: actor(&self.actor),
            action: self.action,
            target_type: self.target_type,
            target_id: self.target_id,
            metadata: self.metadata,
        };
        Ok((at, Event::AuditImported(event)))
    }
}
