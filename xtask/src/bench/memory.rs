//! Memory under large transfers side by side: it must not grow with their size or their number.

use std::fs;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use rand::RngCore as _;
use serde_json::json;

use crate::http::{Client, Request};
use crate::server::{Binaries, Launch};
use crate::shell;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const KIB_A_MIB: u64 = 1 << 10;
/// What the server may take over what it takes when idle.
const GROWTH_LIMIT_KIB: u64 = 64 << 10;
const SAMPLE: Duration = Duration::from_millis(50);
/// The last bytes of a large file reach the disk only when it is synced.
const PATIENCE: Duration = Duration::from_mins(15);

/// How much is transferred.
#[derive(clap::Args)]
pub struct Load {
    /// How many transfers run side by side
    #[arg(long, default_value_t = 8)]
    transfers: u64,
    /// The size of each, in GiB
    #[arg(long, default_value_t = 4)]
    gib: u64,
}

/// Uploads and then downloads, and looks at the server's memory all the while.
pub fn run(binaries: &Binaries, load: &Load) -> Result<()> {
    let (transfers, size) = (load.transfers, load.gib * GIB);
    println!("\n== memory, {transfers} transfers of {} GiB side by side", load.gib);
    fs::create_dir_all(shell::scratch())?;
    let folder = tempfile::tempdir_in(shell::scratch())?;
    let space = rustix::fs::statvfs(folder.path())?;
    let free = space.f_bavail * space.f_frsize;
    ensure!(
        free > transfers * size + GIB,
        "this needs {} GiB of disk and {} are free: choose smaller --transfers or --gib",
        transfers * load.gib + 1,
        free / GIB
    );
    let server = Launch::new(binaries, folder.path().join("data")).start()?;
    let client = Client {
        token: Some(binaries.token(&server.data, "memory", "publish")?),
        patience: PATIENCE,
        ..server.client.clone()
    };
    let pid = server.pid();
    let digests = watched(pid, "uploads", transfers, size, |_| upload(&client, size))?;
    let artifact = |(number, digest): (usize, &String)| json!({"platform": "linux", "filename": format!("{number}.bin"), "sha256": digest});
    let artifacts: Vec<_> = digests.iter().enumerate().map(artifact).collect();
    let release = json!({"app": "memory", "version": "1.0.0", "artifacts": artifacts});
    client.post("/api/apps/memory/releases", &release)?.expect_ok()?;
    watched(pid, "downloads", transfers, size, |number| {
        download(&client, &digests[number], size)
    })?;
    server.stop()?;
    Ok(())
}

/// Runs transfers side by side and says how far the server's memory grew.
fn watched<T: Send>(
    pid: u32,
    what: &str,
    transfers: u64,
    size: u64,
    transfer: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (idle, start) = (resident_kib(pid)?, Instant::now());
    let (peak, is_done) = (AtomicU64::new(idle), AtomicBool::new(false));
    let results = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                // Where the server has ended, the transfers say so.
                peak.fetch_max(resident_kib(pid).unwrap_or(0), Ordering::Relaxed);
                thread::sleep(SAMPLE);
            }
        });
        let transfer = &transfer;
        let spawn = |number| scope.spawn(move || transfer(number));
        let running: Vec<_> = (0..usize::try_from(transfers)?).map(spawn).collect();
        let join = |one: thread::ScopedJoinHandle<'_, _>| one.join().map_err(|_| anyhow!("a transfer panicked"))?;
        let results: Result<Vec<T>> = running.into_iter().map(join).collect();
        is_done.store(true, Ordering::Relaxed);
        results
    })?;
    let growth = peak.into_inner() - idle;
    let seconds = start.elapsed().as_secs().max(1);
    println!(
        "{what}: {} MiB/s; the server grew by {} MiB over {} MiB idle",
        transfers * size / seconds / MIB,
        growth / KIB_A_MIB,
        idle / KIB_A_MIB
    );
    ensure!(
        growth < GROWTH_LIMIT_KIB,
        "that is {} MiB or more",
        GROWTH_LIMIT_KIB / KIB_A_MIB
    );
    Ok(results)
}

/// The resident memory of a process.
fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmRSS in the process's status")?.parse()?)
}

/// Bytes that no other transfer has, made as they are read.
struct Fresh {
    block: Vec<u8>,
    at: usize,
}

impl Fresh {
    fn new() -> Self {
        let mut block = vec![0; 1 << 20];
        rand::rng().fill_bytes(&mut block);
        Self { block, at: 0 }
    }
}

impl Read for Fresh {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.block[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at = (self.at + count) % self.block.len();
        Ok(count)
    }
}

fn upload(client: &Client, size: u64) -> Result<String> {
    let request = Request {
        method: "POST",
        path: "/api/upload",
        headers: &[],
        body: &mut Fresh::new(),
        length: size,
    };
    let answer = client.connect()?.exchange(request, |_| {})?.expect_ok()?.json();
    let digest = answer["sha256"].as_str().context("an answer without a digest")?;
    Ok(digest.to_owned())
}

fn download(client: &Client, digest: &str, size: u64) -> Result<()> {
    let request = Request {
        method: "GET",
        path: &format!("/download/{digest}"),
        headers: &[],
        body: &mut io::empty(),
        length: 0,
    };
    let answer = client.connect()?.exchange_into(request, &mut io::sink(), |_| {})?;
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    ensure!(
        answer.is_ok() && length == Some(size),
        "answered {} with {length:?} bytes",
        answer.status
    );
    Ok(())
}
