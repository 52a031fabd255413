//! The makers of installers for Windows: what they pack stands in or after a common program.

use std::ops::Range;

use crate::parse::little::{u32_at, u64_at};
use crate::parse::pe::Pe;
use crate::parse::pe_resources::{Resources, kind};
use crate::source::Source;
use crate::{Refusal, Report};

/// How far into what is appended a header is looked for, in bytes.
const OVERLAY: u64 = 64 << 10;
/// Where Inno Setup's table stands among the data of its program.
const INNO_TABLE: u32 = 11111;
const INNO_MAGIC: &[u8] = b"rDlPtS";
/// How a table starts whose numbers are known.
const INNO_KNOWN: &[u8] = b"rDlPtS\xCD\xE6\xD7{\x0B*";
/// What precedes the version of Inno Setup's data.
const INNO_DATA: &str = "Inno Setup Setup Data (";
/// What NSIS puts before its data, at a multiple of this.
const NSIS_MAGIC: &[u8] = b"\xEF\xBE\xAD\xDENullsoftInst";
const NSIS_STEP: usize = 512;
/// How the section of `WiX` Burn starts, and how long what is read of it is, in bytes.
const BURN_MAGIC: u64 = 0x00F1_4300;
const BURN_HEADER: u64 = 512;
/// Where Squirrel's setup has the zip with what it installs.
const SQUIRREL_KIND: &str = "DATA";

const TRUNCATED: (&str, &str) = (
    "pe.installer_truncated",
    "Build it again, and see that it is copied whole.",
);

/// What tells self-extracting archives apart: what is appended starts like this.
const ARCHIVES: [(&[u8], &str); 5] = [
    (b"7z\xBC\xAF\x27\x1C", "7z_sfx"),
    (b";!@Install@!UTF-8!", "7z_sfx"),
    (b"\xEF\xBB\xBF;!@Install@!UTF-8!", "7z_sfx"),
    (b"Rar!\x1A\x07", "rar_sfx"),
    (b"PK\x03\x04", "zip_sfx"),
];

/// Says which maker's installer a program is, if it is one, and whether what it packs is there.
pub(super) fn tell(
    report: &mut Report,
    pe: &Pe,
    source: &dyn Source,
    resources: Option<&Resources<'_>>,
) -> Result<(), Refusal> {
    if let Some(resources) = resources {
        if tell_inno(report, source, resources)? {
            return Ok(());
        }
        if is_squirrel(source, resources)? {
            report.set_text("installer", Some("squirrel"));
            return Ok(());
        }
    }
    if let Some(section) = pe.section(".wixburn") {
        report.set_text("installer", Some("burn"));
        return tell_burn(report, source, section.range.clone());
    }
    tell_appended(report, pe.end(), source)
}

/// Inno Setup's table says where its parts are, and how long the whole is.
fn tell_inno(report: &mut Report, source: &dyn Source, resources: &Resources<'_>) -> Result<bool, Refusal> {
    let data = resources.all(kind::DATA)?;
    let Some(table) = data.iter().find(|data| data.id == Some(INNO_TABLE)) else {
        return Ok(false);
    };
    let table = resources.bytes(table)?;
    if !table.starts_with(INNO_MAGIC) {
        return Ok(false);
    }
    report.set_text("installer", Some("inno"));
    let numbers = match u32_at(&table, 12) {
        _ if !table.starts_with(INNO_KNOWN) => None,
        Some(1) => u32_at(&table, 16)
            .zip(u32_at(&table, 32))
            .map(|(total, data)| (total.into(), data.into())),
        Some(2) => u64_at(&table, 16).zip(u64_at(&table, 40)),
        _ => None,
    };
    let Some((total, data)) = numbers else { return Ok(true) };
    tell_length(report, source, total);
    let header = source.bytes(data..data.saturating_add(64).min(source.len().max(data)), 64)?;
    let header = String::from_utf8_lossy(&header);
    let version = header.strip_prefix(INNO_DATA).and_then(|rest| rest.split_once(')'));
    report.set_text("inno_data_version", version.map(|(version, _)| version));
    Ok(true)
}

/// The section of `WiX` Burn says by which code Windows lists the bundle, and how long are the cabinets that
/// follow the program: its own, and then what it installs.
fn tell_burn(report: &mut Report, source: &dyn Source, section: Range<u64>) -> Result<(), Refusal> {
    let header = source.bytes(section.start..section.end.min(section.start + BURN_HEADER), BURN_HEADER)?;
    let number = |offset: usize| u32_at(&header, offset).map_or(0, u64::from);
    if number(0) != BURN_MAGIC || number(4) != 2 {
        return Ok(());
    }
    report.set_text("product_code", header.get(8..24).map(guid));
    let (program, signature) = (number(24), number(32) + number(36));
    let count = usize::try_from(number(44)).unwrap_or(usize::MAX);
    let mut cabinets = header.get(48..).unwrap_or_default().chunks_exact(4).take(count);
    let own = cabinets.next().and_then(|len| u32_at(len, 0)).map_or(0, u64::from);
    let others: u64 = cabinets.filter_map(|len| u32_at(len, 0)).map(u64::from).sum();
    // What a program that was signed by itself has after it stands behind that signature.
    let own_end = if number(32) > 0 { signature } else { program + own };
    tell_length(report, source, own_end + others);
    Ok(())
}

/// A GUID as Windows writes it, of which the first three parts stand the other way round.
fn guid(bytes: &[u8]) -> String {
    let part = |range: Range<usize>, is_reversed: bool| {
        let mut part = bytes.get(range).unwrap_or_default().to_vec();
        if is_reversed {
            part.reverse();
        }
        hex::encode_upper(part)
    };
    let parts = [
        (0..4, true),
        (4..6, true),
        (6..8, true),
        (8..10, false),
        (10..16, false),
    ];
    let parts = parts.map(|(range, is_reversed)| part(range, is_reversed));
    format!("{{{}}}", parts.join("-"))
}

/// Says so where less is there than the installer says.
fn tell_length(report: &mut Report, source: &dyn Source, expected: u64) {
    if source.len() < expected {
        let len = source.len();
        let message = format!("The installer has {len} bytes and says that it has {expected}: it would not start.");
        report.error(TRUNCATED.0, message, TRUNCATED.1);
    }
}

/// Squirrel's setup has a zip among its resources, in which its updater is.
fn is_squirrel(source: &dyn Source, resources: &Resources<'_>) -> Result<bool, Refusal> {
    for resource in resources.all_named(SQUIRREL_KIND)? {
        let mut head = [0; 4];
        let is_read = resource.id == Some(131) && source.read_exact_at(resource.range.start, &mut head).is_ok();
        if is_read && &head == b"PK\x03\x04" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// NSIS and the self-extracting archives have what they pack after the program.
fn tell_appended(report: &mut Report, end: u64, source: &dyn Source) -> Result<(), Refusal> {
    if end >= source.len() {
        return Ok(());
    }
    let head = source.bytes(end..source.len().min(end + OVERLAY), OVERLAY)?;
    let mut steps = (0..head.len()).step_by(NSIS_STEP);
    let is_nsis = |at: &usize| head[*at..].get(4..).is_some_and(|rest| rest.starts_with(NSIS_MAGIC));
    if let Some(at) = steps.find(is_nsis) {
        report.set_text("installer", Some("nsis"));
        if let Some(len) = u32_at(&head, at + 24) {
            tell_length(report, source, end + at as u64 + u64::from(len));
        }
        return Ok(());
    }
    let archive = ARCHIVES.iter().find(|(magic, _)| head.starts_with(magic));
    report.set_text("installer", archive.map(|(_, name)| *name));
    Ok(())
}
