//! Zips of nothing in particular.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static ZIP: Row = Row {
    format: Format::Zip,
    package_type: "zip",
    content_type: "application/zip",
    extensions: &["zip"],
    recognises: |subject| subject.zip.is_some(),
    otherwise: Otherwise::Bytes("zip.bad_magic", "The file is named like a zip, and is none."),
    describe: nothing_more,
};
