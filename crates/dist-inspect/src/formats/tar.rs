//! Tars, compressed or not.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;

use super::programs::Programs;
use super::{Otherwise, Row};
use crate::archive::Faults;
use crate::archive::compress::{Compression, Decoder};
use crate::archive::tar::{Entry, Kind, starts, walk};
use crate::refusal::shown;
use crate::source::Section;
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

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
    recognises: |subject| subject.is_named(TAR_ZST.extensions) && Compression::of(&subject.head) == Compression::Zstd,
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
    extensions: &["tar.bz2", "tbz2", "tbz"],
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
    recognises: |subject| subject.has_at(257, b"ustar") || (subject.is_named(TAR.extensions) && starts(&subject.head)),
    otherwise: Otherwise::Bytes("tar.bad_magic", "The file is named like a tar, and is none."),
    describe,
};

// What may be said of a tar: the code, and what to do about it.
const DEVICE: (&str, &str) = ("tar.device", "Pack files, folders and links only.");
const DUPLICATE_NAME: (&str, &str) = ("tar.duplicate_name", "Pack each file once.");

/// Whether it is a tar, in whatever compression.
pub(super) fn is_tar(subject: &Subject<'_>) -> bool {
    let is_packed = !matches!(Compression::of(&subject.head), Compression::None | Compression::Lzma);
    (TAR.recognises)(subject) || is_packed
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
    let mut contents = Contents::default();
    let walked = walk_all(subject, |entry, bytes| contents.look(entry, bytes));
    // What was seen before it broke off is known all the same.
    contents.describe(subject, &mut inspection.report, walked.is_ok());
    for fault in &walked? {
        inspection.report.refuse(fault);
    }
    Ok(())
}

/// What the members of a tar tell.
#[derive(Default)]
struct Contents {
    programs: Programs,
    /// The folder that everything is in, as far as that is so.
    folder: Option<String>,
    has_several_folders: bool,
    /// Digests of the paths of files, since millions of them may be long.
    paths: HashSet<u64>,
    hasher: RandomState,
    duplicate: Option<String>,
    device: Option<String>,
}

impl Contents {
    fn look(&mut self, entry: &Entry, bytes: &mut dyn Read) -> Result<(), Refusal> {
        let name = entry.name();
        self.look_at_folder(entry);
        match entry.kind {
            Kind::File => {
                if !self.paths.insert(self.hasher.hash_one(name)) {
                    self.duplicate.get_or_insert_with(|| shown(name));
                }
                self.programs.look(name, entry.mode, bytes)?;
            }
            Kind::Other(b'3' | b'4') => {
                self.device.get_or_insert_with(|| shown(name));
            }
            _ => {}
        }
        Ok(())
    }

    fn look_at_folder(&mut self, entry: &Entry) {
        let name = entry.name();
        let mut parts = name.splitn(2, |byte| *byte == b'/');
        let first = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let is_folder = entry.kind == Kind::Folder || parts.next().is_some();
        // The folder that is unpacked to may stand there itself.
        if matches!(name, b"" | b".") {
            return;
        }
        self.has_several_folders |= !is_folder || self.folder.as_ref().is_some_and(|folder| *folder != first);
        self.folder.get_or_insert(first);
    }

    /// Tells what was found; only of a whole tar is it known what all is in.
    fn describe(&self, subject: &Subject<'_>, report: &mut Report, is_whole: bool) {
        let programs = &self.programs;
        programs.tell(subject, report);
        if is_whole {
            let folder = self.folder.as_deref().filter(|_| !self.has_several_folders);
            report.set_text("main_binary", programs.main(folder.unwrap_or(&subject.name)));
            report.set_text("version_from_dir", folder.and_then(version));
        }
        if let Some(device) = &self.device {
            report.warning(
                DEVICE.0,
                format!("The member {device} is a device, which only root can unpack."),
                DEVICE.1,
            );
        }
        if let Some(duplicate) = &self.duplicate {
            report.warning(
                DUPLICATE_NAME.0,
                format!("There are two members named {duplicate}, of which the last one stays."),
                DUPLICATE_NAME.1,
            );
        }
    }
}

/// The version in the name of a folder, as in `acme-2.4.0-beta.1-linux-x64`. A number without a full
/// stop may be anything.
fn version(folder: &str) -> Option<String> {
    const BEFORE: [&str; 5] = ["alpha", "beta", "rc", "pre", "dev"];
    let mut parts = folder
        .split(['-', '_'])
        .skip(1)
        .map(|part| part.strip_prefix('v').unwrap_or(part));
    let is_version = |part: &&str| part.starts_with(|c: char| c.is_ascii_digit()) && part.contains('.');
    let version = parts.find(is_version)?;
    let suffix = parts
        .next()
        .filter(|part| BEFORE.iter().any(|word| part.starts_with(word)));
    Some(suffix.map_or_else(|| version.to_owned(), |suffix| format!("{version}-{suffix}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_tell_the_version() {
        for (folder, expected) in [
            ("hello-2.10", Some("2.10")),
            ("node-v20.1.0-linux-x64", Some("20.1.0")),
            ("acme-2.4.0-beta.1-linux", Some("2.4.0-beta.1")),
            ("acme_1.0_amd64", Some("1.0")),
            ("acme-linux-x86_64", None),
            ("acme-64", None),
            ("2.4.0", None),
        ] {
            assert_eq!(version(folder).as_deref(), expected, "{folder}");
        }
    }
}
