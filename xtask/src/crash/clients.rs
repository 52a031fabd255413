//! The clients: each does one random thing after the other until the server is gone.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::call::{Call, Interrupted, Phase, Stop, Unanswered};
use super::ledger::{Intent, Ledger, Move, Publish};
use crate::http::Client;

const APPS: [&str; 2] = ["crash-one", "crash-two"];
const CHANNELS: [&str; 2] = ["beta", "stable"];
const SMALL: Range<usize> = 1..100_000;
const LARGE: Range<usize> = 300_000..1_500_000;
/// A cleanup without grace may take an object between its upload and what names it.
const MISSING: &[&str] = &["object.missing"];

/// Works until the server is gone. Client 0 cleans up and takes backups, the others publish.
pub fn work(client: &Client, round: u32, number: u64, seed: u64, ledger: &Mutex<Ledger>) -> Result<Interrupted> {
    let mut worker = Worker {
        client,
        rng: StdRng::seed_from_u64(seed),
        prefix: format!("{round}.{number}"),
        count: 0,
        ledger,
        known: Vec::new(),
        known_digests: Vec::new(),
    };
    loop {
        let done = if number == 0 {
            worker.maintain()
        } else {
            worker.change()
        };
        match done {
            Ok(()) => {}
            Err(Stop::Cut(interrupted)) => return Ok(interrupted),
            Err(Stop::Wrong(error)) => return Err(error),
        }
    }
}

/// Sends a publish again that was cut; it must succeed, and count once.
pub fn send_again(client: &Client, request: &Unanswered, ledger: &mut Ledger) -> Result<()> {
    let call = Call {
        path: &request.path,
        body: request.body.as_bytes(),
        key: Some(&request.key),
        phases: [Phase::Publishing; 2],
        may_come: MISSING,
    };
    match call.send(client) {
        Ok(Some(result)) => {
            note_publish(&result, ledger);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(Stop::Wrong(error)) => Err(error),
        Err(Stop::Cut(cut)) => bail!("nobody killed the server, and it is gone: {cut:?}"),
    }
}

struct Worker<'a> {
    client: &'a Client,
    rng: StdRng,
    prefix: String,
    count: u64,
    ledger: &'a Mutex<Ledger>,
    /// Releases of this client's that were published: app and id.
    known: Vec<(&'static str, String)>,
    /// The digests of their artifacts.
    known_digests: Vec<String>,
}

impl Worker<'_> {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.choose(&mut self.rng).copied()
    }

    fn app(&mut self) -> &'static str {
        self.pick(&APPS).unwrap_or(APPS[0])
    }

    fn channel(&mut self) -> &'static str {
        self.pick(&CHANNELS).unwrap_or(CHANNELS[0])
    }

    fn version(&mut self) -> String {
        self.count += 1;
        format!("{}.{}", self.prefix, self.count)
    }

    fn change(&mut self) -> Result<(), Stop> {
        match self.rng.random_range(0..10) {
            0..4 => self.publish(),
            4..6 => self.draft(),
            6..8 => self.promote(),
            _ => self.roll_back(),
        }
    }

    fn maintain(&mut self) -> Result<(), Stop> {
        sleep(Duration::from_millis(self.rng.random_range(0..40)));
        if self.rng.random_bool(0.7) {
            let body = json!({"grace_seconds": 0});
            self.post("/api/store/cleanup", &body, Phase::CleaningUp, &["store.busy"])?;
        } else if let Some(report) = self.post("/api/store/backup", &json!({}), Phase::BackingUp, &["store.busy"])? {
            let path = report["path"].as_str().unwrap_or_default().to_owned();
            self.ledger().backups.push(path);
        }
        Ok(())
    }

    /// Sends JSON.
    fn post(&self, path: &str, body: &Value, phase: Phase, may_come: &[&str]) -> Result<Option<Value>, Stop> {
        let body = body.to_string();
        let call = Call {
            path,
            body: body.as_bytes(),
            key: None,
            phases: [phase; 2],
            may_come,
        };
        call.send(self.client)
    }

    /// Uploads bytes; gives their digest.
    fn upload(&mut self, bytes: &[u8]) -> Result<String, Stop> {
        let digest = hex::encode(Sha256::digest(bytes));
        let call = Call {
            path: &format!("/api/upload?sha256={digest}"),
            body: bytes,
            key: None,
            phases: [Phase::SendingUpload, Phase::AwaitingUpload],
            may_come: MISSING,
        };
        while call.send(self.client)?.is_none() {}
        self.ledger().uploads.push(digest.clone());
        Ok(digest)
    }

    fn publish(&mut self) -> Result<(), Stop> {
        let (app, version) = (self.app(), self.version());
        let mut artifacts: Vec<Vec<u8>> = Vec::new();
        let mut digests: Vec<String> = Vec::new();
        // Every other time what is published already, so that not all time goes into uploads.
        match self.known_digests.choose(&mut self.rng) {
            Some(known) if self.count.is_multiple_of(2) => digests.push(known.clone()),
            _ => artifacts.resize_with(self.rng.random_range(1..4), || new_bytes(&mut self.rng)),
        }
        for bytes in &artifacts {
            digests.push(self.upload(bytes)?);
        }
        let mut body = json!({"app": app, "version": version, "artifacts": entries(&digests)});
        if self.rng.random_bool(0.8) {
            body["channel"] = self.channel().into();
        }
        let intent = Intent {
            artifacts: digests.iter().cloned().collect(),
            is_draft: false,
        };
        self.ledger().intents.insert(version.clone(), intent);
        for attempt in 0..3 {
            let request = Unanswered {
                path: format!("/api/apps/{app}/releases"),
                body: body.to_string(),
                key: format!("{version}-{attempt}"),
            };
            let call = Call {
                path: &request.path,
                body: request.body.as_bytes(),
                key: Some(&request.key),
                phases: [Phase::Publishing; 2],
                may_come: MISSING,
            };
            if let Some(result) = call.send(self.client).map_err(|stop| stop.of(&request))? {
                let id = note_publish(&result, &mut self.ledger());
                self.known.push((app, id));
                self.known_digests.extend(digests);
                return Ok(());
            }
            for bytes in &artifacts {
                self.upload(bytes)?;
            }
        }
        Ok(())
    }

    /// A draft that is begun, filled and perhaps published.
    fn draft(&mut self) -> Result<(), Stop> {
        let (app, version, channel) = (self.app(), self.version(), self.channel());
        let [first, second] = [0, 1].map(|_| new_bytes(&mut self.rng));
        let digests = [self.upload(&first)?, self.upload(&second)?];
        let intent = Intent {
            artifacts: digests.iter().cloned().collect(),
            is_draft: true,
        };
        self.ledger().intents.insert(version.clone(), intent);
        let releases = format!("/api/apps/{app}/releases");
        let begin = json!({"app": app, "version": version, "draft": true, "artifacts": entries(&digests[..1])});
        let Some(begun) = self.post(&releases, &begin, Phase::Drafting, MISSING)? else {
            return Ok(());
        };
        let id = text(&begun["release"]["id"]);
        let draft = Publish {
            id: id.clone(),
            version: version.clone(),
        };
        self.ledger().drafted.push(draft);
        let more = json!({"artifacts": entries(&digests[1..])});
        let path = format!("{releases}/{id}/artifacts");
        if self.post(&path, &more, Phase::Drafting, MISSING)?.is_some() {
            self.ledger().added.push((version, digests[1].clone()));
        }
        if self.rng.random_bool(0.7) {
            let path = format!("{releases}/{id}/publish");
            let result = self.post(&path, &json!({"channel": channel}), Phase::Drafting, MISSING)?;
            if let Some(result) = result {
                let id = note_publish(&result, &mut self.ledger());
                self.known.push((app, id));
            }
        }
        Ok(())
    }

    fn promote(&mut self) -> Result<(), Stop> {
        let Some((app, release)) = self.known.choose(&mut self.rng).cloned() else {
            return self.publish();
        };
        let path = format!("/api/apps/{app}/channels/{}/promote", self.channel());
        let result = self.post(&path, &json!({"release": release}), Phase::Promoting, &[])?;
        self.note_move(app, result);
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), Stop> {
        let app = self.app();
        let path = format!("/api/apps/{app}/channels/{}/rollback", self.channel());
        let may_come = [
            "app.not_found",
            "channel.not_found",
            "channel.no_previous",
            "channel.empty",
        ];
        let result = self.post(&path, &json!({}), Phase::RollingBack, &may_come)?;
        self.note_move(app, result);
        Ok(())
    }

    fn note_move(&self, app: &str, result: Option<Value>) {
        if let Some(result) = result.filter(|result| result["status"] == "moved") {
            let noted = moved(app, &result["channel"]);
            self.ledger().moves.push(noted);
        }
    }
}

/// Bytes like no others.
fn new_bytes(rng: &mut StdRng) -> Vec<u8> {
    let sizes = if rng.random_bool(0.1) { LARGE } else { SMALL };
    let size = rng.random_range(sizes);
    // More randomness would only cost time between two requests.
    let block: [u8; 64] = rng.random();
    block.into_iter().cycle().take(size).collect()
}

/// The artifacts of a release, told apart by their names.
fn entries(digests: &[String]) -> Value {
    let entry =
        |digest: &String| json!({"platform": "linux", "filename": format!("{}.bin", &digest[..12]), "sha256": digest});
    digests.iter().map(entry).collect()
}

/// Notes an acknowledged publish; gives the release's id.
fn note_publish(result: &Value, ledger: &mut Ledger) -> String {
    let id = text(&result["release"]["id"]);
    let version = text(&result["release"]["version"]);
    ledger.published.push(Publish {
        id: id.clone(),
        version,
    });
    if !result["channel"].is_null() {
        ledger
            .moves
            .push(moved(&text(&result["app"]["slug"]), &result["channel"]));
    }
    id
}

fn moved(app: &str, channel: &Value) -> Move {
    Move {
        app: app.to_owned(),
        channel: text(&channel["name"]),
        revision: channel["revision"].as_u64().unwrap_or(u64::MAX),
        release: text(&channel["release_id"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
