//! HFS+: a catalogue of files as a tree, whose leaves are a list.
//! Source: Apple's technical note TN1150. All numbers are big-endian.

use crate::parse::big::{self, u32_or_zero as u32_at, u64_or_zero as u64_at};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::{Contents, File, Names, malformed};
use crate::source::Source;
use crate::{Budget, Refusal};

/// The numbers of the root folder and of the catalogue.
const ROOT: u64 = 2;
const CATALOGUE: u64 = 4;
/// What stands before the places of a fork, and how many there are.
const FORK_EXTENTS: usize = 16;
/// `UF_COMPRESSED`, among the owner's flags.
const IS_PACKED: u8 = 0x20;

/// Places of forks that have more than eight: by the number of the file, and the block in it.
type Overflow = HashMap<u64, Vec<(u64, Vec<Range<u64>>)>>;

struct Volume<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    block: u64,
    overflow: RefCell<Overflow>,
}

pub(super) fn files(source: &dyn Source, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
    let header = source.bytes(1024..1536, 512)?;
    let mut volume = Volume {
        source,
        budget,
        block: u64::from(u32_at(&header, 40)),
        overflow: RefCell::default(),
    };
    if !(512..=1 << 20).contains(&volume.block) {
        return Err(malformed("its blocks have an impossible size"));
    }
    let extents = volume.fork(&header[192..272], 0);
    let mut overflow = Overflow::new();
    volume.leaves(&extents, |record, key| {
        // Of the data only, not of resources.
        if key.first() == Some(&0) {
            let places = volume.places(record);
            let file = overflow.entry(u64::from(u32_at(key, 2))).or_default();
            file.push((u64::from(u32_at(key, 6)), places));
        }
        Ok(())
    })?;
    volume.overflow = RefCell::new(overflow);
    let catalogue = volume.fork(&header[272..352], CATALOGUE);
    volume.read_catalogue(&catalogue)
}

impl Volume<'_> {
    /// The bytes of a fork, by the form of its places.
    fn fork(&self, fork: &[u8], number: u64) -> File {
        let mut places = self.places(fork.get(FORK_EXTENTS..).unwrap_or_default());
        if let Some(mut more) = self.overflow.borrow_mut().remove(&number) {
            more.sort_by_key(|(start, _)| *start);
            places.extend(more.into_iter().flat_map(|(_, places)| places));
        }
        File::new(u64_at(fork, 0), places)
    }

    /// Eight places, of which those that are used come first.
    fn places(&self, extents: &[u8]) -> Vec<Range<u64>> {
        let extents = extents.chunks_exact(8).take(8);
        let place = |extent: &[u8]| {
            let start = u64::from(u32_at(extent, 0)) * self.block;
            start..start + u64::from(u32_at(extent, 4)) * self.block
        };
        extents.map(place).take_while(|place| !place.is_empty()).collect()
    }

    /// Calls `visit` with each record of a tree, and its key without its length.
    fn leaves(&self, tree: &File, mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
        if tree.len == 0 {
            return Ok(());
        }
        let contents = Contents {
            volume: self.source,
            file: tree,
        };
        let header = contents.bytes(0..64, 64)?;
        let size = u16_at(&header, 32);
        if !(512..=32768).contains(&size) {
            return Err(malformed("the nodes of a tree have an impossible size"));
        }
        let mut next = u64::from(u32_at(&header, 24));
        // No node comes twice, so that there are no more of them than fit.
        for _ in 0..tree.len / size {
            if next == 0 {
                return Ok(());
            }
            self.budget.take(size)?;
            let start = next * size;
            let node = contents.bytes(start..start + size, size)?;
            if node[8] != 0xFF {
                return Err(malformed("a leaf of a tree is none"));
            }
            for place in 1..=u16_at(&node, 10) {
                let offset = node.len().checked_sub(usize::try_from(place * 2).unwrap_or(usize::MAX));
                let offset = offset.map(|offset| usize::try_from(u16_at(&node, offset)).unwrap_or(usize::MAX));
                let record = offset.and_then(|offset| node.get(offset..)).unwrap_or_default();
                let length = usize::try_from(u16_at(record, 0)).unwrap_or(usize::MAX);
                let key = record
                    .get(2..length + 2)
                    .ok_or_else(|| malformed("a key of a tree is cut"))?;
                // The record starts at an even place.
                visit(record.get(2 + length.next_multiple_of(2)..).unwrap_or_default(), key)?;
            }
            next = u64::from(u32_at(&node, 0));
        }
        Ok(())
    }

    fn read_catalogue(&self, catalogue: &File) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
        let limit = self.budget.limits().entries;
        let mut names = Names::new(ROOT, self.budget);
        let mut found = Vec::new();
        self.leaves(catalogue, |record, key| {
            let kind = u16_at(record, 0);
            if !matches!(kind, 1 | 2) {
                return Ok(());
            }
            if found.len() as u64 >= limit {
                return Err(Refusal::TooManyEntries { limit });
            }
            let number = u64::from(u32_at(record, 8));
            names.add(number, u64::from(u32_at(key, 0)), name(key))?;
            let mut file = File::default();
            if kind == 2 {
                file = self.fork(record.get(88..168).unwrap_or_default(), number);
                file.is_packed = record.get(41).is_some_and(|flags| flags & IS_PACKED != 0);
            }
            found.push((number, kind == 1, file));
            Ok(())
        })?;
        let mut files = BTreeMap::new();
        for (number, is_folder, file) in found {
            if let Some(mut path) = names.path(number, self.budget)? {
                if is_folder {
                    path.push(b'/');
                }
                files.insert(path, file);
            }
        }
        Ok(files)
    }
}

/// The name in a key of the catalogue; a slash in it stands for a colon.
fn name(key: &[u8]) -> Vec<u8> {
    let count = usize::try_from(u16_at(key, 4)).unwrap_or_default();
    let units = key.get(6..).unwrap_or_default().chunks_exact(2).take(count);
    let units = units.map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
    let name: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    name.replace('/', ":").into_bytes()
}

fn u16_at(bytes: &[u8], offset: usize) -> u64 {
    big::u16_at(bytes, offset).unwrap_or_default().into()
}
