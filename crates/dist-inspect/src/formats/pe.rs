//! Windows executables and installers.

use serde_json::Map;

use super::{Otherwise, Row, installer, signature};
use crate::parse::authenticode::{hash_program, signed_message, table};
use crate::parse::pe::{self, Directory, Pe};
use crate::parse::pe_resources::{Resources, Version, kind};
use crate::parse::xml;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Budget, Format, Icon, Inspection, Refusal, Report};

pub(super) static PE: Row = Row {
    format: Format::Pe,
    package_type: "exe",
    content_type: "application/vnd.microsoft.portable-executable",
    extensions: &["exe"],
    recognises: |subject| {
        let header = subject.u32_at(0x3C).and_then(|offset| usize::try_from(offset).ok());
        subject.starts_with(pe::MAGIC) && header.is_some_and(|header| subject.has_at(header, pe::SIGNATURE))
    },
    otherwise: Otherwise::Bytes(
        "pe.no_header",
        "A Windows executable has a PE header, and this file has none.",
    ),
    describe,
};

/// A code, and what to do about it.
type Code = (&'static str, &'static str);

const BUILD_AGAIN: &str = "Build it again, and see that it is copied whole.";
const NOT_LOADABLE: Code = ("pe.not_loadable", BUILD_AGAIN);
const TRUNCATED: Code = ("pe.truncated", BUILD_AGAIN);
const RESOURCES_BROKEN: Code = (
    "pe.resources_broken",
    "See that whatever changes its icon or version afterwards writes it whole.",
);
const LIBRARY: Code = ("pe.library", "Publish the program that loads it.");

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    tell(subject, subject.source, inspection)
}

/// Says all there is to say of the program in `source`, which may be a member of `subject`.
pub(super) fn tell(subject: &Subject<'_>, source: &dyn Source, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    let pe = Pe::read(source, subject.budget)?;
    tell_soundness(report, &pe, source);
    tell_program(report, &pe, source);
    if let Some(resources) = Resources::of(&pe, source, subject.budget) {
        tell_resources(report, &resources, subject.budget);
        inspection.icon = tell_icon(report, &resources)?;
        tell_installer(report, &pe, source, Some(&resources))?;
    } else {
        report.set_flag("has_icon", Some(false));
        tell_installer(report, &pe, source, None)?;
    }
    tell_signature(subject, source, report, &pe)
}

/// Says what a program runs on.
fn tell_program(report: &mut Report, pe: &Pe, source: &dyn Source) {
    report.set_archs(pe.machine_name());
    report.set_number("subsystem", Some(pe.subsystem));
    report.set_flag("is_dll", Some(pe.is_dll));
    report.set_flag("is_dotnet", pe.directory(Directory::Clr).map(|_| true));
    report.set_flag("any_cpu", pe.is_any_cpu(source).then_some(true));
    report.set_text("min_os", Some(format!("{}.{}", pe.min_os.0, pe.min_os.1)));
}

/// Says what a program is, and what it asks for.
fn tell_resources(report: &mut Report, resources: &Resources<'_>, budget: &Budget) {
    match resources.version() {
        Ok(version) => tell_version(report, &version.unwrap_or_default()),
        Err(refusal) => tell_broken(report, "version", &refusal),
    }
    match resources.all(kind::MANIFEST).map(|found| found.into_iter().next()) {
        Ok(Some(manifest)) => {
            let root = resources
                .bytes(&manifest)
                .and_then(|bytes| xml::parse(&bytes, budget))
                .ok();
            let level = [
                "trustInfo",
                "security",
                "requestedPrivileges",
                "requestedExecutionLevel",
            ];
            let level = root.as_ref().and_then(|root| root.path(&level));
            report.set_text("execution_level", level.and_then(|level| level.attribute("level")));
        }
        Ok(None) => {}
        Err(refusal) => tell_broken(report, "manifest", &refusal),
    }
}

/// Says that resources cannot be read, once, and not of a file that is cut short, which says it all.
fn tell_broken(report: &mut Report, what: &str, refusal: &Refusal) {
    let told = [TRUNCATED.0, RESOURCES_BROKEN.0];
    if report.findings.iter().any(|finding| told.contains(&&*finding.code)) {
        return;
    }
    let message = format!("Its {what} cannot be read, and Windows may not show it. {refusal}");
    report.warning(RESOURCES_BROKEN.0, message, RESOURCES_BROKEN.1);
}

/// The texts, and the numbers where these say nothing.
fn tell_version(report: &mut Report, version: &Version) {
    let numbers = |numbers: Option<[u16; 4]>| {
        let known = numbers.filter(|numbers| *numbers != [0; 4]);
        known.map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}"))
    };
    let text = |name: &str| version.text(name).map(str::to_owned);
    let file = text("FileVersion").or_else(|| numbers(version.file));
    let product = text("ProductVersion").or_else(|| text("FileVersion"));
    report.set_text(
        "version",
        product.or_else(|| numbers(version.product)).or_else(|| file.clone()),
    );
    report.set_text("file_version", file);
    report.set_text("name", text("ProductName"));
    report.set_text("publisher", text("CompanyName"));
    report.set_text("description", text("FileDescription"));
    report.set_text("original_filename", text("OriginalFilename"));
    report.set_flag("squirrel_aware", text("SquirrelAwareVersion").map(|_| true));
    let texts = version
        .texts
        .iter()
        .map(|(key, text)| (key.clone(), text.clone().into()));
    report.set_object("version_info", texts.collect::<Map<_, _>>());
}

/// Whether Windows would load it.
fn tell_soundness(report: &mut Report, pe: &Pe, source: &dyn Source) {
    if !pe.is_loadable {
        let message = "Its optional header is of no known kind, so that Windows does not load it.";
        report.error(NOT_LOADABLE.0, message, NOT_LOADABLE.1);
    }
    if pe.end() > source.len() {
        let message = "It ends before its sections do, so that Windows says that it is no valid application.";
        report.error(TRUNCATED.0, message, TRUNCATED.1);
    }
    if pe.is_dll {
        report.warning(LIBRARY.0, "It is a library, and cannot be started.", LIBRARY.1);
    }
}

fn tell_icon(report: &mut Report, resources: &Resources<'_>) -> Result<Option<Icon>, Refusal> {
    let groups = resources.all(kind::ICON_GROUP).ok();
    report.set_flag("has_icon", groups.map(|groups| !groups.is_empty()));
    match resources.icon() {
        Ok(icon) => Ok(icon),
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. })) => Err(stop),
        Err(refusal) => {
            tell_broken(report, "icon", &refusal);
            Ok(None)
        }
    }
}

fn tell_installer(
    report: &mut Report,
    pe: &Pe,
    source: &dyn Source,
    resources: Option<&Resources<'_>>,
) -> Result<(), Refusal> {
    match installer::tell(report, pe, source, resources) {
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. })) => Err(stop),
        Err(refusal) => {
            tell_broken(report, "data", &refusal);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn tell_signature(subject: &Subject<'_>, source: &dyn Source, report: &mut Report, pe: &Pe) -> Result<(), Refusal> {
    let place = match table(pe, source) {
        Ok(Some(place)) => place,
        Ok(None) => {
            signature::tell_none(
                report,
                "Windows warns of an unknown publisher when it is downloaded and started",
            );
            return Ok(());
        }
        Err(refusal) => {
            signature::tell_broken(report, &refusal);
            return Ok(());
        }
    };
    match signed_message(source, place.clone()) {
        Ok(blob) => signature::tell(subject, report, &blob, &|hasher| {
            hash_program(pe, source, &place, hasher, subject.budget)
        }),
        Err(stop @ Refusal::Io(_)) => Err(stop),
        Err(refusal) => {
            signature::tell_broken(report, &refusal);
            Ok(())
        }
    }
}
