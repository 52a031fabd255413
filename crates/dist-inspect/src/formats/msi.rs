//! Windows Installer packages.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

/// Word documents and others start as an msi does, so the name has its say.
pub(super) static MSI: Row = Row {
    format: Format::Msi,
    package_type: "msi",
    content_type: "application/x-msi",
    extensions: &["msi"],
    recognises: |subject| subject.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") && subject.is_named(MSI.extensions),
    otherwise: Otherwise::Bytes(
        "msi.not_a_compound_file",
        "An msi is an OLE compound file, and this is none.",
    ),
    describe: nothing_more,
};
