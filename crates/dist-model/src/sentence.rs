//! Audit events as sentences.
//!
//! A sentence is a list of parts, so that a page can link what it names. The names in it come from
//! outside and may be hostile: they are data, and whoever shows them escapes them.

use std::fmt;

use serde_json::{Map, Value};

use crate::release::label;
use crate::{Actor, AuditEvent, Build, ChannelName, Digest, Release, ReleaseId, Slug, TokenId, Version};

/// The names of what an event is about, which its data often has only as ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The app.
    pub app: Option<Slug>,
    /// The release.
    pub release: Option<ReleaseName>,
}

/// A release as it is named: its id to link it, its label to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseName {
    /// The id.
    pub id: ReleaseId,
    /// Version and build, as [`Release::label`] writes them.
    pub label: String,
}

impl ReleaseName {
    /// The name of a release of which these are known.
    pub fn new(id: ReleaseId, version: &Version, build: &Build) -> Self {
        let label = label(version.as_str(), build.as_str());
        Self { id, label }
    }
}

impl From<&Release> for ReleaseName {
    fn from(release: &Release) -> Self {
        Self::new(release.id.clone(), &release.version, &release.build)
    }
}

/// A piece of a sentence. Pieces follow each other without anything between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Text(String),
    /// Who did it.
    Actor(Actor),
    /// An app.
    App(Slug),
    /// A release of an app.
    Release {
        /// The app, where it is known.
        app: Option<Slug>,
        /// The release.
        release: ReleaseName,
    },
    /// A channel of an app.
    Channel {
        /// The app, where it is known.
        app: Option<Slug>,
        /// The channel.
        name: ChannelName,
    },
    /// A token.
    Token {
        /// The id.
        id: TokenId,
        /// The name.
        name: String,
    },
    /// An object.
    Object(Digest),
    /// A size in bytes.
    Bytes(u64),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Actor(actor) => actor.fmt(f),
            Self::App(slug) => slug.fmt(f),
            Self::Release { release, .. } => f.write_str(&release.label),
            Self::Channel { name, .. } => name.fmt(f),
            Self::Token { name, .. } => f.write_str(name),
            Self::Object(digest) => digest.fmt(f),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
        }
    }
}

/// What happened, in one sentence without a full stop. An action that this version does not know
/// is named as it is, with what it was done to.
pub fn sentence(event: &AuditEvent, about: &About) -> Vec<Part> {
    let words = Words {
        event,
        about,
        parts: vec![Part::Actor(event.actor.clone())],
    };
    let words = match event.action.split_once('.').map_or("", |(area, _)| area) {
        "app" => words.app(),
        "release" | "artifact" => words.release(),
        "channel" => words.channel(),
        "token" => words.token(),
        "object" | "store" | "audit" => words.store(),
        "access" => words.access(),
        "user" | "session" => words.user(),
        "link" => words.link(),
        _ => words.unknown(),
    };
    words.parts
}

/// A sentence on its way.
struct Words<'a> {
    event: &'a AuditEvent,
    about: &'a About,
    parts: Vec<Part>,
}

impl Words<'_> {
    fn say(mut self, text: impl Into<String>) -> Self {
        match (self.parts.last_mut(), text.into()) {
            (Some(Part::Text(last)), text) => last.push_str(&text),
            (_, text) => self.parts.push(Part::Text(text)),
        }
        self
    }

    fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    fn data(&self) -> &Map<String, Value> {
        &self.event.metadata
    }

    fn text_at(&self, name: &str) -> Option<&str> {
        self.data().get(name)?.as_str()
    }

    fn number_at(&self, name: &str) -> u64 {
        self.data().get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    /// The app, or what there is to tell it by.
    fn the_app(self) -> Self {
        if let Some(slug) = self.about.app.clone() {
            return self.part(Part::App(slug));
        }
        let made = self.data().get("app").and_then(|app| app["slug"].as_str());
        let told = made.or(self.text_at("slug")).or(self.text_at("app_id"));
        let name = told.unwrap_or(&self.event.target_id).to_owned();
        self.say(name)
    }

    /// `acme 2.4.0 (812)`. A draft that was discarded is known from the event alone.
    fn the_release(self) -> Self {
        let app = self.about.app.clone();
        let words = match &app {
            Some(slug) => self.part(Part::App(slug.clone())).say(" "),
            None => self,
        };
        if let Some(release) = words.about.release.clone() {
            return words.part(Part::Release { app, release });
        }
        let id = words.text_at("release_id").unwrap_or(&words.event.target_id);
        let label = words.told_label().unwrap_or_else(|| id.to_owned());
        words.say(label)
    }

    /// The label that the event itself tells.
    fn told_label(&self) -> Option<String> {
        let release = self.data().get("release").and_then(Value::as_object);
        let release = release.unwrap_or(self.data());
        let version = release.get("version")?.as_str()?;
        let build = release.get("build").and_then(Value::as_str);
        Some(label(version, build.unwrap_or_default()))
    }

    fn a_channel(self, name: &str) -> Self {
        let app = self.about.app.clone();
        match name.parse() {
            Ok(name) => self.part(Part::Channel { app, name }),
            Err(_) => self.say(name),
        }
    }

    fn the_channel(self) -> Self {
        let name = self.event.target_id.clone();
        self.a_channel(&name)
    }

    fn the_channel_of_its_app(self) -> Self {
        self.the_channel().say(" of ").the_app()
    }

    /// What settings became: `: policy promote_only, rollout_percent 10`.
    fn the_changes(self) -> Self {
        let changes = self.data().get("changes").and_then(Value::as_object);
        let told: Vec<String> = changes
            .into_iter()
            .flatten()
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name} {text}"),
                value => format!("{name} {value}"),
            })
            .collect();
        if told.is_empty() {
            return self;
        }
        self.say(format!(": {}", told.join(", ")))
    }

    fn the_reason(self) -> Self {
        match self.text_at("reason").map(str::to_owned) {
            Some(reason) => self.say(format!(": {reason}")),
            None => self,
        }
    }

    fn app(self) -> Self {
        match self.event.action.as_str() {
            "app.created" => self.say(" made the app ").the_app(),
            "app.updated" => self.say(" changed ").the_app().the_changes(),
            "app.imported" => self.say(" took over the app ").the_app(),
            _ => self.unknown(),
        }
    }

    fn release(self) -> Self {
        match self.event.action.as_str() {
            "release.drafted" => self.say(" began the draft ").the_release(),
            "artifact.added" => {
                let artifact = self.data().get("artifact");
                let name = artifact.and_then(|artifact| artifact["filename"].as_str());
                let name = name.unwrap_or("an artifact").to_owned();
                self.say(format!(" added {name} to ")).the_release()
            }
            "release.published" => self.say(" published ").the_release(),
            "release.yanked" => self.say(" yanked ").the_release().the_reason(),
            "release.discarded" => self.say(" discarded the draft ").the_release().the_reason(),
            "release.deleted" => self.say(" deleted ").the_release().the_reason(),
            "release.imported" => self.say(" took over ").the_release(),
            _ => self.unknown(),
        }
    }

    fn channel(self) -> Self {
        match self.event.action.as_str() {
            "channel.published" => self.say(" published ").the_release().say(" to ").the_channel(),
            "channel.promoted" => {
                let from = self.text_at("from_channel").map(str::to_owned);
                let words = self.say(" promoted ").the_release();
                let words = match from {
                    Some(from) => words.say(" from ").a_channel(&from),
                    None => words,
                };
                words.say(" to ").the_channel()
            }
            "channel.rolled_back" => self.say(" rolled ").the_channel().say(" back to ").the_release(),
            "channel.updated" => self.say(" changed ").the_channel_of_its_app().the_changes(),
            "channel.imported" => self.say(" took over the channel ").the_channel_of_its_app(),
            _ => self.unknown(),
        }
    }

    fn token(self) -> Self {
        let verb = match self.event.action.as_str() {
            "token.created" => " made the token ",
            "token.revoked" => " revoked the token ",
            "token.imported" => " took over the token ",
            _ => return self.unknown(),
        };
        let made = self.data().get("token").and_then(|token| token["name"].as_str());
        let name = made
            .or(self.text_at("name"))
            .unwrap_or(&self.event.target_id)
            .to_owned();
        match self.event.target_id.parse() {
            Ok(id) => self.say(verb).part(Part::Token { id, name }),
            Err(_) => self.say(verb).say(name),
        }
    }

    fn store(self) -> Self {
        let (objects, position) = (self.number_at("objects"), self.number_at("position"));
        match self.event.action.as_str() {
            "object.uploaded" => {
                let (size, id) = (self.number_at("size_bytes"), self.event.target_id.clone());
                let words = self.say(" uploaded ").part(Part::Bytes(size)).say(", ");
                match id.parse() {
                    Ok(digest) => words.part(Part::Object(digest)),
                    Err(_) => words.say(id),
                }
            }
            "store.cleaned" => {
                let sizes = self.data().get("objects").and_then(Value::as_object);
                let removed = sizes.map_or(0, Map::len);
                let bytes = sizes.into_iter().flat_map(Map::values).filter_map(Value::as_u64);
                let (bytes, staging) = (bytes.fold(0, u64::saturating_add), self.number_at("staging_files"));
                self.say(format!(" removed {} of ", count(removed as u64, "object")))
                    .part(Part::Bytes(bytes))
                    .say(format!(" and {}", count(staging, "staging file")))
            }
            "store.backed_up" => {
                let (bytes, to) = (self.number_at("bytes"), self.text_at("destination").map(str::to_owned));
                self.say(format!(" took a backup of {} of ", count(objects, "object")))
                    .part(Part::Bytes(bytes))
                    .say(format!(" to {}", to.as_deref().unwrap_or("a folder")))
            }
            "store.restored" => self.say(format!(" restored the store from a backup at event {position}")),
            "store.rebuilt" => self.say(" made the tables again from the log"),
            "store.upgraded" => {
                let version = self.text_at("version").unwrap_or("a newer version").to_owned();
                self.say(format!(" upgraded the store to {version}"))
            }
            "store.imported" => self.say(" took over a store of the older format"),
            "audit.imported" => self.say(" took over an event of the older format"),
            _ => self.unknown(),
        }
    }

    /// The person that it was done to, by their address: in the event, or in the person made.
    fn the_person(self) -> Self {
        let made = self.data().get("user").and_then(|user| user["email"].as_str());
        let told = made.or(self.text_at("email")).unwrap_or(&self.event.target_id);
        let told = told.to_owned();
        self.say(told)
    }

    fn user(self) -> Self {
        match self.event.action.as_str() {
            "user.created" => self.say(" let in ").the_person(),
            "user.updated" => {
                let disabled = self
                    .data()
                    .get("changes")
                    .and_then(|changes| changes["disabled"].as_bool());
                match disabled {
                    Some(true) => self.say(" disabled ").the_person(),
                    Some(false) => self.say(" enabled ").the_person(),
                    None => self.say(" changed ").the_person().the_changes(),
                }
            }
            "user.invited" => self.say(" made a link to set a password for ").the_person(),
            "user.password_set" => self.say(" set the password of ").the_person(),
            "user.identified" => {
                let issuer = self.text_at("issuer").unwrap_or("a provider").to_owned();
                self.say(" tied ")
                    .the_person()
                    .say(format!(" to their account at {issuer}"))
            }
            "session.started" => {
                let session = self.data().get("session");
                let from = session.and_then(|session| session["address"].as_str());
                let from = from.unwrap_or("an unknown address").to_owned();
                self.say(format!(" signed in from {from}"))
            }
            "session.ended" => self.say(" ended a session of ").the_person(),
            "session.refused" => {
                let from = self.text_at("address").unwrap_or("an unknown address").to_owned();
                let whom = match self.text_at("email") {
                    Some(email) => format!(" as {email}"),
                    None => String::new(),
                };
                self.say(format!(" refused somebody at {from} who tried to sign in{whom}"))
            }
            _ => self.unknown(),
        }
    }

    fn link(self) -> Self {
        let made = self.data().get("link").and_then(|link| link["channel"].as_str());
        let channel = made.or(self.text_at("channel")).unwrap_or_default().to_owned();
        let verb = match self.event.action.as_str() {
            "link.created" => " made a tester link to ",
            "link.revoked" => " revoked a tester link to ",
            _ => return self.unknown(),
        };
        self.say(verb).a_channel(&channel).say(" of ").the_app()
    }

    fn access(self) -> Self {
        match self.event.action.as_str() {
            "access.refused" => {
                let request = self.text_at("request").unwrap_or("a request").to_owned();
                let code = self.text_at("code").unwrap_or("no code").to_owned();
                self.say(format!(" was refused {request} ({code})"))
            }
            "access.strangers_refused" => {
                let requests = count(self.number_at("count"), "request");
                let address = self.event.target_id.clone();
                self.say(format!(" refused {requests} of strangers from {address}"))
            }
            _ => self.unknown(),
        }
    }

    fn unknown(self) -> Self {
        let AuditEvent {
            action,
            target_type,
            target_id,
            ..
        } = self.event;
        let told = format!(" did {action} to {target_type} {target_id}");
        self.say(told)
    }
}

/// `1 object`, `2 objects`.
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
