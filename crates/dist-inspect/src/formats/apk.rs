//! Android packages.

mod contents;
pub(super) mod icon;
pub(super) mod manifest;
pub(super) mod signature;
pub(super) mod v1;
mod v2;

use std::collections::BTreeSet;

use self::icon::Files;
use self::manifest::Manifest;
use super::{Marker, Otherwise, Row};
use crate::archive::zip::{MAGIC, Zip};
use crate::parse::resources::{Element, Table};
use crate::source::Source;
use crate::subject::Subject;
use crate::{Budget, Format, Inspection, Refusal, Report};

pub(super) static APK: Row = Row {
    format: Format::Apk,
    package_type: "apk",
    content_type: "application/vnd.android.package-archive",
    extensions: &["apk"],
    recognises: |subject| subject.zips(&[Marker::AndroidManifest]),
    otherwise: Otherwise::Zip {
        no_zip: "apk.not_a_zip",
        lacking: "apk.no_manifest",
        sentence: "An APK has an AndroidManifest.xml, and this zip has none.",
    },
    describe,
};

/// How long a manifest may be, in bytes; the longest real ones have a megabyte or two.
pub(super) const MANIFEST_BYTES: u64 = 16 << 20;

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    describe_zip(subject.source, zip, subject.budget, inspection)
}

/// Adds the facts of the package that `zip` is.
pub(super) fn describe_zip(
    source: &dyn Source,
    zip: &Zip<'_>,
    budget: &Budget,
    inspection: &mut Inspection,
) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    report.set_archs(processors(zip.members().map(|member| member.name), b"lib/"));
    let resources = match zip.find(b"resources.arsc") {
        Some(member) => zip.read(&member.deflated_unless_stored(), budget.limits().member_bytes)?,
        None => Vec::new(),
    };
    let table = match Table::from_binary(&resources, budget) {
        // An app without resources, or with damaged ones, still says who it is.
        Err(Refusal::Malformed { .. }) => Table::Empty,
        table => table?,
    };
    let Some(member) = zip.find(b"AndroidManifest.xml") else {
        return Ok(());
    };
    let root = Element::from_binary(&zip.read(&member.deflated_unless_stored(), MANIFEST_BYTES)?, budget)?;
    let manifest = Manifest::new(root, table)?;
    manifest.describe(report)?;
    manifest.warn(report)?;
    check_start(source, report)?;
    if zip
        .faults()
        .iter()
        .any(|fault| matches!(fault, Refusal::DuplicateName { is_same: true, .. }))
    {
        report.error(
            DUPLICATE.0,
            "It has a member twice, so that no Android installs it.",
            DUPLICATE.1,
        );
    }
    signature::describe(source, zip, &manifest, budget, report)?;
    let files = Files {
        zip,
        folder: "",
        read_xml: Element::from_binary,
        budget,
    };
    inspection.icon = files.icon(&manifest)?;
    Ok(())
}

/// Adds who the package that `zip` is says that it is, and who signed it.
pub(super) fn identify(
    source: &dyn Source,
    zip: &Zip<'_>,
    budget: &Budget,
    report: &mut Report,
) -> Result<(), Refusal> {
    let Some(member) = zip.find(b"AndroidManifest.xml") else {
        return Err(Refusal::malformed("package", "it has no manifest"));
    };
    let root = Element::from_binary(&zip.read(&member.deflated_unless_stored(), MANIFEST_BYTES)?, budget)?;
    let manifest = Manifest::new(root, Table::Empty)?;
    manifest.describe(report)?;
    signature::describe(source, zip, &manifest, budget, report)
}

/// Whether the file starts with a member, as Android wants: before Android looked, a program that
/// was put before the zip ran in its place, and the v1 signature held (CVE-2017-13156, Janus).
fn check_start(source: &dyn Source, report: &mut Report) -> Result<(), Refusal> {
    let start = source.bytes(0..4, 4)?;
    if start == b"dex\n" {
        let message = "A program stands before the zip, which old Androids run in place of the signed one (Janus).";
        report.error(JANUS.0, message, JANUS.1);
    } else if start != MAGIC[0] {
        let message = "It does not start as a zip does, so that no Android installs it.";
        report.error(LEADING_BYTES.0, message, LEADING_BYTES.1);
    }
    Ok(())
}

const JANUS: (&str, &str) = ("apk.janus", "Do not install it; take the package from your own build.");
const DUPLICATE: (&str, &str) = ("apk.duplicate_member", "Pack every file once.");
const LEADING_BYTES: (&str, &str) = (
    "apk.leading_bytes",
    "Publish the file that the build made, and put nothing before it.",
);

/// The folders of native libraries in `folder`, each once: Android's words for processors.
pub(super) fn processors<'a>(names: impl Iterator<Item = &'a [u8]>, folder: &[u8]) -> BTreeSet<String> {
    let inside = names.filter_map(|name| name.strip_prefix(folder));
    let folders = inside.filter_map(|name| name.iter().position(|byte| *byte == b'/').map(|end| &name[..end]));
    let folders = folders.filter(|folder| **folder != b""[..]);
    folders
        .map(|folder| String::from_utf8_lossy(folder).into_owned())
        .collect()
}
