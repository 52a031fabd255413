//! macOS apps in zips and tars.

use super::tar::{self, is_tar, starts_with_mac_app};
use super::{Marker, Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static APP_ZIP: Row = Row {
    format: Format::AppZip,
    package_type: "app.zip",
    content_type: "application/zip",
    extensions: &["app.zip"],
    recognises: |subject| subject.zips(&[Marker::MacApp]),
    otherwise: Otherwise::Zip {
        no_zip: "app_zip.not_a_zip",
        lacking: "app_zip.no_app",
        sentence: "The zip is named like a macOS app, and has none in it.",
    },
    describe: nothing_more,
};

/// Told from other tars by name, or by the members that come first.
pub(super) static APP_TAR: Row = Row {
    format: Format::AppTar,
    package_type: "app.tar",
    content_type: "application/octet-stream",
    extensions: &["app.tar", "app.tar.gz", "app.tar.xz", "app.tar.bz2", "app.tar.zst"],
    recognises: |subject| (subject.is_named(APP_TAR.extensions) && is_tar(subject)) || starts_with_mac_app(subject),
    otherwise: Otherwise::Bytes(
        "app_tar.not_a_tar",
        "The file is named like a macOS app in a tar, and is no tar.",
    ),
    describe: tar::describe,
};
