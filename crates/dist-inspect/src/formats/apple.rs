//! Apple: iOS apps, and macOS apps in images, installers and archives.

use super::{Member, Otherwise, Row, generic, nothing_more};
use crate::{Finding, Format, Severity};

pub(super) static IPA: Row = Row {
    format: Format::Ipa,
    package_type: "ipa",
    content_type: "application/octet-stream",
    extensions: &["ipa"],
    recognises: |sample| {
        let is_nested = sample.zips(&[Member::NestedIosApp]) && sample.is_named(IPA.extensions);
        sample.zips(&[Member::IosApp]) || is_nested
    },
    otherwise: Otherwise::Zip {
        no_zip: "ipa.not_a_zip",
        lacking: "ipa.no_app",
        sentence: "An IPA has an app in Payload/, and this zip has none.",
    },
    describe: |sample, report| {
        if !sample.zips(&[Member::IosApp]) {
            report.findings.push(Finding {
                severity: Severity::Warning,
                code: "ipa.payload_nested",
                message: "The Payload folder is inside another folder; some tools read that, iOS does not.".to_owned(),
                help: "Pack the archive from inside the folder, so that Payload/ is at its top.",
            });
        }
    },
};

pub(super) static APP_ZIP: Row = Row {
    format: Format::AppZip,
    package_type: "app.zip",
    content_type: "application/zip",
    extensions: &["app.zip"],
    recognises: |sample| sample.zips(&[Member::MacApp]),
    otherwise: Otherwise::Zip {
        no_zip: "app_zip.not_a_zip",
        lacking: "app_zip.no_app",
        sentence: "The zip is named like a macOS app, and has none in it.",
    },
    describe: nothing_more,
};

/// Told from other tars by name, since their members are compressed.
pub(super) static APP_TAR: Row = Row {
    format: Format::AppTar,
    package_type: "app.tar",
    content_type: "application/octet-stream",
    extensions: &["app.tar", "app.tar.gz", "app.tar.xz", "app.tar.bz2", "app.tar.zst"],
    recognises: |sample| sample.is_named(APP_TAR.extensions) && generic::is_tar(sample),
    otherwise: Otherwise::Bytes(
        "app_tar.not_a_tar",
        "The file is named like a macOS app in a tar, and is no tar.",
    ),
    describe: nothing_more,
};

pub(super) static DMG: Row = Row {
    format: Format::Dmg,
    package_type: "dmg",
    content_type: "application/x-apple-diskimage",
    extensions: &["dmg"],
    recognises: |sample| sample.tail.len() == 512 && sample.tail.starts_with(b"koly"),
    otherwise: Otherwise::Bytes(
        "dmg.no_trailer",
        "A disk image ends in a koly trailer, and this file does not.",
    ),
    describe: nothing_more,
};

pub(super) static PKG: Row = Row {
    format: Format::Pkg,
    package_type: "pkg",
    content_type: "application/vnd.apple.installer+xml",
    extensions: &["pkg"],
    recognises: |sample| sample.starts_with(b"xar!"),
    otherwise: Otherwise::Bytes(
        "pkg.not_a_xar",
        "An installer package is a xar archive, and this is none.",
    ),
    describe: nothing_more,
};
