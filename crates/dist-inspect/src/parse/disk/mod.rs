//! File systems, as far as it takes to read files: where each one's bytes are. Nothing is written,
//! and nothing but plain files is followed.

mod apfs;
mod btree;
mod fat;
mod hfs;
mod hfs_plus;
mod iso;
mod packed;
pub mod partitions;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;

use self::packed::{Packed, Unpacked};
use crate::source::Source;
use crate::{Budget, Refusal};

/// How much of a volume tells what file system it has: ISO 9660 starts behind sixteen sectors.
pub const HEAD: usize = 33 << 10;

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// Apple's of today.
    Apfs,
    /// Apple's before that.
    HfsPlus,
    /// Apple's before that one.
    Hfs,
    /// That of CDs and DVDs.
    Iso9660,
    /// That of memory cards.
    Fat,
}

impl FileSystem {
    /// The file system at the start of `volume`, as far as its magic number tells.
    ///
    /// # Errors
    /// Where the volume cannot be read.
    pub fn of(volume: &dyn Source) -> Result<Option<Self>, Refusal> {
        let len = volume.len().min(HEAD as u64);
        Ok(Self::of_head(&volume.bytes(0..len, len)?))
    }

    /// The same of the first [`HEAD`] bytes, or all where there are less.
    pub fn of_head(head: &[u8]) -> Option<Self> {
        let has = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
        Some(if has(32, b"NXSB") {
            Self::Apfs
        } else if has(1024, b"H+") || has(1024, b"HX") || (has(1024, b"BD") && has(1024 + 124, b"H+")) {
            Self::HfsPlus
        } else if has(1024, b"BD") {
            Self::Hfs
        } else if has(510, &[0x55, 0xAA]) && (has(54, b"FAT") || has(82, b"FAT")) {
            Self::Fat
        } else if has(0x8001, b"CD001") {
            Self::Iso9660
        } else {
            return None;
        })
    }

    /// The usual name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apfs => "APFS",
            Self::HfsPlus => "HFS+",
            Self::Hfs => "HFS",
            Self::Iso9660 => "ISO 9660",
            Self::Fat => "FAT",
        }
    }

    /// All files of `volume` by their paths, and folders, whose paths end in a slash.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Truncated`], [`Refusal::Encrypted`], and what exceeds the
    /// limits.
    pub fn files(self, volume: &dyn Source, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
        match self {
            Self::Apfs => apfs::files(volume, budget),
            Self::HfsPlus => hfs_plus::files(volume, budget),
            Self::Hfs => hfs::files(volume, budget),
            Self::Iso9660 => iso::files(volume, budget),
            Self::Fat => fat::files(volume, budget),
        }
    }
}

/// A file: how long it is, and where its bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// How many bytes it has.
    pub len: u64,
    /// How the file system packs it, if it does.
    packed: Option<Box<Packed>>,
    /// From where in the file, and where on the volume; in the order of the file.
    extents: Vec<(u64, Range<u64>)>,
}

impl File {
    /// A file whose bytes are at these places, one after the other.
    fn new(len: u64, places: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut offset: u64 = 0;
        let extents = places.into_iter().map(|place| {
            let start = offset;
            offset = start.saturating_add(place.end - place.start);
            (start, place)
        });
        Self {
            len,
            packed: None,
            extents: extents.collect(),
        }
    }

    /// The bytes of the file, which is on `volume`, unpacked where the file system packs them.
    ///
    /// # Errors
    /// [`Refusal::MethodUnknown`], [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn open<'a>(&'a self, volume: &'a dyn Source, budget: &'a Budget) -> Result<Box<dyn Source + 'a>, Refusal> {
        Ok(match &self.packed {
            Some(packed) => Box::new(Unpacked::open(packed, self.len, volume, budget)?),
            None => Box::new(Contents { volume, file: self }),
        })
    }
}

/// The bytes of a file on a volume, as they stand there.
struct Contents<'a> {
    volume: &'a dyn Source,
    file: &'a File,
}

impl Source for Contents<'_> {
    fn len(&self) -> u64 {
        self.file.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let extents = &self.file.extents;
        let limit =
            |end: u64, count: usize| usize::try_from(end.saturating_sub(offset)).map_or(count, |rest| rest.min(count));
        let count = limit(self.file.len, buffer.len());
        let after = extents.partition_point(|(start, _)| *start <= offset);
        if let Some((start, place)) = after.checked_sub(1).map(|before| &extents[before]) {
            let from = place.start.saturating_add(offset - start);
            if from < place.end {
                let count = limit(offset.saturating_add(place.end - from), count);
                return self.volume.read_at(from, &mut buffer[..count]);
            }
        }
        // A hole, which is zeros.
        let count = extents.get(after).map_or(count, |(start, _)| limit(*start, count));
        buffer[..count].fill(0);
        Ok(count)
    }
}

/// The names in folders, by the numbers of files, of which paths are made.
struct Names {
    /// The folder that each is in, and its name there.
    known: HashMap<u64, (u64, Vec<u8>)>,
    root: u64,
    /// How many bytes of names and paths there may still be.
    left: u64,
    limit: u64,
}

impl Names {
    fn new(root: u64, budget: &Budget) -> Self {
        let limit = budget.limits().directory_bytes;
        Self {
            known: HashMap::new(),
            root,
            left: limit,
            limit,
        }
    }

    fn take(&mut self, count: usize) -> Result<(), Refusal> {
        let left = self.left.checked_sub(count as u64 + 64);
        self.left = left.ok_or(Refusal::DirectoryTooLong { limit: self.limit })?;
        Ok(())
    }

    /// Notes the name of a file or folder.
    fn add(&mut self, number: u64, folder: u64, name: Vec<u8>) -> Result<(), Refusal> {
        self.take(name.len())?;
        self.known.insert(number, (folder, name));
        Ok(())
    }

    /// The path of a file or folder; `None` where it is not below the root, or too deep.
    fn path(&mut self, number: u64, budget: &Budget) -> Result<Option<Vec<u8>>, Refusal> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = number;
        while at != self.root {
            let Some((folder, name)) = self.known.get(&at).filter(|_| parts.len() < 100) else {
                return Ok(None);
            };
            parts.push(name);
            at = *folder;
        }
        parts.reverse();
        let path = parts.join(&b'/');
        if path.len() > budget.limits().path_bytes {
            return Ok(None);
        }
        self.take(path.len())?;
        Ok(Some(path))
    }
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("file system", why)
}
