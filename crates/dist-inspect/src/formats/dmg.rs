//! Disk images for macOS.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use flate2::Crc;

use super::bundle::Files;
use super::{Otherwise, Row, mac_app, signed_code};
use crate::parse::code_signature::CodeSignature;
use crate::parse::disk::{File, FileSystem, partitions};
use crate::parse::udif::{Disk, Trailer};
use crate::refusal::shown;
use crate::source::{Section, Source, Stream};
use crate::subject::Subject;
use crate::{Budget, Format, Inspection, Refusal, Report};

/// How an image starts that is encrypted, and how one of the first version ends.
const ENCRYPTED: &[u8] = b"encrcdsa";
const ENCRYPTED_V1: &[u8] = b"cdsaencr";
const TRAILER: usize = 512;
/// How much of an image is held against its signature, in bytes: more takes too long.
const SIGNED: u64 = 64 << 20;

pub(super) static DMG: Row = Row {
    format: Format::Dmg,
    package_type: "dmg",
    content_type: "application/x-apple-diskimage",
    extensions: &["dmg"],
    recognises: |subject| {
        let is_raw = || subject.is_named(DMG.extensions) && is_disk(&subject.head);
        has_trailer(subject) || is_encrypted(subject) || is_raw()
    },
    otherwise: Otherwise::Bytes(
        "dmg.no_trailer",
        "A disk image ends in a koly trailer or is a plain disk, and this file is neither.",
    ),
    describe,
};

fn has_trailer(subject: &Subject<'_>) -> bool {
    subject.tail.len() == TRAILER && subject.tail.starts_with(b"koly")
}

fn is_encrypted(subject: &Subject<'_>) -> bool {
    subject.starts_with(ENCRYPTED) || subject.tail.ends_with(ENCRYPTED_V1)
}

/// Whether a file starts as disks do: nothing is around the disk in it.
fn is_disk(head: &[u8]) -> bool {
    partitions::is_map(head) || FileSystem::of_head(head).is_some()
}

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    report.set_flag("encrypted", Some(is_encrypted(subject)));
    if is_encrypted(subject) {
        report.warning(
            "dmg.encrypted",
            "The image is encrypted; whoever opens it needs its password, and nothing in it was looked at.",
            "Publish it without a password.",
        );
        return Ok(());
    }
    if !has_trailer(subject) {
        report.set_flag("dmg_signed", Some(false));
        return describe_disk(&subject.source, &[], false, subject, inspection);
    }
    let trailer = Trailer::read(&subject.tail)?;
    let has_ticket = tell_signature(&trailer, subject, report)?;
    if trailer.segments > 1 {
        report.warning(
            "dmg.segmented",
            "The image is one of several files, and cannot be opened without the others.",
            "Make it one file, as hdiutil convert does.",
        );
        return Ok(());
    }
    if trailer.is_old {
        report.info(
            "dmg.old",
            "The image was made before Mac OS X 10.3, whose form is not read, so that its app was not looked at.",
            "Convert it, as with hdiutil convert -format UDZO.",
        );
        return Ok(());
    }
    let disk = Disk::open(subject.source, &trailer, subject.budget)?;
    check_crc(&trailer, subject, report)?;
    let tables: Vec<Range<u64>> = disk.partitions.iter().map(|(_, place)| place.clone()).collect();
    describe_disk(&disk, &tables, has_ticket, subject, inspection)
}

/// Adds what the first file system on a disk tells, of whose partitions some may be known.
fn describe_disk(
    disk: &dyn Source,
    known: &[Range<u64>],
    has_ticket: bool,
    subject: &Subject<'_>,
    inspection: &mut Inspection,
) -> Result<(), Refusal> {
    match open(disk, known, subject) {
        Ok(Some(volume)) => describe_volume(&volume, has_ticket, subject, inspection),
        Ok(None) => {
            inspection.report.info(
                "dmg.not_opened",
                "No file system that is known was found in the image, so that its app was not looked at.",
                "See yourself that it opens; APFS, HFS+, HFS, FAT and ISO 9660 are read.",
            );
            Ok(())
        }
        Err(Refusal::Encrypted(_)) => {
            inspection.report.warning(
                "dmg.encrypted",
                "The disk in the image is encrypted; whoever opens it needs its password, and nothing in it was \
                 looked at.",
                "Publish it without a password.",
            );
            Ok(())
        }
        Err(refusal) => Err(refusal),
    }
}

/// A file system in the image, with its files.
struct Volume<'a> {
    source: Section<'a>,
    budget: &'a Budget,
    system: FileSystem,
    files: BTreeMap<Vec<u8>, File>,
}

/// The first file system that is read: in one of the partitions that are known, or of those that a map
/// at the start of the disk tells, or else on all of the disk.
fn open<'a>(disk: &'a dyn Source, known: &[Range<u64>], subject: &Subject<'a>) -> Result<Option<Volume<'a>>, Refusal> {
    if let Some(volume) = first(disk, known, subject.budget)? {
        return Ok(Some(volume));
    }
    let mut places = partitions::places(disk)?;
    // A disk that lacks its end still has its map.
    if known.is_empty() && places.iter().any(|place| place.end > disk.len()) {
        return Err(Refusal::Truncated);
    }
    places.push(0..disk.len());
    first(disk, &places, subject.budget)
}

/// The first of these partitions with an app on it, or else with a file system that is known: one from
/// which computers start may come before the app's.
fn first<'a>(disk: &'a dyn Source, places: &[Range<u64>], budget: &'a Budget) -> Result<Option<Volume<'a>>, Refusal> {
    let mut found: Option<Volume<'a>> = None;
    for place in places {
        budget.step()?;
        let Ok(source) = Section::new(disk, place.clone()) else {
            continue;
        };
        let Some(system) = FileSystem::of(&source)? else {
            continue;
        };
        let files = match system.files(&source, budget) {
            Err(Refusal::Malformed { .. } | Refusal::Truncated | Refusal::Encrypted(_)) if found.is_some() => continue,
            files => files?,
        };
        let volume = Volume {
            source,
            budget,
            system,
            files,
        };
        let has_app = mac_app::app(&volume).is_some();
        if has_app || found.is_none() {
            found = Some(volume);
        }
        if has_app {
            break;
        }
    }
    Ok(found)
}

fn describe_volume(
    volume: &Volume<'_>,
    has_ticket: bool,
    subject: &Subject<'_>,
    inspection: &mut Inspection,
) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    report.set_text("file_system", Some(volume.system.as_str()));
    if let Some(app) = mac_app::app(volume) {
        let info = [&app, &b"/Contents/Info.plist"[..]].concat();
        let opened = volume
            .files
            .get(&info)
            .map(|file| file.open(&volume.source, volume.budget));
        if !matches!(opened, Some(Err(Refusal::MethodUnknown { .. }))) {
            return mac_app::describe(volume, has_ticket, subject, inspection);
        }
        report.info(
            "dmg.packed_files",
            format!(
                "The file system keeps {} in a packed form, so that it was not looked at.",
                shown(&app)
            ),
            "See yourself that it is what it should be.",
        );
        return Ok(());
    }
    // Old packages are folders.
    let is_package = |path: &&[u8]| {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        path.ends_with(b".pkg") || path.ends_with(b".mpkg")
    };
    match volume.paths().find(is_package) {
        Some(package) => report.info(
            "dmg.package",
            format!(
                "There is no app in the image, but the installer package {}.",
                shown(package)
            ),
            "Publish the package itself, so that it is looked at.",
        ),
        None => report.warning(
            "dmg.no_app",
            "There is neither an app nor an installer package in the image.",
            "See that the build puts the app into it.",
        ),
    }
    Ok(())
}

impl Files for Volume<'_> {
    fn paths(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        Box::new(self.files.keys().map(Vec::as_slice))
    }

    fn size(&self, path: &[u8]) -> Option<u64> {
        self.files.get(path).map(|file| file.len)
    }

    fn read(&self, path: &[u8], max: u64) -> Result<Option<Vec<u8>>, Refusal> {
        let contents = self.executable(path)?;
        contents
            .map(|contents| contents.bytes(0..contents.len(), max))
            .transpose()
    }

    fn executable(&self, path: &[u8]) -> Result<Option<Box<dyn Source + '_>>, Refusal> {
        let Some(file) = self.files.get(path) else {
            return Ok(None);
        };
        file.open(&self.source, self.budget).map(Some)
    }
}

/// Whether the chunks are those that the image was made of.
fn check_crc(trailer: &Trailer, subject: &Subject<'_>, report: &mut Report) -> Result<(), Refusal> {
    let Some(expected) = trailer.crc else { return Ok(()) };
    let data = Section::new(subject.source, trailer.data.clone())?;
    let mut sum = Sum(Crc::new());
    io::copy(&mut Stream::new(data), &mut sum)?;
    if sum.0.sum() != expected {
        report.error(
            "dmg.checksum",
            "The image does not have the checksum that stands in it, so that macOS refuses to open it.",
            "Build it again, and see that it is copied whole.",
        );
    }
    Ok(())
}

struct Sum(Crc);

impl io::Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The facts of the image's own signature, beside that of the app in it, and whether a ticket is
/// stapled to it.
fn tell_signature(trailer: &Trailer, subject: &Subject<'_>, report: &mut Report) -> Result<bool, Refusal> {
    let is_signed = !trailer.signature.is_empty();
    report.set_flag("dmg_signed", Some(is_signed));
    if !is_signed {
        return Ok(false);
    }
    let section = Section::new(subject.source, trailer.signature.clone())?;
    let signature = CodeSignature::read(&section, subject.budget)?;
    report.set_flag("dmg_stapled_ticket", Some(signature.has_ticket));
    report.set_text("dmg_cdhash", Some(signature.cdhash()));
    if let Some(message) = signature.message()? {
        let signer = signed_code::signer(&message);
        report.set_list("dmg_signer", signer.map(|signer| signer.subject.in_order()));
        let checks = [
            (
                signature.is_signed_directory(&message),
                "its code directory is another one than was signed",
            ),
            (
                signature.is_by_its_signer(&message),
                "the certificate that it names did not make it",
            ),
            (
                signature.is_code(subject.source, SIGNED, subject.budget)?,
                "it was changed after it was signed",
            ),
        ];
        if let Some((_, why)) = checks.iter().find(|(holds, _)| *holds == Some(false)) {
            report.error(
                "dmg.signature_broken",
                format!("The image's signature does not hold: {why}."),
                "Sign the image again, and change nothing in it after.",
            );
        }
    }
    Ok(signature.has_ticket)
}
