//! The large store: its events go into the log in batches, and the tables are made from the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dist_model::{
    Actor, App, AppChanges, Artifact, Build, ChannelChanges, ChannelMove, Digest, Event, IosMode, Platform, Release,
    ReleaseId, ReleaseStatus, Slug, Source, Timestamp, ValidationStatus, Visibility, events,
};
use dist_service::{Caller, Clock, OpenMode, Principal, Service, Setup};
use persist::{Append, Backend as _, Commit, ExpectedRevision, NewEvent, Options, SqlStore, StreamName};
use serde_json::json;

pub const APPS: usize = 20;
pub const RELEASES: usize = 10_000;
const EVENTS: usize = 1_000_000;
/// A release and what goes with it.
const BLOCK: usize = EVENTS / RELEASES;
const BATCH: usize = 2000;
const YEAR: i64 = 365 * 86_400_000;
const PEOPLE: [&str; 3] = ["ada@example.com", "bob@example.com", "eve@example.com"];
const PLATFORMS: [(Platform, &str); 3] = [
    (Platform::AndroidApk, "apk"),
    (Platform::Linux, "deb"),
    (Platform::Macos, "dmg"),
];

/// A clock that stands at the end of the store's year.
pub struct Fixed(pub Timestamp);

impl Clock for Fixed {
    fn now_ms(&self) -> i64 {
        self.0.as_millis()
    }
}

impl Fixed {
    pub fn open(self, folder: &Path) -> Service {
        let setup = Setup {
            clock: Arc::new(self),
            ..Setup::default()
        };
        Service::upgrade(&Caller::new(Principal::Local(0)), folder, &setup).unwrap();
        Service::open(folder, OpenMode::Existing, setup).unwrap()
    }
}

/// The time of the last event.
pub fn end() -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000)
}

pub fn app_slug(n: usize) -> Slug {
    format!("app-{n}").parse().unwrap()
}

fn app_id(n: usize) -> String {
    format!("01890000-0000-7000-9000-{n:012x}")
}

pub fn release_id(n: usize) -> ReleaseId {
    format!("01890000-0000-7000-8000-{n:012x}").parse().unwrap()
}

/// A digest without a pattern. Every tenth release has one artifact that all apps share.
pub fn digest(release: usize, artifact: usize) -> Digest {
    let shared = release % 10 == 9 && artifact == 0;
    let seed = if shared {
        7
    } else {
        (release * 8 + artifact) as u64 + 100
    };
    let mut bytes = [0; 32];
    let mut state = seed;
    for chunk in bytes.chunks_mut(8) {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
    }
    Digest::from_bytes(bytes)
}

pub fn commit(release: usize) -> String {
    digest(release, 7).to_string()[..40].to_owned()
}

/// The folder of the store, which is made where it is not.
pub fn store() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console-1");
    if folder.exists() {
        return folder;
    }
    let part = folder.with_extension("part");
    let _ = std::fs::remove_dir_all(&part);
    std::fs::create_dir_all(&part).unwrap();
    println!("making a store of {RELEASES} releases and {EVENTS} events …");
    write_log(&part);
    Fixed(end()).open(&part).shutdown();
    write_downloads(&part);
    std::fs::rename(&part, &folder).unwrap();
    folder
}

/// Writes the log alone, without its tables: they are made at once from all of it.
fn write_log(folder: &Path) {
    Service::open(folder, OpenMode::Create, Setup::default())
        .unwrap()
        .shutdown();
    let options = Options {
        application_id: 0x6469_7374,
        lock_path: Some(folder.join("lock")),
        ..Options::default()
    };
    let store = SqlStore::open_with(folder.join("dist.db"), persist::OpenMode::AdoptProjections, options).unwrap();
    let mut writer = Writer {
        store,
        commit: Commit::default(),
        waiting: 0,
        written: 0,
    };
    for n in 0..APPS {
        writer.append("local:0", &Event::AppCreated(events::AppCreated { app: app(n) }));
    }
    for n in 0..RELEASES {
        release_block(&mut writer, n);
    }
    writer.flush();
    writer.store.shutdown();
}

/// A release, its moves, now and then something rare, and uploads for the rest.
fn release_block(writer: &mut Writer, n: usize) {
    let (of_app, place) = (n % APPS, (n / APPS) as u64);
    let (ci, person) = (
        format!("token:ci-{of_app}"),
        format!("user:{}", PEOPLE[n % PEOPLE.len()]),
    );
    let last = (n + 1) * BLOCK;
    let at = writer.at();
    writer.append(
        &ci,
        &Event::ReleasePublished(events::ReleasePublished {
            release: release(n, at),
            artifacts: artifacts(n),
        }),
    );
    writer.append(&ci, &Event::ChannelPublished(moved(n, "beta", place + 1, 1)));
    if place % 2 == 0 {
        writer.append(&person, &Event::ChannelPromoted(moved(n, "stable", place / 2 + 1, 2)));
    }
    let app_id = app_id(of_app).parse().unwrap();
    if n % 50 == 7 {
        let changes = AppChanges {
            owner: Some(person.clone()),
            ..AppChanges::default()
        };
        writer.append(
            &person,
            &Event::AppUpdated(events::AppUpdated {
                app_id,
                slug: app_slug(of_app),
                changes,
            }),
        );
    } else if n % 500 < APPS {
        let changes = ChannelChanges {
            retention_keep: Some(100),
            ..ChannelChanges::default()
        };
        let channel = "beta".parse().unwrap();
        writer.append(
            "local:0",
            &Event::ChannelUpdated(events::ChannelUpdated {
                app_id,
                channel,
                changes,
            }),
        );
    }
    let mut k = 0;
    while writer.written < last {
        let uploaded = events::ObjectUploaded {
            sha256: digest(n, k % PLATFORMS.len()),
            size_bytes: 1 << 20,
            deduplicated: k >= PLATFORMS.len(),
        };
        writer.append(&ci, &Event::ObjectUploaded(uploaded));
        k += 1;
    }
}

struct Writer {
    store: SqlStore,
    commit: Commit,
    waiting: usize,
    written: usize,
}

impl Writer {
    /// The time of the next event: all of them share a year evenly.
    fn at(&self) -> Timestamp {
        let left = i64::try_from(EVENTS - self.written.min(EVENTS)).unwrap();
        end().plus_millis(-left * (YEAR / i64::try_from(EVENTS).unwrap()))
    }

    fn append(&mut self, actor: &str, event: &Event) {
        let target = event.target();
        let meta = json!({"actor": actor, "target": {"type": target.kind, "id": target.id, "app_id": target.app_id}});
        let new = NewEvent {
            meta,
            ..NewEvent::new(event.action(), self.at().as_millis(), event.to_data().unwrap())
        };
        let stream = StreamName::new(event.stream()).unwrap();
        self.commit
            .appends
            .push(Append::new(stream, ExpectedRevision::Any, vec![new]));
        (self.waiting, self.written) = (self.waiting + 1, self.written + 1);
        if self.waiting == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.store.commit(std::mem::take(&mut self.commit)).unwrap();
        self.waiting = 0;
    }
}

fn app(n: usize) -> App {
    App {
        id: app_id(n).parse().unwrap(),
        slug: app_slug(n),
        display_name: format!("Application {n}"),
        bundle_ids: [(Platform::AndroidApk, format!("dev.example.app{n}"))].into(),
        allowed_platforms: [].into(),
        owner: "local:0".to_owned(),
        visibility: Visibility::Private,
        ios_mode: IosMode::ArtifactOnly,
        ios_public_download: false,
        testflight_url: None,
        created_at: end().plus_millis(-YEAR),
        updated_at: end().plus_millis(-YEAR),
    }
}

fn release(n: usize, at: Timestamp) -> Release {
    Release {
        id: release_id(n),
        app_id: app_id(n % APPS).parse().unwrap(),
        version: format!("1.{}.0", n / APPS).parse().unwrap(),
        build: format!("b{n}").parse::<Build>().unwrap(),
        channel: Some("beta".parse().unwrap()),
        notes: "Fixes what the last one broke.\n".repeat(10),
        created_by: Actor::Token(format!("ci-{}", n % APPS)),
        created_at: at,
        published_at: Some(at),
        status: ReleaseStatus::Published,
        source: Source {
            commit: Some(commit(n)),
            branch: Some("main".to_owned()),
            run_url: Some(format!("https://ci.example.com/runs/{n}")),
        },
    }
}

fn artifacts(n: usize) -> Vec<Artifact> {
    let permissions: Vec<String> = (0..20 + n % 3)
        .map(|k| format!("android.permission.NUMBER_{k}"))
        .collect();
    let facts = json!({"app_id": "dev.example", "version": format!("1.{n}"), "min_os": "24", "permissions": permissions,
        "cert_sha256": [digest(n % APPS, 6)], "frameworks": (0..15).map(|k| format!("Framework{k}.framework")).collect::<Vec<_>>()});
    let finding =
        json!({"severity": "info", "code": "bench.seeded", "message": "It was made up.", "help": "Do nothing."});
    let metadata = json!({"inspection": {"schema": 1, "verdict": "passed", "facts": facts, "findings": [finding]}});
    let make = |(k, (platform, package_type)): (usize, &(Platform, &str))| Artifact {
        id: format!("01890000-0000-7000-a{k:03x}-{n:012x}").parse().unwrap(),
        app_id: app_id(n % APPS).parse().unwrap(),
        release_id: release_id(n),
        platform: *platform,
        arch: "arm64".to_owned(),
        package_type: (*package_type).to_owned(),
        filename: format!("app-{n}.{package_type}").parse().unwrap(),
        content_type: "application/octet-stream".to_owned(),
        size_bytes: 1 << 20,
        sha256: digest(n, k),
        storage_key: format!("objects/{}", digest(n, k)),
        metadata: metadata.as_object().cloned().unwrap(),
        validation_status: if n.is_multiple_of(7) {
            ValidationStatus::Warning
        } else {
            ValidationStatus::Passed
        },
    };
    PLATFORMS.iter().enumerate().map(make).collect()
}

/// A move of a channel that goes to every release that is a multiple of `step` apart.
fn moved(n: usize, channel: &str, revision: u64, step: usize) -> ChannelMove {
    ChannelMove {
        app_id: app_id(n % APPS).parse().unwrap(),
        channel: channel.parse().unwrap(),
        revision,
        release_id: release_id(n),
        previous_release_id: n.checked_sub(step * APPS).map(release_id),
        below: revision.checked_sub(1).filter(|below| *below > 0),
        from_channel: (step > 1).then(|| "beta".parse().unwrap()),
    }
}

/// Counts are side state, and so written beside the log: on each day people take the app's ten
/// newest releases of that day. The store counts them by release when it is opened next.
fn write_downloads(folder: &Path) {
    let mut connection = rusqlite::Connection::open(folder.join("dist.db")).unwrap();
    let tx = connection.transaction().unwrap();
    let sql = "INSERT INTO artifact_downloads (artifact_id, day, count) VALUES (?1, ?2, ?3)";
    let mut insert = tx.prepare(sql).unwrap();
    for day in 0..365_usize {
        let at = end().plus_millis(-86_400_000 * i64::try_from(364 - day).unwrap());
        let newest = RELEASES * day / 365;
        for n in newest.saturating_sub(APPS * 10)..newest {
            for k in 0..PLATFORMS.len() {
                let id = format!("01890000-0000-7000-a{k:03x}-{n:012x}");
                insert
                    .execute(rusqlite::params![id, at.day(), i64::try_from(n % 17 + 1).unwrap()])
                    .unwrap();
            }
        }
    }
    drop(insert);
    tx.commit().unwrap();
}
