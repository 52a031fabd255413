//! What is left of a store when the power fails, and what it does when the disk does.
//!
//! A child, this test binary again, works on a store under `strace`, which writes down in one
//! order what reaches the files and what the child acknowledges. From that the disk is made again
//! as it may be found if the power fails at any sync: with all, nothing or a part of what was
//! written since the one before. Disks are made to fail by `strace` too.
//!
//! `PERSIST_POWER_ROUNDS` says how often the workload is repeated (2), `PERSIST_POWER_SEEDS` how many
//! chance selections of writes survive each loss of power (1). With 6 and 20 it takes a minute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod trace;
mod workload;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;
use std::{env, fs, process, thread};

use common::{PATIENCE, amount, append, committed, open, uses, with_totals};
use disk::{Disk, Image, Random, Survival};
use persist::{Backend, SqlError, SqlReadExt, SqlStore, params};
use tempfile::{TempDir, tempdir, tempdir_in};
use trace::{FOLDER, Step};
use workload::{LARGE, check, in_turn, refuse, say, together};

/// How many images are checked at once.
const THREADS: usize = 2;
/// How many commits a round of the workload has.
const ROUND: u64 = 24;
/// How many commits the children under a failing disk have.
const FEW: u64 = 4;
/// How many they have together with the one that goes on.
const MORE: u64 = 6;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().expect(name))
}

fn rounds() -> u64 {
    setting("PERSIST_POWER_ROUNDS", 2)
}

/// A folder, in memory if possible: what counts is which syncs are asked for, not that they happen.
fn scratch() -> TempDir {
    tempdir_in("/dev/shm").or_else(|_| tempdir()).unwrap()
}

/// Makes a store in `folder`, so that a child's first sync is not one that makes it.
fn made(folder: &Path) -> Disk {
    drop(open(folder));
    Disk::holding(folder)
}

/// Where a child finds its store; `None` in a run that is not a child's.
fn folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// A child: everything that writes, and every way in which the log begins again.
#[test]
fn child_works() {
    let Some(folder) = folder() else { return };
    for first in (0..rounds()).map(|round| round * ROUND) {
        let store = open(&folder);
        in_turn(&store, first..first + 4);
        refuse(&store);
        together(&store, first + 4..first + 8);
        // With a reader in the way all is written back, but the log is not emptied: the next
        // commit overwrites it from its beginning.
        let emptied = store.read(|tx| {
            tx.query_one("SELECT COUNT(*) FROM uses", params![], |row| row.get::<i64>(0))?;
            Ok::<_, SqlError>(store.checkpoint().unwrap())
        });
        assert!(!emptied.unwrap());
        in_turn(&store, first + 8..first + 11);
        assert!(store.checkpoint().unwrap());
        in_turn(&store, first + 11..first + 13);
        together(&store, first + 13..first + 18);
        drop(store);
        let store = open(&folder);
        together(&store, first + 18..first + 21);
        in_turn(&store, first + 21..first + ROUND);
    }
}

static WORK: LazyLock<Vec<Step>> = LazyLock::new(|| trace::run("child_works", scratch().path(), None));

/// The numbers of the commits that were acknowledged in these steps.
fn acknowledged(steps: &[Step]) -> BTreeSet<u64> {
    said(steps)
        .filter_map(|said| said.strip_prefix("committed "))
        .map(|number| number.parse().unwrap())
        .collect()
}

fn said(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().filter_map(|step| match step {
        Step::Said(said) => Some(said.as_str()),
        _ => None,
    })
}

/// Calls `cut` with the disk as it is before each sync and at the end, and with the steps until then.
fn at_each_sync<'s>(mut disk: Disk, steps: &'s [Step], mut cut: impl FnMut(&Disk, &'s [Step])) {
    for (at, step) in steps.iter().enumerate() {
        if matches!(step, Step::Sync(_) | Step::FailedSync(_)) {
            cut(&disk, &steps[..at]);
        }
        disk.take(step);
    }
    cut(&disk, steps);
}

/// The different images that a disk may leave.
fn images(disk: &Disk, seed: u64) -> Vec<Image> {
    let mut random = Random(seed);
    let mut survivals = vec![Survival::Nothing, Survival::Everything];
    for _ in 0..setting("PERSIST_POWER_SEEDS", 1) {
        survivals.push(Survival::First(random.below(disk.undecided() + 1)));
        survivals.push(Survival::Some(Random(random.below(usize::MAX) as u64)));
    }
    let mut images: Vec<_> = survivals.into_iter().map(|survival| disk.image(survival)).collect();
    images.sort_unstable();
    images.dedup();
    images
}

/// Boots from an image and checks the store on it.
fn boot(image: &Image, acknowledged: &BTreeSet<u64>, asked: &BTreeSet<u64>) -> Result<(), String> {
    let folder = scratch();
    for (name, bytes) in image {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    check(folder.path(), acknowledged, asked).map_err(|error| format!("{error:?}"))
}

/// Cuts the power at each sync and at the end, and checks what is left; answers how many images
/// that were.
fn cut_power(disk: Disk, steps: &[Step], asked: &BTreeSet<u64>) -> usize {
    let mut count = 0;
    at_each_sync(disk, steps, |disk, steps| {
        let acknowledged = acknowledged(steps);
        let images = images(disk, steps.len() as u64);
        count += images.len();
        thread::scope(|scope| {
            for images in images.chunks(images.len().div_ceil(THREADS)) {
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    for image in images {
                        boot(image, acknowledged, asked)
                            .unwrap_or_else(|law| panic!("the power failed before step {}: {law}", steps.len()));
                    }
                });
            }
        });
    });
    count
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_else_is_half_there_wherever_the_power_fails() {
    let asked = (0..rounds() * ROUND).collect();
    assert_eq!(acknowledged(&WORK), asked);
    let images = cut_power(Disk::default(), &WORK, &asked);
    assert!(images > 100, "{images} images are few");
}

#[test]
fn a_disk_that_only_says_that_it_has_synced_is_found_out() {
    let mut found_out = 0;
    let asked = (0..rounds() * ROUND).collect();
    at_each_sync(Disk::lying(), &WORK, |disk, steps| {
        let acknowledged = acknowledged(steps);
        if !acknowledged.is_empty() {
            let law = boot(&disk.image(Survival::Nothing), &acknowledged, &asked).unwrap_err();
            assert!(law.contains("was acknowledged and is not there"), "{law}");
            found_out += 1;
        }
    });
    assert!(found_out > 0);
}

#[test]
fn a_half_commit_is_found_out() {
    let folder = scratch();
    // One of the parts of commit 1.
    committed(&open(folder.path()), append("b", vec![amount(1)]));
    let law = check(folder.path(), &BTreeSet::new(), &[1].into()).unwrap_err();
    assert_eq!(law.to_string(), "1 parts of commit 1 are there, which has 6");
}

/// A child: commits before and after one that makes the log so long that it is written back.
#[test]
fn child_fills_the_log() {
    let Some(folder) = folder() else { return };
    let store = open(&folder);
    in_turn(&store, (0..3).chain([LARGE]).chain(3..FEW));
    // No commit waits for it: the writer's thread does it on its own time.
    let database = folder.join("store.db");
    let started = Instant::now();
    while fs::metadata(&database).unwrap().len() < 4 << 20 && started.elapsed() < PATIENCE {
        thread::yield_now();
    }
    say("done");
}

#[test]
fn nothing_is_lost_when_the_power_fails_while_the_log_is_written_back_by_itself() {
    let folder = scratch();
    let disk = made(folder.path());
    let steps = trace::run("child_fills_the_log", folder.path(), None);
    let asked = (0..FEW).chain([LARGE]).collect();
    assert_eq!(acknowledged(&steps), asked);
    let working = steps
        .iter()
        .take_while(|step| !matches!(step, Step::Said(said) if said == "done"));
    let written_back = working
        .filter(|step| matches!(step, Step::Write { name, .. } if name == "store.db"))
        .count();
    assert!(written_back > 1000, "{written_back} pages were written back");
    cut_power(disk, &steps, &asked);
}

/// Opens a store on a failing disk. `strace` counts calls for each thread, so that the opening may
/// meet a fault before the writer does.
fn open_again(folder: &Path) -> SqlStore {
    SqlStore::open(folder.join("store.db"), with_totals()).unwrap_or_else(|_| open(folder))
}

/// A child whose disk fails a sync: commits and a checkpoint, as far as the store goes on.
#[test]
fn child_meets_a_failed_sync() {
    let Some(folder) = folder() else { return };
    let store = open_again(&folder);
    in_turn(&store, 0..FEW / 2);
    if let Ok(emptied) = store.checkpoint() {
        say(if emptied { "emptied" } else { "not emptied" });
    }
    in_turn(&store, FEW / 2..FEW);
    // Reads go on whatever happens.
    store.head().unwrap();
    say("read");
    // Without closing the store, as if killed.
    process::exit(0);
}

/// A child after that one, without a reboot: the system may think that it has written what it has not.
#[test]
fn child_goes_on() {
    let Some(folder) = folder() else { return };
    in_turn(&open(&folder), FEW..MORE);
}

#[test]
fn a_failed_sync_stops_the_writer_in_a_commit_and_nothing_in_a_checkpoint() {
    let (mut stopped, mut went_on) = (0, 0);
    let asked = (0..FEW).collect();
    for sync in 1.. {
        let folder = scratch();
        let disk = made(folder.path());
        let fault = format!("fsync,fdatasync:error=EIO:when={sync}");
        let mut steps = trace::run("child_meets_a_failed_sync", folder.path(), Some(&fault));
        let read = steps
            .iter()
            .position(|step| matches!(step, Step::Said(said) if said == "read"))
            .unwrap();
        let failed = steps[..read]
            .iter()
            .rposition(|step| matches!(step, Step::FailedSync(_)));
        let Some(failed) = failed else { break };
        let after: Vec<_> = said(&steps[failed..read]).collect();
        match after[..] {
            // The names of the files were synced when the store was opened.
            _ if matches!(&steps[failed], Step::FailedSync(name) if name.is_empty()) => {
                assert_eq!(acknowledged(&steps), asked, "{after:?}");
            }
            ["not emptied", ref commits @ ..] => {
                assert!(commits.iter().all(|said| said.starts_with("committed")), "{after:?}");
                went_on += 1;
            }
            [unknown, ref later @ ..] => {
                assert!(unknown.starts_with("unknown"), "{after:?}");
                assert!(later.iter().all(|said| said.starts_with("closed")), "{after:?}");
                // A reader opens the log as if it might have to make it.
                let silent = |step: &Step| matches!(step, Step::Said(_) | Step::Create(_));
                let since = &steps[failed + 1..read];
                assert!(since.iter().all(silent), "the writer did not stop: {since:?}");
                stopped += 1;
            }
            [] => panic!("nothing was said after the fault"),
        }
        steps.extend(trace::run("child_goes_on", folder.path(), None));
        assert!(acknowledged(&steps).is_superset(&(FEW..MORE).collect()));
        let asked = (0..MORE).collect();
        cut_power(disk, &steps, &asked);
        check(folder.path(), &acknowledged(&steps), &asked).unwrap();
    }
    assert!(
        stopped > 0 && went_on > 0,
        "{stopped} stopped the writer, {went_on} did not"
    );
}

/// A child whose disk is full at some write: a batch, and once more when there is room.
#[test]
fn child_meets_a_full_disk() {
    let Some(folder) = folder() else { return };
    let store = open_again(&folder);
    let content = || {
        let uses: Vec<_> = (0..FEW)
            .map(|number| uses(&store, &format!("commit-{number}")))
            .collect();
        (store.head().unwrap(), store.kv_keys("").unwrap(), uses)
    };
    let before = content();
    together(&store, 0..FEW);
    if content() == before {
        say("nothing is there");
        together(&store, 0..FEW);
    }
    assert_eq!(store.stats().poisoned, None);
}

#[test]
fn a_disk_that_is_full_at_any_write_of_a_batch_leaves_nothing_of_it_and_the_writer_goes_on() {
    let mut full = 0;
    let asked = (0..FEW).collect();
    for write in 1.. {
        let folder = scratch();
        let disk = made(folder.path());
        let fault = format!("pwrite64:error=ENOSPC:when={write}");
        let steps = trace::run("child_meets_a_full_disk", folder.path(), Some(&fault));
        let everything = acknowledged(&steps) == asked;
        assert!(everything, "{:?}", said(&steps).collect::<Vec<_>>());
        let answers = said(&steps).take_while(|said| *said != "nothing is there");
        let refused = answers.filter(|said| said.starts_with("full")).count();
        if refused == 0 {
            break;
        }
        assert_eq!(refused as u64, FEW, "a part of the batch was answered otherwise");
        cut_power(disk, &steps, &asked);
        check(folder.path(), &acknowledged(&steps), &asked).unwrap();
        full += 1;
    }
    assert!(full > 0);
}
