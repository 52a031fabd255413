//! File systems, as far as it takes to read files: where each one's bytes are. Nothing is written,
//! and nothing but plain files is followed.

mod apfs;
mod fat;
mod hfs;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;

use crate::source::Source;
use crate::{Budget, Refusal};

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// Apple's of today.
    Apfs,
    /// Apple's before that.
    HfsPlus,
    /// That of memory cards.
    Fat,
}

impl FileSystem {
    /// The file system at the start of `volume`, as far as its magic number tells.
    ///
    /// # Errors
    /// Where the volume cannot be read.
    pub fn of(volume: &dyn Source) -> Result<Option<Self>, Refusal> {
        if volume.len() < 2048 {
            return Ok(None);
        }
        let head = volume.bytes(0..1026, 1026)?;
        Ok(if &head[32..36] == b"NXSB" {
            Some(Self::Apfs)
        } else if matches!(&head[1024..1026], b"H+" | b"HX") {
            Some(Self::HfsPlus)
        } else if head[510..512] == [0x55, 0xAA] && (&head[54..57] == b"FAT" || &head[82..85] == b"FAT") {
            Some(Self::Fat)
        } else {
            None
        })
    }

    /// The usual name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apfs => "APFS",
            Self::HfsPlus => "HFS+",
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
            Self::HfsPlus => hfs::files(volume, budget),
            Self::Fat => fat::files(volume, budget),
        }
    }
}

/// A file: how long it is, and where its bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// How many bytes it has.
    pub len: u64,
    /// Whether the file system keeps it in a packed form, which is not read.
    pub is_packed: bool,
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
            is_packed: false,
            extents: extents.collect(),
        }
    }
}

/// The bytes of a file on a volume.
pub struct Contents<'a> {
    /// Where the file is.
    pub volume: &'a dyn Source,
    /// The file.
    pub file: &'a File,
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
