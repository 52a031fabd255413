//! How sizes, times and counts are written for people.

use std::fmt;

use askama::filters::HtmlSafe;
use dist_model::{MoveCause, Platform, Timestamp};
use http::StatusCode;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A size for people: three digits are enough to compare.
pub(crate) fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let unit = (bytes.ilog2() / 10).min(4) as usize;
    let whole = 1_u64 << (10 * unit);
    let tenths = u128::from(bytes) * 10 / u128::from(whole);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit - 1])
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something whose plural ends in `s`: `1 release`, `12 releases`.
pub(crate) fn count(number: u64, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", grouped(number))
}

/// How many there are of something whose plural ends in `s`.
pub(crate) fn counted<T>(items: &[T], one: &str) -> String {
    count(items.len() as u64, one)
}

/// A platform's own name.
pub(crate) fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Ios => "iOS",
        Platform::AndroidApk => "Android",
        Platform::AndroidAab => "Android bundle",
        Platform::Macos => "macOS",
        Platform::Linux => "Linux",
        Platform::Windows => "Windows",
    }
}

/// How a channel came to point where it does.
pub(crate) fn moved(cause: MoveCause) -> &'static str {
    match cause {
        MoveCause::Published => "published",
        MoveCause::Promoted => "promoted",
        MoveCause::RolledBack => "rolled back",
        MoveCause::Imported => "taken over",
    }
}

/// The heading over a refusal.
pub(crate) fn refused(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not here",
        StatusCode::UNAUTHORIZED => "Who are you?",
        StatusCode::FORBIDDEN => "Not for you",
        StatusCode::GONE => "No longer here",
        status if status.is_server_error() => "Something went wrong",
        _ => "That did not work",
    }
}

/// The beginning of a commit's id, as much as people compare.
pub(crate) fn shortened(id: &str) -> &str {
    &id[..id.floor_char_boundary(10)]
}

/// The exact time, to the minute: `2026-11-21 16:05 UTC`.
pub(crate) fn exact(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {} UTC", &text[..10], &text[11..16])
}

/// How long ago something was, or how far ahead it lies, as a `time` element that tells the exact
/// time too. `console.js` writes the same words as time passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ago {
    /// When it was.
    pub at: Timestamp,
    /// The moment of reading.
    pub now: Timestamp,
}

impl Ago {
    fn words(self) -> String {
        let millis = self.now.as_millis() - self.at.as_millis();
        let far = millis.abs();
        let (size, unit) = match far {
            ..MINUTE => return "just now".to_owned(),
            MINUTE..HOUR => (MINUTE, "min"),
            HOUR..DAY => (HOUR, "h"),
            _ if far < 60 * DAY => (DAY, "d"),
            _ if far < 730 * DAY => (30 * DAY, "mo"),
            _ => (365 * DAY, "y"),
        };
        if millis < 0 {
            // What was made a moment ago for a week ends in 7 days, not in 6.
            format!("in {} {unit}", (far + size / 2) / size)
        } else {
            format!("{} {unit} ago", far / size)
        }
    }
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, title, words) = (self.at, exact(self.at), self.words());
        write!(f, r#"<time datetime="{at}" title="{title}">{words}</time>"#)
    }
}

/// Numbers and words of ours only.
impl HtmlSafe for Ago {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn counts_for_people() {
        for (number, text) in [
            (0, "0 files"),
            (1, "1 file"),
            (999, "999 files"),
            (1000, "1,000 files"),
            (12_345_678, "12,345,678 files"),
        ] {
            assert_eq!(count(number, "file"), text);
        }
    }

    #[test]
    fn times_for_people() {
        let now: Timestamp = "2026-11-21T16:05:30Z".parse().unwrap();
        for (passed, words) in [
            (0, "just now"),
            (59 * SECOND, "just now"),
            (MINUTE, "1 min ago"),
            (HOUR - 1, "59 min ago"),
            (HOUR, "1 h ago"),
            (DAY, "1 d ago"),
            (59 * DAY, "59 d ago"),
            (60 * DAY, "2 mo ago"),
            (729 * DAY, "24 mo ago"),
            (730 * DAY, "2 y ago"),
            (-3 * DAY, "in 3 d"),
            (-7 * DAY + MINUTE, "in 7 d"),
            (-90 * MINUTE, "in 2 h"),
        ] {
            let at = now.plus_millis(-passed);
            assert_eq!(Ago { at, now }.words(), words, "{passed}");
        }
        assert_eq!(
            Ago { at: now, now }.to_string(),
            r#"<time datetime="2026-11-21T16:05:30.000Z" title="2026-11-21 16:05 UTC">just now</time>"#
        );
    }
}
