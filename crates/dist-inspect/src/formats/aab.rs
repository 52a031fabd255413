//! Android app bundles.

use std::collections::BTreeSet;

use super::apk::icon::Files;
use super::apk::manifest::Manifest;
use super::apk::signature::{Fault, tell_signers};
use super::apk::{MANIFEST_BYTES, processors, v1};
use super::{Marker, Otherwise, Row};
use crate::archive::zip::Zip;
use crate::parse::protobuf::{Field, Message};
use crate::parse::resources::{Element, Table};
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

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
    if let Some(config) = zip.find(b"BundleConfig.pb") {
        let config = zip.read(&config, MANIFEST_BYTES)?;
        let bundletool = Message::new(&config).get(1)?.map(Field::bytes);
        let version = Message::new(bundletool.unwrap_or_default()).get(2)?;
        report.set_text("bundletool_version", version.map(Field::text));
    }
    let resources = match zip.find(b"base/resources.pb") {
        Some(member) => zip.read(&member, budget.limits().member_bytes)?,
        None => Vec::new(),
    };
    let root = Element::from_proto(&zip.read(&member, MANIFEST_BYTES)?, budget)?;
    let manifest = Manifest::new(root, Table::from_proto(&resources, budget))?;
    manifest.describe(report)?;
    manifest.warn(report)?;
    describe_signature(zip, report)?;
    let files = Files {
        zip,
        folder: "base/",
        read_xml: Element::from_proto,
        budget,
    };
    inspection.icon = files.icon(&manifest)?;
    Ok(())
}

/// An app bundle is signed as a JAR, with the key by which the store knows who uploads it.
fn describe_signature(zip: &Zip<'_>, report: &mut Report) -> Result<(), Refusal> {
    match v1::verify(zip, JAR_SDK, &[]) {
        Ok(Some(jar)) => {
            report.set_flag("signed", Some(!jar.is_weak));
            tell_signers(&jar.certificates.iter().collect::<Vec<_>>(), report);
            if jar.is_weak {
                let message = "Its signature is made with SHA-1, which counts for nothing any more.";
                report.warning(WEAK.0, message, WEAK.1);
            }
        }
        Ok(None) => {
            report.set_flag("signed", Some(false));
            report.warning(UNSIGNED.0, "It is not signed, and no store takes it.", UNSIGNED.1);
        }
        Err(Fault::Stop(refusal)) => return Err(refusal),
        Err(Fault::Broken(why)) => {
            report.set_flag("signed", Some(false));
            let message = format!("Its signature does not hold, so that no store takes it: {why}.");
            report.error(BROKEN.0, message, BROKEN.1);
        }
    }
    Ok(())
}

/// JARs take the rules of the newest Android.
const JAR_SDK: u32 = 30;

const NO_BASE: (&str, &str) = ("aab.no_base", "Build the bundle with Gradle or bundletool.");
const BROKEN: (&str, &str) = (
    "aab.signature_broken",
    "Sign it as the last step of the build, and change nothing after.",
);
const WEAK: (&str, &str) = (
    "aab.weak_signature",
    "Sign it with `jarsigner -sigalg SHA256withRSA -digestalg SHA-256`.",
);
const UNSIGNED: (&str, &str) = ("aab.unsigned", "Sign it with the upload key, by Gradle or jarsigner.");
