//! What is measured, and how it is shown.

use std::fmt;
use std::time::Duration;

/// What a ratio relates to: the first contestant of its section.
#[derive(Clone, Copy)]
pub enum Ratio {
    /// None is shown.
    None,
    /// How many times as much the first one does.
    OfFirst,
    /// How many times as much as the first one this one takes.
    ToFirst,
}

/// Contestants that do the same work.
pub struct Section<'a> {
    pub title: &'static str,
    pub unit: &'static str,
    pub ratio: Ratio,
    pub contestants: Vec<Contestant<'a>>,
}

/// One of them, and its figures, one a round.
pub struct Contestant<'a> {
    name: String,
    goal: &'static str,
    measure: Box<dyn FnMut(Duration) -> f64 + 'a>,
    figures: Vec<f64>,
}

impl<'a> Contestant<'a> {
    /// `measure` works for about the time that it is given and answers in the section's unit.
    pub fn new(name: impl Into<String>, measure: impl FnMut(Duration) -> f64 + 'a) -> Self {
        Self {
            name: name.into(),
            goal: "",
            measure: Box::new(measure),
            figures: Vec::new(),
        }
    }

    /// One that cannot take part, and why.
    pub fn missing(name: &str, why: &str) -> Self {
        Self::new(format!("{name}: {why}"), |_| f64::NAN)
    }

    /// What its ratio or, if it says so, its figure is to be.
    pub fn goal(self, goal: &'static str) -> Self {
        Self { goal, ..self }
    }
}

impl Section<'_> {
    /// Measures everyone once, each round beginning with another one: nobody always works in
    /// what the same other one has left behind.
    pub fn measure(&mut self, round: usize, time: Duration) {
        let count = self.contestants.len();
        for turn in 0..count {
            let contestant = &mut self.contestants[(round + turn) % count];
            let figure = (contestant.measure)(time);
            contestant.figures.push(figure);
        }
    }

    fn ratios(&self, contestant: &Contestant<'_>) -> Vec<f64> {
        let pairs = self.contestants[0].figures.iter().zip(&contestant.figures);
        match self.ratio {
            Ratio::None => Vec::new(),
            Ratio::OfFirst => pairs.map(|(first, this)| first / this).collect(),
            Ratio::ToFirst => pairs.map(|(first, this)| this / first).collect(),
        }
    }
}

impl fmt::Display for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = match self.ratio {
            Ratio::None => "",
            Ratio::OfFirst => "first ÷ this",
            Ratio::ToFirst => "this ÷ first",
        };
        writeln!(f, "{:<44} {:>27}   {ratio:>12}", self.title, self.unit)?;
        for (place, contestant) in self.contestants.iter().enumerate() {
            let figures = Spread::of(&contestant.figures);
            if figures.median.is_nan() {
                writeln!(f, "  {}", contestant.name)?;
                continue;
            }
            write!(
                f,
                "  {:<42} {figures:27.digits$}",
                contestant.name,
                digits = digits(figures.median)
            )?;
            let ratios = self.ratios(contestant);
            if place > 0 && !ratios.is_empty() {
                write!(f, "   {:22.2}", Spread::of(&ratios))?;
            }
            if !contestant.goal.is_empty() {
                write!(f, "   goal {}", contestant.goal)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Three digits that count, or all before the point.
fn digits(figure: f64) -> usize {
    if figure < 10.0 { 2 } else { usize::from(figure < 100.0) }
}

/// The median, and between what the rest lies.
struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
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
        let text = format!(
            "{:.digits$} ({:.digits$} – {:.digits$})",
            self.median, self.lowest, self.highest
        );
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}
