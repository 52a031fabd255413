//! Android packages.

pub(super) mod manifest;

use std::collections::BTreeSet;

use self::manifest::Manifest;
use super::{Marker, Otherwise, Row};
use crate::archive::zip::Zip;
use crate::parse::resources::{Element, Table};
use crate::subject::Subject;
use crate::{Budget, Format, Inspection, Refusal};

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
    describe_zip(zip, subject.budget, inspection)
}

/// Adds the facts of the package that `zip` is.
pub(super) fn describe_zip(zip: &Zip<'_>, budget: &Budget, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    report.set_archs(processors(zip.members().map(|member| member.name), b"lib/"));
    let resources = match zip.find(b"resources.arsc") {
        Some(member) => zip.read(&member, budget.limits().member_bytes)?,
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
    let root = Element::from_binary(&zip.read(&member, MANIFEST_BYTES)?, budget)?;
    let manifest = Manifest::new(root, table)?;
    manifest.describe(report)?;
    manifest.warn(report)
}

/// The folders of native libraries in `folder`, each once: Android's words for processors.
pub(super) fn processors<'a>(names: impl Iterator<Item = &'a [u8]>, folder: &[u8]) -> BTreeSet<String> {
    let inside = names.filter_map(|name| name.strip_prefix(folder));
    let folders = inside.filter_map(|name| {
        name.split(|byte| *byte == b'/')
            .next()
            .filter(|first| first.len() < name.len())
    });
    folders
        .filter(|folder| !folder.is_empty())
        .map(|folder| String::from_utf8_lossy(folder).into_owned())
        .collect()
}
