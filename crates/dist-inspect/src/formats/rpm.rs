//! RPM packages.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static RPM: Row = Row {
    format: Format::Rpm,
    package_type: "rpm",
    content_type: "application/x-rpm",
    extensions: &["rpm"],
    recognises: |subject| subject.starts_with(b"\xED\xAB\xEE\xDB"),
    otherwise: Otherwise::Bytes(
        "rpm.bad_magic",
        "An rpm starts with the bytes ED AB EE DB, and this file does not.",
    ),
    describe: nothing_more,
};
