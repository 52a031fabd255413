//! OLE compound files, by position: a file system in a file, as msi packages are.
//! Source: Microsoft's \[MS-CFB\].

use std::cell::Cell;

use super::little::{u16_at, u32_at, u64_at, wide_text};
use crate::source::Source;
use crate::{Budget, Refusal};

/// How a compound file starts.
pub const MAGIC: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

/// Sectors from this number on are none: ends, holes, parts of the tables themselves.
const LAST_SECTOR: u32 = 0xFFFF_FFFA;
/// The end of a chain of sectors.
const END: u32 = 0xFFFF_FFFE;
/// No entry.
const NONE: u32 = u32::MAX;
const HEADER: usize = 512;
const ENTRY: usize = 128;
/// How long the table of sectors may be, in bytes: enough for files of 8 GiB.
const TABLE_BYTES: u64 = 64 << 20;
/// The sectors of small streams.
const MINI: u64 = 64;
/// How many times everything may be read.
const PASSES: u64 = 16;
/// How much is read at once, in bytes.
const READ: u64 = 256 << 10;

/// A compound file.
pub struct CompoundFile<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    /// How many bytes a sector has: 512 or 4096.
    sector: u64,
    /// Streams below this size are in small sectors.
    mini_cutoff: u64,
    /// The sector that follows each sector.
    next: Vec<u32>,
    /// The same for small sectors.
    mini_next: Vec<u32>,
    /// The sectors in which the small ones are.
    mini_sectors: Vec<u32>,
    entries: Vec<Entry>,
    /// How many sectors and entries may still be followed; streams that share some would be endless
    /// work.
    left: Cell<u64>,
}

/// A stream or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in UTF-16, little-endian and with the zero after it.
    pub raw_name: Vec<u8>,
    /// Whether it is a stream.
    pub is_stream: bool,
    /// What a folder is, by a GUID as it stands there.
    pub class: [u8; 16],
    /// How many bytes a stream has.
    pub size: u64,
    start: u32,
    left: u32,
    right: u32,
    child: u32,
}

impl Entry {
    /// Its name.
    pub fn name(&self) -> String {
        wide_text(&self.raw_name)
    }

    fn parse(bytes: &[u8], is_large: bool) -> Option<Self> {
        let name_len = usize::from(u16_at(bytes, 64)?);
        let size = u64_at(bytes, 120)?;
        Some(Self {
            raw_name: bytes.get(..name_len.min(64))?.to_vec(),
            is_stream: *bytes.get(66)? == 2,
            class: *bytes.get(80..)?.first_chunk()?,
            // In small files the upper half may be anything.
            size: if is_large { size } else { size & 0xFFFF_FFFF },
            start: u32_at(bytes, 116)?,
            left: u32_at(bytes, 68)?,
            right: u32_at(bytes, 72)?,
            child: u32_at(bytes, 76)?,
        })
    }
}

impl<'a> CompoundFile<'a> {
    /// Reads the tables and the directory.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Truncated`] and [`Refusal::TooLarge`].
    pub fn open(source: &'a dyn Source, budget: &'a Budget) -> Result<Self, Refusal> {
        let mut header = [0; HEADER];
        source.read_exact_at(0, &mut header)?;
        let number = |place: usize| u32_at(&header, place).unwrap_or_default();
        let (version, shift) = (u16_at(&header, 26), u16_at(&header, 30));
        let sector = match (version, shift) {
            (Some(3), Some(9)) => 512,
            (Some(4), Some(12)) => 4096,
            _ => return Err(malformed("its version is not known")),
        };
        if !header.starts_with(MAGIC) || u16_at(&header, 28) != Some(0xFFFE) || u16_at(&header, 32) != Some(6) {
            return Err(malformed("its header is none"));
        }
        let mut file = Self {
            source,
            budget,
            sector,
            mini_cutoff: u64::from(number(56)),
            next: Vec::new(),
            mini_next: Vec::new(),
            mini_sectors: Vec::new(),
            entries: Vec::new(),
            left: Cell::new((source.len() / MINI + 1) * PASSES),
        };
        file.read_table(&header)?;
        file.check_end()?;
        let directory = file.read_chain(number(48))?;
        let is_large = sector == 4096;
        file.entries = directory
            .chunks_exact(ENTRY)
            .map_while(|bytes| Entry::parse(bytes, is_large))
            .collect();
        let mini = file.read_chain(number(60))?;
        file.mini_next = numbers(&mini).collect();
        let root = file.root()?.clone();
        file.mini_sectors = file.chain(&file.next, root.start)?;
        Ok(file)
    }

    /// The folder that everything is in.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is none.
    pub fn root(&self) -> Result<&Entry, Refusal> {
        self.entries.first().ok_or_else(|| malformed("its directory is empty"))
    }

    /// What is in a folder, in no order.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where its tree is none.
    pub fn children(&self, folder: &Entry) -> Result<Vec<&Entry>, Refusal> {
        let mut found = Vec::new();
        let mut open = vec![folder.child];
        while let Some(place) = open.pop() {
            if place == NONE {
                continue;
            }
            self.follow()?;
            let entry = usize::try_from(place).ok().and_then(|place| self.entries.get(place));
            let entry = entry.ok_or_else(|| malformed("its directory names an entry that is not there"))?;
            found.push(entry);
            if found.len() >= self.entries.len() {
                return Err(malformed("its directory goes in a circle"));
            }
            open.extend([entry.left, entry.right]);
        }
        Ok(found)
    }

    /// The bytes of a stream, of which there may be `max` at most.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] for more; else what [`CompoundFile::visit`] refuses.
    pub fn read(&self, stream: &Entry, max: u64) -> Result<Vec<u8>, Refusal> {
        if stream.size > max {
            return Err(Refusal::TooLarge { limit: max });
        }
        let mut bytes = Vec::new();
        self.visit(stream, &mut |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }

    /// Shows all bytes of a stream to `visit`, in parts.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`] where its sectors are not there.
    pub fn visit(&self, stream: &Entry, visit: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        if stream.size == 0 {
            return Ok(());
        }
        if stream.size >= self.mini_cutoff {
            let sectors = self.chain(&self.next, stream.start)?;
            return self.visit_sectors(&sectors, stream.size, visit);
        }
        let mut left = stream.size;
        for small in self.chain(&self.mini_next, stream.start)? {
            let place = u64::from(small) * MINI;
            let sector = usize::try_from(place / self.sector)
                .ok()
                .and_then(|index| self.mini_sectors.get(index));
            let sector = sector.ok_or(Refusal::Truncated)?;
            let start = self.place(*sector) + place % self.sector;
            let len = left.min(MINI);
            visit(&self.source.bytes(start..start + len, MINI)?);
            left -= len;
            if left == 0 {
                return Ok(());
            }
        }
        Err(malformed("a stream has fewer sectors than its size"))
    }

    /// Shows the bytes in sectors, those that follow each other at once.
    fn visit_sectors(&self, sectors: &[u32], size: u64, visit: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        let mut left = size;
        for run in sectors.chunk_by(|first, second| first.checked_add(1) == Some(*second)) {
            let mut start = run.first().map_or(0, |first| self.place(*first));
            let end = start + (run.len() as u64 * self.sector).min(left);
            left -= end - start;
            while start < end {
                self.budget.take(0)?;
                let part = end.min(start + READ);
                visit(&self.source.bytes(start..part, READ)?);
                start = part;
            }
        }
        if left > 0 {
            return Err(malformed("a stream has fewer sectors than its size"));
        }
        Ok(())
    }

    /// Where a sector stands in the file.
    fn place(&self, sector: u32) -> u64 {
        (u64::from(sector) + 1) * self.sector
    }

    /// All bytes of a chain of sectors that tells no size.
    fn read_chain(&self, start: u32) -> Result<Vec<u8>, Refusal> {
        let sectors = self.chain(&self.next, start)?;
        let size = sectors.len() as u64 * self.sector;
        if size > TABLE_BYTES {
            return Err(Refusal::TooLarge { limit: TABLE_BYTES });
        }
        let mut bytes = Vec::new();
        self.visit_sectors(&sectors, size, &mut |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }

    /// The sectors of a chain in a table.
    fn chain(&self, table: &[u32], start: u32) -> Result<Vec<u32>, Refusal> {
        let mut sectors = Vec::new();
        let mut sector = start;
        while sector < LAST_SECTOR {
            self.follow()?;
            if sectors.len() >= table.len() {
                return Err(malformed("a chain of sectors goes in a circle"));
            }
            sectors.push(sector);
            let next = usize::try_from(sector).ok().and_then(|sector| table.get(sector));
            sector = *next.ok_or_else(|| malformed("a chain names a sector that is not there"))?;
        }
        if sector != END && !sectors.is_empty() {
            return Err(malformed("a chain of sectors has no end"));
        }
        Ok(sectors)
    }

    fn follow(&self) -> Result<(), Refusal> {
        let left = self.left.get().checked_sub(1);
        let circle = || malformed("its streams or folders are in each other");
        self.left.set(left.ok_or_else(circle)?);
        self.budget.step()
    }

    /// The table of sectors, whose own sectors are listed in the header and in further sectors.
    fn read_table(&mut self, header: &[u8]) -> Result<(), Refusal> {
        let number = |place: usize| u32_at(header, place).unwrap_or_default();
        let count = u64::from(number(44));
        if count * self.sector > TABLE_BYTES.min(self.source.len()) {
            return Err(malformed("its table of sectors is longer than it"));
        }
        let mut places: Vec<u32> = numbers(&header[76..]).collect();
        let mut further = number(68);
        while further < LAST_SECTOR && (places.len() as u64) < count {
            let mut more: Vec<u32> = numbers(&self.read_sector(further)?).collect();
            further = more.pop().unwrap_or(END);
            places.append(&mut more);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if places.len() < count {
            return Err(malformed("its table of sectors is not whole"));
        }
        for place in places.into_iter().take(count) {
            self.budget.step()?;
            let sector = self.read_sector(place)?;
            self.next.extend(numbers(&sector));
        }
        Ok(())
    }

    /// Whether every sector starts in the file that the table says is used; the last one may be
    /// shorter.
    fn check_end(&self) -> Result<(), Refusal> {
        let last = self.next.iter().rposition(|next| *next != NONE).unwrap_or_default();
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        if self.place(last) >= self.source.len() {
            return Err(Refusal::Truncated);
        }
        Ok(())
    }

    fn read_sector(&self, sector: u32) -> Result<Vec<u8>, Refusal> {
        let start = self.place(sector);
        self.source.bytes(start..start + self.sector, self.sector)
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|number| u32::from_le_bytes(*number))
}

fn malformed(why: &str) -> Refusal {
    Refusal::malformed("compound file", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
        bytes[at..at + part.len()].copy_from_slice(part);
    }

    fn entry(name: &str, kind: u8, [left, right, child]: [u32; 3], start: u32, size: u64) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let mut entry = vec![0; ENTRY];
        put(&mut entry, 0, &name);
        put(&mut entry, 64, &u16::try_from(name.len()).unwrap().to_le_bytes());
        put(&mut entry, 66, &[kind]);
        for (place, number) in [(68, left), (72, right), (76, child), (116, start)] {
            put(&mut entry, place, &number.to_le_bytes());
        }
        put(&mut entry, 120, &size.to_le_bytes());
        entry
    }

    /// Sector 0 is the table, 1 the directory, 2 and 3 a stream, 4 the small sectors, 5 their table.
    fn file(next: [u32; 6], small: u32) -> Vec<u8> {
        let mut bytes = vec![0; 512 * 7];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 24, &[0x3E, 0, 3, 0, 0xFE, 0xFF, 9, 0, 6, 0]);
        put(&mut bytes, 44, &1_u32.to_le_bytes());
        put(&mut bytes, 48, &1_u32.to_le_bytes());
        put(&mut bytes, 56, &600_u32.to_le_bytes());
        put(&mut bytes, 60, &5_u32.to_le_bytes());
        put(&mut bytes, 68, &END.to_le_bytes());
        put(&mut bytes, 76, &[0; 4]);
        put(&mut bytes, 512, &[0xFF; 512]);
        for (place, next) in next.into_iter().enumerate() {
            put(&mut bytes, 512 + 4 * place, &next.to_le_bytes());
        }
        let entries = [
            entry("Root Entry", 5, [NONE, NONE, 1], 4, 128),
            entry("large", 2, [2, NONE, NONE], 2, 700),
            entry("small", 2, [NONE, NONE, NONE], 0, 70),
        ];
        put(&mut bytes, 1024, &entries.concat());
        put(&mut bytes, 1536, &[b'L'; 700]);
        put(&mut bytes, 2560, &[b's'; 70]);
        put(&mut bytes, 3072, &[small.to_le_bytes(), END.to_le_bytes()].concat());
        bytes
    }

    fn streams(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
        let budget = Budget::new(&Limits::default());
        let file = CompoundFile::open(&bytes, &budget)?;
        let children = file.children(file.root()?)?;
        let read = |entry: &Entry| Ok((entry.name(), file.read(entry, 1000)?));
        children.into_iter().map(read).collect()
    }

    const SOUND: [u32; 6] = [0xFFFF_FFFD, END, 3, END, END, END];

    #[test]
    fn streams_are_in_large_and_in_small_sectors() {
        let expected = [
            ("large".to_owned(), vec![b'L'; 700]),
            ("small".to_owned(), vec![b's'; 70]),
        ];
        assert_eq!(streams(&file(SOUND, 1)).unwrap(), expected);
    }

    #[test]
    fn circles_and_lies_are_refused() {
        let with = |place: usize, next: u32| {
            let mut sectors = SOUND;
            sectors[place] = next;
            streams(&file(sectors, 1))
        };
        for (place, next) in [(3, 2), (3, 900), (2, END), (1, 1), (3, 0xFFFF_FFFF)] {
            assert!(
                matches!(with(place, next), Err(Refusal::Malformed { .. })),
                "{place} {next}"
            );
        }
        for small in [0, END, 77] {
            assert!(
                matches!(streams(&file(SOUND, small)), Err(Refusal::Malformed { .. })),
                "{small}"
            );
        }
        let mut circle = file(SOUND, 1);
        put(&mut circle, 1024 + ENTRY + 68, &1_u32.to_le_bytes());
        assert!(matches!(streams(&circle), Err(Refusal::Malformed { .. })));
        let sound = file(SOUND, 1);
        for len in 0..sound.len() {
            assert!(len > 3072 || streams(&sound[..len]).is_err(), "{len}");
        }
    }
}
