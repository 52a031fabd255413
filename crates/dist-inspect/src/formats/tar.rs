//! Tars, compressed or not.

use super::{Otherwise, Row, nothing_more};
use crate::Format;
use crate::subject::Subject;

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
    describe: nothing_more,
};

pub(super) static TAR_XZ: Row = Row {
    format: Format::Tar,
    package_type: "tar.xz",
    content_type: "application/x-xz",
    extensions: &["tar.xz", "txz"],
    recognises: |subject| subject.is_named(TAR_XZ.extensions) && subject.starts_with(b"\xFD7zXZ\0"),
    otherwise: Otherwise::Bytes("tar.not_xz", "The file is named like a tar in xz, and is not in xz."),
    describe: nothing_more,
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
    describe: nothing_more,
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
    describe: nothing_more,
};

pub(super) static TAR: Row = Row {
    format: Format::Tar,
    package_type: "tar",
    content_type: "application/x-tar",
    extensions: &["tar"],
    recognises: |subject| subject.has_at(257, b"ustar"),
    otherwise: Otherwise::Bytes("tar.bad_magic", "The file is named like a tar, and is none."),
    describe: nothing_more,
};

/// Whether it is a tar, in whatever compression.
pub(super) fn is_tar(subject: &Subject<'_>) -> bool {
    let magics: [&[u8]; 4] = [b"\x1F\x8B", b"\xFD7zXZ\0", b"\x28\xB5\x2F\xFD", b"BZh"];
    (TAR.recognises)(subject) || magics.iter().any(|magic| subject.starts_with(magic))
}
