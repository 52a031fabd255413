//! Durable appends beside bare `rusqlite` writing the same rows to the same kind of file.
//!
//! Read the ratios within one run; the figures of different runs do not compare.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use persist::{Append, Backend, Commit, ExpectedRevision, NewEvent, Options, SqlStore, StreamName};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

const WRITERS: u64 = 16;
const BATCH: u64 = 256;

fn data() -> Value {
    json!({"release": "0193b5f2-6c1e-7d3a-9f00-5a1d2c3b4e5f", "channel": "beta", "from": null, "size": 123_456_789})
}

fn commit_of(stream: &StreamName, events: u64) -> Commit {
    let events = (0..events)
        .map(|_| NewEvent::new("release.published", 0, data()))
        .collect();
    Append::new(stream.clone(), ExpectedRevision::Any, events).into()
}

fn open(folder: &TempDir) -> SqlStore {
    SqlStore::open(&folder.path().join("store.db"), Options::default()).unwrap()
}

/// The same tables without the store: the rows of one transaction, and nothing that decides.
struct Bare {
    connection: Connection,
    position: i64,
}

impl Bare {
    fn open(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("bare.db")).unwrap();
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .unwrap();
        connection.execute_batch("PRAGMA synchronous = FULL").unwrap();
        connection
            .execute_batch(include_str!("../src/backends/sqlite/schema.sql"))
            .unwrap();
        connection
            .execute_batch("INSERT INTO persist_head VALUES (1, 'bare', 1, 0, '')")
            .unwrap();
        connection
            .execute_batch("INSERT INTO persist_streams VALUES ('hot', 0)")
            .unwrap();
        Self {
            connection,
            position: 0,
        }
    }

    fn write(&mut self, events: u64) {
        let sql = |sql| self.connection.prepare_cached(sql).unwrap();
        sql("BEGIN IMMEDIATE").execute([]).unwrap();
        let mut insert = sql("INSERT INTO persist_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
        for _ in 0..events {
            self.position += 1;
            let (position, meta, body) = (self.position, None::<&str>, data().to_string());
            let row = params![position, "hot", position, "release.published", 0, 0, 1, meta, body];
            insert.execute(row).unwrap();
        }
        sql("UPDATE persist_streams SET last_seq = ?1 WHERE stream = 'hot'")
            .execute([self.position])
            .unwrap();
        sql("UPDATE persist_head SET position = ?1 WHERE id = 1")
            .execute([self.position])
            .unwrap();
        sql("COMMIT").execute([]).unwrap();
    }
}

/// The time that `WRITERS` threads take for `each` writes apiece.
fn side_by_side(each: u64, write: impl Fn() + Sync) -> Duration {
    let barrier = Barrier::new(usize::try_from(WRITERS).unwrap() + 1);
    let started = thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..each {
                    write();
                }
            });
        }
        barrier.wait();
        Instant::now()
    });
    started.elapsed()
}

fn append(criterion: &mut Criterion) {
    let stream = StreamName::new("hot").unwrap();
    for (name, events) in [("1 writer", 1), ("batches of 256", BATCH)] {
        let folder = tempdir().unwrap();
        let (store, mut bare) = (open(&folder), Bare::open(folder.path()));
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(events));
        group.bench_function("persist", |bencher| {
            bencher.iter(|| store.commit(commit_of(&stream, events)).unwrap());
        });
        group.bench_function("bare", |bencher| bencher.iter(|| bare.write(events)));
        group.finish();
    }
}

fn append_side_by_side(criterion: &mut Criterion) {
    let stream = StreamName::new("hot").unwrap();
    let folder = tempdir().unwrap();
    let (store, mut bare) = (open(&folder), Bare::open(folder.path()));
    let mut group = criterion.benchmark_group("16 writers");
    group.throughput(Throughput::Elements(WRITERS));
    group.bench_function("persist", |bencher| {
        bencher.iter_custom(|each| side_by_side(each, || drop(store.commit(commit_of(&stream, 1)).unwrap())));
    });
    // What 16 writers can hope for: their rows grouped by 16.
    group.bench_function("bare, grouped by 16", |bencher| {
        bencher.iter(|| bare.write(WRITERS));
    });
    group.finish();
}

criterion_group!(benches, append, append_side_by_side);
criterion_main!(benches);
