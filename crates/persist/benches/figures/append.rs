//! Durable appends to one stream.

use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use persist::{Backend, SqlStore};

use crate::machine::rate;
use crate::peers::{Bare, commit_of, open, stream};
use crate::postgres::{self, Postgres};
use crate::table::{Contestant, Ratio, Section};

const WRITERS: u64 = 16;
const BATCH: u64 = 256;

pub fn sections<'a>(folder: &Path, postgres: &'a Result<Postgres, String>) -> Vec<Section<'a>> {
    let store = |name: &str| open(&folder.join(format!("persist-{name}.db")));
    let bare = |name: &str| Bare::open(&folder.join(format!("bare-{name}.db")));
    let (one, many, batches) = (store("one"), store("many"), store("batches"));
    let (mut bare_one, mut bare_many, mut bare_batches) = (bare("one"), bare("many"), bare("batches"));
    vec![
        Section {
            title: "append, 1 writer",
            unit: "events/s",
            ratio: Ratio::OfFirst,
            contestants: vec![
                Contestant::new("persist", move |time| write(&one, 1, time)),
                Contestant::new("bare rusqlite", move |time| rate(time, 1, || bare_one.write(1))).goal("≥ 0.9"),
                postgres::contestant(postgres, postgres::SAME_ROWS, 1, 1),
                postgres::contestant(postgres, postgres::INSERT, 1, 1),
            ],
        },
        Section {
            title: "append, 16 writers",
            unit: "events/s",
            ratio: Ratio::OfFirst,
            contestants: vec![
                Contestant::new("persist", move |time| write_side_by_side(&many, time)),
                // What 16 writers can hope for: their rows grouped by 16.
                Contestant::new("bare rusqlite, grouped by 16", move |time| {
                    rate(time, WRITERS, || bare_many.write(WRITERS))
                }),
                postgres::contestant(postgres, postgres::SAME_ROWS, WRITERS, 1).goal("≥ 2.3"),
                postgres::contestant(postgres, postgres::INSERT, WRITERS, 1),
            ],
        },
        Section {
            title: "append, batches of 256",
            unit: "events/s",
            ratio: Ratio::OfFirst,
            contestants: vec![
                Contestant::new("persist", move |time| write(&batches, BATCH, time)),
                Contestant::new("bare rusqlite", move |time| {
                    rate(time, BATCH, || bare_batches.write(BATCH))
                })
                .goal("≥ 0.85"),
                postgres::contestant(postgres, postgres::SAME_ROWS, 1, BATCH),
            ],
        },
    ]
}

fn write(store: &SqlStore, events: u64, time: Duration) -> f64 {
    let stream = stream("hot");
    rate(time, events, || drop(store.commit(commit_of(&stream, events)).unwrap()))
}

/// Each of the writers waits for its own commits.
fn write_side_by_side(store: &SqlStore, time: Duration) -> f64 {
    let barrier = Barrier::new(usize::try_from(WRITERS).unwrap() + 1);
    let stream = stream("hot");
    let before = store.head().unwrap();
    let start = thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                barrier.wait();
                rate(time, 1, || drop(store.commit(commit_of(&stream, 1)).unwrap()));
            });
        }
        barrier.wait();
        Instant::now()
    });
    (store.head().unwrap().get() - before.get()) as f64 / start.elapsed().as_secs_f64()
}
