//! Windows app packages.

use serde_json::{Map, Value, json};

use super::{Marker, Otherwise, Row, block_map, msix_signature};
use crate::archive::zip::{Member, Zip};
use crate::parse::picture;
use crate::parse::xml::{self, Element};
use crate::subject::Subject;
use crate::{Budget, Format, Icon, Inspection, Refusal, Report};

pub(super) static MSIX: Row = Row {
    format: Format::Msix,
    package_type: "msix",
    content_type: "application/msix",
    extensions: &["msix", "appx"],
    recognises: |subject| {
        // An unpacked app may be zipped under the name of a zip.
        let is_package = !subject.is_named(&["zip"]) || subject.markers.contains(&Marker::AppxBlockMap);
        subject.zips(&[Marker::AppxManifest]) && is_package
    },
    otherwise: Otherwise::Zip {
        no_zip: "msix.not_a_zip",
        lacking: "msix.no_manifest",
        sentence: "An app package has an AppxManifest.xml, and this zip has none.",
    },
    describe,
};

/// A code, and what to do about it.
pub(super) type Code = (&'static str, &'static str);

const NO_CONTENT_TYPES: Code = ("msix.no_content_types", "Pack it again with makeappx.");
const MANIFEST_INVALID: Code = ("msix.manifest_invalid", "Check the manifest against its schema.");

/// The files that are about the others, by their paths in lower case: no block map lists them.
pub(super) const FOOTPRINT: [&str; 4] = [
    "appxblockmap.xml",
    "appxsignature.p7x",
    "[content_types].xml",
    "appxmetadata/codeintegrity.cat",
];
/// How large a manifest may be, in bytes.
const MANIFEST_BYTES: u64 = 4 << 20;
/// How large an icon's file may be, in bytes.
const ICON_BYTES: u64 = 4 << 20;

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let report = &mut inspection.report;
    report.set_text("package_type", Some("package"));
    check_content_types(report, zip);
    let manifest = read_manifest(zip, b"AppxManifest.xml", subject.budget);
    let mut publisher = None;
    match &manifest {
        Ok(package) => {
            tell_manifest(report, package);
            inspection.icon = icon(zip, package, subject.budget)?;
            publisher = identity(package).and_then(|identity| identity.attribute("Publisher"));
        }
        Err(refusal) => tell_unreadable(report, refusal)?,
    }
    block_map::check(report, zip, subject.budget, &|_| false)?;
    msix_signature::tell(subject, report, zip, publisher)
}

/// Every package says what its parts are.
pub(super) fn check_content_types(report: &mut Report, zip: &Zip<'_>) {
    if zip.find(b"[Content_Types].xml").is_none() {
        let message = "It has no [Content_Types].xml, without which Windows does not install it.";
        report.error(NO_CONTENT_TYPES.0, message, NO_CONTENT_TYPES.1);
    }
}

/// The manifest, which stands there in whatever case.
pub(super) fn read_manifest(zip: &Zip<'_>, name: &[u8], budget: &Budget) -> Result<Element, Refusal> {
    let found = zip
        .members()
        .filter(|member| member.name.eq_ignore_ascii_case(name))
        .last();
    let member = found.ok_or(Refusal::Truncated)?;
    xml::parse(&zip.read(&member, MANIFEST_BYTES)?, budget)
}

/// Says that the manifest cannot be read, unless the whole inspection ends here.
pub(super) fn tell_unreadable(report: &mut Report, refusal: &Refusal) -> Result<(), Refusal> {
    if let Refusal::Io(error) = refusal {
        return Err(Refusal::Io(std::io::Error::from(error.kind())));
    }
    let message = format!("Its manifest cannot be read, so that Windows does not install it. {refusal}");
    report.error(MANIFEST_INVALID.0, message, MANIFEST_INVALID.1);
    Ok(())
}

/// Who the package says it is, whole.
pub(super) fn identity(root: &Element) -> Option<&Element> {
    let identity = root.child("Identity")?;
    let is_whole = ["Name", "Publisher", "Version"]
        .iter()
        .all(|name| identity.attribute(name).is_some());
    is_whole.then_some(identity)
}

/// Says what the manifest says.
pub(super) fn tell_identity(report: &mut Report, root: &Element) {
    let Some(identity) = identity(root) else {
        let message = "Its manifest lacks the identity, of which name, publisher and version are parts.";
        return report.error(MANIFEST_INVALID.0, message, MANIFEST_INVALID.1);
    };
    report.set_text("app_id", identity.attribute("Name"));
    report.set_text("version", identity.attribute("Version"));
    report.set_text("publisher", identity.attribute("Publisher"));
    report.set_text("resource_id", identity.attribute("ResourceId"));
}

fn tell_manifest(report: &mut Report, package: &Element) {
    tell_identity(report, package);
    if let Some(identity) = package.child("Identity") {
        report.set_archs(identity.attribute("ProcessorArchitecture"));
    }
    tell_properties(report, package);
    tell_min_os(report, package);
    tell_dependencies(report, package);
    let applications = || {
        package
            .child("Applications")
            .into_iter()
            .flat_map(|them| them.all("Application"))
    };
    report.set_list(
        "applications",
        applications().filter_map(|application| application.attribute("Id")),
    );
    report.set_list(
        "executables",
        applications().filter_map(|application| application.attribute("Executable")),
    );
    let capabilities = package
        .child("Capabilities")
        .into_iter()
        .flat_map(|them| &them.children);
    report.set_list(
        "capabilities",
        capabilities.filter_map(|capability| capability.attribute("Name")),
    );
}

/// What is shown of it; references to resources are left as they are.
pub(super) fn tell_properties(report: &mut Report, package: &Element) {
    let property = |name: &str| package.path(&["Properties", name]).map(|property| property.text.trim());
    report.set_text("name", property("DisplayName"));
    report.set_text("publisher_display_name", property("PublisherDisplayName"));
    report.set_text("description", property("Description"));
    report.set_text("icon_path", property("Logo"));
    let is_framework = property("Framework").filter(|text| *text == "true").map(|_| true);
    report.set_flag("is_framework", is_framework);
}

/// The packages without which it is not installed: frameworks, and the app that it adds something to.
fn tell_dependencies(report: &mut Report, package: &Element) {
    let dependencies = package
        .child("Dependencies")
        .into_iter()
        .flat_map(|them| &them.children);
    let packages = dependencies.filter(|it| matches!(it.local_name(), "PackageDependency" | "MainPackageDependency"));
    let text = |package: &Element| {
        let name = package.attribute("Name")?;
        let version = package.attribute("MinVersion");
        Some(version.map_or_else(|| name.to_owned(), |version| format!("{name} (>= {version})")))
    };
    report.set_list("depends", packages.filter_map(text));
}

/// What a package runs on; old ones say only of which version of Windows they are.
pub(super) fn tell_min_os(report: &mut Report, package: &Element) {
    tell_families(report, package.child("Dependencies"));
    let prerequisites = package.child("Prerequisites");
    if !report.facts.contains_key("min_os") {
        report.set_text("min_os", prerequisites.and_then(|them| them.child_text("OSMinVersion")));
    }
}

/// The kinds of device that it runs on, each with its own versions of Windows.
pub(super) fn tell_families(report: &mut Report, dependencies: Option<&Element>) {
    let families = || dependencies.into_iter().flat_map(|them| them.all("TargetDeviceFamily"));
    let first = families().next();
    report.set_text("min_os", first.and_then(|family| family.attribute("MinVersion")));
    report.set_text(
        "target_os",
        first.and_then(|family| family.attribute("MaxVersionTested")),
    );
    let object = |family: &Element| {
        let names = [
            ("name", "Name"),
            ("min", "MinVersion"),
            ("max_tested", "MaxVersionTested"),
        ];
        let entry = |(ours, theirs): (&str, &str)| Some((ours.to_owned(), family.attribute(theirs)?.into()));
        Value::Object(names.into_iter().filter_map(entry).collect())
    };
    set_values(report, "target_device_families", families().map(object));
}

/// Sets a list of objects, unless it is empty.
pub(super) fn set_values(report: &mut Report, key: &str, values: impl Iterator<Item = Value>) {
    let list: Vec<Value> = values.collect();
    if list.is_empty() {
        return;
    }
    // Objects are cut where texts and lists are.
    let mut object = Map::new();
    object.insert(key.to_owned(), json!(list));
    report.set_object(key, object);
    if let Some(cut) = report
        .facts
        .get_mut(key)
        .and_then(|value| value.as_object_mut()?.remove(key))
    {
        report.facts.insert(key.to_owned(), cut);
    }
}

/// The picture of the store, or the largest of its variants, as `Logo.scale-200.png` is of `Logo.png`.
pub(super) fn icon(zip: &Zip<'_>, package: &Element, budget: &Budget) -> Result<Option<Icon>, Refusal> {
    let Some(logo) = package.path(&["Properties", "Logo"]) else {
        return Ok(None);
    };
    let logo = path(logo.text.trim());
    let Some((stem, extension)) = logo.rsplit_once('.') else {
        return Ok(None);
    };
    let is_variant = |path: &str| {
        let qualifiers = path.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension));
        qualifiers.is_some_and(|it| it.starts_with('.') && it.ends_with('.') && !it.contains('/'))
    };
    let variants = zip.members().filter(|member| is_variant(&path_of(member.name)));
    let best = variants
        .filter(|member| member.size() <= ICON_BYTES)
        .max_by_key(Member::size);
    let Some(best) = best else { return Ok(None) };
    match zip
        .read(&best, ICON_BYTES)
        .and_then(|bytes| picture::icon(&bytes, budget))
    {
        Ok(icon) => Ok(Some(icon)),
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. })) => Err(stop),
        // An icon that cannot be shown hinders nobody, and a damaged file is told elsewhere.
        Err(_) => Ok(None),
    }
}

/// The namespace of a name with the prefixes that a document's root declares.
pub(super) fn namespace<'e>(root: &'e Element, name: &str) -> Option<&'e str> {
    let wanted = name
        .split_once(':')
        .map_or("xmlns".to_owned(), |(prefix, _)| format!("xmlns:{prefix}"));
    let mut attributes = root.attributes.iter();
    attributes
        .find(|(key, _)| *key == wanted)
        .map(|(_, value)| value.as_str())
}

/// A path in a manifest as Windows compares it: with slashes, and in lower case.
pub(super) fn path(name: &str) -> String {
    name.replace('\\', "/").to_lowercase()
}

/// The same of a member's name, in which all but letters and digits is escaped as in URLs.
pub(super) fn path_of(name: &[u8]) -> String {
    let mut path = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.get(..2)).flatten();
        let decoded = escaped.and_then(|digits| hex::decode(digits).ok());
        if let Some([decoded]) = decoded.as_deref() {
            path.push(*decoded);
            rest = &after[2..];
        } else {
            path.push(byte);
            rest = after;
        }
    }
    self::path(&String::from_utf8_lossy(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_as_windows_does() {
        assert_eq!(path_of(b"Assets\\Logo%20A.png"), "assets/logo a.png");
        assert_eq!(path("Assets\\100%25.png"), "assets/100%25.png");
        assert_eq!(path_of(b"100%"), "100%");
        assert_eq!(path_of(b"a%zz%4"), "a%zz%4");
    }
}
