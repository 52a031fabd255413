//! One row a format. To add one: a file with its row, and a line in [`TABLE`].

mod aab;
mod apk;
mod appimage;
mod block_map;
mod bundle;
mod deb;
mod desktop;
mod dmg;
mod flatpak;
mod installer;
mod ipa;
mod mac_app;
mod marker;
mod msi;
mod msix;
mod msix_bundle;
mod msix_signature;
mod nupkg;
mod pe;
mod pkg;
mod profile;
mod program_zip;
mod programs;
mod rpm;
mod seal;
mod signature;
mod signed_code;
mod snap;
mod splits;
mod tar;
mod zip;

use serde_json::Map;

use crate::archive::zip::Zip;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Budget, Finding, Format, Inspection, Refusal, Report, Severity, Verdict, name};

pub(crate) use marker::Marker;

/// How a format is recognised, and what its artifacts are.
pub(crate) struct Row {
    pub(crate) format: Format,
    pub(crate) package_type: &'static str,
    pub(crate) content_type: &'static str,
    /// The endings of a name that claim to be one, in lower case and without the first dot.
    pub(crate) extensions: &'static [&'static str],
    /// Whether the file is one, by its magic number, by its members or, where these say too little,
    /// by its name.
    pub(crate) recognises: fn(&Subject<'_>) -> bool,
    /// What is said of a file that claims to be one and is not.
    pub(crate) otherwise: Otherwise,
    /// Adds what the file says about itself. A refusal ends the description, and becomes a finding
    /// as severe as it is by itself; what has been added by then stays.
    pub(crate) describe: Describe,
}

type Describe = fn(&Subject<'_>, &mut Inspection) -> Result<(), Refusal>;

/// What is said of a file that claims to be of a format and is not.
pub(crate) enum Otherwise {
    /// The code and the sentence for bytes that are something else.
    Bytes(&'static str, &'static str),
    /// The code for what is no zip, and code and sentence for a zip of something else.
    Zip {
        no_zip: &'static str,
        lacking: &'static str,
        sentence: &'static str,
    },
}

/// Every format, the more specific before the more general: the first that recognises a file has
/// it.
static TABLE: [&Row; 26] = [
    &profile::PROFILE,
    &ipa::IPA,
    &aab::AAB,
    &splits::APKS,
    &splits::XAPK,
    &apk::APK,
    &msix_bundle::MSIXBUNDLE,
    &msix::MSIX,
    &nupkg::NUPKG,
    &mac_app::APP_ZIP,
    &zip::ZIP,
    &dmg::DMG,
    &pkg::PKG,
    &deb::DEB,
    &rpm::RPM,
    &appimage::APPIMAGE,
    &flatpak::FLATPAK,
    &snap::SNAP,
    &pe::PE,
    &msi::MSI,
    &mac_app::APP_TAR,
    &tar::TAR_GZ,
    &tar::TAR_XZ,
    &tar::TAR_ZST,
    &tar::TAR_BZ2,
    &tar::TAR,
];

/// What a file is that no row recognises.
const UNKNOWN: (&str, &str) = ("file", "application/octet-stream");

/// What a file is, and whether it is what it claims to be.
pub(crate) fn judge(source: &dyn Source, name: &str, budget: &Budget, now: i64) -> Result<Inspection, Refusal> {
    let subject = Subject::take(source, name, budget, now, claims_to_be_zip)?;
    let found = TABLE.into_iter().find(|row| (row.recognises)(&subject));
    let mut report = blank(found);
    report.findings.extend(objection(&subject, found));
    let mut inspection = Inspection { report, icon: None };
    for fault in subject.zip().into_iter().flat_map(Zip::faults) {
        inspection.report.refuse(fault);
    }
    let describe = found.map_or(programs::describe_bare as Describe, |row| row.describe);
    match describe(&subject, &mut inspection) {
        Err(unreadable @ Refusal::Io(_)) => return Err(unreadable),
        Err(refusal) => inspection.report.refuse(&refusal),
        Ok(()) => {}
    }
    let report = &mut inspection.report;
    complete_by_name(report, &subject.name);
    report.verdict = Verdict::of(&report.findings);
    Ok(inspection)
}

/// What a file is that is named `name`, if its name is all that is known.
pub(crate) fn by_name(name: &str) -> Report {
    let name = name.to_lowercase();
    let mut report = blank(claimed(&name));
    complete_by_name(&mut report, &name);
    report
}

/// A report that says no more than the row.
fn blank(row: Option<&Row>) -> Report {
    let format = row.map_or(Format::Unknown, |row| row.format);
    let (package_type, content_type) = row.map_or(UNKNOWN, |row| (row.package_type, row.content_type));
    Report {
        platform: format.platform(),
        format,
        verdict: Verdict::Passed,
        facts: Map::new(),
        findings: Vec::new(),
        package_type: package_type.into(),
        arch: None,
        content_type: content_type.into(),
    }
}

/// Archives and bare programs are of every platform; their names, in lower case, say of which.
fn complete_by_name(report: &mut Report, name: &str) {
    if report.platform.is_none() {
        report.platform = name::platform(name);
        report.arch = report.arch.take().or_else(|| name::processor(name).map(str::to_owned));
    }
}

/// The row that a name in lower case claims.
fn claimed(name: &str) -> Option<&'static Row> {
    TABLE.into_iter().find(|row| is_named(name, row.extensions))
}

/// Whether a name in lower case has one of these endings.
pub(crate) fn is_named(name: &str, extensions: &[&str]) -> bool {
    extensions.iter().any(|extension| {
        let stem = name.strip_suffix(extension);
        stem.is_some_and(|stem| stem.ends_with('.'))
    })
}

/// Whether a zip may follow whatever the file starts with.
fn claims_to_be_zip(subject: &Subject<'_>) -> bool {
    claimed(&subject.name)
        .is_some_and(|row| row.format == Format::Zip || matches!(row.otherwise, Otherwise::Zip { .. }))
}

/// Why the file cannot be what it claims to be; one reason is enough.
fn objection(subject: &Subject<'_>, found: Option<&Row>) -> Option<Finding> {
    if subject.source.is_empty() {
        return Some(error("file.empty", "The file is empty.".to_owned(), BUILD_AGAIN));
    }
    if let Some(Err(refusal)) = &subject.zip {
        return Some(refusal.finding());
    }
    let claimed = claimed(&subject.name)?;
    // Whatever is packed in a zip is also a zip, and an app in a tar is in a tar.
    let is_kind = |row: &Row| match claimed.format {
        Format::Tar => matches!(row.format, Format::Tar | Format::AppTar),
        Format::Zip => subject.zip.is_some(),
        format => row.format == format,
    };
    if found.is_some_and(is_kind) {
        return None;
    }
    let (code, sentence) = match claimed.otherwise {
        Otherwise::Bytes(code, sentence) => (code, sentence),
        Otherwise::Zip { no_zip, .. } if subject.zip.is_none() => {
            (no_zip, "The file's name is that of a zip, and it is none.")
        }
        Otherwise::Zip { lacking, sentence, .. } => (lacking, sentence),
    };
    let message = match found {
        Some(row) => format!("{sentence} It is of format {}.", row.format.as_str()),
        None => sentence.to_owned(),
    };
    Some(error(
        code,
        message,
        "Publish the file that the build made, under its own name.",
    ))
}

const BUILD_AGAIN: &str = "Build it again, and see that it is copied whole.";

fn error(code: &'static str, message: String, help: &'static str) -> Finding {
    Finding {
        severity: Severity::Error,
        code: code.into(),
        message,
        help: help.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_format_has_a_row_and_its_own_codes() {
        for format in Format::ALL.iter().filter(|format| **format != Format::Unknown) {
            assert!(TABLE.iter().any(|row| row.format == *format), "{format:?}");
        }
        let mut codes = BTreeSet::new();
        for row in TABLE {
            let (own, sentence) = match row.otherwise {
                Otherwise::Bytes(code, sentence) => (vec![code], sentence),
                Otherwise::Zip {
                    no_zip,
                    lacking,
                    sentence,
                } => (vec![no_zip, lacking], sentence),
            };
            assert!(sentence.ends_with('.'), "{sentence}");
            for code in own {
                assert!(code.starts_with(row.format.as_str()), "{code}");
                assert!(codes.insert(code), "{code} is there twice");
            }
        }
    }
}
