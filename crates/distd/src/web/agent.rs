//! What a `User-Agent` says, to tell one's devices apart. Nothing is decided by it.

use dist_model::Platform;

use super::text;

// Android says Linux too, and iPhones say "like Mac OS X", so the order matters.
const PLATFORMS: &[(&str, Platform)] = &[
    ("iPhone", Platform::Ios),
    ("iPad", Platform::Ios),
    ("iPod", Platform::Ios),
    ("Android", Platform::AndroidApk),
    ("Windows", Platform::Windows),
    ("Macintosh", Platform::Macos),
    ("Linux", Platform::Linux),
];

// Everybody says Safari, and most say Chrome, so the order matters here too.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
];

/// The system that it names.
pub(crate) fn platform(agent: &str) -> Option<Platform> {
    first_word(agent, PLATFORMS)
}

/// The browser as its user calls it, such as `Firefox on Linux`; whatever else it says as it is.
pub(crate) fn browser(agent: &str) -> String {
    match (first_word(agent, BROWSERS), platform(agent)) {
        (Some(name), Some(platform)) => format!("{name} on {}", text::platform(platform)),
        (Some(name), None) => name.to_owned(),
        (None, _) if agent.is_empty() => "Unnamed".to_owned(),
        (None, _) => agent.to_owned(),
    }
}

/// What the first of these words means that it holds.
pub(crate) fn first_word<T: Copy>(agent: &str, words: &[(&str, T)]) -> Option<T> {
    let known = words.iter().find(|(word, _)| agent.contains(word));
    known.map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    #[test]
    fn browsers_as_people_call_them() {
        for (agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Mobile/15E148 Safari/604.1",
                "Chrome on iOS",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            ("Mozilla/5.0 (X11; CrOS x86_64) Chrome/140.0.0.0", "Chrome"),
            ("curl/8.5", "curl/8.5"),
            ("", "Unnamed"),
        ] {
            assert_eq!(super::browser(agent), name);
        }
    }
}
