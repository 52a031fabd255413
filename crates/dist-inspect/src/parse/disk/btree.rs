//! The trees of HFS and HFS+, whose leaves are a list. All numbers are big-endian.
//! Sources: Apple's "Inside Macintosh: Files", chapter 2, and its technical note TN1150.

use super::{Contents, File, malformed};
use crate::parse::big::{u16_at, u32_or_zero as u32_at};
use crate::source::Source;
use crate::{Budget, Refusal};

/// How the length of a key is told.
#[derive(Clone, Copy)]
pub(super) enum Key {
    /// In a byte, as in HFS.
    Short,
    /// In two, as in HFS+.
    Long,
}

/// Calls `visit` with each record of a tree, and its key without its length.
pub(super) fn leaves(
    volume: &dyn Source,
    tree: &File,
    key: Key,
    budget: &Budget,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if tree.len == 0 {
        return Ok(());
    }
    let contents = Contents { volume, file: tree };
    let header = contents.bytes(0..64, 64)?;
    let size = number(&header, 32) as u64;
    if !(512..=32768).contains(&size) {
        return Err(malformed("the nodes of a tree have an impossible size"));
    }
    let mut next = u64::from(u32_at(&header, 24));
    // No node comes twice, so that there are no more of them than fit.
    for _ in 0..tree.len / size {
        if next == 0 {
            return Ok(());
        }
        budget.take(size)?;
        let start = next * size;
        let node = contents.bytes(start..start + size, size)?;
        if node[8] != 0xFF {
            return Err(malformed("a leaf of a tree is none"));
        }
        for place in 1..=number(&node, 10) {
            let offset = node.len().checked_sub(place * 2).map(|offset| number(&node, offset));
            let record = offset.and_then(|offset| node.get(offset..)).unwrap_or_default();
            let (key_start, length) = match key {
                Key::Short => (1, record.first().map_or(usize::MAX, |length| usize::from(*length))),
                Key::Long => (2, u16_at(record, 0).map_or(usize::MAX, usize::from)),
            };
            let key_end = length.saturating_add(key_start);
            let key = record
                .get(key_start..key_end)
                .ok_or_else(|| malformed("a key of a tree is cut"))?;
            // The record starts at an even place.
            visit(record.get(key_end.next_multiple_of(2)..).unwrap_or_default(), key)?;
        }
        next = u64::from(u32_at(&node, 0));
    }
    Ok(())
}

/// The number in two bytes, or 0 where there is none.
pub(super) fn number(bytes: &[u8], offset: usize) -> usize {
    u16_at(bytes, offset).unwrap_or_default().into()
}
