//! The platforms that releases are made for.

use std::fmt;
use std::str::FromStr;

use crate::{ErrorCode, Refusal};

/// What an artifact runs on; Android is told apart by what a person can do with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// An IPA.
    Ios,
    /// An APK, or a set of split APKs: what a device installs.
    AndroidApk,
    /// An app bundle: what a store takes, and no device installs.
    AndroidAab,
    /// A disk image, package or app in an archive for macOS.
    Macos,
    /// A package, image or archive for Linux.
    Linux,
    /// An installer, package or archive for Windows.
    Windows,
}

impl Platform {
    /// Every platform, in the order in which they are listed.
    pub const ALL: [Self; 6] = [
        Self::Ios,
        Self::AndroidApk,
        Self::AndroidAab,
        Self::Macos,
        Self::Linux,
        Self::Windows,
    ];

    /// The name in JSON, SQL and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::AndroidApk => "android_apk",
            Self::AndroidAab => "android_aab",
            Self::Macos => "macos",
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.as_str() == text)
            .ok_or_else(|| {
                Refusal::new(
                    ErrorCode::UnknownPlatform,
                    format!(
                        "{text:?} is no platform: use one of {}",
                        Self::ALL.map(Self::as_str).join(", ")
                    ),
                )
            })
    }
}
