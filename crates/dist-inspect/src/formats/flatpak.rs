//! Flatpak bundles: static deltas of `OSTree`, which start with a dictionary about the app.
//! Source: `app/flatpak-builtins-build-bundle.c` and `common/flatpak-bundle-ref.c` of Flatpak.

use sha2::{Digest, Sha256};

use super::{Otherwise, Row};
use crate::archive::compress::{Compression, Decoder};
use crate::parse::gvariant::{self, Dictionary};
use crate::parse::keyfile::KeyFile;
use crate::parse::xml::Element;
use crate::parse::{picture, xml};
use crate::source::{Section, Source as _};
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

pub(super) static FLATPAK: Row = Row {
    format: Format::Flatpak,
    package_type: "flatpak",
    content_type: "application/vnd.flatpak",
    extensions: &["flatpak"],
    recognises: |subject| subject.starts_with(b"flatpak\0"),
    otherwise: Otherwise::Bytes(
        "flatpak.bad_magic",
        "A Flatpak bundle starts with its name, and this file does not.",
    ),
    describe,
};

/// How large the texts, and how large the icon may be, in bytes.
const TEXT_BYTES: u64 = 1 << 20;
const ICON_BYTES: u64 = 4 << 20;
/// How large the description becomes, in bytes.
const APPSTREAM_BYTES: u64 = 8 << 20;
const COMPONENT_END: &[u8] = b"</component>";
/// How many parts of the files are looked through for it, and how large each may be, in bytes.
const PARTS: usize = 4;
/// How the keys of parts start, and the type of parts: how one is compressed, and its bytes.
const DELTAS: &str = "deltas/";
const PART: &[u8] = b"(yay)";
/// How much is read at once for digests, in bytes.
const CHUNK: usize = 256 << 10;
const PART_BYTES: u64 = 32 << 20;

// What may be said of a Flatpak bundle: the code, and what to do about it.
const REF_INVALID: (&str, &str) = ("flatpak.ref_invalid", "Build it with flatpak build-bundle.");
const DIGEST_MISMATCH: (&str, &str) = (
    "flatpak.digest_mismatch",
    "Build it again, and see that it is copied whole.",
);

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    let bundle = Dictionary::first(subject.source, subject.budget)?;
    let name = bundle.text("ref", TEXT_BYTES)?.unwrap_or_default();
    report.set_text("ref", Some(&name));
    let parts: Vec<&str> = name.split('/').collect();
    if let [kind @ ("app" | "runtime"), id, arch, branch] = parts.as_slice() {
        report.set_text("package_type", Some(kind));
        report.set_text("app_id", Some(id));
        report.set_archs([arch]);
        report.set_text("branch", Some(branch));
    } else {
        report.error(
            REF_INVALID.0,
            "It does not say which app or runtime it is, so that flatpak does not install it.",
            REF_INVALID.1,
        );
    }
    let metadata = bundle.text("metadata", TEXT_BYTES)?.unwrap_or_default();
    let metadata = KeyFile::parse(metadata.as_bytes());
    let group = if parts.first() == Some(&"runtime") {
        "Runtime"
    } else {
        "Application"
    };
    for key in ["runtime", "sdk", "command"] {
        report.set_text(key, metadata.get(group, key));
    }
    report.set_text("origin", bundle.text("origin", TEXT_BYTES)?);
    let description = match bundle.bytes("appdata", TEXT_BYTES)? {
        Some(packed) => {
            let document = Decoder::new(&packed, Compression::of(&packed), subject.budget).read_all(APPSTREAM_BYTES)?;
            Some(xml::parse(&document, subject.budget)?)
        }
        None => find_description(&bundle, parts.get(1).copied().unwrap_or_default(), subject)?,
    };
    if let Some(description) = &description {
        describe_appstream(description, report);
    }
    check_parts(&bundle, subject, report)?;
    let icon = ["icon-128", "icon-64"]
        .iter()
        .find_map(|key| bundle.bytes(key, ICON_BYTES).ok()?);
    inspection.icon = icon.and_then(|icon| picture::icon(&icon, subject.budget).ok());
    Ok(())
}

/// What an app shop shows; the newest release stands first.
fn describe_appstream(root: &Element, report: &mut Report) {
    // One app may stand by itself.
    let component = root.child("component").unwrap_or(root);
    report.set_text("name", component.child_text("name"));
    report.set_text("summary", component.child_text("summary"));
    report.set_text("license", component.child_text("project_license"));
    let release = component.path(&["releases", "release"]);
    report.set_text("version", release.and_then(|release| release.attribute("version")));
}

/// The app's description among the files of the bundle, for bundles that have it nowhere else. The
/// bytes of all files stand one after the other, and the one that is looked for names the app.
fn find_description(bundle: &Dictionary<'_>, id: &str, subject: &Subject<'_>) -> Result<Option<Element>, Refusal> {
    const XZ: u8 = b'x';
    let budget = subject.budget;
    for (_, range) in bundle.numbered(DELTAS, PART)?.into_iter().take(PARTS) {
        let Ok(part) = subject.source.bytes(range, PART_BYTES) else {
            continue;
        };
        let Some((compression, packed)) = part.split_first() else {
            continue;
        };
        let compression = if *compression == XZ {
            Compression::Xz
        } else {
            Compression::None
        };
        let Ok(files) = Decoder::new(packed, compression, budget).read_all(PART_BYTES) else {
            continue;
        };
        let mut rest = files.as_slice();
        while let Some(start) = position(rest, b"<component") {
            budget.step()?;
            rest = &rest[start..];
            let end = position(rest, COMPONENT_END).map(|end| end + COMPONENT_END.len());
            let (document, after) = rest.split_at(end.unwrap_or(rest.len()));
            let found = xml::parse(document, budget).ok().filter(|component| {
                let named = component.child_text("id").unwrap_or_default();
                named.strip_suffix(".desktop").unwrap_or(named) == id
            });
            if found.is_some() {
                return Ok(found);
            }
            rest = after;
        }
    }
    Ok(None)
}

/// flatpak installs no bundle of which a part does not have its digest.
fn check_parts(bundle: &Dictionary<'_>, subject: &Subject<'_>, report: &mut Report) -> Result<(), Refusal> {
    // The description of the parts is the seventh of a delta, and has one thing of fixed size before it.
    const BEFORE: u64 = 5;
    let descriptions = gvariant::array(subject.source, BEFORE)?;
    let mut chunk = vec![0; CHUNK];
    for (number, part) in bundle.numbered(DELTAS, PART)? {
        // A version of four bytes, and the digest.
        let claimed = descriptions.get(number).map(|description| description.start + 4);
        let claimed = claimed.and_then(|start| subject.source.bytes(start..start.saturating_add(32), 32).ok());
        let section = Section::new(subject.source, part)?;
        let mut digest = Sha256::new();
        let mut offset = 0;
        loop {
            subject.budget.take(0)?;
            let count = section.read_at(offset, &mut chunk)?;
            if count == 0 {
                break;
            }
            digest.update(&chunk[..count]);
            offset += count as u64;
        }
        if claimed.as_deref() != Some(digest.finalize().as_slice()) {
            report.error(
                DIGEST_MISMATCH.0,
                format!("Part {number} does not have its digest, so that flatpak does not install the bundle."),
                DIGEST_MISMATCH.1,
            );
            break;
        }
    }
    Ok(())
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
