//! Packages as Squirrel updates use them, and others of `NuGet`.

use super::{Marker, Otherwise, Row, program_zip, zip};
use crate::archive::zip::Zip;
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

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let report = &mut inspection.report;
    report.set_text("package_type", Some("nupkg"));
    report.set_flag("signed", Some(zip.find(b".signature.p7s").is_some()));
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
    tell_layout(report, zip);
    for fault in &zip::check_members(zip)? {
        report.refuse(fault);
    }
    program_zip::tell(subject, inspection, zip)
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
        ("license", "license"),
        ("homepage", "projectUrl"),
    ];
    for (fact, element) in facts {
        report.set_text(fact, text(element));
    }
}

/// Squirrel's packages have the app in a folder of .NET's, or the differences to the last one.
fn tell_layout(report: &mut Report, zip: &Zip<'_>) {
    let is_in_lib = |name: &[u8]| name.starts_with(b"lib/net");
    let is_diff = |name: &[u8]| is_in_lib(name) && (name.ends_with(b".diff") || name.ends_with(b".bsdiff"));
    let is_program = |name: &[u8]| is_in_lib(name) && name.to_ascii_lowercase().ends_with(b".exe");
    let is_delta = zip.members().any(|member| is_diff(member.name));
    if is_delta || zip.members().any(|member| is_program(member.name)) {
        report.set_text("squirrel", Some(if is_delta { "delta" } else { "full" }));
    }
    let message = "It is what updates are made of, and is not installed by itself.";
    report.info(UPDATE_ONLY.0, message, UPDATE_ONLY.1);
}
