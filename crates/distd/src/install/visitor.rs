//! What the visitor holds in their hands.

use dist_model::Platform;
use http::{HeaderMap, header};

use crate::extract::text;

/// The visitor's device, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    platform: Option<Platform>,
}

impl Visitor {
    /// From the client hint where there is one, else from the User-Agent. An iPad says that it is
    /// a Mac, and is believed: nothing in a request tells them apart.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let hint = text(headers, "sec-ch-ua-platform").and_then(|hint| match hint.trim_matches('"') {
            "iOS" => Some(Platform::Ios),
            "Android" => Some(Platform::AndroidApk),
            "macOS" => Some(Platform::Macos),
            "Windows" => Some(Platform::Windows),
            "Linux" => Some(Platform::Linux),
            _ => None,
        });
        let agent = || text(headers, header::USER_AGENT).and_then(from_user_agent);
        Self {
            platform: hint.or_else(agent),
        }
    }

    /// What to show first.
    pub(super) fn platform(self) -> Option<Platform> {
        self.platform
    }

    /// True for a phone or tablet, which needs no QR code to be reached.
    pub(super) fn is_mobile(self) -> bool {
        matches!(self.platform, Some(Platform::Ios | Platform::AndroidApk))
    }
}

fn from_user_agent(agent: &str) -> Option<Platform> {
    // Android says Linux too, and iPhones say "like Mac OS X", so the order matters.
    [
        ("iPhone", Platform::Ios),
        ("iPad", Platform::Ios),
        ("iPod", Platform::Ios),
        ("Android", Platform::AndroidApk),
        ("Windows", Platform::Windows),
        ("Macintosh", Platform::Macos),
        ("Linux", Platform::Linux),
    ]
    .into_iter()
    .find_map(|(word, platform)| agent.contains(word).then_some(platform))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for (hint, agent, expected) in [
            (
                "",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)",
                Some(Platform::Ios),
            ),
            (
                "",
                "Mozilla/5.0 (Linux; Android 15; Pixel 9)",
                Some(Platform::AndroidApk),
            ),
            (
                "",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
                Some(Platform::Macos),
            ),
            ("", "Mozilla/5.0 (X11; Linux x86_64)", Some(Platform::Linux)),
            (
                "\"Windows\"",
                "Mozilla/5.0 (X11; Linux x86_64)",
                Some(Platform::Windows),
            ),
            ("\"Android\"", "", Some(Platform::AndroidApk)),
            ("", "curl/8", None),
        ] {
            let headers = HeaderMap::from_iter([
                (header::USER_AGENT, agent.parse().unwrap()),
                ("sec-ch-ua-platform".parse().unwrap(), hint.parse().unwrap()),
            ]);
            assert_eq!(Visitor::of(&headers).platform(), expected, "{hint} {agent}");
        }
    }
}
