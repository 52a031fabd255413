//! A compressed member by position, for what is too large to be held.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read as _};

use super::zip::{Member, Reader, Zip};
use crate::Refusal;
use crate::source::{PIECE, Source};

/// How many pieces are kept: what is read of a program stands close together.
const KEPT: usize = 64;
/// How many times it is unpacked from its start.
const PASSES: u32 = 16;

/// The bytes of a member, which is unpacked as far as somebody reads, and from its start again for
/// those who go back by more than is kept.
pub struct Unpacked<'z> {
    zip: &'z Zip<'z>,
    member: Member<'z>,
    progress: RefCell<Progress<'z>>,
}

#[derive(Default)]
struct Progress<'z> {
    reader: Option<Reader<'z>>,
    passes: u32,
    /// The number of the piece that the reader comes to next.
    next: u64,
    /// The last pieces, by their numbers.
    kept: VecDeque<(u64, Vec<u8>)>,
}

impl<'z> Unpacked<'z> {
    /// The bytes of `member`.
    pub fn new(zip: &'z Zip<'z>, member: Member<'z>) -> Self {
        Self {
            zip,
            member,
            progress: RefCell::default(),
        }
    }

    /// Unpacks up to the piece of this number, which is kept then.
    fn unpack(&self, progress: &mut Progress<'z>, number: u64) -> Result<(), Refusal> {
        if progress.reader.is_none() || number < progress.next {
            if progress.passes == PASSES {
                let limit = self.zip.budget().limits().member_bytes;
                return Err(Refusal::TooLarge { limit });
            }
            progress.passes += 1;
            progress.next = 0;
            progress.kept.clear();
            progress.reader = Some(self.zip.reader(&self.member)?.without_crc());
        }
        let Some(reader) = &mut progress.reader else {
            return Err(Refusal::Truncated);
        };
        while progress.next <= number {
            let left = self.member.size().saturating_sub(progress.next * PIECE as u64);
            let mut piece = vec![0; usize::try_from(left).map_or(PIECE, |left| left.min(PIECE))];
            reader.read_exact(&mut piece)?;
            if progress.kept.len() == KEPT {
                progress.kept.pop_front();
            }
            progress.kept.push_back((progress.next, piece));
            progress.next += 1;
        }
        Ok(())
    }
}

impl Source for Unpacked<'_> {
    fn len(&self) -> u64 {
        self.member.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.len() {
            return Ok(0);
        }
        let number = offset / PIECE as u64;
        let mut progress = self.progress.borrow_mut();
        if !progress.kept.iter().any(|(kept, _)| *kept == number) {
            self.unpack(&mut progress, number)?;
        }
        let piece = progress.kept.iter().find(|(kept, _)| *kept == number);
        let rest = usize::try_from(offset % PIECE as u64)
            .ok()
            .and_then(|start| piece?.1.get(start..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;
    use crate::{Budget, Limits};

    #[test]
    fn a_compressed_member_is_read_at_any_place() {
        let pieces = KEPT as u64 + 3;
        let expected: Vec<u8> = (0..pieces * PIECE as u64 - 7)
            .map(|place| u8::try_from(place / 50_000).unwrap())
            .collect();
        let mut archive = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
        archive
            .start_file("a", ::zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(&expected).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        assert!(bytes.len() < expected.len());
        let budget = Budget::new(&Limits::default());
        let zip = Zip::open(&bytes, &budget).unwrap();
        let source = Unpacked::new(&zip, zip.members().next().unwrap());
        let end = expected.len() as u64;
        // From a start that is no longer kept to a piece that is, and over its end.
        for range in [end - 5..end, 0..5, PIECE as u64 - 2..PIECE as u64 + 2, 0..end] {
            let part = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(source.bytes(range, u64::MAX).unwrap() == expected[part]);
        }
        assert_eq!(source.read_at(end, &mut [0; 4]).unwrap(), 0);
        let mut reads = (0..PASSES).flat_map(|_| [source.bytes(0..1, 1), source.bytes(end - 1..end, 1)]);
        assert!(reads.any(|read| matches!(read, Err(Refusal::TooLarge { .. }))));
    }
}
