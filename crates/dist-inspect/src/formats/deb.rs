//! Debian packages.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static DEB: Row = Row {
    format: Format::Deb,
    package_type: "deb",
    content_type: "application/vnd.debian.binary-package",
    extensions: &["deb"],
    recognises: |subject| subject.starts_with(b"!<arch>\ndebian-binary"),
    otherwise: Otherwise::Bytes(
        "deb.not_an_ar",
        "A deb is an ar archive that starts with debian-binary, and this is none.",
    ),
    describe: nothing_more,
};
