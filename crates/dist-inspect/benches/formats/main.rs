//! What it costs to say what a file is, beside the tools that say the same of one format.
//!
//! `cargo bench -p dist-inspect --bench formats -- [NAME …] [--rounds N] [--against PROGRAM]`
//!
//! Everyone works in a process of its own, whose processor time and largest memory are taken, once a
//! round, and each round begins with another one. The tables hold the median of the rounds, and the
//! lowest and the highest; a ratio is taken within a round. A `NAME` picks the files whose title has
//! it. `--against` measures another build of this bench beside this one: the compiled program, which
//! `cargo bench --no-run` names.
//!
//! The files are real ones, from `DIST_FIXTURES` or `shared/fixtures` beside the checkout, and
//! packages of a hundred megabytes that the first run makes below `target/tmp`, of machine code from
//! the compiler's own library. Tools that are not installed are left out, and named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking and prints its tables; its counts stay far below 2^52"
)]

mod android;
mod apple;
mod files;
mod linux;
mod process;
mod table;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dist_inspect::{Context, FileSource, inspect};
use sha2::{Digest as _, Sha256};

/// When the files are looked at, in milliseconds since the Unix epoch.
const NOW: i64 = 1_767_225_600_000;

struct Arguments {
    names: Vec<String>,
    rounds: usize,
    against: Option<PathBuf>,
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut chosen = Arguments {
        names: Vec::new(),
        rounds: 7,
        against: None,
    };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--rounds" => {
                let rounds = given.next().and_then(|text| text.parse().ok());
                chosen.rounds = rounds.filter(|&rounds| rounds > 0).ok_or("--rounds takes a number")?;
            }
            "--against" => chosen.against = Some(given.next().ok_or("--against takes a program")?.into()),
            option if option.starts_with('-') => return Err(format!("{option} is no option")),
            _ => chosen.names.push(argument),
        }
    }
    Ok(chosen)
}

fn main() -> ExitCode {
    let mut given = std::env::args().skip(1).peekable();
    if let Some(work) = given.next_if(|first| process::WORKS.contains(&first.as_str())) {
        work_alone(&work, given.next().as_deref());
        return ExitCode::SUCCESS;
    }
    let arguments = match arguments(given) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut sections = files::sections(&arguments.names, arguments.against.as_deref());
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for section in &mut sections {
            section.measure(round);
        }
    }
    println!("{} rounds; median (lowest – highest)\n", arguments.rounds);
    for section in &sections {
        println!("{section}");
    }
    ExitCode::SUCCESS
}

/// What the processes that are measured do.
fn work_alone(work: &str, path: Option<&str>) {
    let Some(path) = path.map(Path::new) else { return };
    if work == process::HASH {
        print_digest(path);
    }
    let file = File::open(path).unwrap();
    let context = Context {
        now: NOW,
        ..Context::default()
    };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let inspection = inspect(&FileSource::new(&file).unwrap(), name, &context).unwrap();
    let report = serde_json::to_vec(&inspection.report).unwrap();
    std::io::stdout().write_all(&report).unwrap();
}

fn print_digest(path: &Path) {
    let mut file = File::open(path).unwrap();
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    println!("{}", hex::encode(hasher.finalize()));
}
