//! Windows executables and installers.

use super::{Otherwise, Row};
use crate::Format;
use crate::subject::Subject;

pub(super) static PE: Row = Row {
    format: Format::Pe,
    package_type: "exe",
    content_type: "application/vnd.microsoft.portable-executable",
    extensions: &["exe"],
    recognises: |subject| pe_header(subject).is_some(),
    otherwise: Otherwise::Bytes(
        "pe.no_header",
        "A Windows executable has a PE header, and this file has none.",
    ),
    describe: |subject, inspection| {
        inspection.report.set_archs(pe_arch(subject));
        Ok(())
    },
};

/// Where the PE header starts, behind the DOS stub.
fn pe_header(subject: &Subject<'_>) -> Option<usize> {
    if !subject.starts_with(b"MZ") {
        return None;
    }
    let offset = usize::try_from(subject.u32_at(0x3C)?).ok()?;
    subject.has_at(offset, b"PE\0\0").then_some(offset)
}

/// The processor in a COFF header.
fn pe_arch(subject: &Subject<'_>) -> Option<&'static str> {
    match subject.u16_at(pe_header(subject)?.checked_add(4)?)? {
        0x014C => Some("x86"),
        0x01C0 | 0x01C4 => Some("arm"),
        0x8664 => Some("x86_64"),
        0xAA64 => Some("arm64"),
        _ => None,
    }
}
