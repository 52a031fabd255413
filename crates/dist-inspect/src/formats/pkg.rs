//! Installer packages for macOS.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static PKG: Row = Row {
    format: Format::Pkg,
    package_type: "pkg",
    content_type: "application/vnd.apple.installer+xml",
    extensions: &["pkg"],
    recognises: |subject| subject.starts_with(b"xar!"),
    otherwise: Otherwise::Bytes(
        "pkg.not_a_xar",
        "An installer package is a xar archive, and this is none.",
    ),
    describe: nothing_more,
};
