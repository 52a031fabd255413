//! Files that HFS+ and APFS keep in a packed form: in an attribute where they are small, else in
//! blocks in the resource fork. Systems unpack them unseen, so that whoever builds an image on such a
//! disk may have them in it without knowing.
//! Source: Apple's `decmpfs.h`.

use std::cell::RefCell;
use std::io::{self, Read};
use std::ops::Range;

use flate2::read::ZlibDecoder;
use lzfse_rust::LzfseRingDecoder;

use super::{Contents, File, malformed};
use crate::parse::big::u32_or_zero as big_u32_at;
use crate::parse::little::{u32_or_zero as u32_at, u64_or_zero as u64_at};
use crate::source::Source;
use crate::{Budget, Refusal};

/// The name of the attribute that says how a file is packed.
pub(super) const ATTRIBUTE: &[u8] = b"com.apple.decmpfs";
/// How long that may be, in bytes, as Apple's own reader has it.
pub(super) const ATTRIBUTE_BYTES: usize = 3802;
/// What stands in it before the packed bytes.
const HEADER: usize = 16;
/// How many bytes of a file are packed at once in a resource fork.
const BLOCK: u64 = 64 << 10;
/// How many bytes an attribute may unpack to.
const INLINE: u64 = 16 << 20;
/// How long the list of blocks may be, in bytes.
const TABLE: u64 = 8 << 20;

/// A file in its packed form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// The attribute; empty where it was not found.
    pub(super) attribute: Vec<u8>,
    pub(super) fork: File,
}

impl Packed {
    /// How many bytes an attribute says that the file has.
    pub(super) fn len(attribute: &[u8]) -> u64 {
        u64_at(attribute, 8)
    }
}

/// How blocks are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Zlib,
    Lzvn,
    Lzfse,
}

/// The bytes of a packed file, of which the block that was read last is held.
pub(super) struct Unpacked<'a> {
    len: u64,
    budget: &'a Budget,
    packing: Packing,
    packed: Box<dyn Source + 'a>,
    /// Where the blocks are in what is packed, and how many bytes each becomes.
    blocks: Vec<Range<u64>>,
    block: u64,
    held: RefCell<Option<(usize, Vec<u8>)>>,
}

impl<'a> Unpacked<'a> {
    /// Finds the blocks of a file that is on `volume`.
    pub(super) fn open(
        packed: &'a Packed,
        len: u64,
        volume: &'a dyn Source,
        budget: &'a Budget,
    ) -> Result<Self, Refusal> {
        let attribute = packed.attribute.as_slice();
        let kind = u32_at(attribute, 4);
        let (packing, is_inline) = match kind {
            3 | 4 => (Packing::Zlib, kind == 3),
            7 | 8 => (Packing::Lzvn, kind == 7),
            11 | 12 => (Packing::Lzfse, kind == 11),
            _ => {
                return Err(Refusal::MethodUnknown {
                    name: "that the file system packs".to_owned(),
                    method: u16::try_from(kind).unwrap_or(u16::MAX),
                });
            }
        };
        let mut unpacked = Self {
            len,
            budget,
            packing,
            packed: Box::new(attribute.get(HEADER..).unwrap_or_default()),
            blocks: Vec::new(),
            block: len.max(1),
            held: RefCell::default(),
        };
        if is_inline {
            unpacked.blocks.push(0..unpacked.packed.len());
            if len > INLINE {
                return Err(Refusal::TooLarge { limit: INLINE });
            }
            return Ok(unpacked);
        }
        let fork = Contents {
            volume,
            file: &packed.fork,
        };
        unpacked.block = BLOCK;
        unpacked.blocks = match packing {
            Packing::Zlib => table_of_pairs(&fork, len)?,
            Packing::Lzvn | Packing::Lzfse => table_of_places(&fork, len)?,
        };
        unpacked.packed = Box::new(fork);
        Ok(unpacked)
    }

    fn unpack(&self, place: usize) -> Result<Vec<u8>, Refusal> {
        let range = self.blocks.get(place).cloned().ok_or(Refusal::Truncated)?;
        let len = self.block.min(self.len - place as u64 * self.block);
        let packed = self.packed.bytes(range, BLOCK + 1)?;
        self.budget.take(len)?;
        let is_plain = match (self.packing, packed.first()) {
            (_, None) => false,
            (Packing::Zlib, Some(first)) => first & 0x0F == 0x0F,
            (Packing::Lzvn, Some(first)) => *first == 0x06,
            (Packing::Lzfse, Some(_)) => !packed.starts_with(b"bvx"),
        };
        let mut bytes = Vec::new();
        match self.packing {
            // After a mark, what gets no smaller stands there as it is.
            _ if is_plain => bytes.extend_from_slice(&packed[1..]),
            Packing::Zlib => {
                ZlibDecoder::new(&packed[..]).take(len).read_to_end(&mut bytes)?;
            }
            Packing::Lzvn => unpack_lzfse(&lzfse_of_lzvn(&packed, len), len, &mut bytes)?,
            Packing::Lzfse => unpack_lzfse(&packed, len, &mut bytes)?,
        }
        if bytes.len() as u64 != len {
            return Err(Refusal::Damaged("a file that is packed has another length".to_owned()));
        }
        Ok(bytes)
    }
}

fn unpack_lzfse(packed: &[u8], len: u64, bytes: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut decoder = LzfseRingDecoder::default();
    decoder.reader_bytes(packed).take(len).read_to_end(bytes)?;
    Ok(())
}

/// LZVN as a stream of LZFSE of one block, which may be packed in this way.
fn lzfse_of_lzvn(packed: &[u8], len: u64) -> Vec<u8> {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    [b"bvxn", &number(len)[..], &number(packed.len() as u64), packed, b"bvx$"].concat()
}

/// The places and lengths of blocks, after their number, at the start of the fork's only resource,
/// from which they count.
fn table_of_pairs(fork: &Contents<'_>, len: u64) -> Result<Vec<Range<u64>>, Refusal> {
    let base = u64::from(big_u32_at(&fork.bytes(0..4, 4)?, 0)) + 4;
    let count = len.div_ceil(BLOCK);
    if u64::from(u32_at(&fork.bytes(base..base + 4, 4)?, 0)) < count {
        return Err(malformed("a file that is packed lacks blocks"));
    }
    let end = count.checked_mul(8).and_then(|size| size.checked_add(base + 4));
    let table = fork.bytes(base + 4..end.ok_or(Refusal::Truncated)?, TABLE)?;
    let place = |pair: &[u8]| {
        let start = base + u64::from(u32_at(pair, 0));
        start..start + u64::from(u32_at(pair, 4))
    };
    Ok(table.chunks_exact(8).map(place).collect())
}

/// The places of blocks, each of which ends where the next one starts, at the start of the fork.
fn table_of_places(fork: &Contents<'_>, len: u64) -> Result<Vec<Range<u64>>, Refusal> {
    let end = len
        .div_ceil(BLOCK)
        .checked_add(1)
        .and_then(|count| count.checked_mul(4));
    let table = fork.bytes(0..end.ok_or(Refusal::Truncated)?, TABLE)?;
    let places: Vec<u64> = table.chunks_exact(4).map(|place| u32_at(place, 0).into()).collect();
    Ok(places.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

impl Source for Unpacked<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.len || buffer.is_empty() {
            return Ok(0);
        }
        let place = usize::try_from(offset / self.block).unwrap_or(usize::MAX);
        let mut held = self.held.borrow_mut();
        if held.as_ref().is_none_or(|(other, _)| *other != place) {
            *held = Some((place, self.unpack(place)?));
        }
        held.as_ref()
            .map_or(Ok(0), |(_, bytes)| bytes.read_at(offset % self.block, buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::io::Write as _;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn lzfse(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        lzfse_rust::encode_bytes(bytes, &mut packed).unwrap();
        packed
    }

    /// The block of a stream of LZFSE that is short enough to be LZVN.
    fn lzvn(bytes: &[u8]) -> Vec<u8> {
        let stream = lzfse(bytes);
        assert!(stream.starts_with(b"bvxn"));
        stream[12..stream.len() - 4].to_vec()
    }

    fn attribute(kind: u8, len: usize, packed: &[u8]) -> Vec<u8> {
        let len = (len as u64).to_le_bytes();
        [b"fpmc", &[kind, 0, 0, 0][..], &len, packed].concat()
    }

    fn read(attribute: Vec<u8>, fork: &[u8]) -> Result<Vec<u8>, Refusal> {
        let file = File {
            len: Packed::len(&attribute),
            packed: Some(Box::new(Packed {
                attribute,
                fork: File::new(fork.len() as u64, std::iter::once(0..fork.len() as u64)),
            })),
            extents: Vec::new(),
        };
        let budget = Budget::new(&Limits::default());
        let contents = file.open(&fork, &budget)?;
        contents.bytes(0..contents.len(), 1 << 20)
    }

    fn number(number: usize) -> [u8; 4] {
        u32::try_from(number).unwrap().to_le_bytes()
    }

    /// A fork whose only resource starts with pairs of places and lengths.
    fn fork_of_pairs(blocks: &[Vec<u8>]) -> Vec<u8> {
        let mut table = number(blocks.len()).to_vec();
        let mut start = 4 + blocks.len() * 8;
        for block in blocks {
            table.extend([number(start), number(block.len())].concat());
            start += block.len();
        }
        let mut fork = vec![0, 0, 1, 0];
        fork.resize(260, 0);
        [fork, table, blocks.concat()].concat()
    }

    fn fork_of_places(blocks: &[Vec<u8>]) -> Vec<u8> {
        let mut start = 4 + blocks.len() * 4;
        let mut table = number(start).to_vec();
        for block in blocks {
            start += block.len();
            table.extend(number(start));
        }
        [table, blocks.concat()].concat()
    }

    fn text(len: usize) -> Vec<u8> {
        b"a text that repeats. ".iter().copied().cycle().take(len).collect()
    }

    #[test]
    fn small_files_are_in_the_attribute() {
        let bytes = text(1000);
        let plain = |mark: u8| [&[mark], &bytes[..]].concat();
        for (kind, packed) in [
            (3, zlib(&bytes)),
            (3, plain(0xFF)),
            (7, lzvn(&bytes)),
            (7, plain(0x06)),
            (11, lzfse(&bytes)),
            (11, plain(0xFF)),
        ] {
            assert_eq!(read(attribute(kind, 1000, &packed), b"").unwrap(), bytes, "{kind}");
        }
    }

    #[test]
    fn large_files_are_in_blocks_in_the_resource_fork() {
        let bytes = text(150_000);
        let pack = |pack: fn(&[u8]) -> Vec<u8>| bytes.chunks(1 << 16).map(pack).collect::<Vec<_>>();
        let plain = |block: &[u8]| [&[0xFF], block].concat();
        assert_eq!(
            read(attribute(4, 150_000, b""), &fork_of_pairs(&pack(zlib))).unwrap(),
            bytes
        );
        assert_eq!(
            read(attribute(4, 150_000, b""), &fork_of_pairs(&pack(plain))).unwrap(),
            bytes
        );
        assert_eq!(
            read(attribute(12, 150_000, b""), &fork_of_places(&pack(lzfse))).unwrap(),
            bytes
        );
        let short = fork_of_places(&[lzvn(&bytes[..2000])]);
        assert_eq!(read(attribute(8, 2000, b""), &short).unwrap(), bytes[..2000]);
    }

    #[test]
    fn lengths_and_places_that_lie_are_refused() {
        let bytes = text(1000);
        let packed = zlib(&bytes);
        assert!(matches!(
            read(attribute(3, 999, &[&[0xFF], &bytes[..]].concat()), b""),
            Err(Refusal::Damaged(_))
        ));
        assert!(matches!(
            read(attribute(3, 1001, &packed), b""),
            Err(Refusal::Damaged(_))
        ));
        assert!(matches!(
            read(attribute(3, 1 << 40, &packed), b""),
            Err(Refusal::TooLarge { .. })
        ));
        assert!(matches!(
            read(attribute(14, 1000, &packed), b""),
            Err(Refusal::MethodUnknown { .. })
        ));
        for kind in [4, 8, 12] {
            assert!(read(attribute(kind, usize::MAX, b""), &fork_of_places(&[lzfse(&bytes)])).is_err());
            assert!(read(attribute(kind, 1000, b""), &[0xFF; 300]).is_err());
            assert!(read(attribute(kind, 1000, b""), b"").is_err());
        }
        assert!(read(Vec::new(), b"").is_err());
    }
}
