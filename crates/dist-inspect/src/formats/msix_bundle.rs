//! Bundles of Windows app packages: one file for all processors and languages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::msix::{
    Code, check_content_types, icon, identity, path, path_of, read_manifest, set_values, tell_families, tell_identity,
    tell_min_os, tell_properties, tell_unreadable,
};
use super::{Marker, Otherwise, Row, block_map, msix_signature};
use crate::archive::zip::{Member, Zip};
use crate::parse::xml::Element;
use crate::subject::Subject;
use crate::{Format, Icon, Inspection, Refusal, Report};

pub(super) static MSIXBUNDLE: Row = Row {
    format: Format::Msixbundle,
    package_type: "msixbundle",
    content_type: "application/msixbundle",
    extensions: &["msixbundle", "appxbundle"],
    recognises: |subject| subject.zips(&[Marker::AppxBundleManifest]),
    otherwise: Otherwise::Zip {
        no_zip: "msixbundle.not_a_zip",
        lacking: "msixbundle.no_manifest",
        sentence: "A bundle has an AppxBundleManifest.xml, and this zip has none.",
    },
    describe,
};

const BUNDLE_AGAIN: &str = "Bundle the packages again with makeappx bundle.";
const MANIFEST_INVALID: Code = ("msixbundle.manifest_invalid", BUNDLE_AGAIN);
const PACKAGE_INVALID: Code = ("msixbundle.package_invalid", BUNDLE_AGAIN);
const PACKAGE_MISMATCH: Code = ("msixbundle.package_mismatch", BUNDLE_AGAIN);
const FLAT: Code = (
    "msixbundle.flat",
    "Publish a bundle that holds its packages (makeappx bundle without /fb).",
);
/// How many packages are opened.
const PACKAGES: usize = 200;

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let report = &mut inspection.report;
    report.set_text("package_type", Some("bundle"));
    check_content_types(report, zip);
    let manifest = read_manifest(zip, b"AppxMetadata/AppxBundleManifest.xml", subject.budget);
    let mut publisher = None;
    let mut packages = Vec::new();
    match &manifest {
        Ok(bundle) => {
            tell_bundle(report, bundle);
            packages = packages_of(bundle);
            inspection.icon = tell_packages(subject, report, zip, bundle)?;
            publisher = identity(bundle).and_then(|identity| identity.attribute("Publisher"));
        }
        Err(refusal) => tell_unreadable(report, refusal)?,
    }
    let report = &mut inspection.report;
    let files: BTreeSet<String> = packages
        .iter()
        .filter_map(|package| Some(path(package.attribute("FileName")?)))
        .collect();
    block_map::check(report, zip, subject.budget, &|path| files.contains(path))?;
    msix_signature::tell(subject, report, zip, publisher)
}

fn packages_of(bundle: &Element) -> Vec<&Element> {
    let packages = bundle
        .child("Packages")
        .into_iter()
        .flat_map(|them| them.all("Package"));
    packages.take(PACKAGES).collect()
}

fn is_application(package: &Element) -> bool {
    package.attribute("Type") == Some("application")
}

/// Says what the bundle's own manifest says.
fn tell_bundle(report: &mut Report, bundle: &Element) {
    tell_identity(report, bundle);
    let packages = packages_of(bundle);
    if packages.is_empty() {
        let message = "Its manifest lists no package, so that there is nothing to install.";
        report.error(MANIFEST_INVALID.0, message, MANIFEST_INVALID.1);
    }
    let applications = packages.iter().filter(|package| is_application(package));
    report.set_archs(
        applications
            .clone()
            .filter_map(|package| package.attribute("Architecture")),
    );
    let dependencies = applications.clone().find_map(|package| package.child("Dependencies"));
    tell_families(report, dependencies);
    let object = |package: &&Element| {
        let text = |name: &str| package.attribute(name).map_or(Value::Null, Value::from);
        let mut object = Map::new();
        // A package without a type is one of resources.
        object.insert(
            "type".to_owned(),
            package.attribute("Type").unwrap_or("resource").into(),
        );
        object.insert("file".to_owned(), text("FileName"));
        object.insert("version".to_owned(), text("Version"));
        object.insert("arch".to_owned(), text("Architecture"));
        object.retain(|_, value| !value.is_null());
        json!(object)
    };
    set_values(report, "packages", packages.iter().map(object));
}

/// Compares the packages with what the manifest says of them. The first application's name and icon
/// are the bundle's.
fn tell_packages(
    subject: &Subject<'_>,
    report: &mut Report,
    zip: &Zip<'_>,
    bundle: &Element,
) -> Result<Option<Icon>, Refusal> {
    let mut members = members(zip);
    let mut shown = None;
    let mut is_flat = false;
    for package in packages_of(bundle) {
        subject.budget.step()?;
        // A flat bundle says where no package stands: they are files beside it.
        if package.attribute("Offset").is_none() {
            is_flat = true;
            continue;
        }
        let name = package.attribute("FileName").unwrap_or_default();
        // Each is opened once.
        let member = members.remove(&path(name));
        match open(subject, report, zip, bundle, package, member, shown.is_none()) {
            Ok(Ok(icon)) if is_application(package) && shown.is_none() => shown = Some(icon),
            Ok(Ok(_)) => {}
            Ok(Err((code, why))) => {
                let message = format!("Windows does not install the bundle: its package {name} {why}.");
                tell_once(report, code, message);
            }
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            Err(refusal) => {
                let message = format!("The package {name} in the bundle cannot be read. {refusal}");
                tell_once(report, PACKAGE_INVALID, message);
            }
        }
    }
    if is_flat {
        let message = "It is a flat bundle, whose packages are files beside it, and cannot be installed alone.";
        report.warning(FLAT.0, message, FLAT.1);
    }
    Ok(shown.flatten())
}

/// Tells the first of a kind, since one of hundreds of packages is enough.
fn tell_once(report: &mut Report, code: Code, message: String) {
    if report.findings.iter().all(|finding| finding.code != code.0) {
        report.error(code.0, message, code.1);
    }
}

/// The packages by their paths; none where they share bytes, since opening each could take for ever.
fn members<'z>(zip: &'z Zip<'_>) -> BTreeMap<String, Member<'z>> {
    if zip.faults().iter().any(|fault| matches!(fault, Refusal::Overlap(_))) {
        return BTreeMap::new();
    }
    let packages = zip.members().map(|member| (path_of(member.name), member));
    packages.filter(|(path, _)| is_package(path)).collect()
}

/// Whether a path in lower case is named as a package is.
fn is_package(path: &str) -> bool {
    matches!(path.rsplit_once('.'), Some((_, "appx" | "msix")))
}

/// What is wrong with a package, and its code.
type Fault = (Code, &'static str);

/// Opens a package in the bundle and compares it with what the bundle's manifest says.
fn open(
    subject: &Subject<'_>,
    report: &mut Report,
    zip: &Zip<'_>,
    bundle: &Element,
    listed: &Element,
    member: Option<Member<'_>>,
    is_first: bool,
) -> Result<Result<Option<Icon>, Fault>, Refusal> {
    let name = path(listed.attribute("FileName").unwrap_or_default());
    if !is_package(&name) {
        return Ok(Err((PACKAGE_INVALID, "is named neither .appx nor .msix")));
    }
    let Some(member) = member else {
        return Ok(Err((PACKAGE_INVALID, "is not there, or listed twice")));
    };
    if !member.is_stored() {
        return Ok(Err((PACKAGE_INVALID, "is compressed a second time")));
    }
    let number = |name: &str| listed.attribute(name).and_then(|number| number.parse::<u64>().ok());
    let start = member.packed_range().map(|range| range.start);
    if number("Offset") != start || number("Size") != Some(member.size()) {
        return Ok(Err((PACKAGE_MISMATCH, "stands at another place or has another size")));
    }
    if member.size() == 0 {
        return Ok(Err((PACKAGE_INVALID, "is empty")));
    }
    let section = zip.section(&member)?;
    let inner = Zip::open(&section, subject.budget)?;
    let package = read_manifest(&inner, b"AppxManifest.xml", subject.budget)?;
    if let Some(fault) = difference(bundle, listed, &package) {
        return Ok(Err((PACKAGE_MISMATCH, fault)));
    }
    if !is_application(listed) || !is_first {
        return Ok(Ok(None));
    }
    tell_properties(report, &package);
    // Older bundles leave it to their packages what they run on.
    if !report.facts.contains_key("min_os") {
        tell_min_os(report, &package);
    }
    icon(&inner, &package, subject.budget).map(Ok)
}

/// In what a package differs from what the bundle says of it.
fn difference(bundle: &Element, listed: &Element, package: &Element) -> Option<&'static str> {
    let Some(identity) = identity(package) else {
        return Some("has no identity");
    };
    let own = |name: &str| identity.attribute(name);
    // Neutral is what no processor means.
    let arch = |arch: Option<&str>| arch.unwrap_or("neutral").to_lowercase();
    let is_resource = package
        .path(&["Properties", "ResourcePackage"])
        .is_some_and(|it| it.text.trim() == "true");
    let whole = |name: &str| bundle.child("Identity").and_then(|identity| identity.attribute(name));
    if own("Name") != whole("Name") || own("Publisher") != whole("Publisher") {
        Some("is of another app or publisher than the bundle")
    } else if own("Version") != listed.attribute("Version") {
        Some("is of another version than the bundle says")
    } else if is_application(listed) && arch(own("ProcessorArchitecture")) != arch(listed.attribute("Architecture")) {
        Some("is for another processor than the bundle says")
    } else if is_application(listed) == is_resource {
        Some("is of another type than the bundle says")
    } else {
        None
    }
}
