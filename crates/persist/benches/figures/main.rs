//! The figures of the store, as ratios to its peers: bare `rusqlite` and `PostgreSQL`.
//!
//! `cargo bench -p persist -- [ROW …] [--rounds N] [--seconds N] [--postgres] [--large]`
//!
//! The rows are `append`, `growth`, `reads`, `fold` and `wal`; all without any named. Everyone is measured
//! once a round, in turn, for so many seconds; the table holds the median of the rounds, and the
//! lowest and the highest. A ratio is taken within a round, so that a machine that is slow for a
//! while is slow for both; many short rounds (`--rounds 40 --seconds 0.1`) stand a restless machine
//! best, though `pgbench` takes a second at least. Absolute figures of different runs do not
//! compare. The first lines say how steady the machine was.
//!
//! `PostgreSQL` takes part where its programs are installed; `--postgres` fails without it.
//! `--large` grows a log to 10⁷ events, which takes 5 GB below the temporary folder (`TMPDIR`) and
//! a few minutes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking and prints its table; its counts stay far below 2^52"
)]

mod append;
mod fold;
mod growth;
mod machine;
mod peers;
mod postgres;
mod reads;
mod table;
mod wal;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use postgres::Postgres;
use table::Section;

const ROWS: [&str; 5] = ["append", "growth", "reads", "fold", "wal"];

struct Arguments {
    rows: Vec<String>,
    rounds: usize,
    time: Duration,
    postgres: bool,
    large: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut chosen = Arguments {
        rows: Vec::new(),
        rounds: 5,
        time: Duration::from_secs(1),
        postgres: false,
        large: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--rounds" => {
                let rounds = arguments.next().and_then(|text| text.parse().ok());
                chosen.rounds = rounds.filter(|&rounds| rounds > 0).ok_or("--rounds takes a number")?;
            }
            "--seconds" => {
                let seconds = arguments.next().and_then(|text| text.parse().ok());
                let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                chosen.time = time.ok_or("--seconds takes a number")?;
            }
            "--postgres" => chosen.postgres = true,
            "--large" => chosen.large = true,
            row if ROWS.contains(&row) => chosen.rows.push(argument),
            other => return Err(format!("{other}: a row is one of {}", ROWS.join(", "))),
        }
    }
    if chosen.rows.is_empty() {
        chosen.rows = ROWS.map(str::to_owned).to_vec();
    }
    Ok(chosen)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start();
    if let (true, Err(why)) = (arguments.postgres, &postgres) {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    let mut sections = sections(&arguments, folder.path(), &postgres);
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for section in &mut sections {
            section.measure(round, arguments.time);
        }
    }
    println!(
        "{} rounds of {:?} each, below {}\n",
        arguments.rounds,
        arguments.time,
        folder.path().display()
    );
    for section in &sections {
        println!("{section}");
    }
    ExitCode::SUCCESS
}

/// What was chosen, with its stores made and filled.
fn sections<'a>(arguments: &Arguments, folder: &Path, postgres: &'a Result<Postgres, String>) -> Vec<Section<'a>> {
    let mut sections = vec![machine::section(folder)];
    for row in &arguments.rows {
        match row.as_str() {
            "append" => sections.extend(append::sections(folder, postgres)),
            "growth" => sections.extend(growth::sections(folder, arguments.large)),
            "reads" => sections.extend(reads::sections(folder)),
            "fold" => sections.push(fold::section(folder)),
            _ => sections.push(wal::section(folder)),
        }
    }
    sections
}
