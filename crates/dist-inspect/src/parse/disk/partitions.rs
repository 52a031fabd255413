//! Where the partitions of a disk are: the maps of GPT, of Apple before that, and of PCs.
//! Sources: the UEFI specification, 5.3; "Inside Macintosh: Devices", chapter 3; and the usual layout
//! of a master boot record.

use std::ops::Range;

use crate::Refusal;
use crate::parse::big::{u16_at as big_u16_at, u32_or_zero as big_u32_at};
use crate::parse::little::{u32_or_zero as u32_at, u64_or_zero as u64_at};
use crate::source::Source;

const SECTOR: u64 = 512;
/// How many partitions are looked at.
const PARTITIONS: u64 = 128;
/// How long an entry of GPT may be, in bytes.
const ENTRY: u64 = 1024;

/// Whether the first bytes of a disk are those of a map.
pub fn is_map(head: &[u8]) -> bool {
    let has = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    has(512, b"EFI PART") || (has(0, b"ER") && has(512, b"PM")) || has(510, &[0x55, 0xAA])
}

/// The places of all partitions that are not empty, as the first map says that is there; they may lie
/// outside of the disk.
///
/// # Errors
/// Where the disk cannot be read.
pub fn places(disk: &dyn Source) -> Result<Vec<Range<u64>>, Refusal> {
    if disk.len() < 2 * SECTOR {
        return Ok(Vec::new());
    }
    let head = disk.bytes(0..2 * SECTOR, 2 * SECTOR)?;
    let (first, second) = head.split_at(512);
    if second.starts_with(b"EFI PART") {
        return of_gpt(disk, second);
    }
    if first.starts_with(b"ER") && second.starts_with(b"PM") {
        return Ok(of_apple(disk, big_u32_at(second, 4).into()));
    }
    let is_pc = first.ends_with(&[0x55, 0xAA]);
    let entries = first[446..510].chunks_exact(16).filter(|entry| is_pc && entry[4] != 0);
    Ok(entries
        .filter_map(|entry| place(u32_at(entry, 8).into(), u32_at(entry, 12).into()))
        .collect())
}

fn of_gpt(disk: &dyn Source, header: &[u8]) -> Result<Vec<Range<u64>>, Refusal> {
    let (count, size) = (u64::from(u32_at(header, 80)), u64::from(u32_at(header, 84)));
    if !(128..=ENTRY).contains(&size) {
        return Err(Refusal::malformed(
            "partition map",
            "its entries have an impossible size",
        ));
    }
    let start = u64_at(header, 72).checked_mul(SECTOR).ok_or(Refusal::Truncated)?;
    let len = count.min(PARTITIONS) * size;
    let end = start.checked_add(len).ok_or(Refusal::Truncated)?;
    let entries = disk.bytes(start..end, len)?;
    let entries = entries.chunks_exact(usize::try_from(size).unwrap_or(usize::MAX));
    let used = entries.filter(|entry| entry[..16].iter().any(|byte| *byte != 0));
    let range = |entry: &[u8]| {
        let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
        place(first, last.checked_sub(first)?.checked_add(1)?)
    };
    Ok(used.filter_map(range).collect())
}

/// Each entry says how many there are.
fn of_apple(disk: &dyn Source, count: u64) -> Vec<Range<u64>> {
    let mut places = Vec::new();
    for place_of_entry in 1..=count.min(PARTITIONS) {
        let start = place_of_entry * SECTOR;
        let Ok(entry) = disk.bytes(start..start + SECTOR, SECTOR) else {
            break;
        };
        if big_u16_at(&entry, 0) != Some(u16::from_be_bytes(*b"PM")) {
            break;
        }
        places.extend(place(big_u32_at(&entry, 8).into(), big_u32_at(&entry, 12).into()));
    }
    places
}

/// Sectors as bytes; `None` for none.
fn place(start: u64, count: u64) -> Option<Range<u64>> {
    let start = start.checked_mul(SECTOR)?;
    let end = start.checked_add(count.checked_mul(SECTOR)?)?;
    (end > start).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 8 * 512];
        for (place, part) in parts {
            bytes[*place..][..<[u8]>::len(part)].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn each_kind_of_map_tells_its_partitions() {
        let pc = disk(&[
            (446 + 4, &[0x0B, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]),
            (510, &[0x55, 0xAA]),
        ]);
        assert!(is_map(&pc));
        assert_eq!(places(&pc).unwrap(), std::slice::from_ref(&(1024..2560)));
        let apple = |start: u8, count: u8| [b"PM\0\0\0\0\0\x02\0\0\0", &[start, 0, 0, 0, count][..]].concat();
        let apple = disk(&[(0, b"ER\x02\0"), (512, &apple(1, 2)), (1024, &apple(4, 3))]);
        assert!(is_map(&apple));
        assert_eq!(places(&apple).unwrap(), [512..1536, 2048..3584]);
        let gpt = disk(&[
            (512, b"EFI PART"),
            (512 + 72, &[2]),
            (512 + 80, &[4, 0, 0, 0, 128]),
            (1024 + 128, &[7]),
            (1024 + 128 + 32, &[5]),
            (1024 + 128 + 40, &[6]),
        ]);
        assert!(is_map(&gpt));
        assert_eq!(places(&gpt).unwrap(), std::slice::from_ref(&(2560..3584)));
        assert_eq!(places(&disk(&[])).unwrap(), []);
    }

    #[test]
    fn maps_that_lie_are_refused_or_cut() {
        for (size, start) in [(0_u8, 2_u8), (127, 2), (128, 255)] {
            let gpt = disk(&[
                (512, b"EFI PART"),
                (512 + 72, &[start]),
                (512 + 80, &[4, 0, 0, 0, size]),
            ]);
            assert!(places(&gpt).is_err(), "{size} {start}");
        }
        let apple = disk(&[
            (0, b"ER"),
            (512, b"PM\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        ]);
        assert_eq!(places(&apple).unwrap().len(), 1);
    }
}
