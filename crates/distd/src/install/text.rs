//! Texts of others made safe to read, and facts in the words that people know.

use std::borrow::Cow;

use dist_inspect::arch::spelled;
use dist_model::{MoveCause, Platform, Timestamp};

/// How many characters of somebody else's text a page shows in one place.
const TEXT_CHARS: usize = 300;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A text of others on one line, of at most 300 characters, without those that nobody sees or that
/// turn around the text beside them, so that it looks like what it is.
pub(crate) fn visible(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_invisible(*c))
        .collect();
    let shown = shown.trim();
    match shown.char_indices().nth(TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown.to_owned(),
    }
}

/// The same, or `otherwise` where nothing of it can be seen.
pub(super) fn visible_or(text: &str, otherwise: &str) -> String {
    let shown = visible(text);
    if shown.is_empty() { otherwise.to_owned() } else { shown }
}

/// Controls, directions, blanks without width, and what is no character. The joiners U+200C and
/// U+200D stay: words and emoji need them.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The day as people write it: `21 Nov 2026`.
pub(super) fn day(time: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let iso = time.day();
    let mut parts = iso.split('-');
    let year = parts.next().unwrap_or_default();
    let month = parts.next().and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let day = parts.next().unwrap_or_default().trim_start_matches('0');
    let month = MONTHS.get(month.wrapping_sub(1)).unwrap_or(&MONTHS[0]);
    format!("{day} {month} {year}")
}

/// How long something still is good: `until 3 Dec 2026, 12 days from now`.
pub(super) fn until(end: Timestamp, now: Timestamp) -> String {
    let days = end.as_millis().saturating_sub(now.as_millis()).max(0) / DAY_MILLIS;
    let span = match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        2..60 => format!("{days} days"),
        60..730 => format!("{} months", days / 30),
        _ => format!("{} years", days / 365),
    };
    format!("until {}, {span} from now", day(end))
}

/// The platform as people call it.
pub(super) fn platform_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Ios => "iPhone and iPad",
        Platform::AndroidApk => "Android",
        Platform::AndroidAab => "Android, for stores",
        Platform::Macos => "macOS",
        Platform::Linux => "Linux",
        Platform::Windows => "Windows",
    }
}

/// The processor as people of the platform call it; nothing where a file is for all of them.
pub(super) fn processor(platform: Platform, arch: &str) -> Cow<'_, str> {
    let arch = spelled(arch);
    let name = match (platform, arch) {
        (_, "" | "any") | (Platform::Ios, _) | (Platform::AndroidApk | Platform::AndroidAab, "universal") => "",
        (Platform::Macos, "arm64") => "Apple silicon",
        (Platform::Macos, "x86_64") => "Intel",
        (Platform::Macos, "universal") => "Apple silicon and Intel",
        (_, "universal") => "all processors",
        (Platform::Windows, "x86_64") => "64-bit (x64)",
        (Platform::Windows, "x86") => "32-bit (x86)",
        (_, "arm64") => "ARM64",
        (_, "arm") => "ARM 32-bit",
        _ => return visible(arch).into(),
    };
    name.into()
}

/// Why a channel moved, for those who install from it.
pub(super) fn cause(cause: MoveCause) -> &'static str {
    match cause {
        MoveCause::RolledBack => "rolled back",
        MoveCause::Promoted => "promoted",
        MoveCause::Published | MoveCause::Imported => "published",
    }
}

/// The oldest system that takes a file, from the number that the file has for it; nothing where
/// that is older than anybody has.
pub(super) fn oldest_system(platform: Platform, min_os: &str) -> Option<String> {
    let name = match platform {
        Platform::Ios => format!("iOS {}", visible(min_os)),
        Platform::Macos => format!("macOS {}", visible(min_os)),
        Platform::Linux => format!("Linux {}", visible(min_os)),
        Platform::AndroidApk | Platform::AndroidAab => android(min_os),
        Platform::Windows => windows(min_os)?,
    };
    Some(format!("{name} or later"))
}

/// Android's versions by API level, from 1, as in the table of `<uses-sdk>` at
/// developer.android.com.
const ANDROID: [&str; 36] = [
    "1.0", "1.1", "1.5", "1.6", "2.0", "2.0.1", "2.1", "2.2", "2.3", "2.3.3", "3.0", "3.1", "3.2", "4.0", "4.0.3",
    "4.1", "4.2", "4.3", "4.4", "4.4W", "5.0", "5.1", "6.0", "7.0", "7.1", "8.0", "8.1", "9", "10", "11", "12", "12L",
    "13", "14", "15", "16",
];

fn android(level: &str) -> String {
    let known = level
        .parse::<usize>()
        .ok()
        .and_then(|level| ANDROID.get(level.wrapping_sub(1)));
    match known {
        Some(version) => format!("Android {version} (API {level})"),
        None => format!("Android with API level {}", visible(level)),
    }
}

fn windows(version: &str) -> Option<String> {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let name = match (major, minor, numbers.next().unwrap_or(0)) {
        (1..6, ..) => return None,
        (6, 0, _) => "Vista",
        (6, 1, _) => "7",
        (6, 2, _) => "8",
        (6, 3, _) => "8.1",
        (10, 0, 0) => "10",
        (10, 0, ..22_000) => return Some(format!("Windows 10 ({})", visible(version))),
        (10, 0, _) => return Some(format!("Windows 11 ({})", visible(version))),
        _ => return Some(format!("Windows {}", visible(version))),
    };
    Some(format!("Windows {name}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_nobody_sees_is_left_out() {
        for (text, shown) in [
            ("  Acme\tPro\n", "Acme Pro"),
            ("exe.\u{202e}gpj", "exe.gpj"),
            ("a\u{200b}\u{feff}\u{2066}b\u{ffff}\u{0}", "ab"),
            ("\u{200b}\u{3164}", ""),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
        }
        assert_eq!(visible(&"x".repeat(400)).chars().count(), 301);
        assert_eq!(visible_or("\u{200b}", "acme"), "acme");
    }

    #[test]
    fn days_and_spans_in_words() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-21T12:00:00Z");
        assert_eq!(day(at("2026-01-03T23:59:59Z")), "3 Jan 2026");
        for (end, words) in [
            ("2026-11-21T13:00:00Z", "until 21 Nov 2026, less than a day from now"),
            ("2026-11-22T13:00:00Z", "until 22 Nov 2026, 1 day from now"),
            ("2026-12-03T12:00:00Z", "until 3 Dec 2026, 12 days from now"),
            ("2027-04-21T12:00:00Z", "until 21 Apr 2027, 5 months from now"),
            ("2030-01-01T00:00:00Z", "until 1 Jan 2030, 3 years from now"),
        ] {
            assert_eq!(until(at(end), now), words);
        }
    }

    #[test]
    fn processors_have_one_name_each() {
        for (platform, arch, name) in [
            (Platform::Windows, "x64", "64-bit (x64)"),
            (Platform::Linux, "aarch64", "ARM64"),
            (Platform::Linux, "noarch", ""),
            (Platform::Macos, "universal2", "Apple silicon and Intel"),
            (Platform::Linux, "z80", "z80"),
        ] {
            assert_eq!(processor(platform, arch), name);
        }
    }

    #[test]
    fn systems_have_the_names_that_people_know() {
        for (platform, number, name) in [
            (Platform::AndroidApk, "26", "Android 8.0 (API 26) or later"),
            (Platform::AndroidApk, "36", "Android 16 (API 36) or later"),
            (Platform::AndroidApk, "99", "Android with API level 99 or later"),
            (Platform::AndroidApk, "0", "Android with API level 0 or later"),
            (Platform::Windows, "6.1", "Windows 7 or later"),
            (Platform::Windows, "10.0.17763.0", "Windows 10 (10.0.17763.0) or later"),
            (Platform::Windows, "10.0.22000.0", "Windows 11 (10.0.22000.0) or later"),
            (Platform::Windows, "x", "Windows x or later"),
            (Platform::Macos, "11.0", "macOS 11.0 or later"),
        ] {
            assert_eq!(oldest_system(platform, number).as_deref(), Some(name));
        }
        assert_eq!(oldest_system(Platform::Windows, "4.0"), None);
    }
}
