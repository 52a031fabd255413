//! What must hold of a store after a kill: everything that was acknowledged is there, and nothing
//! is there by half.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::ledger::Ledger;
use crate::http::Client;
use crate::server::Binaries;
use crate::shell;

/// Checks a store that a server has just opened again and that nobody else is using.
pub fn all(binaries: &Binaries, client: &Client, data: &Path, ledger: &Ledger) -> Result<()> {
    let cleanup = client.post("/api/store/cleanup", &json!({"grace_seconds": 0}))?;
    cleanup.expect_ok().context("cleanup")?;
    let left: Vec<_> = fs::read_dir(data.join("staging"))?.collect::<Result<_, _>>()?;
    ensure!(left.is_empty(), "the cleanup left in staging: {left:?}");
    let objects = objects(data)?;
    let tables = Tables::read(data)?;
    tables.acknowledged(ledger)?;
    tables.whole(ledger, &objects)?;
    verify(binaries, data)
}

/// `dist store verify` finds nothing.
pub fn verify(binaries: &Binaries, data: &Path) -> Result<()> {
    let (code, answer) = binaries.local(data, &["store", "verify"])?;
    ensure!(code == 0 && answer["ok"] == true, "store verify: exit {code}: {answer}");
    Ok(())
}

/// The names of all objects, each of which must be the digest of its bytes.
fn objects(data: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(data.join("objects"))? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let digest = hex::encode(Sha256::digest(fs::read(entry.path())?));
        ensure!(name == digest, "the object {name} has the digest {digest}");
        names.insert(name);
    }
    Ok(names)
}

struct Release {
    app_id: String,
    version: String,
    status: String,
    artifacts: BTreeSet<String>,
}

struct Channel {
    revision: u64,
    current: String,
    /// By revision, what it pointed at.
    history: BTreeMap<u64, String>,
}

/// What the database says, read as a person would.
struct Tables {
    /// By slug.
    apps: BTreeMap<String, String>,
    /// By id.
    releases: BTreeMap<String, Release>,
    /// By app id and name.
    channels: BTreeMap<(String, String), Channel>,
    /// Action and target of every event.
    audit: BTreeSet<(String, String)>,
    /// How many events moved each channel, by app id and name.
    moves: BTreeMap<(String, String), u64>,
}

impl Tables {
    fn read(data: &Path) -> Result<Self> {
        let mut tables = Self {
            apps: BTreeMap::new(),
            releases: BTreeMap::new(),
            channels: BTreeMap::new(),
            audit: BTreeSet::new(),
            moves: BTreeMap::new(),
        };
        for row in query(data, "SELECT id, slug FROM apps")? {
            tables.apps.insert(text(&row, "slug"), text(&row, "id"));
        }
        for row in query(data, "SELECT id, app_id, version, status FROM releases")? {
            let release = Release {
                app_id: text(&row, "app_id"),
                version: text(&row, "version"),
                status: text(&row, "status"),
                artifacts: BTreeSet::new(),
            };
            tables.releases.insert(text(&row, "id"), release);
        }
        for row in query(data, "SELECT release_id, sha256 FROM artifacts")? {
            let release = tables.releases.get_mut(&text(&row, "release_id"));
            let release = release.with_context(|| format!("an artifact without its release: {row}"))?;
            release.artifacts.insert(text(&row, "sha256"));
        }
        for row in query(data, "SELECT app_id, name, revision, current_release_id FROM channels")? {
            let channel = Channel {
                revision: row["revision"].as_u64().unwrap_or(0),
                current: text(&row, "current_release_id"),
                history: BTreeMap::new(),
            };
            tables
                .channels
                .insert((text(&row, "app_id"), text(&row, "name")), channel);
        }
        for row in query(
            data,
            "SELECT app_id, channel, revision, release_id FROM channel_history",
        )? {
            let channel = tables.channels.get_mut(&(text(&row, "app_id"), text(&row, "channel")));
            let channel = channel.with_context(|| format!("a move of a channel that is not there: {row}"))?;
            let revision = row["revision"].as_u64().unwrap_or(0);
            channel.history.insert(revision, text(&row, "release_id"));
        }
        for row in query(data, "SELECT action, target_id, app_id FROM audit_events")? {
            let (action, target) = (text(&row, "action"), text(&row, "target_id"));
            if matches!(
                action.as_str(),
                "channel.published" | "channel.promoted" | "channel.rolled_back"
            ) {
                *tables.moves.entry((text(&row, "app_id"), target.clone())).or_default() += 1;
            }
            tables.audit.insert((action, target));
        }
        Ok(tables)
    }

    fn has_event(&self, action: &str, target: &str) -> Result<()> {
        let known = self.audit.contains(&(action.to_owned(), target.to_owned()));
        ensure!(known, "no event {action} of {target}");
        Ok(())
    }

    /// Everything that clients were told is there.
    fn acknowledged(&self, ledger: &Ledger) -> Result<()> {
        for publish in &ledger.published {
            let release = self.releases.get(&publish.id);
            let release = release.with_context(|| format!("an acknowledged release is lost: {publish:?}"))?;
            ensure!(release.status == "published", "{publish:?} is {}", release.status);
            ensure!(release.version == publish.version, "{publish:?} is {}", release.version);
        }
        for draft in &ledger.drafted {
            ensure!(
                self.releases.contains_key(&draft.id),
                "an acknowledged draft is lost: {draft:?}"
            );
        }
        for (version, digest) in &ledger.added {
            let mut releases = self.releases.values();
            let there = releases.any(|release| release.version == *version && release.artifacts.contains(digest));
            ensure!(there, "{version} lacks the acknowledged artifact {digest}");
        }
        for digest in &ledger.uploads {
            self.has_event("object.uploaded", digest)?;
        }
        for wanted in &ledger.moves {
            let id = self
                .apps
                .get(&wanted.app)
                .with_context(|| format!("no app for {wanted:?}"))?;
            let channel = self.channels.get(&(id.clone(), wanted.channel.clone()));
            let channel = channel.with_context(|| format!("no channel for {wanted:?}"))?;
            ensure!(
                channel.revision >= wanted.revision,
                "at revision {}: {wanted:?}",
                channel.revision
            );
            let moved = channel.history.get(&wanted.revision);
            ensure!(moved == Some(&wanted.release), "moved to {moved:?}: {wanted:?}");
        }
        Ok(())
    }

    /// Whatever is there, acknowledged or not, is whole.
    fn whole(&self, ledger: &Ledger, objects: &BTreeSet<String>) -> Result<()> {
        for (id, release) in &self.releases {
            let version = &release.version;
            let intent = ledger.intents.get(version);
            let intent = intent.with_context(|| format!("nobody set out to make {version}"))?;
            let all_there = release.artifacts == intent.artifacts;
            let some_there = intent.is_draft && release.artifacts.is_subset(&intent.artifacts);
            ensure!(
                all_there || some_there,
                "{version} has {:?} of {intent:?}",
                release.artifacts
            );
            for digest in &release.artifacts {
                ensure!(objects.contains(digest), "{version} names {digest}, which is not there");
            }
            match release.status.as_str() {
                "published" => self.has_event("release.published", id)?,
                "draft" => self.has_event("release.drafted", id)?,
                other => bail!("{version} is {other}"),
            }
        }
        for ((app_id, name), channel) in &self.channels {
            let revisions: Vec<u64> = channel.history.keys().copied().collect();
            let expected: Vec<u64> = (1..=channel.revision).collect();
            ensure!(
                revisions == expected,
                "{name} is at {} and has {revisions:?}",
                channel.revision
            );
            let moves = self.moves.get(&(app_id.clone(), name.clone())).copied().unwrap_or(0);
            ensure!(
                moves == channel.revision,
                "{name}: {moves} events, revision {}",
                channel.revision
            );
            let current = self.releases.get(&channel.current);
            let current = current.with_context(|| format!("{name} points at nothing"))?;
            ensure!(
                current.status == "published" && current.app_id == *app_id,
                "{name} points at what it must not"
            );
        }
        Ok(())
    }
}

fn query(data: &Path, sql: &str) -> Result<Vec<Value>> {
    let mut sqlite = shell::command("sqlite3");
    let printed = shell::read(sqlite.args(["-readonly", "-json"]).arg(data.join("dist.db")).arg(sql))?;
    // It prints nothing at all where there are no rows.
    if printed.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&printed).with_context(|| sql.to_owned())
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Intent, Move, Publish};
    use super::*;

    const OBJECT: &str = "d1";

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(ToString::to_string).collect()
    }

    /// A release on a channel, and the ledger that says so.
    fn sample() -> (Tables, Ledger) {
        let release = Release {
            app_id: "a".into(),
            version: "1".into(),
            status: "published".into(),
            artifacts: set(&[OBJECT]),
        };
        let channel = Channel {
            revision: 1,
            current: "r".into(),
            history: [(1, "r".into())].into(),
        };
        let key = || ("a".to_owned(), "beta".to_owned());
        let event = |action: &str, target: &str| (action.to_owned(), target.to_owned());
        let tables = Tables {
            apps: [("app".into(), "a".into())].into(),
            releases: [("r".into(), release)].into(),
            channels: [(key(), channel)].into(),
            audit: [event("release.published", "r"), event("object.uploaded", OBJECT)].into(),
            moves: [(key(), 1)].into(),
        };
        let intent = Intent {
            artifacts: set(&[OBJECT]),
            is_draft: false,
        };
        let moved = Move {
            app: "app".into(),
            channel: "beta".into(),
            revision: 1,
            release: "r".into(),
        };
        let ledger = Ledger {
            intents: [("1".into(), intent)].into(),
            published: vec![Publish {
                id: "r".into(),
                version: "1".into(),
            }],
            moves: vec![moved],
            uploads: vec![OBJECT.into()],
            ..Ledger::default()
        };
        (tables, ledger)
    }

    fn check(spoil: impl Fn(&mut Tables, &mut Ledger, &mut BTreeSet<String>)) -> Result<()> {
        let (mut tables, mut ledger) = sample();
        let mut objects = set(&[OBJECT]);
        spoil(&mut tables, &mut ledger, &mut objects);
        tables.acknowledged(&ledger)?;
        tables.whole(&ledger, &objects)
    }

    #[test]
    fn whatever_is_lost_or_half_is_found() {
        check(|_, _, _| {}).unwrap();
        check(|tables, _, _| tables.releases.clear()).unwrap_err();
        check(|tables, _, _| tables.audit.clear()).unwrap_err();
        check(|tables, _, _| tables.moves.clear()).unwrap_err();
        check(|tables, _, _| tables.channels.clear()).unwrap_err();
        check(|_, _, objects| objects.clear()).unwrap_err();
        check(|_, ledger, _| ledger.moves[0].revision = 2).unwrap_err();
        check(|_, ledger, _| ledger.intents.clear()).unwrap_err();
        check(|tables, _, _| {
            for release in tables.releases.values_mut() {
                release.artifacts.clear();
            }
        })
        .unwrap_err();
        check(|tables, _, _| {
            for channel in tables.channels.values_mut() {
                channel.revision = 2;
            }
        })
        .unwrap_err();
    }
}
