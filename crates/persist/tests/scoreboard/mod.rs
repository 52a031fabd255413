//! The scoreboard: how many cases of each group every backend passes, in the files that are
//! committed beside the crate's manifest.

#![allow(clippy::disallowed_methods)] // A test's own switch.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use persist::testing::{Case, Subject, cases};
use serde::Serialize;

/// How many cases the contract has.
const TOTAL: usize = 201;
/// Set to anything, this writes the files instead of comparing them with the run.
const WRITE: &str = "PERSIST_WRITE_SCOREBOARD";

/// A backend's name, and how to make an empty one.
pub type Backend = (&'static str, fn() -> Subject);

#[derive(Serialize)]
struct Scoreboard {
    cases: usize,
    passed: BTreeMap<&'static str, usize>,
    groups: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    group: &'static str,
    cases: usize,
    passed: BTreeMap<&'static str, usize>,
}

/// Runs every case over every backend in this process, and compares what it counts with the
/// contract's total and with the files.
pub fn check(backends: &[Backend]) -> Result<(), String> {
    let (scoreboard, mut failures) = run(backends);
    for (name, text) in [
        ("scoreboard.json", json(&scoreboard)),
        ("scoreboard.md", markdown(&scoreboard, backends)),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        failures.extend(compare(&path, &text).err());
    }
    for (backend, passed) in &scoreboard.passed {
        if *passed != TOTAL {
            failures.push(format!("{backend} passes {passed} cases, not {TOTAL}"));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}

fn run(backends: &[Backend]) -> (Scoreboard, Vec<String>) {
    let cases: Vec<Case> = cases().collect();
    let count = cases.len() * backends.len();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return outcomes;
            }
            let (case, backend) = (cases[index / backends.len()], backends[index % backends.len()]);
            outcomes.push((index, outcome(case, backend)));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut outcomes: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    outcomes.sort_unstable_by_key(|(index, _)| *index);

    let none = || backends.iter().map(|(backend, _)| (*backend, 0)).collect();
    let (mut groups, mut passed, mut failures): (Vec<Row>, BTreeMap<_, usize>, _) = (vec![], none(), vec![]);
    for (index, outcome) in outcomes {
        let (group, backend) = (cases[index / backends.len()].group, index % backends.len());
        if groups.last().is_none_or(|row| row.group != group) {
            let (cases, passed) = (0, none());
            groups.push(Row { group, cases, passed });
        }
        let row = groups.last_mut().unwrap();
        row.cases += usize::from(backend == 0);
        let pass = usize::from(outcome.is_ok());
        *row.passed.entry(backends[backend].0).or_default() += pass;
        *passed.entry(backends[backend].0).or_default() += pass;
        failures.extend(outcome.err());
    }
    let cases = cases.len();
    (Scoreboard { cases, passed, groups }, failures)
}

fn outcome(case: Case, (backend, subject): Backend) -> Result<(), String> {
    let checked = catch_unwind(AssertUnwindSafe(|| case.check(subject())));
    checked
        .unwrap_or_else(|_| Err("panicked".to_owned()))
        .map_err(|why| format!("{backend}::{}::{}: {why}", case.group, case.name))
}

fn json(scoreboard: &Scoreboard) -> String {
    serde_json::to_string_pretty(scoreboard).unwrap() + "\n"
}

fn markdown(scoreboard: &Scoreboard, backends: &[Backend]) -> String {
    let names: Vec<_> = backends.iter().map(|(backend, _)| *backend).collect();
    let mut text = format!(
        "# Scoreboard\n\nHow many cases of the conformance suite each backend passes, group by group. Written by\n\
         `{WRITE}=1 cargo test -p persist --test conformance scoreboard`.\n\n\
         | group | cases | {} |\n| --- | ---: |{}\n",
        names.join(" | "),
        " ---: |".repeat(names.len())
    );
    let total = Row {
        group: "**total**",
        cases: scoreboard.cases,
        passed: scoreboard.passed.clone(),
    };
    for row in scoreboard.groups.iter().chain([&total]) {
        write!(text, "| {} | {} |", row.group, row.cases).unwrap();
        for name in &names {
            write!(text, " {} |", row.passed[name]).unwrap();
        }
        text.push('\n');
    }
    text
}

fn compare(path: &Path, text: &str) -> Result<(), String> {
    if env::var_os(WRITE).is_some() {
        return fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()));
    }
    if fs::read_to_string(path).is_ok_and(|committed| committed == text) {
        return Ok(());
    }
    Err(format!("{} is stale; run with {WRITE}=1", path.display()))
}
