//! Durable publishes a second, beside a bare `SQLite` transaction of the same rows.
//!
//! `cargo bench -p dist-service --bench publish [-- SECONDS ROUNDS]`. A publish is one release, four
//! artifacts, the channel's move and its audit events, over 50 apps. The bare transaction writes
//! one release, four artifacts, one channel and three events (nine rows), alone or sixteen at a
//! time. Rounds are interleaved; what counts is the ratio within one run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its table"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use dist_model::{Build, Digest, Platform, Source};
use dist_service::{ArtifactRequest, Caller, OpenMode, Principal, PublishRequest, Service, Setup};

const APPS: usize = 50;
const ARTIFACTS: usize = 4;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let seconds = Duration::from_secs(numbers.next().unwrap_or(2));
    let rounds = numbers.next().unwrap_or(3);
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    println!("round  bare/1    ours/1  ratio   bare/16   ours/16  ratio");
    for round in 1..=rounds {
        let path = |name: &str| folder.path().join(format!("{name}-{round}"));
        let bare_one = bare(&path("bare1"), seconds, 1);
        let ours_one = ours(&path("ours1"), seconds, 1);
        let bare_many = bare(&path("bare16"), seconds, 16);
        let ours_many = ours(&path("ours16"), seconds, 16);
        println!(
            "{round:>5} {bare_one:>7.0} {ours_one:>9.0} {:>6.2} {bare_many:>9.0} {ours_many:>9.0} {:>6.2}",
            ours_one / bare_one,
            ours_many / bare_many
        );
    }
}

/// Publishes a second through the service with so many writers at once.
fn ours(data: &Path, time: Duration, writers: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let service = Service::open(data, OpenMode::Create, Setup::default()).unwrap();
    let caller = Caller::new(Principal::Local(0));
    let mut digests = Vec::new();
    for n in 0..ARTIFACTS {
        let mut staging = service.objects().begin(u64::MAX).unwrap();
        staging.write(&[format!("artifact {n}").as_bytes()]).unwrap();
        let stored = staging.finish(None).unwrap();
        digests.push(
            runtime
                .block_on(service.record_upload(&caller, stored, None))
                .unwrap()
                .digest,
        );
    }
    let start = Instant::now();
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let (service, caller, digests) = (service.clone(), caller.clone(), digests.clone());
        tasks.push(runtime.spawn(async move {
            let mut done = 0;
            while start.elapsed() < time {
                let request = request(writer, done, &digests);
                service.publish(&caller, request, None).await.unwrap();
                done += 1;
            }
            done
        }));
    }
    let done: usize = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).sum();
    let rate = rate(done, start);
    service.shutdown();
    rate
}

fn request(writer: usize, n: usize, digests: &[Digest]) -> PublishRequest {
    PublishRequest {
        slug: format!("app-{}", n % APPS).parse().unwrap(),
        display_name: None,
        version: format!("1.{n}.0").parse().unwrap(),
        build: format!("w{writer}").parse::<Build>().unwrap(),
        channel: Some("stable".parse().unwrap()),
        notes: "b".repeat(200),
        source: Source::default(),
        draft: false,
        strict: false,
        artifacts: digests
            .iter()
            .enumerate()
            .map(|(n, digest)| artifact(n, *digest))
            .collect(),
    }
}

fn artifact(n: usize, sha256: Digest) -> ArtifactRequest {
    ArtifactRequest {
        platform: Some(Platform::Linux),
        arch: None,
        package_type: None,
        filename: Some(format!("file-{n}").parse().unwrap()),
        content_type: None,
        sha256,
        size_bytes: None,
        metadata: serde_json::Map::new(),
    }
}

/// Releases a second that bare `SQLite` writes, so many in a transaction.
fn bare(path: &Path, time: Duration, grouped: usize) -> f64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE ev (id INTEGER PRIMARY KEY, stream TEXT, kind TEXT, at INTEGER, body TEXT); CREATE INDEX evs ON ev (stream, id);
             CREATE TABLE rel (id INTEGER PRIMARY KEY, app TEXT, version TEXT, at INTEGER, notes TEXT, UNIQUE (app, version));
             CREATE TABLE art (rel INTEGER, name TEXT, digest TEXT, size INTEGER, PRIMARY KEY (rel, name)) WITHOUT ROWID; CREATE INDEX artd ON art (digest);
             CREATE TABLE chan (app TEXT, name TEXT, rel INTEGER, PRIMARY KEY (app, name)) WITHOUT ROWID;",
        )
        .unwrap();
    let body = "b".repeat(200);
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < time {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..grouped {
            bare_release(&connection, done, &body);
            done += 1;
        }
        connection.execute_batch("COMMIT").unwrap();
    }
    rate(done, start)
}

fn bare_release(connection: &rusqlite::Connection, n: usize, body: &str) {
    let app = format!("app-{}", n % APPS);
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql).unwrap().execute(params).unwrap();
    };
    run(
        "INSERT INTO rel (app, version, at, notes) VALUES (?1, ?2, 1700000000, ?3)",
        &[&app, &format!("1.{n}.0"), &body],
    );
    let release = connection.last_insert_rowid();
    for k in 0..ARTIFACTS {
        let digest = format!("{n:056x}{k:08x}");
        run(
            "INSERT INTO art VALUES (?1, ?2, ?3, 1048576)",
            &[&release, &format!("file-{k}.tar.zst"), &digest],
        );
    }
    run(
        "INSERT INTO chan VALUES (?1, 'stable', ?2) ON CONFLICT (app, name) DO UPDATE SET rel = excluded.rel",
        &[&app, &release],
    );
    for _ in 0..3 {
        run(
            "INSERT INTO ev (stream, kind, at, body) VALUES (?1, 'release.published', 1700000000, ?2)",
            &[&app, &body],
        );
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn rate(done: usize, start: Instant) -> f64 {
    done as f64 / start.elapsed().as_secs_f64()
}
