//! Linux: packages and images.

use super::{Otherwise, Row, nothing_more};
use crate::Format;
use crate::sample::Sample;

pub(super) static DEB: Row = Row {
    format: Format::Deb,
    package_type: "deb",
    content_type: "application/vnd.debian.binary-package",
    extensions: &["deb"],
    recognises: |sample| sample.starts_with(b"!<arch>\ndebian-binary"),
    otherwise: Otherwise::Bytes(
        "deb.not_an_ar",
        "A deb is an ar archive that starts with debian-binary, and this is none.",
    ),
    describe: nothing_more,
};

pub(super) static RPM: Row = Row {
    format: Format::Rpm,
    package_type: "rpm",
    content_type: "application/x-rpm",
    extensions: &["rpm"],
    recognises: |sample| sample.starts_with(b"\xED\xAB\xEE\xDB"),
    otherwise: Otherwise::Bytes(
        "rpm.bad_magic",
        "An rpm starts with the bytes ED AB EE DB, and this file does not.",
    ),
    describe: nothing_more,
};

/// Some of type 1 lack the magic number; then the name decides.
pub(super) static APPIMAGE: Row = Row {
    format: Format::Appimage,
    package_type: "appimage",
    content_type: "application/vnd.appimage",
    extensions: &["appimage"],
    recognises: |sample| {
        let has_magic = sample.has_at(8, b"AI\x01") || sample.has_at(8, b"AI\x02");
        sample.starts_with(ELF_MAGIC) && (has_magic || sample.is_named(APPIMAGE.extensions))
    },
    otherwise: Otherwise::Bytes(
        "appimage.not_an_elf",
        "An AppImage is an ELF executable, and this is none.",
    ),
    describe: |sample, report| report.set_arch(elf_arch(sample)),
};

pub(super) static FLATPAK: Row = Row {
    format: Format::Flatpak,
    package_type: "flatpak",
    content_type: "application/vnd.flatpak",
    extensions: &["flatpak"],
    recognises: |sample| sample.starts_with(b"flatpak\0"),
    otherwise: Otherwise::Bytes(
        "flatpak.bad_magic",
        "A Flatpak bundle starts with its name, and this file does not.",
    ),
    describe: nothing_more,
};

/// Any squashfs starts as a snap does, so the name has its say.
pub(super) static SNAP: Row = Row {
    format: Format::Snap,
    package_type: "snap",
    content_type: "application/vnd.snap",
    extensions: &["snap"],
    recognises: |sample| sample.starts_with(b"hsqs") && sample.is_named(SNAP.extensions),
    otherwise: Otherwise::Bytes("snap.not_a_squashfs", "A snap is a squashfs image, and this is none."),
    describe: nothing_more,
};

const ELF_MAGIC: &[u8] = b"\x7FELF";

/// The processor in an ELF header, by `EI_CLASS`, `EI_DATA` and `e_machine`.
fn elf_arch(sample: &Sample) -> Option<&'static str> {
    const LITTLE_ENDIAN: u8 = 1;
    let (class, data) = (*sample.head.get(4)?, *sample.head.get(5)?);
    if data != LITTLE_ENDIAN {
        return None;
    }
    match (class, sample.u16_at(18)?) {
        (1, 3) => Some("x86"),
        (1, 40) => Some("arm"),
        (2, 62) => Some("x86_64"),
        (2, 183) => Some("arm64"),
        (2, 243) => Some("riscv64"),
        _ => None,
    }
}
