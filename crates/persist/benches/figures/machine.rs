//! How steady the machine is: work that is always the same.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::table::{Contestant, Ratio, Section};

pub fn section(folder: &Path) -> Section<'static> {
    let file = File::create(folder.join("sync")).unwrap();
    Section {
        title: "the machine",
        unit: "/s",
        ratio: Ratio::None,
        contestants: vec![
            Contestant::new("4 KiB written over and synced", move |time| {
                rate(time, 1, || {
                    file.write_all_at(&[7; 4096], 0).unwrap();
                    file.sync_data().unwrap();
                })
            }),
            Contestant::new("a million steps of a generator", |time| rate(time, 1, steps)),
        ],
    }
}

/// Steps of a linear congruential generator: each waits for the one before it.
fn steps() {
    let mut state = 1_u64;
    for _ in 0..1_000_000 {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// How many things a second are done, when `work` does `each` of them at once.
pub fn rate(time: Duration, each: u64, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < time {
        work();
        done += each;
    }
    done as f64 / start.elapsed().as_secs_f64()
}
