//! `cargo xtask mutate`: damaged copies of real artifacts, each inspected by `dist inspect` in a child
//! process of its own. Whatever the bytes: a report, no crash of program or child, no hang, no more
//! memory than a small machine has to spare.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

use crate::corpus::{Corpus, Fixtures};
use crate::server::{Binaries, Profile};
use crate::shell;

/// How long one inspection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much memory the program, and its child, may hold at once, in KiB.
const MEMORY_KIB: u64 = 256 << 10;
/// How often the processes are looked at: between two looks, none takes more than a few MiB.
const POLL: Duration = Duration::from_millis(1);
/// What is found where a child came to no end.
const UNFINISHED: [&str; 2] = ["inspection.crashed", "inspection.timed_out"];
/// How many copies the run has that is part of `cargo xtask test`.
const SHORT: u64 = 400;

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// How many damaged copies are inspected
    #[arg(long, default_value_t = 10_000)]
    copies: u64,
    /// Repeats another run
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    corpus: Fixtures,
}

/// Inspects damaged copies with an optimised build.
pub fn run(args: &Args) -> Result<()> {
    let folder = match args.corpus.find() {
        Corpus::At(folder) => folder,
        Corpus::Missing(folder) | Corpus::Required(folder) => bail!("{} is missing", folder.display()),
    };
    let seed = args.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    inspect_all(&Binaries::build(Profile::Release)?, &folder, args.copies, seed)
}

/// The short run that is part of `cargo xtask test`.
pub fn run_short(binaries: &Binaries, folder: &Path) -> Result<()> {
    let seed = rand::rng().random_range(0..1_000_000);
    inspect_all(binaries, folder, SHORT, seed)
}

fn inspect_all(binaries: &Binaries, folder: &Path, copies: u64, seed: u64) -> Result<()> {
    println!("{copies} damaged copies with seed {seed}");
    let originals = originals(folder)?;
    let kept = shell::scratch().join("mutants");
    fs::create_dir_all(&kept)?;
    let next = AtomicU64::new(0);
    let worker = || -> Result<Worst> {
        let work = tempfile::tempdir_in(&kept)?;
        let mut worst = Worst::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= copies {
                return Ok(worst);
            }
            let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1 << 32).wrapping_add(number));
            let (name, bytes) = damaged(&originals, &mut random)?;
            let path = work.path().join(&name);
            fs::write(&path, bytes)?;
            match inspect(binaries, &path) {
                Ok(cost) => worst.see(&name, &cost),
                Err(error) => {
                    let kept = kept.join(format!("{seed}-{number}-{name}"));
                    fs::rename(&path, &kept)?;
                    return Err(error.context(format!("kept as {}", kept.display())));
                }
            }
            fs::remove_file(&path)?;
        }
    };
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let worst = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    for worst in worst {
        println!(
            "slowest {} ms ({}), largest {} KiB ({})",
            worst.time.as_millis(),
            worst.slowest,
            worst.memory,
            worst.largest
        );
    }
    Ok(())
}

/// What one inspection took.
struct Cost {
    time: Duration,
    /// In KiB.
    memory: u64,
}

#[derive(Default)]
struct Worst {
    time: Duration,
    slowest: String,
    memory: u64,
    largest: String,
}

impl Worst {
    fn see(&mut self, name: &str, cost: &Cost) {
        if cost.time > self.time {
            self.time = cost.time;
            name.clone_into(&mut self.slowest);
        }
        if cost.memory > self.memory {
            self.memory = cost.memory;
            name.clone_into(&mut self.largest);
        }
    }
}

/// Every real file, the bad ones too, by its name.
fn originals(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json"))?)?;
    let listed = manifest.as_array().context("the manifest is a list")?;
    let paths = listed.iter().filter_map(|fixture| fixture["path"].as_str());
    paths
        .map(|path| {
            let name = Path::new(path).file_name().and_then(|name| name.to_str());
            let name = name.context("a fixture has a name")?.to_owned();
            Ok((name, fs::read(folder.join(path))?))
        })
        .collect()
}

/// One of the originals, damaged in one or several ways.
fn damaged(originals: &[(String, Vec<u8>)], random: &mut StdRng) -> Result<(String, Vec<u8>)> {
    let (name, bytes) = originals.choose(random).context("there are originals")?;
    let mut bytes = bytes.clone();
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let at = place(bytes.len(), random);
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes.truncate(at),
            // Numbers at the edges of their types, where lengths and offsets may stand.
            2 => {
                let edges: [&[u8]; 5] = [
                    &[0; 4],
                    &[0xff; 4],
                    &[0xff; 8],
                    &[0xff, 0xff, 0xff, 0x7f],
                    &[0x80, 0, 0, 0],
                ];
                for (byte, edge) in bytes[at..].iter_mut().zip(*edges.choose(random).context("edges")?) {
                    *byte = *edge;
                }
            }
            3 => {
                let end = (at + random.random_range(1..64)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + random.random_range(1..4096)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            // The end of another file, as a mixed-up upload has it.
            _ => {
                let (_, other) = originals.choose(random).context("there are originals")?;
                let from = if other.is_empty() {
                    0
                } else {
                    place(other.len(), random)
                };
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    Ok((name.clone(), bytes))
}

/// A place in a file: half of them near its ends, where the tables are.
fn place(length: usize, random: &mut StdRng) -> usize {
    let near = length.min(1024);
    match random.random_range(0..4) {
        0 => random.random_range(0..near),
        1 => length - 1 - random.random_range(0..near),
        _ => random.random_range(0..length),
    }
}

/// Inspects one file, and looks at the processes that do it.
fn inspect(binaries: &Binaries, path: &Path) -> Result<Cost> {
    let mut command: Command = binaries.dist([Path::new("inspect"), path]);
    // Into files, so that nobody has to read meanwhile.
    let (report, told) = (path.with_extension("report"), path.with_extension("told"));
    let started = Instant::now();
    let mut child = command
        .stdout(File::create(&report)?)
        .stderr(File::create(&told)?)
        .spawn()?;
    let mut memory = 0;
    while child.try_wait()?.is_none() {
        memory = family(child.id()).filter_map(peak).fold(memory, u64::max);
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("it took longer than {} s", PATIENCE.as_secs());
        }
        thread::sleep(POLL);
    }
    let time = started.elapsed();
    let status = child.wait()?;
    let told = fs::read_to_string(told)?;
    ensure!(matches!(status.code(), Some(0 | 7)), "{status}: {told}");
    ensure!(memory <= MEMORY_KIB, "it held {memory} KiB");
    let answer: Value = serde_json::from_slice(&fs::read(report)?).context("the answer is JSON")?;
    let [report] = answer["reports"].as_array().map_or(&[][..], Vec::as_slice) else {
        bail!("not one report: {answer}");
    };
    let found = report["findings"].as_array().into_iter().flatten();
    let mut codes = found.filter_map(|finding| finding["code"].as_str());
    if let Some(code) = codes.find(|code| UNFINISHED.contains(code)) {
        bail!("{code}: {told}");
    }
    Ok(Cost { time, memory })
}

/// A process and its children.
fn family(process: u32) -> impl Iterator<Item = u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|ids| {
            ids.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    std::iter::once(process).chain(children)
}

/// The most memory that a process held so far, in KiB.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
