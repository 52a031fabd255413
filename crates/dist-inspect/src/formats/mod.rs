//! One row a format. To add one: its row in the file of its family, and its line in [`TABLE`].

mod android;
mod apple;
mod generic;
mod linux;
mod member;
mod windows;

use serde_json::Map;

use crate::archive::zip::Fault;
use crate::sample::Sample;
use crate::{Finding, Format, Report, Severity, Verdict, name};

pub(crate) use member::Member;

/// How a format is recognised, and what its artifacts are.
pub(crate) struct Row {
    pub(crate) format: Format,
    pub(crate) package_type: &'static str,
    pub(crate) content_type: &'static str,
    /// The endings of a name that claim to be one, in lower case and without the first dot.
    pub(crate) extensions: &'static [&'static str],
    /// Whether the file is one, by its magic number, by its members or, where these say too little,
    /// by its name.
    pub(crate) recognises: fn(&Sample) -> bool,
    /// What is said of a file that claims to be one and is not.
    pub(crate) otherwise: Otherwise,
    /// Adds to the report what the file says about itself.
    pub(crate) describe: fn(&Sample, &mut Report),
}

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
static TABLE: [&Row; 25] = [
    &apple::IPA,
    &android::AAB,
    &android::APKS,
    &android::XAPK,
    &android::APK,
    &windows::MSIXBUNDLE,
    &windows::MSIX,
    &windows::NUPKG,
    &apple::APP_ZIP,
    &generic::ZIP,
    &apple::DMG,
    &apple::PKG,
    &linux::DEB,
    &linux::RPM,
    &linux::APPIMAGE,
    &linux::FLATPAK,
    &linux::SNAP,
    &windows::PE,
    &windows::MSI,
    &apple::APP_TAR,
    &generic::TAR_GZ,
    &generic::TAR_XZ,
    &generic::TAR_ZST,
    &generic::TAR_BZ2,
    &generic::TAR,
];

/// What a file is that no row recognises.
const UNKNOWN: (&str, &str) = ("file", "application/octet-stream");

/// The report on a file: what it is, and whether it is what it claims to be.
pub(crate) fn judge(sample: &Sample) -> Report {
    let found = TABLE.into_iter().find(|row| (row.recognises)(sample));
    let format = found.map_or(Format::Unknown, |row| row.format);
    let (package_type, content_type) = found.map_or(UNKNOWN, |row| (row.package_type, row.content_type));
    let mut report = Report {
        platform: format.platform(),
        format,
        verdict: Verdict::Passed,
        facts: Map::new(),
        findings: objection(sample, found).into_iter().collect(),
        package_type,
        arch: None,
        content_type,
    };
    if let Some(row) = found {
        (row.describe)(sample, &mut report);
    }
    // Archives and bare programs are of every platform; their names say of which.
    if report.platform.is_none() {
        report.platform = name::platform(&sample.name);
        report.arch = report.arch.or_else(|| name::processor(&sample.name).map(str::to_owned));
    }
    report.verdict = Verdict::of(&report.findings);
    report
}

/// Why the file cannot be what it claims to be; one reason is enough.
fn objection(sample: &Sample, found: Option<&Row>) -> Option<Finding> {
    if sample.head.is_empty() {
        return Some(error("file.empty", "The file is empty.".to_owned(), BUILD_AGAIN));
    }
    if let Some(fault) = sample.zip.as_ref().and_then(|zip| zip.fault.as_ref()) {
        return Some(zip_fault(fault));
    }
    let claimed = TABLE.into_iter().find(|row| sample.is_named(row.extensions))?;
    // Whatever is packed in a zip is also a zip.
    let is_zip = claimed.format == Format::Zip && sample.zip.is_some();
    if is_zip || found.is_some_and(|row| row.format == claimed.format) {
        return None;
    }
    let (code, sentence) = match claimed.otherwise {
        Otherwise::Bytes(code, sentence) => (code, sentence),
        Otherwise::Zip { no_zip, .. } if sample.zip.is_none() => {
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

fn zip_fault(fault: &Fault) -> Finding {
    match fault {
        Fault::Broken(why) => {
            let message = format!("The zip's directory cannot be read: {why}.");
            error("zip.broken", message, BUILD_AGAIN)
        }
        Fault::TooManyEntries(limit) => {
            let message = format!("The zip lists more than {limit} members.");
            error("zip.too_many_entries", message, "Pack fewer files.")
        }
        Fault::TooLong(limit) => {
            let message = format!("The zip's directory is longer than {limit} bytes.");
            error("zip.directory_too_long", message, "Pack fewer files.")
        }
    }
}

const BUILD_AGAIN: &str = "Build it again, and see that it is copied whole.";

fn error(code: &'static str, message: String, help: &'static str) -> Finding {
    Finding {
        severity: Severity::Error,
        code,
        message,
        help,
    }
}

/// For formats of which kind is all that is told.
fn nothing_more(_: &Sample, _: &mut Report) {}

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
