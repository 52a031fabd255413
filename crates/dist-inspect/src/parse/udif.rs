//! Disk images in Apple's format, as `hdiutil` makes them: a disk in chunks, each packed by itself,
//! tables of them in a property list, and a trailer that starts with `koly`.
//! Source: <http://newosxbook.com/DMG.html>.

use super::big::{u32_or_zero as u32_at, u64_or_zero as u64_at};
use std::cell::RefCell;
use std::io::{self, Read};
use std::ops::Range;
use std::rc::Rc;

use bzip2::read::BzDecoder;
use flate2::read::ZlibDecoder;
use lzfse_rust::LzfseRingDecoder;
use lzma_rust2::XzReader;

use super::adc;
use super::plist::Plist;
use crate::source::Source;
use crate::{Budget, Refusal};

const SECTOR: u64 = 512;
/// How long the tables may be, in bytes.
const TABLES: u64 = 64 << 20;
/// How long a chunk may be, packed or not, in bytes; `hdiutil` makes them of one or two MiB.
const CHUNK: u64 = 16 << 20;
/// How many bytes of unpacked chunks are held, since a file system's own records lie apart.
const HELD: usize = 64 << 20;
/// How many KiB of memory unpacking xz may take.
const XZ_MEMORY: u32 = 64 << 10;

/// What stands in the last 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Where the chunks are, from which their places count.
    pub data: Range<u64>,
    /// Where the tables are.
    pub tables: Range<u64>,
    /// Where the code signature is; empty where there is none.
    pub signature: Range<u64>,
    /// Whether the tables are in a resource fork instead, as before property lists.
    pub is_old: bool,
    /// Of how many files the image is one.
    pub segments: u32,
    /// The CRC-32 of all chunks, where it has one.
    pub crc: Option<u32>,
}

impl Trailer {
    /// Reads a trailer.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() != 512 || !bytes.starts_with(b"koly") {
            return Err(malformed("its trailer is none"));
        }
        let range = |offset: usize| {
            let start = u64_at(bytes, offset);
            let end = start.checked_add(u64_at(bytes, offset + 8));
            end.map(|end| start..end).ok_or(Refusal::Truncated)
        };
        let has_crc = u32_at(bytes, 80) == 2 && u32_at(bytes, 84) == 32;
        Ok(Self {
            data: range(24)?,
            tables: range(216)?,
            signature: range(296)?,
            is_old: range(216)?.is_empty() && !range(40)?.is_empty(),
            segments: u32_at(bytes, 60),
            crc: has_crc.then(|| u32_at(bytes, 88)),
        })
    }
}

/// A disk, whose chunks are unpacked when they are read.
pub struct Disk<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    len: u64,
    /// In the order of the disk; what none of them holds is zeros.
    chunks: Vec<Chunk>,
    /// The partitions, and the names of their kinds.
    pub partitions: Vec<(String, Range<u64>)>,
    /// Unpacked chunks by their places, the last one that was read first.
    held: RefCell<Vec<(usize, Rc<Vec<u8>>)>>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// Where it starts on the disk, and how long it is there.
    start: u64,
    len: u64,
    packing: Packing,
    /// Where it starts in the file, and how long it is there.
    offset: u64,
    packed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Raw,
    Adc,
    Zlib,
    Bzip2,
    Lzfse,
    Xz,
}

impl Packing {
    fn of(kind: u32) -> Option<Self> {
        Some(match kind {
            1 => Self::Raw,
            0x8000_0004 => Self::Adc,
            0x8000_0005 => Self::Zlib,
            0x8000_0006 => Self::Bzip2,
            0x8000_0007 => Self::Lzfse,
            0x8000_0008 => Self::Xz,
            _ => return None,
        })
    }
}

impl<'a> Disk<'a> {
    /// Reads the tables of an image.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Truncated`] where a chunk lies outside of the file, and
    /// what a property list refuses.
    pub fn open(source: &'a dyn Source, trailer: &Trailer, budget: &'a Budget) -> Result<Self, Refusal> {
        let list = Plist::parse(&source.bytes(trailer.tables.clone(), TABLES)?, budget)?;
        let tables = list.get("resource-fork").map_or(&[][..], |fork| fork.array("blkx"));
        let mut disk = Self {
            source,
            budget,
            len: 0,
            chunks: Vec::new(),
            partitions: Vec::new(),
            held: RefCell::default(),
        };
        for table in tables {
            let name = table.text("Name").or_else(|| table.text("CFName")).unwrap_or_default();
            let bytes = table.get("Data").and_then(Plist::as_data).unwrap_or_default();
            disk.add_table(name, bytes, trailer.data.start)?;
        }
        disk.chunks.sort_by_key(|chunk| chunk.start);
        Ok(disk)
    }

    fn add_table(&mut self, name: &str, bytes: &[u8], base: u64) -> Result<(), Refusal> {
        if bytes.len() < 204 || !bytes.starts_with(b"mish") {
            return Err(malformed("a table of chunks is none"));
        }
        let bytes_of = |sectors: u64| {
            sectors
                .checked_mul(SECTOR)
                .ok_or_else(|| malformed("a place is too far away"))
        };
        let start = bytes_of(u64_at(bytes, 8))?;
        let end = start
            .checked_add(bytes_of(u64_at(bytes, 16))?)
            .ok_or(Refusal::Truncated)?;
        let base = base.saturating_add(u64_at(bytes, 24));
        let limit = self.budget.limits().entries;
        for entry in bytes[204..].chunks_exact(40).take(u32_at(bytes, 200) as usize) {
            self.budget.step()?;
            let Some(packing) = Packing::of(u32_at(entry, 0)) else {
                continue;
            };
            let chunk = Chunk {
                start: start.saturating_add(bytes_of(u64_at(entry, 8))?),
                len: bytes_of(u64_at(entry, 16))?,
                packing,
                offset: base.saturating_add(u64_at(entry, 24)),
                packed: u64_at(entry, 32),
            };
            if chunk.offset.saturating_add(chunk.packed) > self.source.len() {
                return Err(Refusal::Truncated);
            }
            if self.chunks.len() as u64 >= limit {
                return Err(Refusal::TooManyEntries { limit });
            }
            self.chunks.push(chunk);
        }
        self.len = self.len.max(end);
        self.partitions.push((name.to_owned(), start..end));
        Ok(())
    }

    /// The unpacked bytes of a chunk.
    fn unpack(&self, place: usize, chunk: &Chunk) -> Result<Rc<Vec<u8>>, Refusal> {
        let mut held = self.held.borrow_mut();
        if let Some(found) = held.iter().position(|(other, _)| *other == place) {
            held[..=found].rotate_right(1);
            return Ok(Rc::clone(&held[0].1));
        }
        if chunk.len > CHUNK {
            return Err(Refusal::TooLarge { limit: CHUNK });
        }
        let packed = self.source.bytes(chunk.offset..chunk.offset + chunk.packed, CHUNK)?;
        self.budget.take(chunk.len)?;
        let mut bytes = Vec::new();
        let input = packed.as_slice();
        match chunk.packing {
            Packing::Raw => bytes = packed,
            Packing::Adc => bytes = adc::unpack(input, chunk.len)?,
            Packing::Zlib => read_to(ZlibDecoder::new(input), chunk.len, &mut bytes)?,
            Packing::Bzip2 => read_to(BzDecoder::new(input), chunk.len, &mut bytes)?,
            Packing::Xz => read_to(XzReader::new_mem_limit(input, true, XZ_MEMORY), chunk.len, &mut bytes)?,
            Packing::Lzfse => {
                let mut decoder = LzfseRingDecoder::default();
                read_to(decoder.reader_bytes(input), chunk.len, &mut bytes)?;
            }
        }
        // Some tools leave out zeros at the end.
        bytes.resize(usize::try_from(chunk.len).unwrap_or_default(), 0);
        let bytes = Rc::new(bytes);
        held.insert(0, (place, Rc::clone(&bytes)));
        let mut left = HELD;
        held.retain(|(_, bytes)| {
            left = left.saturating_sub(bytes.len());
            left > 0
        });
        Ok(bytes)
    }
}

fn read_to(reader: impl Read, len: u64, bytes: &mut Vec<u8>) -> Result<(), Refusal> {
    reader.take(len).read_to_end(bytes)?;
    Ok(())
}

impl Source for Disk<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let buffer = &mut buffer[..count];
        let after = self.chunks.partition_point(|chunk| chunk.start <= offset);
        let chunk = after.checked_sub(1).map(|place| (place, &self.chunks[place]));
        let Some((place, chunk)) = chunk.filter(|(_, chunk)| offset - chunk.start < chunk.len) else {
            // Zeros up to the next chunk.
            let next = self.chunks.get(after).map_or(u64::MAX, |chunk| chunk.start - offset);
            let count = usize::try_from(next).map_or(count, |next| next.min(count));
            buffer[..count].fill(0);
            return Ok(count);
        };
        let within = offset - chunk.start;
        if chunk.packing == Packing::Raw && chunk.packed == chunk.len {
            let rest = usize::try_from(chunk.len - within).unwrap_or(usize::MAX);
            return self
                .source
                .read_at(chunk.offset + within, &mut buffer[..rest.min(count)]);
        }
        self.unpack(place, chunk)?.read_at(within, buffer)
    }
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("disk image", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::io::Write as _;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn lzfse(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        lzfse_rust::encode_bytes(bytes, &mut packed).unwrap();
        packed
    }

    /// An image with a partition of chunks of two sectors, and its trailer.
    fn image(chunks: &[(u32, Vec<u8>)]) -> (Vec<u8>, Trailer) {
        let mut data = Vec::new();
        let mut table = b"mish\0\0\0\x01".to_vec();
        table.extend([0, chunks.len() as u64 * 2, 0].map(u64::to_be_bytes).as_flattened());
        table.resize(200, 0);
        table.extend(u32::try_from(chunks.len()).unwrap().to_be_bytes());
        for (place, (kind, bytes)) in chunks.iter().enumerate() {
            table.extend(kind.to_be_bytes());
            table.extend([0; 4]);
            let numbers = [place as u64 * 2, 2, data.len() as u64, bytes.len() as u64];
            table.extend(numbers.map(u64::to_be_bytes).as_flattened());
            data.extend(bytes);
        }
        let list = format!(
            "<plist><dict><key>resource-fork</key><dict><key>blkx</key><array><dict><key>Data</key><data>{}</data>
            </dict></array></dict></dict></plist>",
            STANDARD.encode(&table)
        );
        let tables = data.len() as u64..(data.len() + list.len()) as u64;
        let trailer = Trailer {
            data: 0..data.len() as u64,
            tables,
            signature: 0..0,
            is_old: false,
            segments: 1,
            crc: None,
        };
        (data.into_iter().chain(list.into_bytes()).collect(), trailer)
    }

    #[test]
    fn chunks_of_all_kinds_are_one_disk() {
        let bytes: Vec<u8> = b"sector ".iter().copied().cycle().take(1024).collect();
        let text = |part: &[u8]| [&[0x80 | 0x7F], part].concat();
        let adc: Vec<u8> = bytes.chunks(128).flat_map(text).collect();
        let (file, trailer) = image(&[
            (1, bytes.clone()),
            (2, Vec::new()),
            (0x8000_0004, adc),
            (0x8000_0005, zlib(&bytes)),
            (0x8000_0006, bzip2(&bytes)),
            (0x8000_0007, lzfse(&bytes)),
        ]);
        let budget = Budget::new(&Limits::default());
        let disk = Disk::open(&file, &trailer, &budget).unwrap();
        let whole = disk.bytes(0..disk.len(), 1 << 20).unwrap();
        let chunks: Vec<&[u8]> = whole.chunks(1024).collect();
        assert_eq!(chunks.len(), 6);
        for (place, chunk) in chunks.into_iter().enumerate() {
            let expected = if place == 1 { vec![0; 1024] } else { bytes.clone() };
            assert_eq!(chunk, expected, "{place}");
        }
    }

    #[test]
    fn chunks_that_lie_elsewhere_or_unpack_to_more_are_no_trap() {
        let (file, mut trailer) = image(&[(0x8000_0005, zlib(&vec![7; 1 << 20]))]);
        let budget = Budget::new(&Limits::default());
        let disk = Disk::open(&file, &trailer, &budget).unwrap();
        assert_eq!(disk.bytes(0..disk.len(), 1 << 20).unwrap(), [7; 1024]);
        trailer.data = u64::MAX - 1..u64::MAX;
        assert!(matches!(Disk::open(&file, &trailer, &budget), Err(Refusal::Truncated)));
        trailer.tables = 1 << 60..(1 << 60) + 9;
        assert!(matches!(Disk::open(&file, &trailer, &budget), Err(Refusal::Truncated)));
    }
}
