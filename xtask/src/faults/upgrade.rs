//! A store of an older version, brought forward where things go wrong.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::disk::SmallDisk;
use super::store::{contents, create_app, distd, failed_start, list_apps, sqlite, store};
use super::{admin, expect_exit, expect_whole};
use crate::server::{Binaries, Launch};
use crate::shell;

/// Makes a store one of the first version, but for the shape of its tables, which nobody trusts.
fn make_older(data: &Path) -> Result<()> {
    let sql = "UPDATE persist_head SET projections = 'audit@1 entities@1'";
    sqlite(&data.join("dist.db"), sql).map(drop)
}

fn upgrade(binaries: &Binaries, data: &Path) -> Result<(i32, Value)> {
    binaries.local(data, &["store", "upgrade"])
}

/// A server brings the store forward by itself; a program of that version that has it open is told.
pub fn by_server(binaries: &Binaries) -> Result<()> {
    let (_folder, data) = store(binaries)?;
    let before = list_apps(binaries, &data)?;
    make_older(&data)?;
    expect_exit(&list_apps(binaries, &data)?, 5, "store.projection_mismatch")?;
    let server = Launch::new(binaries, &data).start()?;
    let log = server.log();
    ensure!(log.contains("upgraded the store"), "nothing is said of it: {log}");
    admin(binaries, &server)?.get("/readyz")?.expect_ok()?;
    server.stop()?;
    ensure!(list_apps(binaries, &data)? == before, "the apps changed");
    let (_, audit) = binaries.local(&data, &["audit", "list", "--action", "store.upgraded"])?;
    ensure!(audit["items"][0]["actor"] == "system", "{audit}");
    expect_whole(binaries, &data)
}

/// Where there is too little room nothing is changed, and room is all that it takes.
pub fn without_room(binaries: &Binaries) -> Result<()> {
    let disk = SmallDisk::mount()?;
    let data = disk.folder.path().join("data");
    create_app(binaries, &data, "first")?;
    make_older(&data)?;
    let before = contents(&data)?;
    disk.fill(100)?;
    let message = expect_exit(&upgrade(binaries, &data)?, 1, "store.full")?;
    ensure!(message.contains("MiB are free"), "no figures in {message:?}");
    let said = failed_start(distd(binaries, &data), 1)?;
    ensure!(said.contains("store.full"), "distd said {said:?}");
    ensure!(contents(&data)? == before, "the refusal changed the store");
    ensure!(!data.join("backups").exists(), "the refusal left a folder");
    disk.free()?;
    let (exit, done) = upgrade(binaries, &data)?;
    ensure!(exit == 0 && done["upgraded"] == true, "exit {exit}: {done}");
    expect_whole(binaries, &data)
}

/// Where an upgrade is killed: at which of a thread's calls of this kind.
struct Cut {
    calls: &'static str,
    /// The one file where it counts.
    path: Option<&'static str>,
    next: fn(u32) -> u32,
}

const CUTS: [Cut; 4] = [
    Cut {
        calls: "fsync,fdatasync,ftruncate,unlink,mkdir",
        path: None,
        next: |n| n + 1,
    },
    Cut {
        calls: "pwrite64",
        path: Some("dist.db-wal"),
        next: |n| n * 2,
    },
    // What is written to the database itself comes after the commit, from its log.
    Cut {
        calls: "pwrite64",
        path: Some("dist.db"),
        next: |n| n * 2,
    },
    Cut {
        calls: "pwrite64",
        path: None,
        next: |n| n * 2,
    },
];

/// Killed anywhere, an upgrade leaves the older store or the newer one, and is done again.
pub fn killed(binaries: &Binaries) -> Result<()> {
    let (folder, data) = store(binaries)?;
    create_app(binaries, &data, "second")?;
    let apps = list_apps(binaries, &data)?;
    make_older(&data)?;
    let older = fs::read(data.join("dist.db"))?;
    let (mut kills, mut left_newer) = (0, 0);
    for cut in &CUTS {
        let mut nth = 1;
        loop {
            let copy = folder.path().join("copy");
            fs::create_dir(&copy)?;
            fs::write(copy.join("dist.db"), &older)?;
            let was_killed = kill_at(binaries, &copy, cut, nth)?;
            let found = list_apps(binaries, &copy)?;
            if found.0 == 0 {
                left_newer += u32::from(was_killed);
            } else {
                expect_exit(&found, 5, "store.projection_mismatch")
                    .with_context(|| format!("killed at {} {nth}", cut.calls))?;
            }
            let (exit, done) = upgrade(binaries, &copy)?;
            ensure!(exit == 0, "killed at {} {nth}, then exit {exit}: {done}", cut.calls);
            ensure!(
                list_apps(binaries, &copy)? == apps,
                "killed at {} {nth}, the apps changed",
                cut.calls
            );
            expect_whole(binaries, &copy).with_context(|| format!("killed at {} {nth}", cut.calls))?;
            fs::remove_dir_all(&copy)?;
            if !was_killed {
                break;
            }
            kills += 1;
            nth = (cut.next)(nth);
        }
    }
    ensure!(kills >= 15, "it was killed only {kills} times");
    ensure!(left_newer > 0, "it was never killed after its commit");
    Ok(())
}

/// Runs an upgrade that ends at the nth call; tells whether it came that far.
fn kill_at(binaries: &Binaries, data: &Path, cut: &Cut, nth: u32) -> Result<bool> {
    let words = ["store", "upgrade", "--local-store"].map(OsStr::new);
    let upgrade = binaries.dist(words.into_iter().chain([data.as_os_str()]));
    let mut strace = shell::command("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={}", cut.calls)]);
    strace.args(["-e", &format!("inject={}:signal=KILL:when={nth}", cut.calls)]);
    if let Some(path) = cut.path {
        strace.arg("-P").arg(data.join(path));
    }
    strace.arg(upgrade.get_program()).args(upgrade.get_args());
    let output = shell::output(&mut strace)?;
    if output.status.success() {
        let done: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(done["upgraded"] == true, "{done}");
    }
    Ok(!output.status.success())
}
