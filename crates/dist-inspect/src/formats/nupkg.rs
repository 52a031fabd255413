//! Packages as Squirrel updates use them, and others of `NuGet`.

use super::{Marker, Otherwise, Row, program_zip, signature, zip};
use crate::archive::zip::Zip;
use crate::parse::cms::SignedData;
use crate::parse::xml::{self, Element};
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

pub(super) static NUPKG: Row = Row {
    format: Format::Nupkg,
    package_type: "nupkg",
    content_type: "application/zip",
    extensions: &["nupkg"],
    recognises: |subject| subject.zips(&[Marker::Nuspec]),
    otherwise: Otherwise::Zip {
        no_zip: "nupkg.not_a_zip",
        lacking: "nupkg.no_nuspec",
        sentence: "A NuGet package has a .nuspec, and this zip has none.",
    },
    describe,
};

/// A code, and what to do about it.
type Code = (&'static str, &'static str);

const NUSPEC_INVALID: Code = ("nupkg.nuspec_invalid", "Pack it again with nuget pack.");
const UPDATE_ONLY: Code = (
    "nupkg.update_only",
    "Publish the Setup.exe beside it for those who install it the first time.",
);
/// How large a nuspec may be, in bytes.
const NUSPEC_BYTES: u64 = 1 << 20;

/// How large a signature may be, in bytes.
const SIGNATURE_BYTES: u64 = 4 << 20;

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let report = &mut inspection.report;
    report.set_text("package_type", Some("nupkg"));
    tell_signature(subject, report, zip)?;
    let is_nuspec = |name: &[u8]| Marker::of(name) == Some(Marker::Nuspec);
    let nuspec = zip
        .members()
        .find(|member| is_nuspec(member.name))
        .ok_or(Refusal::Truncated)?;
    let root = zip
        .read(&nuspec, NUSPEC_BYTES)
        .and_then(|bytes| xml::parse(&bytes, subject.budget));
    match root {
        Ok(root) => tell_nuspec(report, &root),
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. })) => return Err(stop),
        Err(refusal) => {
            let message = format!("Its .nuspec cannot be read, so that nothing updates to it. {refusal}");
            report.error(NUSPEC_INVALID.0, message, NUSPEC_INVALID.1);
        }
    }
    tell_layout(subject, report, zip);
    for fault in &zip::check_members(zip)? {
        report.refuse(fault);
    }
    program_zip::tell(subject, inspection, zip)
}

/// Says who signed it, author or repository; `NuGet` itself compares the digest.
fn tell_signature(subject: &Subject<'_>, report: &mut Report, zip: &Zip<'_>) -> Result<(), Refusal> {
    let member = zip.find(b".signature.p7s");
    report.set_flag("signed", Some(member.is_some()));
    let Some(member) = member else { return Ok(()) };
    let bytes = match zip.read(&member, SIGNATURE_BYTES) {
        Ok(bytes) => bytes,
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
        // What is damaged is told of all members.
        Err(_) => return Ok(()),
    };
    let Ok(message) = SignedData::parse(&bytes) else {
        return Ok(());
    };
    let signer = message.signers.first().filter(|signer| signer.certificate.is_some());
    if let Some(signer) = signer.cloned() {
        signature::tell_signer(subject, report, &message, &signer);
    }
    Ok(())
}

fn tell_nuspec(report: &mut Report, root: &Element) {
    let text = |name: &str| root.path(&["metadata", name]).map(|element| element.text.trim());
    let is_whole = ["id", "version"]
        .iter()
        .all(|name| text(name).is_some_and(|text| !text.is_empty()));
    if !is_whole {
        let message = "Its .nuspec lacks id or version, so that nothing updates to it.";
        report.error(NUSPEC_INVALID.0, message, NUSPEC_INVALID.1);
    }
    let facts = [
        ("app_id", "id"),
        ("version", "version"),
        ("name", "title"),
        ("publisher", "authors"),
        ("owners", "owners"),
        ("description", "description"),
        ("homepage", "projectUrl"),
    ];
    for (fact, element) in facts {
        report.set_text(fact, text(element));
    }
    // The name of a file with the license says nothing of it.
    let license = root.path(&["metadata", "license"]);
    let license = license.filter(|license| license.attribute("type") != Some("file"));
    report.set_text("license", license.map(|license| license.text.trim()));
}

/// Squirrel's packages have the app in a folder of .NET's, those of its heir Velopack in another one,
/// or the differences to the last one. Other packages are installed by the tools that they are for.
fn tell_layout(subject: &Subject<'_>, report: &mut Report, zip: &Zip<'_>) {
    let is_in_lib = |name: &[u8]| name.starts_with(b"lib/net") || name.starts_with(b"lib/app/");
    let ends_with = |name: &[u8], endings: &[&[u8]]| endings.iter().any(|ending| name.ends_with(ending));
    let is_diff = |name: &[u8]| is_in_lib(name) && ends_with(name, &[b".diff", b".bsdiff", b".zsdiff"]);
    let is_program = |name: &[u8]| is_in_lib(name) && name.to_ascii_lowercase().ends_with(b".exe");
    let is_delta = zip.members().any(|member| is_diff(member.name));
    let is_update = is_delta || zip.members().any(|member| is_program(member.name));
    if is_update {
        report.set_text("squirrel", Some(if is_delta { "delta" } else { "full" }));
    }
    let is_named = ["-full.nupkg", "-delta.nupkg"]
        .iter()
        .any(|ending| subject.name.ends_with(ending));
    if !is_update && !is_named {
        return;
    }
    let message = "It is what updates are made of, and is not installed by itself.";
    report.info(UPDATE_ONLY.0, message, UPDATE_ONLY.1);
}
