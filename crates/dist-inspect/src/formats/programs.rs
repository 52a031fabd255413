//! Programs for Windows in zips: the one that is started says what the zip is.

use dist_model::Platform;

use super::pe;
use crate::archive::zip::{Member, Zip};
use crate::parse;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Inspection, Refusal, name};

/// Programs that come along with others, by how their names start.
const HELPERS: [&str; 6] = ["unins", "update", "createdump", "squirrel", "crashpad", "elevate"];

/// Says of a zip what its main program says of itself, if it has one for Windows.
pub(super) fn tell(subject: &Subject<'_>, inspection: &mut Inspection, zip: &Zip<'_>) -> Result<(), Refusal> {
    let claimed = name::platform(&subject.name).or(inspection.report.platform);
    if claimed.is_some_and(|platform| platform != Platform::Windows) {
        return Ok(());
    }
    let programs = zip
        .members()
        .filter(|member| !member.is_folder() && stem(member.name).is_some());
    let Some(main) = programs.min_by_key(|member| rank(subject, member)) else {
        return Ok(());
    };
    if main.is_stored() {
        return tell_one(subject, inspection, &main, &zip.section(&main)?);
    }
    match zip.read(&main, subject.budget.limits().member_bytes) {
        Ok(bytes) => tell_one(subject, inspection, &main, &bytes),
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => Err(stop),
        // What is damaged or too large to be unpacked has been told, or is nobody's fault.
        Err(_) => Ok(()),
    }
}

/// The lower the likelier it is what is started: in few folders, no helper, named as the zip is, and
/// large.
fn rank(subject: &Subject<'_>, member: &Member<'_>) -> (usize, bool, bool, u64) {
    let stem = stem(member.name).unwrap_or_default();
    let depth = member.name.split(|byte| *byte == b'/').count();
    let is_helper = HELPERS.iter().any(|helper| stem.starts_with(helper)) || stem.ends_with("_executionstub");
    (
        depth,
        is_helper,
        !subject.name.contains(&stem),
        u64::MAX - member.size(),
    )
}

/// The name of a program without folders and ending, in lower case; `None` for other members.
fn stem(name: &[u8]) -> Option<String> {
    let file = name.rsplit(|byte| *byte == b'/').next()?;
    let file = String::from_utf8_lossy(file).to_lowercase();
    let is_hidden = file.starts_with('.') || name.starts_with(b"__MACOSX/");
    let stem = file.strip_suffix(".exe").filter(|_| !is_hidden);
    stem.map(str::to_owned)
}

fn tell_one(
    subject: &Subject<'_>,
    inspection: &mut Inspection,
    member: &Member<'_>,
    source: &dyn Source,
) -> Result<(), Refusal> {
    let mut magic = [0; 2];
    if source.read_exact_at(0, &mut magic).is_err() || magic != parse::pe::MAGIC {
        return Ok(());
    }
    let path = String::from_utf8_lossy(member.name).into_owned();
    // What a package says of itself stays.
    let own = inspection.report.facts.clone();
    let found = inspection.report.findings.len();
    let told = pe::tell(subject, source, inspection);
    let report = &mut inspection.report;
    report.facts.extend(own);
    report.platform = Some(Platform::Windows);
    report.set_text("main_exe", Some(&path));
    report.set_number("binary_size", i64::try_from(member.size()).ok());
    for finding in report.findings.iter_mut().skip(found) {
        finding.message = format!("Its program {path}: {}", finding.message);
    }
    told
}
