//! `AppImage`s.

use super::{Otherwise, Row};
use crate::Format;
use crate::subject::Subject;

/// Some of type 1 lack the magic number; then the name decides.
pub(super) static APPIMAGE: Row = Row {
    format: Format::Appimage,
    package_type: "appimage",
    content_type: "application/vnd.appimage",
    extensions: &["appimage"],
    recognises: |subject| {
        let has_magic = subject.has_at(8, b"AI\x01") || subject.has_at(8, b"AI\x02");
        subject.starts_with(ELF_MAGIC) && (has_magic || subject.is_named(APPIMAGE.extensions))
    },
    otherwise: Otherwise::Bytes(
        "appimage.not_an_elf",
        "An AppImage is an ELF executable, and this is none.",
    ),
    describe: |subject, inspection| {
        inspection.report.set_archs(elf_arch(subject));
        Ok(())
    },
};

const ELF_MAGIC: &[u8] = b"\x7FELF";

/// The processor in an ELF header, by `EI_CLASS`, `EI_DATA` and `e_machine`.
fn elf_arch(subject: &Subject<'_>) -> Option<&'static str> {
    const LITTLE_ENDIAN: u8 = 1;
    let (class, data) = (*subject.head.get(4)?, *subject.head.get(5)?);
    if data != LITTLE_ENDIAN {
        return None;
    }
    match (class, subject.u16_at(18)?) {
        (1, 3) => Some("x86"),
        (1, 40) => Some("arm"),
        (2, 62) => Some("x86_64"),
        (2, 183) => Some("arm64"),
        (2, 243) => Some("riscv64"),
        _ => None,
    }
}
