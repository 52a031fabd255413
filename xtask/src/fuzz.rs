//! `cargo xtask fuzz`: libFuzzer on every format and every parser that formats share, from real files.
//!
//! It needs `cargo-fuzz`. The fuzzer's flags want a nightly compiler; `RUSTC_BOOTSTRAP` lets the
//! project's own take them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::corpus::{Corpus, Fixtures};
use crate::shell;

/// How much memory an input may take, in MiB, the fuzzer's own shadow memory included.
const MEMORY_MIB: u32 = 1024;
/// How long an input may take, in seconds, in a build that is many times slower than the real one.
const PATIENCE: u32 = 20;
/// The longest input.
const LONGEST: u32 = 512 << 10;
const BUILD: Duration = Duration::from_mins(20);

/// How long an input is at most that is kept for the replay, in bytes.
const KEPT_LONGEST: usize = 2048;
/// How many bytes of inputs are kept for a target.
const KEPT_BYTES: usize = 8 << 10;
/// What stands above the inputs that this task keeps; above it are those that people keep.
const KEPT: &str = "# The smallest that the fuzzer found, of those that reach what no other does.";

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// The targets to run [default: all]
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    seconds: u32,
    /// Keep the smallest inputs that were found, for the replay among the tests
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    corpus: Fixtures,
}

/// Runs each target for its time, and tells at the end what was found.
pub fn run(args: &Args) -> Result<()> {
    let fixtures = match args.corpus.find() {
        Corpus::At(folder) => folder,
        Corpus::Missing(folder) | Corpus::Required(folder) => bail!("{} is missing", folder.display()),
    };
    let package = shell::root().join("crates/dist-inspect/fuzz");
    let work = shell::scratch().join("fuzz");
    // The fuzzer's folder is the package itself.
    let mut build = in_package(&package, ["fuzz", "build", "inspect", "--fuzz-dir", "."]);
    shell::run(&mut build, BUILD).context("cargo install cargo-fuzz, if it is missing")?;
    let fuzzer = package.join("target/x86_64-unknown-linux-gnu/release/inspect");
    let seeds = work.join("seeds");
    let mut make = in_package(&package, ["run", "--quiet", "--release", "--bin", "seeds"]);
    let listed = shell::output(make.arg("--").args([&fixtures, &seeds]))?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let all = String::from_utf8(listed.stdout)?;
    let wanted = |name: &&str| args.targets.is_empty() || args.targets.iter().any(|target| target == name);
    let mut found = Vec::new();
    for target in all.lines().filter(wanted) {
        println!("\n== {target}, {} s", args.seconds);
        let (corpus, crashes) = (work.join("corpus").join(target), work.join("found"));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&crashes)?;
        let mut run = shell::command(&fuzzer);
        run.env("DIST_FUZZ_TARGET", target)
            .args([
                format!("-max_total_time={}", args.seconds),
                format!("-rss_limit_mb={MEMORY_MIB}"),
                format!("-timeout={PATIENCE}"),
                format!("-max_len={LONGEST}"),
                format!("-artifact_prefix={}/{target}-", crashes.display()),
                "-print_final_stats=1".to_owned(),
                "-verbosity=0".to_owned(),
                "-print_funcs=0".to_owned(),
            ])
            .args([&corpus, &seeds.join(target)]);
        let limit = Duration::from_secs(u64::from(args.seconds) + 300);
        if shell::run(&mut run, limit).is_err() {
            found.push(target);
        }
        if args.keep {
            let seeds = seeds.join(target);
            keep(&fuzzer, target, [&corpus, &seeds], &work.join("least").join(target))?;
        }
    }
    ensure!(
        found.is_empty(),
        "found something in {}: see {}",
        found.join(", "),
        work.join("found").display()
    );
    Ok(())
}

/// Keeps the smallest inputs in `folders` that reach what no other does, as lines of hexadecimal.
fn keep(fuzzer: &Path, target: &str, folders: [&Path; 2], least: &Path) -> Result<()> {
    if least.exists() {
        fs::remove_dir_all(least)?;
    }
    fs::create_dir_all(least)?;
    let mut merge = shell::command(fuzzer);
    merge
        .env("DIST_FUZZ_TARGET", target)
        .args([
            "-merge=1".to_owned(),
            format!("-max_len={KEPT_LONGEST}"),
            "-verbosity=0".to_owned(),
        ])
        .arg(least)
        .args(folders);
    shell::run(&mut merge, BUILD)?;
    let mut inputs = fs::read_dir(least)?
        .map(|entry| Ok(fs::read(entry?.path())?))
        .collect::<Result<Vec<_>>>()?;
    inputs.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let mut bytes = 0;
    let small = inputs.iter().take_while(|input| {
        bytes += input.len();
        bytes <= KEPT_BYTES
    });
    let kept = shell::root()
        .join("crates/dist-inspect/tests/fixtures/replay")
        .join(format!("{target}.hex"));
    let before = fs::read_to_string(&kept).unwrap_or_default();
    let by_people = before.lines().take_while(|line| *line != KEPT).map(str::to_owned);
    let lines: Vec<String> = by_people
        .chain([KEPT.to_owned()])
        .chain(small.map(hex::encode))
        .collect();
    fs::write(kept, lines.join("\n") + "\n")?;
    Ok(())
}

fn in_package<const N: usize>(package: &Path, arguments: [&str; N]) -> Command {
    let mut cargo = shell::cargo(arguments);
    cargo.current_dir(package).env("RUSTC_BOOTSTRAP", "1");
    cargo
}
