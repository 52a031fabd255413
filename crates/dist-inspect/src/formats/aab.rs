//! Android app bundles.

use std::collections::BTreeSet;

use super::apk::{MANIFEST_BYTES, manifest::Manifest, processors};
use super::{Marker, Otherwise, Row};
use crate::parse::resources::{Element, Table};
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal};

pub(super) static AAB: Row = Row {
    format: Format::Aab,
    package_type: "aab",
    content_type: "application/octet-stream",
    extensions: &["aab"],
    recognises: |subject| subject.zips(&[Marker::BundleConfig]),
    otherwise: Otherwise::Zip {
        no_zip: "aab.not_a_zip",
        lacking: "aab.no_config",
        sentence: "An app bundle has a BundleConfig.pb, and this zip has none.",
    },
    describe,
};

/// Where a module's manifest stands in its folder.
const MANIFEST: &[u8] = b"/manifest/AndroidManifest.xml";

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let (budget, report) = (subject.budget, &mut inspection.report);
    let names = || zip.members().map(|member| member.name);
    let modules: BTreeSet<String> = names()
        .filter_map(|name| name.strip_suffix(MANIFEST))
        .filter(|module| !module.contains(&b'/'))
        .map(|module| String::from_utf8_lossy(module).into_owned())
        .collect();
    report.set_list("modules", &modules);
    let libraries = modules.iter().map(|module| format!("{module}/lib/"));
    report.set_archs(libraries.flat_map(|folder| processors(names(), folder.as_bytes())));
    let Some(member) = zip.find(b"base/manifest/AndroidManifest.xml") else {
        let (code, help) = NO_BASE;
        report.error(code, "It has no base module, of which every app bundle consists.", help);
        return Ok(());
    };
    let resources = match zip.find(b"base/resources.pb") {
        Some(member) => zip.read(&member, budget.limits().member_bytes)?,
        None => Vec::new(),
    };
    let root = Element::from_proto(&zip.read(&member, MANIFEST_BYTES)?, budget)?;
    let manifest = Manifest::new(root, Table::from_proto(&resources, budget))?;
    manifest.describe(report)?;
    manifest.warn(report)
}

const NO_BASE: (&str, &str) = ("aab.no_base", "Build the bundle with Gradle or bundletool.");
