//! `cargo xtask test`: everything that proves the project, with a summary at the end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::corpus::{self, Corpus, Fixtures};
use crate::image::{self, Verdict};
use crate::server::{Binaries, Profile};
use crate::{browser, ci, crash, deployment, docs, durability, edges, faults, monitoring, mutate, shell, tools, tus};

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    corpus: Fixtures,
}

const MINUTE: Duration = Duration::from_mins(1);
/// How long a step may take that builds the workspace.
const BUILD: Duration = Duration::from_mins(25);

/// The steps that ran, and which of them failed.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration, Result<()>)>,
}

impl Steps {
    /// Runs a step. One that fails does not keep the others from running, so that a run shows
    /// everything that is wrong.
    fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) {
        println!("\n== {name}");
        let start = Instant::now();
        let result = step();
        if let Err(error) = &result {
            println!("FAILED: {error:#}");
        }
        self.done.push((name, start.elapsed(), result));
    }

    fn summary(&self) -> usize {
        println!("\n== summary");
        for (name, time, result) in &self.done {
            let verdict = if result.is_ok() { "ok" } else { "FAILED" };
            println!("{verdict:>6}  {:>4} s  {name}", time.as_secs());
        }
        let failed = self.done.iter().filter(|(_, _, result)| result.is_err()).count();
        println!("\nsteps: {} passed, {failed} failed", self.done.len() - failed);
        failed
    }
}

/// Runs everything.
pub fn run(args: &Args) -> Result<()> {
    // Without its tools a run would prove less than it says.
    println!("== tools");
    tools::ensure_all()?;
    let mut steps = Steps::default();
    check_sources(&mut steps);
    run_tests(&mut steps, &args.corpus);
    let corpus = args.corpus.find();
    run_programs(&mut steps, &corpus);
    let not_contained = run_image(&mut steps);
    let failed = steps.summary();
    if let Some(reason) = not_contained {
        println!("\nNOT RUN, because this machine runs no containers:");
        println!("  the image, deploy/compose.yaml and deploy/dist.container (cargo xtask image --check)");
        println!("{reason}");
    }
    if let Corpus::Missing(folder) = &corpus {
        println!("\nNOT RUN, because {} is missing:", folder.display());
        for name in [
            "dist-inspect's tests of real files",
            "real artifacts through a server (cargo xtask corpus)",
            "damaged artifacts (cargo xtask mutate)",
        ] {
            println!("  {name}");
        }
    }
    if failed > 0 {
        bail!("{failed} of {} steps failed", steps.done.len());
    }
    Ok(())
}

/// What is told from the sources, the quick ones first.
fn check_sources(steps: &mut Steps) {
    let cargo = |steps: &mut Steps, name, arguments: &[&str], limit| {
        steps.step(name, || shell::run(shell::cargo([]).args(arguments), limit));
    };
    // Also what other platforms need, whose licences are looked at below.
    cargo(
        steps,
        "dependencies, as locked",
        &["fetch", "--quiet", "--locked"],
        BUILD,
    );
    cargo(steps, "format", &["fmt", "--all", "--check"], MINUTE);
    steps.step("crate edges", edges::run);
    steps.step("spelling", || {
        shell::run(
            shell::command(tools::typos()?).args(["--config", ".config/typos.toml"]),
            MINUTE,
        )
    });
    let deny = [
        "deny",
        "--offline",
        "--log-level=error",
        "check",
        "bans",
        "licenses",
        "sources",
    ];
    cargo(steps, "licences, bans and sources", &deny, 5 * MINUTE);
    cargo(steps, "unused dependencies", &["machete"], MINUTE);
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"];
    cargo(steps, "lints", &clippy, BUILD);
}

/// The tests and what is built with them.
fn run_tests(steps: &mut Steps, corpus: &Fixtures) {
    steps.step("tests", || {
        let mut nextest = shell::cargo(["nextest", "run", "--workspace"]);
        corpus.tell(&mut nextest)?;
        shell::run(&mut nextest, BUILD)
    });
    steps.step("examples in the documentation", || {
        shell::run(&mut shell::cargo(["test", "--quiet", "--workspace", "--doc"]), BUILD)
    });
    steps.step("documentation", || {
        let mut doc = shell::cargo(["doc", "--quiet", "--workspace", "--no-deps", "--keep-going"]);
        shell::run(doc.env("RUSTDOCFLAGS", "--deny=warnings"), BUILD)
    });
}

/// The built programs, treated as the world will treat them.
fn run_programs(steps: &mut Steps, corpus: &Corpus) {
    // The test run has built them; other flags here would build them again.
    let program = |steps: &mut Steps, name, run: &dyn Fn(&Binaries) -> Result<()>| {
        steps.step(name, || run(&Binaries::built(Profile::Debug)?));
    };
    program(steps, "order of syncs, commits and answers", &durability::run);
    program(steps, "public tus clients", &tus::run);
    program(steps, "the book, its links and its commands", &docs::run_all);
    program(steps, "metrics and alerts", &monitoring::run);
    program(steps, "CI integrations and install script", &ci::run);
    program(steps, "faults", &faults::run_all);
    program(steps, "crashes", &crash::run_short);
    program(steps, "settings for services and proxies", &deployment::run);
    program(steps, "pages in a browser", &|built| browser::run_all(built, corpus));
    if !matches!(corpus, Corpus::Missing(_)) {
        program(steps, "real artifacts", &|built| corpus::publish(built, corpus));
    }
    if let Corpus::At(folder) = corpus {
        program(steps, "damaged artifacts", &|built| mutate::run_short(built, folder));
    }
}

/// The image, as people will run it; gives the reason why containers cannot be run, where they cannot.
fn run_image(steps: &mut Steps) -> Option<String> {
    let mut hindrance = None;
    steps.step("the container image", || {
        if let Verdict::NotRun(reason) = image::check_here()? {
            hindrance = Some(reason);
        }
        Ok(())
    });
    hindrance
}
