//! Windows Installer packages.

use std::collections::BTreeMap;

use super::{Otherwise, Row, signature};
use crate::parse::cfb::{self, CompoundFile};
use crate::parse::ico;
use crate::parse::msi::{Kind, Package, Summary};
use crate::parse::pe::Pe;
use crate::parse::pe_resources::Resources;
use crate::subject::Subject;
use crate::{Budget, Format, Icon, Inspection, Refusal, Report};

/// Word documents and others start as an msi does, so the name has its say.
pub(super) static MSI: Row = Row {
    format: Format::Msi,
    package_type: "msi",
    content_type: "application/x-msi",
    extensions: &["msi", "msp", "mst"],
    recognises: |subject| subject.starts_with(cfb::MAGIC) && subject.is_named(MSI.extensions),
    otherwise: Otherwise::Bytes(
        "msi.not_a_compound_file",
        "An msi is an OLE compound file, and this is none.",
    ),
    describe,
};

/// A code, and what to do about it.
type Code = (&'static str, &'static str);

const BUILD_AGAIN: &str = "Build it again, and see that it is copied whole.";
const BROKEN: Code = ("msi.broken", BUILD_AGAIN);
const NO_PRODUCT: Code = (
    "msi.no_product",
    "Set ProductCode, ProductName, ProductVersion, ProductLanguage and Manufacturer.",
);
const PATCH: Code = ("msi.patch", "Publish the whole package, which upgrades as well.");
const TRANSFORM: Code = ("msi.transform", "Publish the package that it is for.");
const NO_UPGRADE_CODE: Code = (
    "msi.no_upgrade_code",
    "Set an UpgradeCode, and keep it from release to release.",
);
/// What Windows Installer refuses to do without.
const REQUIRED: [&str; 5] = [
    "ProductCode",
    "ProductName",
    "ProductVersion",
    "ProductLanguage",
    "Manufacturer",
];

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    match read(subject, inspection) {
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. })) => Err(stop),
        Err(refusal) => {
            let message = format!("It is damaged, so that Windows Installer cannot open it. {refusal}");
            inspection.report.error(BROKEN.0, message, BROKEN.1);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn read(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let package = Package::new(CompoundFile::open(subject.source, subject.budget)?)?;
    let report = &mut inspection.report;
    match package.kind()? {
        Kind::Product => {
            tell_summary(report, &package.summary()?);
            let properties = package.properties()?;
            tell_properties(report, &properties);
            inspection.icon = icon(&package, &properties, subject.budget)?;
        }
        Kind::Patch => {
            let message = "It is a patch, which changes a product that is installed and installs none.";
            // Under its own name it is what it claims to be, and of use where the product is.
            if subject.is_named(&["msp"]) {
                report.warning(PATCH.0, message, PATCH.1);
            } else {
                report.error(PATCH.0, message, PATCH.1);
            }
        }
        Kind::Transform => {
            let message = "It is a transform, which changes how a package is installed and installs nothing.";
            report.error(TRANSFORM.0, message, TRANSFORM.1);
        }
    }
    let report = &mut inspection.report;
    let Some(blob) = package.signature()? else {
        signature::tell_none(report, "Windows warns of an unknown publisher when it is installed");
        return Ok(());
    };
    signature::tell(subject, report, &blob, &|hasher| {
        package.visit_signed(&mut |part| hasher.update(part))
    })
}

/// The icon that Windows lists the product with; `None` where it has none, or one that nobody can read.
fn icon(
    package: &Package<'_>,
    properties: &BTreeMap<String, Option<String>>,
    budget: &Budget,
) -> Result<Option<Icon>, Refusal> {
    let Some(Some(name)) = properties.get("ARPPRODUCTICON") else {
        return Ok(None);
    };
    let Some(bytes) = package.icon(name)? else {
        return Ok(None);
    };
    let read = || {
        if ico::is_icon(&bytes) {
            return ico::icon(&bytes, budget);
        }
        let pe = Pe::read(&bytes, budget)?;
        Resources::of(&pe, &bytes, budget).map_or(Ok(None), |resources| resources.icon())
    };
    match read() {
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => Err(stop),
        icon => Ok(icon.unwrap_or_default()),
    }
}

fn tell_summary(report: &mut Report, summary: &Summary) {
    report.set_text("package_code", summary.package_code.as_deref());
    report.set_text("template", summary.template.as_deref());
    report.set_text("description", summary.subject.as_deref());
    let Some(template) = &summary.template else { return };
    // Several processors stand for one package that is made for all of them; none is x86.
    let processors = template.split(';').next().unwrap_or_default().split(',');
    report.set_archs(processors.map(|word| if word.trim().is_empty() { "Intel" } else { word.trim() }));
}

fn tell_properties(report: &mut Report, properties: &BTreeMap<String, Option<String>>) {
    let facts = [
        ("name", "ProductName"),
        ("version", "ProductVersion"),
        ("product_code", "ProductCode"),
        ("upgrade_code", "UpgradeCode"),
        ("publisher", "Manufacturer"),
        ("language", "ProductLanguage"),
        ("allusers", "ALLUSERS"),
    ];
    for (fact, property) in facts {
        report.set_text(fact, properties.get(property).and_then(Option::as_ref));
    }
    let missing: Vec<&str> = REQUIRED
        .into_iter()
        .filter(|name| !properties.contains_key(*name))
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "It lacks {}, so that Windows Installer does not install it.",
            missing.join(", ")
        );
        report.error(NO_PRODUCT.0, message, NO_PRODUCT.1);
    }
    if !properties.contains_key("UpgradeCode") {
        let message = "It has no upgrade code, so that a new version does not replace an old one.";
        report.warning(NO_UPGRADE_CODE.0, message, NO_UPGRADE_CODE.1);
    }
}
