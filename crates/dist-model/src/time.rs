//! Points in time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{ErrorCode, Refusal};

/// A point in time, in milliseconds since the Unix epoch.
///
/// As text it is RFC 3339 in UTC with exactly three decimals (`2026-01-31T09:30:00.000Z`), so that
/// text sorts as time does, in SQL too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(value_type = String, format = DateTime)
)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// The first instant that has no text any more: jiff's milliseconds end at 9999-12-30T22:00:00Z, so that
/// every time has a four-digit year at any offset.
const END: i64 = 253_402_207_200_001;
/// 0000-01-01T00:00:00Z.
const START: i64 = -62_167_219_200_000;

impl Timestamp {
    /// From milliseconds since the Unix epoch; what has no text, outside the years 0 to 9999, is clamped.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(START, END - 1))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This time and `millis` more.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This time and `length` more.
    #[must_use]
    pub fn plus(self, length: Duration) -> Self {
        self.plus_millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
    }

    /// The UTC day, as `2026-01-31`.
    pub fn day(self) -> String {
        self.to_string()[..10].to_owned()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{instant:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = Refusal;

    /// Reads RFC 3339 with any offset; digits beyond milliseconds are dropped.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        text.parse::<jiff::Timestamp>()
            .map(|instant| Self::from_millis(instant.as_millisecond()))
            .map_err(|_| {
                Refusal::new(
                    ErrorCode::InvalidTime,
                    format!("{text:?} is not an RFC 3339 time such as 2026-01-31T09:30:00Z"),
                )
            })
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Refusal;
    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

/// A length of time as people write it: a number and `s`, `m`, `h` or `d`; seconds where there is no
/// letter.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last().filter(char::is_ascii_alphabetic);
    let digits = unit.map_or(text, |_| &text[..text.len() - 1]);
    let seconds: u64 = match unit {
        None | Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        Some(_) => return None,
    };
    let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
    seconds.checked_mul(number?).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips_and_sorts(a in START..END, b in START..END) {
            let (a, b) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
            prop_assert_eq!(a.to_string().parse::<Timestamp>().unwrap(), a);
            prop_assert_eq!(a.to_string().len(), 24);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }

    #[test]
    fn a_time_that_is_too_far_away_is_the_last_one_with_a_text() {
        let last = Timestamp::default().plus(Duration::from_secs(u64::MAX));
        assert_eq!(last, Timestamp::from_millis(END - 1));
        assert_eq!(last.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn reads_other_offsets() {
        let time: Timestamp = "2026-01-31T10:30:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T09:30:00.000Z");
        assert_eq!(time.day(), "2026-01-31");
        assert_eq!(
            "yesterday".parse::<Timestamp>().unwrap_err().code,
            ErrorCode::InvalidTime
        );
    }

    #[test]
    fn lengths_of_time() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(parse_duration(text), seconds.map(Duration::from_secs), "{text:?}");
        };
        check("0", Some(0));
        check("90d", Some(90 * 86_400));
        check("30m", Some(1800));
        for text in ["", "d", "-1d", "+1d", "1w", "1.5h", "é", "99999999999999999d"] {
            check(text, None);
        }
    }
}
