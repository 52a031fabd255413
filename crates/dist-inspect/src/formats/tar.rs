//! Tars, compressed or not.

use std::io::Read;

use super::{Otherwise, Row};
use crate::archive::Faults;
use crate::archive::compress::{Compression, Decoder};
use crate::archive::tar::{Entry, walk};
use crate::source::Section;
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal};

/// How much of a tar is unpacked to see what it is, in packed bytes.
const SAMPLE_BYTES: u64 = 256 << 10;

pub(super) static TAR_GZ: Row = Row {
    format: Format::Tar,
    package_type: "tar.gz",
    content_type: "application/gzip",
    extensions: &["tar.gz", "tgz"],
    recognises: |subject| subject.is_named(TAR_GZ.extensions) && subject.starts_with(b"\x1F\x8B"),
    otherwise: Otherwise::Bytes(
        "tar.not_gzip",
        "The file is named like a gzipped tar, and is not gzipped.",
    ),
    describe,
};

pub(super) static TAR_XZ: Row = Row {
    format: Format::Tar,
    package_type: "tar.xz",
    content_type: "application/x-xz",
    extensions: &["tar.xz", "txz"],
    recognises: |subject| subject.is_named(TAR_XZ.extensions) && subject.starts_with(b"\xFD7zXZ\0"),
    otherwise: Otherwise::Bytes("tar.not_xz", "The file is named like a tar in xz, and is not in xz."),
    describe,
};

pub(super) static TAR_ZST: Row = Row {
    format: Format::Tar,
    package_type: "tar.zst",
    content_type: "application/zstd",
    extensions: &["tar.zst", "tzst"],
    recognises: |subject| subject.is_named(TAR_ZST.extensions) && subject.starts_with(b"\x28\xB5\x2F\xFD"),
    otherwise: Otherwise::Bytes(
        "tar.not_zstd",
        "The file is named like a tar in zstd, and is not in zstd.",
    ),
    describe,
};

pub(super) static TAR_BZ2: Row = Row {
    format: Format::Tar,
    package_type: "tar.bz2",
    content_type: "application/x-bzip2",
    extensions: &["tar.bz2", "tbz2"],
    recognises: |subject| subject.is_named(TAR_BZ2.extensions) && subject.starts_with(b"BZh"),
    otherwise: Otherwise::Bytes(
        "tar.not_bzip2",
        "The file is named like a tar in bzip2, and is not in bzip2.",
    ),
    describe,
};

pub(super) static TAR: Row = Row {
    format: Format::Tar,
    package_type: "tar",
    content_type: "application/x-tar",
    extensions: &["tar"],
    recognises: |subject| subject.has_at(257, b"ustar"),
    otherwise: Otherwise::Bytes("tar.bad_magic", "The file is named like a tar, and is none."),
    describe,
};

/// Whether it is a tar, in whatever compression.
pub(super) fn is_tar(subject: &Subject<'_>) -> bool {
    let magics: [&[u8]; 4] = [b"\x1F\x8B", b"\xFD7zXZ\0", b"\x28\xB5\x2F\xFD", b"BZh"];
    (TAR.recognises)(subject) || magics.iter().any(|magic| subject.starts_with(magic))
}

/// Whether it is named like a tar, and its first members are in a folder `*.app`, which may be in
/// another one.
pub(super) fn starts_with_mac_app(subject: &Subject<'_>) -> bool {
    let rows = [&TAR, &TAR_GZ, &TAR_XZ, &TAR_ZST, &TAR_BZ2];
    if !rows.iter().any(|row| (row.recognises)(subject)) {
        return false;
    }
    let len = subject.source.len().min(SAMPLE_BYTES);
    let Ok(sample) = Section::new(subject.source, 0..len) else {
        return false;
    };
    let mut is_app = false;
    let reader = Decoder::new(sample, Compression::of(&subject.head), subject.budget);
    // It ends in an error, where the sample does.
    let _ = walk(reader, subject.budget, |entry, _| {
        let mut folders = entry.name().split(|byte| *byte == b'/');
        let is_in_app = folders
            .by_ref()
            .take(2)
            .any(|folder| folder.len() > 4 && folder.ends_with(b".app"));
        is_app |= is_in_app && folders.next() == Some(b"Contents");
        Ok(())
    });
    is_app
}

/// Walks over all members, whatever the compression, which checks all sums on the way. What is
/// wrong with single members comes back.
pub(super) fn walk_all(
    subject: &Subject<'_>,
    visit: impl FnMut(&Entry, &mut dyn Read) -> Result<(), Refusal>,
) -> Result<Faults, Refusal> {
    let compression = Compression::of(&subject.head);
    let reader = Decoder::new(subject.source, compression, subject.budget);
    walk(reader, subject.budget, visit)
}

/// Reads all of it, since damage anywhere makes it useless.
pub(super) fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    for fault in &walk_all(subject, |_, _| Ok(()))? {
        inspection.report.refuse(fault);
    }
    Ok(())
}
