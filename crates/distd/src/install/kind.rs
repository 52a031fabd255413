//! Kinds of files, by what a person does with one.

use std::borrow::Cow;

use dist_model::{Artifact, Platform};

use super::text::visible;
use super::visitor::Visitor;

/// What a person does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Apk,
    /// A set of split APKs, which no Android opens by itself.
    Splits,
    Aab,
    Ipa,
    Dmg,
    Pkg,
    Deb,
    Rpm,
    AppImage,
    Flatpak,
    Snap,
    Exe,
    Msi,
    Msix,
    /// What updates of Squirrel are made of.
    Nupkg,
    Archive,
    Other,
}

impl Kind {
    pub(super) fn of(artifact: &Artifact) -> Self {
        match artifact.package_type.as_str() {
            "apk" => Self::Apk,
            "apks" | "xapk" => Self::Splits,
            "aab" => Self::Aab,
            "ipa" => Self::Ipa,
            "dmg" => Self::Dmg,
            "pkg" => Self::Pkg,
            "deb" => Self::Deb,
            "rpm" => Self::Rpm,
            "appimage" => Self::AppImage,
            "flatpak" => Self::Flatpak,
            "snap" => Self::Snap,
            "exe" => Self::Exe,
            "msi" => Self::Msi,
            "msix" | "msixbundle" => Self::Msix,
            "nupkg" => Self::Nupkg,
            "zip" | "app.zip" | "app.tar" => Self::Archive,
            other if other == "tar" || other.starts_with("tar.") => Self::Archive,
            _ => Self::Other,
        }
    }

    /// The kind as people call it.
    pub(super) fn name(self, artifact: &Artifact) -> Cow<'static, str> {
        let name = match self {
            Self::Apk => "APK",
            Self::Splits => "Set of split APKs",
            Self::Aab => "App bundle",
            Self::Ipa => "IPA",
            Self::Dmg => "Disk image",
            Self::Pkg => "Installer package",
            Self::Deb => "Debian package",
            Self::Rpm => "RPM package",
            Self::AppImage => "AppImage",
            Self::Flatpak => "Flatpak bundle",
            Self::Snap => "Snap",
            Self::Exe => "Program (.exe)",
            Self::Msi => "Windows Installer (.msi)",
            Self::Msix => "App package (.msix)",
            Self::Nupkg => "Update package",
            Self::Archive => "Archive",
            Self::Other => return visible(&artifact.package_type).into(),
        };
        name.into()
    }

    /// How likely it is what the visitor wants, the smaller the more; `None` where it is nothing
    /// that a person opens.
    pub(super) fn place(self, platform: Platform, visitor: Visitor) -> Option<u8> {
        if visitor.packages() == Some(self) && platform == Platform::Linux {
            return Some(0);
        }
        match self {
            Self::Apk | Self::Ipa | Self::Dmg | Self::AppImage | Self::Exe => Some(1),
            Self::Pkg | Self::Deb | Self::Msi => Some(2),
            Self::Rpm | Self::Msix => Some(3),
            Self::Flatpak => Some(4),
            Self::Snap => Some(5),
            Self::Archive => Some(6),
            Self::Other => Some(7),
            Self::Splits | Self::Aab | Self::Nupkg => None,
        }
    }
}
