//! Flatpak bundles.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static FLATPAK: Row = Row {
    format: Format::Flatpak,
    package_type: "flatpak",
    content_type: "application/vnd.flatpak",
    extensions: &["flatpak"],
    recognises: |subject| subject.starts_with(b"flatpak\0"),
    otherwise: Otherwise::Bytes(
        "flatpak.bad_magic",
        "A Flatpak bundle starts with its name, and this file does not.",
    ),
    describe: nothing_more,
};
