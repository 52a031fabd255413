//! Zips of nothing in particular.

use std::io;

use super::programs::Programs;
use super::{Otherwise, Row, program_zip};
use crate::archive::Faults;
use crate::archive::zip::{MAGIC, Member, Zip};
use crate::source::Source;
use crate::subject::Subject;
use crate::{Budget, Format, Inspection, Refusal};

/// How many bytes of members are unpacked to check their sums; those of larger zips are believed.
const CHECKED_BYTES: u64 = 256 << 20;
/// How deep zips may lie in each other.
const NESTING: u32 = 4;
/// How many members are looked at for programs.
const LOOKED_AT: usize = 4096;
/// How many of the zips in a zip are opened, and how many in all.
const OPENED: [u32; 2] = [8, 64];

pub(super) static ZIP: Row = Row {
    format: Format::Zip,
    package_type: "zip",
    content_type: "application/zip",
    extensions: &["zip"],
    recognises: |subject| subject.zip.is_some(),
    otherwise: Otherwise::Bytes("zip.bad_magic", "The file is named like a zip, and is none."),
    describe,
};

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let known: Vec<_> = zip.faults().iter().map(Refusal::code).collect();
    for fault in &check_members(zip)? {
        if !known.contains(&fault.code()) {
            inspection.report.refuse(fault);
        }
    }
    open_nested(zip, subject.budget, 0, &mut 0)?;
    program_zip::tell(subject, inspection, zip)?;
    if inspection.report.facts.contains_key("main_exe") {
        return Ok(());
    }
    tell_programs(subject, inspection, zip)
}

/// Says what the programs in it run on where none of them says what the zip is.
fn tell_programs(subject: &Subject<'_>, inspection: &mut Inspection, zip: &Zip<'_>) -> Result<(), Refusal> {
    let mut programs = Programs::default();
    let mut faults = Faults::default();
    let is_file = |member: &Member<'_>| !member.is_folder() && !member.is_link();
    for member in zip.members().filter(is_file).take(LOOKED_AT) {
        let looked = zip
            .reader(&member)
            .and_then(|reader| programs.look(member.name, member.permissions(), &mut reader.without_crc()));
        // What cannot be read has been told.
        faults.keep(looked)?;
    }
    programs.tell(subject, &mut inspection.report);
    let main = programs.main(&subject.name);
    inspection.report.set_text("main_binary", main);
    Ok(())
}

/// Unpacks the first members to see whether they are what the directory says.
pub(super) fn check_members(zip: &Zip<'_>) -> Result<Faults, Refusal> {
    let mut faults = Faults::default();
    let mut left = CHECKED_BYTES;
    for member in zip.members() {
        let Some(rest) = left.checked_sub(member.size()) else {
            continue;
        };
        left = rest;
        let unpacked = zip
            .reader(&member)
            .and_then(|mut reader| Ok(io::copy(&mut reader, &mut io::sink())?));
        faults.keep(unpacked)?;
    }
    Ok(faults)
}

/// Goes into the zips in a zip, depth first, so that a bomb of many layers shows after a few.
fn open_nested(zip: &Zip<'_>, budget: &Budget, depth: u32, opened: &mut u32) -> Result<(), Refusal> {
    let is_zip = |member: &Member<'_>| member.name.to_ascii_lowercase().ends_with(b".zip");
    for member in zip.members().filter(is_zip).take(OPENED[0] as usize) {
        if depth >= NESTING {
            return Err(Refusal::Nesting { limit: NESTING });
        }
        *opened += 1;
        if *opened > OPENED[1] {
            break;
        }
        // What cannot be read has been told, and is nobody's trap.
        if member.is_stored() {
            if let Ok(section) = zip.section(&member) {
                open_one(&section, budget, depth, opened)?;
            }
        } else if let Ok(bytes) = zip.read(&member, budget.limits().member_bytes) {
            open_one(&bytes, budget, depth, opened)?;
        }
    }
    Ok(())
}

fn open_one(source: &dyn Source, budget: &Budget, depth: u32, opened: &mut u32) -> Result<(), Refusal> {
    let mut head = [0; 4];
    if source.read_exact_at(0, &mut head).is_err() || !MAGIC.contains(&head.as_slice()) {
        return Ok(());
    }
    match Zip::open(source, budget) {
        Ok(zip) => open_nested(&zip, budget, depth + 1, opened),
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. })) => Err(stop),
        Err(_) => Ok(()),
    }
}
