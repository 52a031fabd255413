//! Plots, drawn on the server as inline SVG: numbers in, a figure out.
//!
//! The SVG holds shapes only and is stretched to the width that is there; labels are HTML around
//! it, so that they stay as large as text is. Colours come from the style by class, as the page's
//! policy wants. A table of the same numbers stands behind each plot.

use askama::Template;
use askama::filters::HtmlSafe;

use super::text::{grouped, human_size};

/// The drawing's own size; a page stretches it.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;
/// How many series have a colour of their own; what is left is added up as the last of them.
const COLOURS: usize = 6;
/// How the sum of all other series is named.
const OTHERS: &str = "others";

/// A figure; as text it is the markup.
#[derive(Template)]
#[template(path = "web/plot.html")]
pub(crate) struct Plot {
    title: String,
    /// What somebody who does not see it should know of it.
    summary: String,
    measure: Measure,
    /// The number at the upper edge.
    top: u64,
    days: Vec<String>,
    series: Vec<Series>,
    shapes: Vec<Shape>,
}

/// All that the template writes is escaped there.
impl HtmlSafe for Plot {}

/// Numbers by day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// What they count.
    pub name: String,
    /// One for each day.
    pub values: Vec<u64>,
}

/// What numbers are, which is how they are written and what they come to over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// So many on each day: they add up.
    Count,
    /// So many bytes at the end of each day: the last is what is there.
    Bytes,
}

impl Measure {
    fn write(self, number: u64) -> String {
        match self {
            Self::Count => grouped(number),
            Self::Bytes => human_size(number),
        }
    }

    /// What a series comes to.
    fn sum(self, series: &Series) -> u64 {
        match self {
            Self::Count => series.values.iter().sum(),
            Self::Bytes => series.values.last().copied().unwrap_or(0),
        }
    }

    /// A round number that is not below this one.
    fn edge(self, number: u64) -> u64 {
        match self {
            Self::Count => round_up(number),
            Self::Bytes => {
                let unit = 1_u64 << (number.max(1).ilog2() / 10 * 10);
                round_up(number.div_ceil(unit)).saturating_mul(unit)
            }
        }
    }
}

/// An outline in the drawing's coordinates.
#[derive(Debug, PartialEq)]
struct Shape {
    /// Which colour, from 1.
    colour: usize,
    points: String,
    /// What the pointer is told over it.
    label: String,
}

impl Plot {
    /// A bar a day.
    pub(crate) fn bars(title: &str, days: Vec<String>, values: Vec<u64>) -> Self {
        let top = round_up(values.iter().copied().max().unwrap_or(0));
        let step = WIDTH / as_float(days.len().max(1) as u64);
        // A sixth of a day's room on each side keeps bars apart.
        let gap = step / 6.0;
        let shape = |(place, (day, value)): (usize, (&String, &u64))| {
            let left = step * as_float(place as u64);
            let (from, to, y) = (left + gap, left + step - gap, height_at(*value, top));
            Shape {
                colour: 1,
                points: format!("{from:.1},{HEIGHT} {from:.1},{y:.1} {to:.1},{y:.1} {to:.1},{HEIGHT}"),
                label: format!("{day}: {}", grouped(*value)),
            }
        };
        let shapes = days.iter().zip(&values).enumerate().map(shape).collect();
        let name = title.to_owned();
        let series = vec![Series { name, values }];
        Self::new(title, Measure::Count, top, days, series, shapes)
    }

    /// Areas on top of each other, the first at the bottom. What has no colour left is added up.
    pub(crate) fn stacked(title: &str, days: Vec<String>, series: Vec<Series>) -> Self {
        Self::areas(title, Measure::Count, days, series)
    }

    /// The same of bytes that are there at the end of each day.
    pub(crate) fn levels(title: &str, days: Vec<String>, series: Vec<Series>) -> Self {
        Self::areas(title, Measure::Bytes, days, series)
    }

    fn areas(title: &str, measure: Measure, days: Vec<String>, series: Vec<Series>) -> Self {
        let series = with_others(series, measure, days.len());
        let mut below = vec![0_u64; days.len()];
        let mut layers = Vec::with_capacity(series.len());
        for one in &series {
            let above: Vec<_> = below.iter().zip(&one.values).map(|(low, value)| low + value).collect();
            layers.push((std::mem::replace(&mut below, above.clone()), above));
        }
        let top = measure.edge(below.iter().copied().max().unwrap_or(0));
        let shapes = layers.iter().zip(&series).enumerate();
        let shapes = shapes.map(|(place, ((low, high), one))| Shape {
            colour: place + 1,
            points: outline(low, high, top),
            label: format!("{}: {}", one.name, measure.write(measure.sum(one))),
        });
        let shapes = shapes.collect();
        Self::new(title, measure, top, days, series, shapes)
    }

    fn new(
        title: &str,
        measure: Measure,
        top: u64,
        days: Vec<String>,
        series: Vec<Series>,
        shapes: Vec<Shape>,
    ) -> Self {
        let total = measure.write(series.iter().map(|one| measure.sum(one)).sum());
        let summary = match (days.first(), days.last()) {
            (Some(first), Some(last)) if measure == Measure::Count => format!("{total} from {first} to {last}"),
            (Some(_), Some(last)) => format!("{total} on {last}"),
            _ => "nothing yet".to_owned(),
        };
        Self {
            title: title.to_owned(),
            summary,
            measure,
            top,
            days,
            series,
            shapes,
        }
    }

    /// The same numbers, a row a day.
    fn rows(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        let values = |day| self.series.iter().filter_map(move |one| one.values.get(day));
        let days = self.days.iter().enumerate();
        days.map(move |(place, day)| {
            (
                day.as_str(),
                values(place).map(|value| self.measure.write(*value)).collect(),
            )
        })
    }
}

/// The series that have a colour of their own, the largest first, and the sum of all others.
fn with_others(mut series: Vec<Series>, measure: Measure, days: usize) -> Vec<Series> {
    series.sort_by_key(|one| std::cmp::Reverse(measure.sum(one)));
    if series.len() > COLOURS {
        let rest = series.split_off(COLOURS - 1);
        let sum = |day| rest.iter().filter_map(|one| one.values.get(day)).sum();
        series.push(Series {
            name: OTHERS.to_owned(),
            values: (0..days).map(sum).collect(),
        });
    }
    series
}

/// Along the upper edge and back along the lower one. A day is as wide as it is in bars: what is there
/// on one day only is a column, and no slope.
fn outline(low: &[u64], high: &[u64], top: u64) -> String {
    let step = WIDTH / as_float(low.len().max(1) as u64);
    let edge = |values: &[u64]| -> Vec<String> {
        let days = values.iter().enumerate();
        let sides = days.flat_map(|(place, value)| [(place, *value), (place + 1, *value)]);
        let point = |(place, value)| format!("{:.1},{:.1}", step * as_float(place as u64), height_at(value, top));
        sides.map(point).collect()
    };
    let mut points = edge(high);
    points.extend(edge(low).into_iter().rev());
    points.join(" ")
}

fn height_at(value: u64, top: u64) -> f64 {
    HEIGHT * (1.0 - as_float(value) / as_float(top))
}

/// Counts of downloads are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "a plot is read with the eye")]
fn as_float(number: u64) -> f64 {
    number as f64
}

/// The next of 1, 2, 5, 10, 20, 50 …, so that the edge of a plot is a number to remember.
fn round_up(number: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [1, 2, 5] {
            match power.checked_mul(step) {
                Some(edge) if edge < number => {}
                Some(edge) => return edge,
                None => return number,
            }
        }
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => return number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(count: usize) -> Vec<String> {
        (1..=count).map(|day| format!("2026-11-{day:02}")).collect()
    }

    fn series(name: &str, values: &[u64]) -> Series {
        Series {
            name: name.to_owned(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn the_upper_edge_is_a_round_number() {
        for (number, edge) in [
            (0, 1),
            (1, 1),
            (3, 5),
            (10, 10),
            (11, 20),
            (999, 1000),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(round_up(number), edge);
        }
    }

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        let plot = Plot::bars("Downloads", days(2), vec![5, 10]);
        assert_eq!(plot.top, 10);
        assert!(plot.shapes[0].points.contains(",50.0"), "{:?}", plot.shapes);
        assert!(plot.shapes[1].points.contains(",0.0"), "{:?}", plot.shapes);
        assert_eq!(plot.shapes[1].label, "2026-11-02: 10");
    }

    #[test]
    fn areas_stand_on_each_other_the_largest_at_the_bottom() {
        let plot = Plot::stacked(
            "Adoption",
            days(2),
            vec![series("1.0", &[1, 1]), series("2.0", &[4, 2])],
        );
        let names: Vec<_> = plot.series.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((names, plot.top), (vec!["2.0", "1.0"], 5));
        assert_eq!(
            plot.shapes[0].points,
            "0.0,20.0 500.0,20.0 500.0,60.0 1000.0,60.0 1000.0,100.0 500.0,100.0 500.0,100.0 0.0,100.0"
        );
        assert_eq!(
            plot.shapes[1].points,
            "0.0,0.0 500.0,0.0 500.0,40.0 1000.0,40.0 1000.0,60.0 500.0,60.0 500.0,20.0 0.0,20.0"
        );
    }

    #[test]
    fn one_day_fills_the_plot() {
        let plot = Plot::stacked("Adoption", days(1), vec![series("1.0", &[1])]);
        assert_eq!(plot.shapes[0].points, "0.0,0.0 1000.0,0.0 1000.0,100.0 0.0,100.0");
    }

    #[test]
    fn what_has_no_colour_is_added_up() {
        let many = (1..=9)
            .map(|number| series(&format!("1.{number}"), &[number]))
            .collect();
        let plot = Plot::stacked("Adoption", days(1), many);
        assert_eq!(plot.series.len(), COLOURS);
        assert_eq!(plot.series[COLOURS - 1], series(OTHERS, &[1 + 2 + 3 + 4]));
    }

    #[test]
    fn levels_come_to_what_is_there_last() {
        let plot = Plot::levels(
            "Storage",
            days(2),
            vec![
                series("acme", &[1 << 20, 3 << 20]),
                series("other", &[5 << 20, 1 << 19]),
            ],
        );
        let names: Vec<_> = plot.series.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((names, plot.top), (vec!["acme", "other"], 10 << 20));
        assert_eq!(plot.summary, "3.5 MiB on 2026-11-02");
        let text = plot.to_string();
        assert!(
            text.contains(">10.0 MiB</span>") && text.contains(">512.0 KiB</td>"),
            "{text}"
        );
        assert_eq!(Plot::levels("Storage", days(1), Vec::new()).top, 1);
    }

    #[test]
    fn figures_tell_their_numbers_in_words_and_escape_names() {
        let text = Plot::stacked("Adoption", days(2), vec![series("<i>", &[1, 2000])]).to_string();
        for part in [
            "2,001 from 2026-11-01 to 2026-11-02",
            ">2,000</td>",
            "&#60;i&#62;",
            "role=\"img\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("<i>") && !text.contains("style="), "{text}");
        let nothing = Plot::bars("Downloads", Vec::new(), Vec::new()).to_string();
        assert!(
            nothing.contains("nothing yet") && !nothing.contains("<table"),
            "{nothing}"
        );
    }
}
