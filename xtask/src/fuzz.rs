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

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// The targets to run [default: all]
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    seconds: u32,
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
    }
    ensure!(
        found.is_empty(),
        "found something in {}: see {}",
        found.join(", "),
        work.join("found").display()
    );
    Ok(())
}

fn in_package<const N: usize>(package: &Path, arguments: [&str; N]) -> Command {
    let mut cargo = shell::cargo(arguments);
    cargo.current_dir(package).env("RUSTC_BOOTSTRAP", "1");
    cargo
}
