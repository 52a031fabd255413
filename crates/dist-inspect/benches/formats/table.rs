//! What is measured, and how it is shown.

use std::fmt;
use std::path::PathBuf;

use crate::process::{self, Cost};

/// A file, and those who look at it.
pub struct Section {
    pub title: String,
    /// How many bytes the file has.
    pub size: u64,
    pub scratch: PathBuf,
    /// Ours first.
    pub contestants: Vec<Contestant>,
}

/// One of them, and what it took, one a round.
pub struct Contestant {
    pub name: String,
    pub words: Vec<String>,
    pub costs: Vec<Cost>,
}

impl Section {
    /// Measures everyone once, each round beginning with another one.
    pub fn measure(&mut self, round: usize) {
        let count = self.contestants.len();
        for turn in 0..count {
            let contestant = &mut self.contestants[(round + turn) % count];
            contestant.costs.push(process::run(&contestant.words, &self.scratch));
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.size as f64 / 1e6;
        writeln!(
            f,
            "| {}, {megabytes:.3} MB | CPU, ms | MB/s | peak, MB | times ours |",
            self.title
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: |")?;
        let ours = &self.contestants[0].costs;
        for contestant in &self.contestants {
            let cpu = Spread::of(contestant.costs.iter().map(|cost| cost.cpu));
            let memory = Spread::of(contestant.costs.iter().map(|cost| cost.memory));
            let pairs = contestant.costs.iter().zip(ours);
            let ratio = Spread::of(pairs.map(|(this, ours)| this.cpu / ours.cpu));
            let speed = megabytes / (cpu.median / 1e3);
            writeln!(
                f,
                "| {} | {cpu:.0} | {speed:.0} | {:.1} | {ratio:.2} |",
                contestant.name, memory.median
            )?;
        }
        Ok(())
    }
}

/// The median, and between what the rest lies.
struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Self {
            median,
            lowest: sorted[0],
            highest: sorted[sorted.len() - 1],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        write!(
            f,
            "{:.digits$} ({:.digits$} – {:.digits$})",
            self.median, self.lowest, self.highest
        )
    }
}
