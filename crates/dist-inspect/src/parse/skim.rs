//! An executable that is read from a stream once, of which only what tells is kept.

use std::io::{self, Read};
use std::ops::Range;

use super::macho;
use crate::source::{Section, Source, skip};
use crate::{Budget, Refusal};

/// How much of each processor's part is kept from its start: its header and its commands.
const HEAD: u64 = macho::COMMANDS as u64 + 32;

/// An executable with holes: the headers and the signatures of its parts are there, and reading
/// anything else is [`Refusal::Truncated`].
#[derive(Clone, Debug, Default)]
pub struct Skimmed {
    len: u64,
    /// What is kept, by its place, in its order.
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Skimmed {
    /// Reads as much of `reader`, which has `len` bytes, as it takes to keep what tells. What is no
    /// executable is kept to the length of a header.
    ///
    /// # Errors
    /// Where the stream cannot be read, or what tells is larger than may be held.
    pub fn read(reader: impl Read, len: u64, budget: &Budget) -> Result<Self, Refusal> {
        let mut skimmer = Skimmer {
            reader,
            position: 0,
            left: budget.limits().member_bytes,
            kept: Self {
                len,
                pieces: Vec::new(),
            },
        };
        skimmer.keep(0..len.min(HEAD))?;
        let mut places = macho::places(&skimmer.kept).unwrap_or_default();
        places.sort_unstable_by_key(|place| place.start);
        for place in places {
            skimmer.keep(place.start..place.end.min(place.start.saturating_add(HEAD)))?;
            if let Some(signature) = signature(&skimmer.kept, &place, budget) {
                skimmer.keep(signature)?;
            }
        }
        Ok(skimmer.kept)
    }

    /// All of these bytes, without holes.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self {
            len: bytes.len() as u64,
            pieces: vec![(0, bytes)],
        }
    }

    /// How many bytes are kept.
    pub fn held(&self) -> u64 {
        self.pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// Where the signature of the part at `place` stands in the file.
fn signature(kept: &Skimmed, place: &Range<u64>, budget: &Budget) -> Option<Range<u64>> {
    let section = Section::new(kept, place.clone()).ok()?;
    let slice = macho::read_slice(section, budget).ok()?;
    let range = slice.code_signature_range().ok()??;
    Some(place.start.checked_add(range.start)?..place.start.checked_add(range.end)?)
}

impl Source for Skimmed {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.len || buffer.is_empty() {
            return Ok(0);
        }
        let after = self.pieces.partition_point(|(start, _)| *start <= offset);
        let piece = after.checked_sub(1).and_then(|place| self.pieces.get(place));
        match piece {
            Some((start, bytes)) if offset - start < bytes.len() as u64 => bytes.read_at(offset - start, buffer),
            _ => Err(Refusal::Truncated.into()),
        }
    }
}

struct Skimmer<R> {
    reader: R,
    position: u64,
    /// How many bytes may still be kept.
    left: u64,
    kept: Skimmed,
}

impl<R: Read> Skimmer<R> {
    /// Keeps the bytes of `range` that have not gone by.
    fn keep(&mut self, range: Range<u64>) -> Result<(), Refusal> {
        let start = range.start.max(self.position);
        let end = range.end.min(self.kept.len);
        if end <= start {
            return Ok(());
        }
        let too_large = Refusal::TooLarge { limit: self.left };
        self.left = self.left.checked_sub(end - start).ok_or(too_large)?;
        let gap = start - self.position;
        skip(&mut self.reader, gap)?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(end - start).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < end - start {
            return Err(Refusal::Truncated);
        }
        self.position = end;
        self.kept.pieces.push((start, bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn headers_and_signatures_are_kept_and_nothing_else() {
        let header: [u32; 8] = [0xFEED_FACF, 0x0100_000C, 0, 2, 1, 16, 0, 0];
        let command: [u32; 4] = [macho::command::CODE_SIGNATURE, 16, 8 << 20, 4];
        let numbers = header.iter().chain(&command);
        let mut bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        bytes.resize(8 << 20, 0);
        bytes.extend(b"sign, and more");
        let budget = Budget::new(&Limits::default());
        let skimmed = Skimmed::read(bytes.as_slice(), bytes.len() as u64, &budget).unwrap();
        let slices = macho::slices(&skimmed, &budget).unwrap();
        let signature = slices[0].code_signature().unwrap().unwrap();
        assert_eq!(signature.bytes(0..4, 4).unwrap(), b"sign");
        assert!(matches!(
            skimmed.bytes(4 << 20..5 << 20, 9 << 20),
            Err(Refusal::Truncated)
        ));
        let cut = Skimmed::read(&bytes[..100], bytes.len() as u64, &budget);
        assert!(matches!(cut, Err(Refusal::Truncated)));
        let text = Skimmed::read(&b"#!/bin/sh"[..], 9, &budget).unwrap();
        assert!(macho::slices(&text, &budget).is_err());
    }
}
