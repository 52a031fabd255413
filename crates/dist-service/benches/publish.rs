//! Durable publishes a second, beside a bare `SQLite` transaction of the same rows.
//!
//! `cargo bench -p dist-service --bench publish [-- SECONDS ROUNDS]`. A publish is one release, four
//! artifacts, the channel's move and its audit events, over 50 apps; its files are inspected in the
//! process itself, or in children as `distd` does it. The bare transaction writes one release, four
//! artifacts, one channel and three events (nine rows), alone or sixteen at a time. Rounds are
//! interleaved; what counts is the ratio within one run.
//!
//! At the end: what one inspection of a small APK takes, in the process, in a child that waits for
//! work, and in one that is started for it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its table"
)]

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dist_inspect::{ChildInspector, InProcess, Inspector, run_if_inspector};
use dist_model::{Build, Digest, Platform, Source, Timestamp};
use dist_service::{ArtifactRequest, Caller, OpenMode, Principal, PublishRequest, Service, Setup};

const APPS: usize = 50;
const ARTIFACTS: usize = 4;

fn main() -> ExitCode {
    run_if_inspector().unwrap_or_else(|| {
        measure();
        ExitCode::SUCCESS
    })
}

fn measure() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let seconds = Duration::from_secs(numbers.next().unwrap_or(2));
    let rounds = numbers.next().unwrap_or(3);
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    println!("round writers    bare    ours  ratio  in children  ratio");
    for round in 1..=rounds {
        for writers in [1, 16] {
            let path = |name: &str| folder.path().join(format!("{name}-{writers}-{round}"));
            let bare = bare(&path("bare"), seconds, writers);
            let ours_in = |name, inspector| ours(&path(name), inspector, seconds, writers);
            let ours = ours_in("ours", Arc::new(InProcess));
            let children = ours_in("children", Arc::new(ChildInspector::of_this_program()));
            println!(
                "{round:>5} {writers:>7} {bare:>7.0} {ours:>7.0} {:>6.2} {children:>12.0} {:>6.2}",
                ours / bare,
                children / bare
            );
        }
    }
    measure_one_inspection();
}

/// Prints the middle of many inspections, in microseconds.
fn measure_one_inspection() {
    let apk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dist/hello-1.0.0.apk");
    let apk = File::open(apk).unwrap();
    let waiting = ChildInspector::of_this_program();
    let inspect = |inspector: &dyn Inspector| {
        let start = Instant::now();
        inspector.inspect(&apk, "hello.apk", Timestamp::from_millis(0)).unwrap();
        start.elapsed()
    };
    let mut times: [Vec<Duration>; 3] = std::array::from_fn(|_| Vec::new());
    for _ in 0..200 {
        times[0].push(inspect(&InProcess));
        times[1].push(inspect(&waiting));
        times[2].push(inspect(&ChildInspector::of_this_program()));
    }
    for (place, times) in ["in the process", "in a child that waits", "in a new child"]
        .iter()
        .zip(&mut times)
    {
        times.sort();
        println!("{:>6} µs  {place}", times[times.len() / 2].as_micros());
    }
}

/// Publishes a second through the service with so many writers at once.
fn ours(data: &Path, inspector: Arc<dyn Inspector>, time: Duration, writers: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let setup = Setup {
        inspector,
        ..Setup::default()
    };
    let service = Service::open(data, OpenMode::Create, setup).unwrap();
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
