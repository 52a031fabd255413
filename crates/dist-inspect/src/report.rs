//! What an inspection answers.

use dist_model::{Platform, ValidationStatus};
use serde::Serialize;
use serde_json::{Map, Value};

/// What a file is, and what there is to say about it.
///
/// Serialised, it is an entry of `dist inspect --json`, to which the caller adds `file`,
/// `size_bytes` and `sha256`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What it runs on, where the file says so.
    pub platform: Option<Platform>,
    /// The kind of file.
    pub format: Format,
    /// What the findings come to.
    pub verdict: Verdict,
    /// What is known; what is not known is absent.
    pub facts: Map<String, Value>,
    /// What there is to know before it is published.
    pub findings: Vec<Finding>,
    /// The artifact's `package_type`: `ipa`, `deb`, `tar.gz` …
    #[serde(skip)]
    pub package_type: &'static str,
    /// The processor, where name or magic leave no doubt.
    #[serde(skip)]
    pub arch: Option<String>,
    /// The media type.
    #[serde(skip)]
    pub content_type: &'static str,
}

impl Report {
    /// Notes the only processor that the file runs on, if it says one.
    pub(crate) fn set_arch(&mut self, arch: Option<&'static str>) {
        if let Some(arch) = arch {
            self.facts.insert("archs".to_owned(), vec![arch].into());
            self.arch = Some(arch.to_owned());
        }
    }
}

/// One thing to know about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code, `format.reason`.
    pub code: &'static str,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It may surprise whoever installs it.
    Warning,
    /// It cannot be what it claims to be, or cannot be installed anywhere.
    Error,
}

/// What the findings come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing against it.
    Passed,
    /// At least one warning.
    Warning,
    /// At least one error.
    Failed,
}

impl Verdict {
    /// The verdict that `findings` come to.
    pub(crate) fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::Error) => Self::Failed,
            Some(Severity::Warning) => Self::Warning,
            Some(Severity::Info) | None => Self::Passed,
        }
    }
}

impl From<Verdict> for ValidationStatus {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Warning => Self::Warning,
            Verdict::Failed => Self::Failed,
        }
    }
}

macro_rules! formats {
    ($($name:ident $text:literal $($platform:ident)?, $doc:literal;)*) => {
        /// A kind of file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Format {
            $(#[doc = $doc] $name,)*
        }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The only platform that takes it, where there is one.
            pub fn platform(self) -> Option<Platform> {
                match self {
                    $($(Self::$name => Some(Platform::$platform),)?)*
                    Self::Tar | Self::Zip | Self::Unknown => None,
                }
            }
        }
    };
}

formats! {
    Ipa "ipa" Ios, "An iOS app.";
    Apk "apk" AndroidApk, "An Android package.";
    Aab "aab" AndroidAab, "An Android app bundle.";
    Apks "apks" AndroidApk, "A set of split APKs, as bundletool makes it.";
    Xapk "xapk" AndroidApk, "A set of split APKs with a `manifest.json`.";
    AppZip "app_zip" Macos, "An app for macOS in a zip.";
    AppTar "app_tar" Macos, "An app for macOS in a tar.";
    Dmg "dmg" Macos, "A disk image for macOS.";
    Pkg "pkg" Macos, "An installer package for macOS.";
    Deb "deb" Linux, "A Debian package.";
    Rpm "rpm" Linux, "An RPM package.";
    Appimage "appimage" Linux, "An executable that brings its image along.";
    Flatpak "flatpak" Linux, "A Flatpak bundle.";
    Snap "snap" Linux, "A snap.";
    Tar "tar", "A tar, compressed or not.";
    Pe "pe" Windows, "A Windows executable.";
    Msi "msi" Windows, "A Windows Installer package.";
    Msix "msix" Windows, "A Windows app package.";
    Msixbundle "msixbundle" Windows, "A bundle of Windows app packages.";
    Nupkg "nupkg" Windows, "A package as Squirrel updates use it.";
    Zip "zip", "Some other zip.";
    Unknown "unknown", "None of these.";
}

/// Whether a file of this format may be published for `platform`. An archive or a bare executable
/// may be for any desktop or server; a phone takes nothing but its own format.
pub fn agrees(format: Format, platform: Platform) -> bool {
    match format.platform() {
        Some(only) => only == platform,
        None => matches!(platform, Platform::Macos | Platform::Linux | Platform::Windows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_serde_writes() {
        for format in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
    }

    #[test]
    fn a_phone_takes_nothing_but_its_own_format() {
        assert!(agrees(Format::Ipa, Platform::Ios));
        assert!(!agrees(Format::Zip, Platform::Ios));
        assert!(!agrees(Format::Apk, Platform::AndroidAab));
        assert!(agrees(Format::Unknown, Platform::Linux));
        assert!(!agrees(Format::Deb, Platform::Windows));
    }

    #[test]
    fn a_report_is_the_json_of_dist_inspect() {
        let report = Report {
            platform: Some(Platform::Linux),
            format: Format::Deb,
            verdict: Verdict::Warning,
            facts: Map::new(),
            findings: vec![Finding {
                severity: Severity::Warning,
                code: "deb.example",
                message: "Something.".into(),
                help: "Do this.",
            }],
            package_type: "deb",
            arch: None,
            content_type: "application/vnd.debian.binary-package",
        };
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            serde_json::json!({"platform": "linux", "format": "deb", "verdict": "warning", "facts": {},
                "findings": [{"severity": "warning", "code": "deb.example", "message": "Something.", "help": "Do this."}]})
        );
    }
}
