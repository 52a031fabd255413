//! A store in a temporary folder with a clock and randomness that the test knows.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking, and uses what it needs"
)]

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use dist_inspect::{Icon, InProcess, Inspection, Inspector};
use dist_model::decide::{Published, TokenIntent};
use dist_model::{Build, Digest, ErrorCode, Scope, Scopes, Source, Timestamp};
use dist_service::{
    ArtifactRequest, Caller, Clock, Entropy, Error, OpenMode, Principal, PublishRequest, Service, Setup,
};
use tempfile::TempDir;

/// A clock that stands still until it is told otherwise.
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Bytes that count up: ids and secrets are known, and never repeat.
#[derive(Default)]
pub struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        let next = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        bytes.fill(0);
        let end = bytes.len();
        bytes[end - 8..].copy_from_slice(&next.to_be_bytes());
        Ok(())
    }
}

/// Takes a file for what is known of it: its bytes are the facts, and its icon is as it is told.
#[derive(Debug, Default)]
pub struct Told {
    pub icon: Option<Icon>,
}

impl Inspector for Told {
    fn inspect(&self, mut file: &File, name: &str, _: Timestamp) -> std::io::Result<Inspection> {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut report = dist_inspect::claim(name);
        report.facts = serde_json::from_str(&text)?;
        let icon = self.icon.clone();
        Ok(Inspection { report, icon })
    }
}

/// A store and what a test does with it.
pub struct World {
    pub folder: TempDir,
    pub clock: Arc<TestClock>,
    pub entropy: Arc<Counting>,
    pub service: Service,
}

pub const LOCAL: Principal = Principal::Local(1000);

pub fn local() -> Caller {
    Caller::new(LOCAL)
}

impl World {
    pub fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    pub fn in_folder(folder: TempDir) -> Self {
        Self::with(folder, Arc::new(InProcess))
    }

    /// A store whose files are what `told` says.
    pub fn told(told: Told) -> Self {
        Self::with(tempfile::tempdir().unwrap(), Arc::new(told))
    }

    fn with(folder: TempDir, inspector: Arc<dyn Inspector>) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_767_225_600_000)));
        let entropy = Arc::new(Counting::default());
        let setup = Setup {
            clock: clock.clone(),
            entropy: entropy.clone(),
            inspector,
            ..Setup::default()
        };
        let service = Service::open(folder.path(), OpenMode::Create, setup).unwrap();
        Self {
            folder,
            clock,
            entropy,
            service,
        }
    }

    pub fn setup(&self) -> Setup {
        Setup {
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            ..Setup::default()
        }
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub async fn upload(&self, caller: &Caller, bytes: &[u8]) -> Digest {
        let mut staging = self.service.objects().begin(u64::MAX).unwrap();
        staging.write(&[bytes]).unwrap();
        let stored = staging.finish(None).unwrap();
        self.service.record_upload(caller, stored, None).await.unwrap().digest
    }

    /// Publishes one Linux archive whose bytes are made from `content`.
    pub async fn publish(&self, version: &str, channel: Option<&str>, content: &str) -> Result<Published, Error> {
        let digest = self.upload(&local(), content.as_bytes()).await;
        self.pass(1);
        self.service
            .publish(
                &local(),
                request(version, channel, vec![artifact("acme-linux", digest)]),
                None,
            )
            .await
    }

    pub async fn token(&self, name: &str, scopes: &[Scope], app: Option<&str>, channels: &[&str]) -> (Caller, String) {
        let intent = TokenIntent {
            name: name.to_owned(),
            scopes: Scopes(scopes.iter().copied().collect()),
            app_slug: app.map(|slug| slug.parse().unwrap()),
            channels: channels.iter().map(|channel| channel.parse().unwrap()).collect(),
            expires_at: None,
        };
        let secret = self
            .service
            .create_token(&local(), intent, None)
            .await
            .unwrap()
            .secret
            .unwrap();
        let principal = self
            .service
            .authenticate(Some(&format!("Bearer {secret}")))
            .await
            .unwrap();
        (Caller::new(principal), secret)
    }

    /// Every row of every table but the audit's, and every object: what a refusal must not change.
    pub fn contents(&self) -> Vec<String> {
        let connection = rusqlite::Connection::open(self.folder.path().join("dist.db")).unwrap();
        let mut contents = Vec::new();
        let tables = [
            "apps",
            "app_bundle_ids",
            "releases",
            "artifacts",
            "channels",
            "channel_history",
            "tokens",
            "object_uploads",
        ];
        for table in tables {
            let mut statement = connection
                .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3"))
                .unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values: Vec<String> = (0..columns).map(|i| format!("{:?}", row.get_ref(i).unwrap())).collect();
                contents.push(format!("{table}: {}", values.join(" | ")));
            }
        }
        let objects = std::fs::read_dir(self.folder.path().join("objects")).unwrap();
        let mut names: Vec<String> = objects
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        contents.extend(names);
        contents
    }

    pub async fn actions(&self) -> Vec<String> {
        let page = self
            .service
            .audit(
                &local(),
                &dist_service::AuditFilter::default(),
                &dist_service::Paging {
                    cursor: None,
                    limit: 200,
                },
            )
            .await
            .unwrap();
        page.items.into_iter().rev().map(|event| event.action).collect()
    }
}

pub fn request(version: &str, channel: Option<&str>, artifacts: Vec<ArtifactRequest>) -> PublishRequest {
    PublishRequest {
        slug: "acme".parse().unwrap(),
        display_name: Some("Acme".to_owned()),
        version: version.parse().unwrap(),
        build: Build::none(),
        channel: channel.map(|channel| channel.parse().unwrap()),
        notes: String::new(),
        source: Source::default(),
        draft: false,
        strict: false,
        artifacts,
    }
}

pub fn artifact(filename: &str, sha256: Digest) -> ArtifactRequest {
    ArtifactRequest {
        platform: Some(dist_model::Platform::Linux),
        arch: None,
        package_type: None,
        filename: Some(filename.parse().unwrap()),
        content_type: None,
        sha256,
        size_bytes: None,
        metadata: serde_json::Map::new(),
    }
}

#[track_caller]
pub fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    result.unwrap_err().refusal().code
}
