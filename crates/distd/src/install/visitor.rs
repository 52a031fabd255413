//! What the visitor holds in their hands.

use dist_inspect::arch::{spell, spelled};
use dist_model::Platform;
use http::{HeaderMap, header};

use super::kind::Kind;
use crate::extract::text;
use crate::web::agent;

/// What a browser is asked to tell of itself the next time, and what an answer depends on.
pub(super) const HINTS: &str = "sec-ch-ua-platform, sec-ch-ua-arch, sec-ch-ua-bitness";
/// See [`HINTS`]; most browsers say nothing but this.
pub(super) const VARY: &str = "user-agent, sec-ch-ua-platform, sec-ch-ua-arch, sec-ch-ua-bitness";

/// The visitor's device, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Visitor {
    platform: Option<Platform>,
    /// In the spelling of artifacts.
    arch: Option<&'static str>,
    /// The packages that a Linux takes.
    packages: Option<Kind>,
}

impl Visitor {
    /// From the client hints where there are any, else from the User-Agent. An iPad says that it
    /// is a Mac, and is believed: nothing in a request tells them apart.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let agent = text(headers, header::USER_AGENT).unwrap_or_default();
        let hint = |name: &str| text(headers, name).map(|hint| hint.trim_matches('"'));
        let platform = hint("sec-ch-ua-platform").and_then(|hint| match hint {
            "iOS" => Some(Platform::Ios),
            "Android" => Some(Platform::AndroidApk),
            "macOS" => Some(Platform::Macos),
            "Windows" => Some(Platform::Windows),
            "Linux" => Some(Platform::Linux),
            _ => None,
        });
        let arch = match (hint("sec-ch-ua-arch"), hint("sec-ch-ua-bitness")) {
            (Some("arm"), Some("64")) => Some("arm64"),
            (Some("arm"), Some("32")) => Some("arm"),
            (Some("x86"), Some("64")) => Some("x86_64"),
            (Some("x86"), Some("32")) => Some("x86"),
            _ => None,
        };
        let platform = platform.or_else(|| agent::platform(agent));
        // Every Mac says that it has an Intel, and phones say nothing that can be relied on. Windows says
        // x64 on ARM too, and so does Chromium on Linux.
        let tells = |arch: &&str| match platform {
            Some(Platform::Windows) => *arch != "x86_64",
            Some(Platform::Linux) => *arch != "x86_64" || !agent.contains("Chrome/"),
            _ => false,
        };
        Self {
            platform,
            arch: arch.or_else(|| agent::first_word(agent, PROCESSORS).filter(tells)),
            packages: agent::first_word(agent, PACKAGES).filter(|_| platform == Some(Platform::Linux)),
        }
    }

    /// Who asks for a platform's file and nothing else, perhaps for a processor.
    pub(super) fn on(platform: Platform, arch: Option<&str>) -> Self {
        Self {
            platform: Some(platform),
            arch: arch.and_then(spell),
            packages: None,
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

    /// The packages that the visitor's Linux takes, where it says whose it is.
    pub(super) fn packages(self) -> Option<Kind> {
        self.packages
    }

    /// True where the visitor has this platform and says which processor.
    pub(super) fn tells_processor(self, platform: Platform) -> bool {
        self.platform == Some(platform) && self.arch.is_some()
    }

    /// How well a file for `arch` suits, the smaller the better; `None` where it does not run on
    /// the visitor's processor. Where that is not known, what most people have comes first.
    pub(super) fn suits(self, platform: Platform, arch: &str) -> Option<u8> {
        let arch = spelled(arch);
        let is_for_all = matches!(arch, "" | "any" | "universal");
        let Some(own) = self.arch.filter(|_| self.platform == Some(platform)) else {
            let is_usual = match platform {
                Platform::Ios | Platform::AndroidApk | Platform::AndroidAab | Platform::Macos => arch == "arm64",
                Platform::Linux => arch == "x86_64",
                Platform::Windows => matches!(arch, "x86_64" | "x86"),
            };
            return Some(if is_for_all { 0 } else { 1 + u8::from(!is_usual) });
        };
        match (platform, own, arch) {
            _ if arch == own || is_for_all => Some(0),
            // Installers are often 32-bit, whatever they install.
            (Platform::Windows, "arm64" | "x86_64", "x86") => Some(0),
            // Rosetta, and what Windows and Android do.
            (Platform::Macos | Platform::Windows, "arm64", "x86_64") | (Platform::AndroidApk, "arm64", "arm") => {
                Some(1)
            }
            _ => None,
        }
    }
}

const PROCESSORS: &[(&str, &str)] = &[
    ("aarch64", "arm64"),
    ("ARM64", "arm64"),
    ("armv7", "arm"),
    ("x86_64", "x86_64"),
    ("x64", "x86_64"),
    ("WOW64", "x86_64"),
    ("i686", "x86"),
    ("i586", "x86"),
];

const PACKAGES: &[(&str, Kind)] = &[
    ("Ubuntu", Kind::Deb),
    ("Debian", Kind::Deb),
    ("Fedora", Kind::Rpm),
    ("Red Hat", Kind::Rpm),
    ("CentOS", Kind::Rpm),
    ("SUSE", Kind::Rpm),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn visitor(headers: &[(&str, &str)]) -> Visitor {
        let pairs = headers.iter().map(|(name, value)| {
            let name: http::HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        Visitor::of(&pairs.collect())
    }

    #[test]
    fn devices() {
        for (hint, agent, platform, arch) in [
            (
                "",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)",
                Some(Platform::Ios),
                None,
            ),
            (
                "",
                "Mozilla/5.0 (Linux; Android 15; Pixel 9)",
                Some(Platform::AndroidApk),
                None,
            ),
            (
                "",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
                Some(Platform::Macos),
                None,
            ),
            (
                "",
                "Mozilla/5.0 (X11; Linux x86_64)",
                Some(Platform::Linux),
                Some("x86_64"),
            ),
            (
                "",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
                Some(Platform::Windows),
                None,
            ),
            (
                "",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                Some(Platform::Linux),
                None,
            ),
            (
                "",
                "Mozilla/5.0 (X11; Linux aarch64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.0.0 Safari/537.36",
                Some(Platform::Linux),
                Some("arm64"),
            ),
            (
                "\"Windows\"",
                "Mozilla/5.0 (X11; Linux i686)",
                Some(Platform::Windows),
                Some("x86"),
            ),
            ("\"Android\"", "", Some(Platform::AndroidApk), None),
            ("", "curl/8", None, None),
        ] {
            let found = visitor(&[("user-agent", agent), ("sec-ch-ua-platform", hint)]);
            assert_eq!((found.platform, found.arch), (platform, arch), "{hint} {agent}");
        }
    }

    #[test]
    fn hints_tell_what_a_frozen_user_agent_hides() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/140.0.0.0";
        let found = visitor(&[
            ("user-agent", mac),
            ("sec-ch-ua-platform", "\"macOS\""),
            ("sec-ch-ua-arch", "\"arm\""),
            ("sec-ch-ua-bitness", "\"64\""),
        ]);
        assert_eq!(found.arch, Some("arm64"));
        assert!(found.tells_processor(Platform::Macos) && !found.tells_processor(Platform::Linux));
        let fedora = "Mozilla/5.0 (X11; Fedora; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(visitor(&[("user-agent", fedora)]).packages(), Some(Kind::Rpm));
    }

    #[test]
    fn a_file_suits_who_can_run_it() {
        let on = Visitor::on;
        for (visitor, platform, arch, expected) in [
            (on(Platform::Macos, Some("arm64")), Platform::Macos, "arm64", Some(0)),
            (
                on(Platform::Macos, Some("arm64")),
                Platform::Macos,
                "universal",
                Some(0),
            ),
            (on(Platform::Macos, Some("arm64")), Platform::Macos, "x86_64", Some(1)),
            (on(Platform::Macos, Some("x86_64")), Platform::Macos, "arm64", None),
            (on(Platform::Linux, Some("x86_64")), Platform::Linux, "arm64", None),
            (on(Platform::Linux, Some("x86_64")), Platform::Linux, "amd64", Some(0)),
            (on(Platform::Linux, None), Platform::Linux, "aarch64", Some(2)),
            (on(Platform::Linux, None), Platform::Linux, "amd64", Some(1)),
            (on(Platform::Windows, Some("x86_64")), Platform::Windows, "x86", Some(0)),
            // Nothing is known of the processor that the file would be taken to.
            (on(Platform::Linux, Some("x86_64")), Platform::Macos, "arm64", Some(1)),
            (on(Platform::Macos, None), Platform::Macos, "x86_64", Some(2)),
            (on(Platform::Macos, None), Platform::Macos, "universal", Some(0)),
        ] {
            assert_eq!(visitor.suits(platform, arch), expected, "{visitor:?} {arch}");
        }
    }
}
