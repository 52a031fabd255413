//! Android packages.

mod contents;
pub(super) mod icon;
pub(super) mod manifest;
mod packing;
pub(super) mod signature;
pub(super) mod v1;
mod v2;

use std::collections::BTreeSet;

use self::icon::Files;
use self::manifest::Manifest;
use super::{Marker, Otherwise, Row};
use crate::archive::zip::Zip;
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
        Some(member) => match zip.read(&member.deflated_unless_stored(), budget.limits().member_bytes) {
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            Err(refusal) => {
                report.refuse(&refusal);
                Vec::new()
            }
            Ok(resources) => resources,
        },
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
    packing::check(source, zip, &manifest, report)?;
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

/// Whether the package that `zip` is says that it is a split of another one.
pub(super) fn is_split(zip: &Zip<'_>, budget: &Budget) -> Result<bool, Refusal> {
    Ok(read_manifest(zip, budget)?.split().is_some())
}

fn read_manifest<'a>(zip: &Zip<'_>, budget: &Budget) -> Result<Manifest<'a>, Refusal> {
    let Some(member) = zip.find(b"AndroidManifest.xml") else {
        return Err(Refusal::malformed("package", "it has no manifest"));
    };
    let root = Element::from_binary(&zip.read(&member.deflated_unless_stored(), MANIFEST_BYTES)?, budget)?;
    Manifest::new(root, Table::Empty)
}

/// Adds who the package that `zip` is says that it is, what it is for, and who signed it.
pub(super) fn identify(
    source: &dyn Source,
    zip: &Zip<'_>,
    budget: &Budget,
    report: &mut Report,
) -> Result<(), Refusal> {
    let manifest = read_manifest(zip, budget)?;
    manifest.describe(report)?;
    signature::describe(source, zip, &manifest, budget, report)
}

/// The folders of native libraries in `folder`, each once: Android's words for processors.
pub(super) fn processors<'a>(names: impl Iterator<Item = &'a [u8]>, folder: &[u8]) -> BTreeSet<String> {
    let inside = names.filter_map(|name| name.strip_prefix(folder));
    let folders = inside.filter_map(|name| name.iter().position(|byte| *byte == b'/').map(|end| &name[..end]));
    let folders = folders.filter(|folder| **folder != b""[..]);
    folders
        .map(|folder| String::from_utf8_lossy(folder).into_owned())
        .collect()
}
