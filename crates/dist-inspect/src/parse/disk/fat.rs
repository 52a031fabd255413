//! FAT12, FAT16 and FAT32, with long names. All numbers are little-endian.
//! Source: Microsoft's FAT specification of 2000.

use crate::parse::little::{u16_or_zero as u16_at, u32_or_zero as u32_at};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use super::{Contents, File, malformed};
use crate::source::Source;
use crate::{Budget, Refusal};

/// How long a table of clusters or a folder may be, in bytes.
const TABLE: u64 = 64 << 20;
const FOLDER: u64 = 4 << 20;
/// How long a folder's entry is.
const ENTRY: usize = 32;
/// How deep folders may lie in each other.
const DEPTH: usize = 64;

struct Volume<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    table: Vec<u8>,
    /// How many bits an entry of the table has.
    bits: usize,
    /// How many bytes a cluster has, and where the first one starts.
    cluster: u64,
    start: u64,
    clusters: u64,
    /// How many clusters may still be part of files and folders, of which each is in one.
    left: Cell<u64>,
}

pub(super) fn files(source: &dyn Source, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
    let head = source.bytes(0..512, 512)?;
    let sector = u64::from(u16_at(&head, 11));
    let cluster = sector * u64::from(head[13]);
    if !sector.is_power_of_two() || !(512..=4096).contains(&sector) || cluster == 0 {
        return Err(malformed("its sectors have an impossible size"));
    }
    let either = |small: usize, large: usize| match u64::from(u16_at(&head, small)) {
        0 => u64::from(u32_at(&head, large)),
        small => small,
    };
    let (sectors, table_sectors) = (either(19, 32), either(22, 36));
    let reserved = u64::from(u16_at(&head, 14)) * sector;
    let table_bytes = table_sectors * sector;
    let root = reserved + table_bytes * u64::from(head[16]);
    let start = root + (u64::from(u16_at(&head, 17)) * ENTRY as u64).next_multiple_of(sector);
    let clusters = (sectors * sector).saturating_sub(start) / cluster;
    let bits = match clusters {
        ..4085 => 12,
        4085..65525 => 16,
        _ => 32,
    };
    let table = source.bytes(reserved..reserved + table_bytes, TABLE)?;
    // There are no more than the table has entries, whatever the size of the disk.
    let clusters = clusters.min(table.len() as u64 * 8 / bits as u64);
    let volume = Volume {
        source,
        budget,
        table,
        bits,
        cluster,
        start,
        clusters,
        left: Cell::new(clusters),
    };
    let root = if bits == 32 {
        volume.chain(u32_at(&head, 44), None)?
    } else {
        File::new(start - root, std::iter::once(root..start))
    };
    volume.walk(root)
}

impl Volume<'_> {
    /// The clusters from `first` on; without a length, as long as they go.
    fn chain(&self, first: u32, len: Option<u64>) -> Result<File, Refusal> {
        let mut places: Vec<Range<u64>> = Vec::new();
        let mut at = u64::from(first);
        let mut found = 0;
        while (2..self.clusters + 2).contains(&at) && len.is_none_or(|len| found < len) {
            self.budget.step()?;
            let start = self.start + (at - 2) * self.cluster;
            match places.last_mut().filter(|place| place.end == start) {
                Some(place) => place.end += self.cluster,
                None => places.push(start..start + self.cluster),
            }
            found += self.cluster;
            let left = self.left.get().checked_sub(1);
            self.left
                .set(left.ok_or_else(|| malformed("some clusters are part of several files"))?);
            at = self.next(at);
        }
        Ok(File::new(len.unwrap_or(found), places))
    }

    fn next(&self, at: u64) -> u64 {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let next = match self.bits {
            12 => u32::from(u16_at(&self.table, at + at / 2)) >> (at % 2 * 4) & 0xFFF,
            16 => u16_at(&self.table, at.saturating_mul(2)).into(),
            _ => u32_at(&self.table, at.saturating_mul(4)) & 0x0FFF_FFFF,
        };
        u64::from(next)
    }

    fn walk(&self, root: File) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
        let limits = self.budget.limits();
        let mut files = BTreeMap::new();
        let mut left = limits.directory_bytes;
        let mut folders = vec![(Vec::new(), root)];
        while let Some((folder, contents)) = folders.pop() {
            let contents = Contents {
                volume: self.source,
                file: &contents,
            };
            let bytes = contents.bytes(0..contents.len().min(FOLDER), FOLDER)?;
            let used = bytes.len() as u64 + folder.len() as u64;
            left = left.checked_sub(used).ok_or(Refusal::DirectoryTooLong {
                limit: limits.directory_bytes,
            })?;
            let mut long = Vec::new();
            for entry in bytes.chunks_exact(ENTRY).take_while(|entry| entry[0] != 0) {
                self.budget.step()?;
                let Some((name, is_folder)) = read_entry(entry, &mut long) else {
                    continue;
                };
                if files.len() as u64 >= limits.entries {
                    return Err(Refusal::TooManyEntries { limit: limits.entries });
                }
                let first = u32::from(u16_at(entry, 20)) << 16 | u32::from(u16_at(entry, 26));
                let mut path = [&folder[..], name.as_bytes()].concat();
                if is_folder {
                    path.push(b'/');
                    if path.iter().filter(|byte| **byte == b'/').nth(DEPTH).is_none() {
                        folders.push((path.clone(), self.chain(first, None)?));
                    }
                    files.insert(path, File::default());
                } else {
                    files.insert(path, self.chain(first, Some(u64::from(u32_at(entry, 28))))?);
                }
            }
        }
        Ok(files)
    }
}

/// The name of an entry, and whether it is a folder; `None` for what is no file. Parts of a long
/// name come before, the last part first.
fn read_entry(entry: &[u8], long: &mut Vec<u16>) -> Option<(String, bool)> {
    const LONG_NAME: u8 = 0x0F;
    const LABEL: u8 = 0x08;
    const FOLDER: u8 = 0x10;
    if entry[0] == 0xE5 {
        long.clear();
        return None;
    }
    if entry[11] & 0x3F == LONG_NAME {
        let places = [1..11, 14..26, 28..32];
        let units = places.into_iter().flat_map(|place| entry[place].chunks_exact(2));
        let mut part: Vec<u16> = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        part.retain(|unit| !matches!(unit, 0 | 0xFFFF));
        // A name has twenty parts at most.
        if entry[0] & 0x40 == 0 && long.len() < 300 {
            part.append(long);
        }
        *long = part;
        return None;
    }
    let name = if long.is_empty() {
        short_name(entry)
    } else {
        String::from_utf16_lossy(long)
    };
    long.clear();
    let is_file = entry[11] & LABEL == 0 && name != "." && name != "..";
    is_file.then(|| (name, entry[11] & FOLDER != 0))
}

fn short_name(entry: &[u8]) -> String {
    let part = |place: Range<usize>, is_lower: bool| {
        let text = String::from_utf8_lossy(&entry[place]).trim_end().to_owned();
        if is_lower { text.to_lowercase() } else { text }
    };
    let (stem, suffix) = (part(0..8, entry[12] & 8 != 0), part(8..11, entry[12] & 16 != 0));
    if suffix.is_empty() {
        stem
    } else {
        format!("{stem}.{suffix}")
    }
}
