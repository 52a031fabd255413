//! What an inspection answers.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dist_model::{Platform, ValidationStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Refusal, arch};

/// What a file is, and what there is to say about it.
///
/// Serialised, it is an entry of `dist inspect --json`, to which the caller adds `file`,
/// `size_bytes` and `sha256`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub package_type: Cow<'static, str>,
    /// The processor, where name or magic leave no doubt.
    #[serde(skip)]
    pub arch: Option<String>,
    /// The media type.
    #[serde(skip)]
    pub content_type: Cow<'static, str>,
}

/// What an inspection answers: the report, and what is not text.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// What the file is.
    pub report: Report,
    /// What it looks like in a list, where it says so.
    pub icon: Option<Icon>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// The bytes of a PNG.
    pub png: Vec<u8>,
    /// In pixels, at most 512.
    pub width: u32,
    /// In pixels, at most 512.
    pub height: u32,
}

/// How long a text in a fact may be, in characters; the rest is cut off.
const TEXT_CHARS: usize = 1024;
/// How many entries a list in a fact may have; the rest is cut off.
const LIST_ENTRIES: usize = 1000;

/// How formats say what they found. A fact that is not known is left out, so that every setter
/// takes an `Option` and does nothing with `None`. Texts are kept as the file has them, control
/// characters included: whoever prints them takes care.
impl Report {
    /// Sets a text, unless it is empty.
    pub fn set_text(&mut self, key: &str, text: Option<impl AsRef<str>>) {
        if let Some(text) = text.map(|text| cut(text.as_ref())).filter(|text| !text.is_empty()) {
            self.facts.insert(key.to_owned(), text.into());
        }
    }

    /// Sets a list of texts, unless it is empty.
    pub fn set_list(&mut self, key: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        let texts = texts.into_iter().take(LIST_ENTRIES);
        let list: Vec<Value> = texts.map(|text| cut(text.as_ref()).into()).collect();
        if !list.is_empty() {
            self.facts.insert(key.to_owned(), list.into());
        }
    }

    /// Sets a number.
    pub fn set_number(&mut self, key: &str, number: Option<impl Into<i64>>) {
        if let Some(number) = number {
            self.facts.insert(key.to_owned(), number.into().into());
        }
    }

    /// Says whether.
    pub fn set_flag(&mut self, key: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.facts.insert(key.to_owned(), flag.into());
        }
    }

    /// Sets an object, unless it is empty; its texts and lists are cut like all others.
    pub fn set_object(&mut self, key: &str, object: Map<String, Value>) {
        if !object.is_empty() {
            self.facts.insert(key.to_owned(), cut_value(Value::Object(object)));
        }
    }

    /// Sets a list of objects, unless it is empty; their texts and lists are cut like all others.
    pub fn set_objects(&mut self, key: &str, objects: Vec<Map<String, Value>>) {
        if !objects.is_empty() {
            let list = objects.into_iter().map(Value::Object).collect();
            self.facts.insert(key.to_owned(), cut_value(list));
        }
    }

    /// Sets the processors, as the format calls them: `archs` in our spelling and sorted, and
    /// `arch_raw` in the format's own where that differs. One processor, or `universal` for
    /// several, becomes the artifact's own.
    pub fn set_archs(&mut self, words: impl IntoIterator<Item = impl AsRef<str>>) {
        let raw: BTreeSet<String> = words.into_iter().map(|word| cut(word.as_ref())).collect();
        let ours: BTreeSet<&str> = raw.iter().map(|word| arch::spell(word).unwrap_or(word)).collect();
        if ours.iter().any(|word| !raw.contains(*word)) || ours.len() != raw.len() {
            self.set_text("arch_raw", Some(raw.iter().cloned().collect::<Vec<_>>().join(" ")));
        }
        self.arch = match ours.len() {
            0 => return,
            1 => ours.first().map(|word| (*word).to_owned()),
            _ => Some("universal".to_owned()),
        };
        self.set_list("archs", ours);
    }

    /// Adds a finding with which the verdict is `failed`.
    pub fn error(&mut self, code: &'static str, message: impl Into<String>, help: &'static str) {
        self.find(Severity::Error, code, message.into(), help);
    }

    /// Adds a finding with which the verdict is not `passed`.
    pub fn warning(&mut self, code: &'static str, message: impl Into<String>, help: &'static str) {
        self.find(Severity::Warning, code, message.into(), help);
    }

    /// Adds a finding that is good to know.
    pub fn info(&mut self, code: &'static str, message: impl Into<String>, help: &'static str) {
        self.find(Severity::Info, code, message.into(), help);
    }

    /// Adds what a refusal says, as severe as it is by itself.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.findings.push(refusal.finding());
    }

    fn find(&mut self, severity: Severity, code: &'static str, message: String, help: &'static str) {
        self.findings.push(Finding {
            severity,
            code: code.into(),
            message,
            help: help.into(),
        });
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}

fn cut_value(value: Value) -> Value {
    match value {
        Value::String(text) => cut(&text).into(),
        Value::Array(list) => list.into_iter().take(LIST_ENTRIES).map(cut_value).collect(),
        Value::Object(object) => object
            .into_iter()
            .take(LIST_ENTRIES)
            .map(|(key, value)| (cut(&key), cut_value(value)))
            .collect::<Map<_, _>>()
            .into(),
        value => value,
    }
}

/// One thing to know about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code, `format.reason`.
    pub code: Cow<'static, str>,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    pub help: Cow<'static, str>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub fn of(findings: &[Finding]) -> Self {
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
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
                code: "deb.example".into(),
                message: "Something.".into(),
                help: "Do this.".into(),
            }],
            package_type: "deb".into(),
            arch: None,
            content_type: "application/vnd.debian.binary-package".into(),
        };
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            serde_json::json!({"platform": "linux", "format": "deb", "verdict": "warning", "facts": {},
                "findings": [{"severity": "warning", "code": "deb.example", "message": "Something.", "help": "Do this."}]})
        );
    }
}
