//! Programs for Windows in zips: the one that is started says what the zip is.

use std::io::Read as _;

use dist_model::Platform;

use super::pe;
use crate::archive::unpacked::Unpacked;
use crate::archive::zip::{Member, Zip};
use crate::parse;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Inspection, Refusal, name};

/// Programs that come along with others, by how their names start.
const HELPERS: [&str; 6] = ["unins", "update", "createdump", "squirrel", "crashpad", "elevate"];

/// How programs for Linux and macOS start.
const FOREIGN: [&[u8]; 4] = [
    b"\x7FELF",
    b"\xCF\xFA\xED\xFE",
    b"\xCE\xFA\xED\xFE",
    b"\xCA\xFE\xBA\xBE",
];
/// What stands between folders: some tools for Windows write its own slashes.
const SLASHES: &[u8] = b"/\\";
/// How many members beside a program are looked at.
const NEIGHBOURS: usize = 16;
/// How large a program may be, in bytes: one that is too large to be held is unpacked more than once.
const PROGRAM_BYTES: u64 = 1 << 30;

/// Says of a zip what its main program says of itself, if it has one for Windows.
pub(super) fn tell(subject: &Subject<'_>, inspection: &mut Inspection, zip: &Zip<'_>) -> Result<(), Refusal> {
    let claimed = name::platform(&subject.name).or(inspection.report.platform);
    if claimed.is_some_and(|platform| platform != Platform::Windows) {
        return Ok(());
    }
    let root = root_len(zip);
    let is_program = |name: &[u8]| is_at_hand(name.get(root..).unwrap_or_default()) && stem(name).is_some();
    let programs = zip
        .members()
        .filter(|member| is_program(member.name) && member.size() <= PROGRAM_BYTES);
    let Some(main) = programs.min_by_key(|member| rank(subject, member)) else {
        return Ok(());
    };
    if claimed.is_none() && has_others(zip, &main)? {
        return Ok(());
    }
    if main.is_stored() {
        return tell_one(subject, inspection, &main, &zip.section(&main)?);
    }
    let held = subject.budget.limits().member_bytes;
    let told = if main.size() > held {
        tell_one(subject, inspection, &main, &Unpacked::new(zip, main))
    } else {
        match zip.read(&main, held) {
            Ok(bytes) => return tell_one(subject, inspection, &main, &bytes),
            Err(refusal) => Err(refusal),
        }
    };
    match told {
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. } | Refusal::Malformed { .. })) => {
            Err(stop)
        }
        // What is damaged or too large to be unpacked has been told, or is nobody's fault.
        _ => Ok(()),
    }
}

/// How long the path of the folder is that everything in a zip is in, with its slash.
fn root_len(zip: &Zip<'_>) -> usize {
    let folder = |name: &[u8]| {
        name.iter()
            .position(|byte| SLASHES.contains(byte))
            .map_or(0, |slash| slash + 1)
    };
    let first = zip.members().next().map(|member| member.name).unwrap_or_default();
    let root = &first[..folder(first)];
    let is_root = zip.members().all(|member| member.name.starts_with(root));
    if is_root { root.len() } else { 0 }
}

/// Whether a member stands where programs do that are to be started, its path being told from the
/// folder that everything is in; those deep inside are tools of something else.
fn is_at_hand(name: &[u8]) -> bool {
    let folders: Vec<_> = name.split(|byte| SLASHES.contains(byte)).collect();
    matches!(folders.as_slice(), [_] | [b"bin", _] | [b"lib", _, _])
}

/// Whether programs for other platforms stand beside the one for Windows, so that the zip is for
/// none in particular.
fn has_others(zip: &Zip<'_>, main: &Member<'_>) -> Result<bool, Refusal> {
    let folder = |name: &[u8]| {
        name.iter()
            .rposition(|byte| SLASHES.contains(byte))
            .map_or(0, |slash| slash + 1)
    };
    let start = folder(main.name);
    let is_beside = |name: &[u8]| folder(name) == start && name[..start] == main.name[..start];
    let is_plain = |name: &[u8]| name.len() > start && is_beside(name) && !name[start..].contains(&b'.');
    for member in zip.members().filter(|member| is_plain(member.name)).take(NEIGHBOURS) {
        let mut magic = Vec::new();
        let read = zip
            .reader(&member)
            .and_then(|reader| Ok(reader.take(4).read_to_end(&mut magic)?));
        match read {
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            _ if FOREIGN.contains(&magic.as_slice()) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// The lower the likelier it is what is started: in few folders, no helper, named as the zip is, and
/// large.
fn rank(subject: &Subject<'_>, member: &Member<'_>) -> (usize, bool, bool, u64) {
    let stem = stem(member.name).unwrap_or_default();
    let depth = member.name.split(|byte| SLASHES.contains(byte)).count();
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
    let file = name.rsplit(|byte| SLASHES.contains(byte)).next()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_at_hand_are_told_from_those_deep_inside() {
        for name in ["a.exe", "bin/a.exe", "bin\\a.exe", "lib/net45/a.exe"] {
            assert!(is_at_hand(name.as_bytes()), "{name}");
        }
        for name in ["vendor/a.exe", "vendor\\a.exe", "a/b/c/a.exe"] {
            assert!(!is_at_hand(name.as_bytes()), "{name}");
        }
        assert_eq!(stem(b"Acme/Tool.EXE").as_deref(), Some("tool"));
        for name in ["__MACOSX/._a.exe", "Acme/._a.exe", "a.dll", "a.exe/"] {
            assert_eq!(stem(name.as_bytes()), None, "{name}");
        }
    }
}
