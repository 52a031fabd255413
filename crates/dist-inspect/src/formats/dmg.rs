//! Disk images for macOS.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static DMG: Row = Row {
    format: Format::Dmg,
    package_type: "dmg",
    content_type: "application/x-apple-diskimage",
    extensions: &["dmg"],
    recognises: |subject| subject.tail.len() == 512 && subject.tail.starts_with(b"koly"),
    otherwise: Otherwise::Bytes(
        "dmg.no_trailer",
        "A disk image ends in a koly trailer, and this file does not.",
    ),
    describe: nothing_more,
};
