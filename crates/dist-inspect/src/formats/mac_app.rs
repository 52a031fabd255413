//! macOS apps in zips and tars.

use std::collections::BTreeMap;
use std::io::Read;

use super::bundle::{self, Bundle, Files};
use super::tar::{is_tar, starts_with_mac_app, walk_all};
use super::{Marker, Otherwise, Row, profile};
use crate::parse::skim::Skimmed;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Budget, Format, Inspection, Refusal};

pub(super) static APP_ZIP: Row = Row {
    format: Format::AppZip,
    package_type: "app.zip",
    content_type: "application/zip",
    extensions: &["app.zip"],
    recognises: |subject| subject.zips(&[Marker::MacApp]),
    otherwise: Otherwise::Zip {
        no_zip: "app_zip.not_a_zip",
        lacking: "app_zip.no_app",
        sentence: "The zip is named like a macOS app, and has none in it.",
    },
    describe: |subject, inspection| match subject.zip() {
        Some(zip) => describe(zip, false, subject, inspection),
        None => Ok(()),
    },
};

/// Told from other tars by name, or by the members that come first.
pub(super) static APP_TAR: Row = Row {
    format: Format::AppTar,
    package_type: "app.tar",
    content_type: "application/octet-stream",
    extensions: &["app.tar", "app.tar.gz", "app.tar.xz", "app.tar.bz2", "app.tar.zst"],
    recognises: |subject| (subject.is_named(APP_TAR.extensions) && is_tar(subject)) || starts_with_mac_app(subject),
    otherwise: Otherwise::Bytes(
        "app_tar.not_a_tar",
        "The file is named like a macOS app in a tar, and is no tar.",
    ),
    describe: describe_tar,
};

/// Adds what the app tells that is the least deep in `files`; `is_stapled` says whether a ticket is
/// stapled to what they come in.
pub(super) fn describe(
    files: &dyn Files,
    is_stapled: bool,
    subject: &Subject<'_>,
    inspection: &mut Inspection,
) -> Result<(), Refusal> {
    match app(files) {
        Some(path) => bundle::describe(&Bundle::mac(files, &path), is_stapled, subject, inspection),
        None => Ok(()),
    }
}

/// The folder of the first of the least deep apps. Those that tell nothing come after all others, and
/// those that remove one after their equals.
pub(super) fn app(files: &dyn Files) -> Option<Vec<u8>> {
    let apps = files.paths().filter_map(split);
    let apps = apps.filter(|(app, _)| !app.starts_with(b"__MACOSX/"));
    let rank = |(app, path): &(&[u8], &[u8])| {
        let name = app.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let removes = name.to_ascii_lowercase().starts_with(b"uninstall");
        let depth = app.split(|byte| *byte == b'/').count();
        (*path != b"Info.plist", depth, removes)
    };
    apps.min_by_key(rank).map(|(app, _)| app.to_vec())
}

/// The outermost app that a path is in, and the path in its `Contents`.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    const CONTENTS: &[u8] = b".app/Contents/";
    let start = path.windows(CONTENTS.len()).position(|window| window == CONTENTS)?;
    let app = &path[..start + 4];
    (!app.ends_with(b"/.app")).then(|| (app, &path[start + CONTENTS.len()..]))
}

fn describe_tar(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let mut kept = Kept::new(subject.budget);
    let faults = walk_all(subject, |entry, bytes| kept.add(entry.name(), entry.size, bytes))?;
    for fault in &faults {
        inspection.report.refuse(fault);
    }
    if app(&kept).is_none() {
        inspection.report.error(
            "app_tar.no_app",
            "The tar is named like a macOS app, and has none in it.",
            "Publish the file that the build made, under its own name.",
        );
    }
    describe(&kept, false, subject, inspection)
}

/// The members of a tar, which goes by once, and the bytes of those that tell.
struct Kept<'a> {
    budget: &'a Budget,
    members: BTreeMap<Vec<u8>, (u64, Option<Skimmed>)>,
    /// How many bytes of paths and of members may still be kept.
    names_left: u64,
    bytes_left: u64,
}

impl<'a> Kept<'a> {
    fn new(budget: &'a Budget) -> Self {
        Self {
            budget,
            members: BTreeMap::new(),
            names_left: budget.limits().directory_bytes,
            bytes_left: budget.limits().member_bytes,
        }
    }

    fn add(&mut self, name: &[u8], size: u64, bytes: &mut dyn Read) -> Result<(), Refusal> {
        let limit = self.budget.limits().directory_bytes;
        let names_left = self.names_left.checked_sub(name.len() as u64 + 64);
        self.names_left = names_left.ok_or(Refusal::DirectoryTooLong { limit })?;
        let skimmed = match split(name).map(|(_, path)| wanted(path)) {
            Some(Wanted::Executable) => {
                let skimmed = Skimmed::read(bytes.take(size), size, self.budget)?;
                Some(skimmed).filter(|skimmed| self.fits(skimmed.held()))
            }
            Some(Wanted::Whole(max)) if size <= max && self.fits(size) => {
                let mut whole = Vec::new();
                bytes.take(size).read_to_end(&mut whole)?;
                Some(Skimmed::whole(whole))
            }
            _ => None,
        };
        self.members.insert(name.to_vec(), (size, skimmed));
        Ok(())
    }

    /// Takes room for so many bytes, if there is.
    fn fits(&mut self, count: u64) -> bool {
        let left = self.bytes_left.checked_sub(count);
        self.bytes_left = left.unwrap_or(self.bytes_left);
        left.is_some()
    }
}

/// How much of a member tells.
enum Wanted {
    Whole(u64),
    Executable,
    Nothing,
}

fn wanted(path: &[u8]) -> Wanted {
    let is_in = |folder: &[u8]| path.strip_prefix(folder).is_some_and(|name| !name.contains(&b'/'));
    match path {
        b"CodeResources" | b"_CodeSignature/CodeResources" => Wanted::Whole(bundle::RESOURCES),
        b"embedded.provisionprofile" => Wanted::Whole(profile::SIZE),
        _ if path == b"Info.plist" || path.ends_with(b".appex/Contents/Info.plist") => Wanted::Whole(bundle::PLIST),
        _ if is_in(b"Resources/") && path.ends_with(b".icns") => Wanted::Whole(bundle::ICON),
        _ if is_in(b"MacOS/") => Wanted::Executable,
        _ => Wanted::Nothing,
    }
}

impl Files for Kept<'_> {
    fn paths(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        Box::new(self.members.keys().map(Vec::as_slice))
    }

    fn size(&self, path: &[u8]) -> Option<u64> {
        self.members.get(path).map(|(size, _)| *size)
    }

    fn read(&self, path: &[u8], max: u64) -> Result<Option<Vec<u8>>, Refusal> {
        match self.members.get(path) {
            Some((size, Some(kept))) => kept.bytes(0..*size, max).map(Some),
            Some((_, None)) => Err(Refusal::TooLarge { limit: max }),
            None => Ok(None),
        }
    }

    fn executable(&self, path: &[u8]) -> Result<Option<Box<dyn Source + '_>>, Refusal> {
        let kept = self.members.get(path).and_then(|(_, kept)| kept.as_ref());
        Ok(kept.map(|kept| Box::new(kept) as Box<dyn Source>))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_app_is_the_one_that_a_path_is_in() {
        let path = b"x/Acme.app/Contents/Frameworks/Helper.app/Contents/Info.plist";
        assert_eq!(
            split(path),
            Some((&b"x/Acme.app"[..], &b"Frameworks/Helper.app/Contents/Info.plist"[..]))
        );
        for none in [&b"Acme.app/Info.plist"[..], b"x/.app/Contents/Info.plist", b""] {
            assert_eq!(split(none), None);
        }
    }
}
