//! HFS, as on old images and on hybrid CDs: a catalogue of files as a tree.
//! Source: Apple's "Inside Macintosh: Files", chapter 2. All numbers are big-endian.

use crate::parse::big::u32_or_zero as u32_at;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::btree::{self, Key, number};
use super::{File, Names, malformed};
use crate::source::Source;
use crate::{Budget, Refusal};

/// The numbers of the root folder and of the catalogue.
const ROOT: u64 = 2;
const CATALOGUE: u64 = 4;
/// The kinds of records in the catalogue.
const FOLDER: u8 = 1;
const FILE: u8 = 2;

/// Places of files that have more than three: by the number of the file, and the block in it.
type Overflow = HashMap<u64, Vec<(usize, Vec<Range<u64>>)>>;

struct Volume<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    /// Where its first block is.
    base: u64,
    block: u64,
    overflow: RefCell<Overflow>,
}

pub(super) fn files(source: &dyn Source, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
    let header = source.bytes(1024..1536, 512)?;
    let volume = Volume {
        source,
        budget,
        base: number(&header, 28) as u64 * 512,
        block: u64::from(u32_at(&header, 20)),
        overflow: RefCell::default(),
    };
    if volume.block == 0 || !volume.block.is_multiple_of(512) {
        return Err(malformed("its blocks have an impossible size"));
    }
    let extents = File::new(u64::from(u32_at(&header, 130)), volume.places(&header[134..]));
    btree::leaves(source, &extents, Key::Short, budget, |record, key| {
        // Of the data only, not of resources.
        if key.first() == Some(&0) {
            let mut overflow = volume.overflow.borrow_mut();
            let file = overflow.entry(u64::from(u32_at(key, 1))).or_default();
            file.push((number(key, 5), volume.places(record)));
        }
        Ok(())
    })?;
    let catalogue = volume.file(u32_at(&header, 146), &header[150..], CATALOGUE);
    volume.read_catalogue(&catalogue)
}

impl Volume<'_> {
    fn file(&self, len: u32, extents: &[u8], number: u64) -> File {
        let mut places = self.places(extents);
        if let Some(mut more) = self.overflow.borrow_mut().remove(&number) {
            more.sort_by_key(|(start, _)| *start);
            places.extend(more.into_iter().flat_map(|(_, places)| places));
        }
        File::new(len.into(), places)
    }

    /// Three places, of which those that are used come first.
    fn places(&self, extents: &[u8]) -> Vec<Range<u64>> {
        let place = |extent: &[u8]| {
            let start = self.base + number(extent, 0) as u64 * self.block;
            start..start + number(extent, 2) as u64 * self.block
        };
        let extents = extents.chunks_exact(4).take(3).map(place);
        extents.take_while(|place| !place.is_empty()).collect()
    }

    fn read_catalogue(&self, catalogue: &File) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
        let limit = self.budget.limits().entries;
        let mut names = Names::new(ROOT, self.budget);
        let mut found = Vec::new();
        btree::leaves(self.source, catalogue, Key::Short, self.budget, |record, key| {
            let (number, file) = match record.first() {
                Some(&FOLDER) => (u64::from(u32_at(record, 6)), None),
                Some(&FILE) => {
                    let number = u64::from(u32_at(record, 20));
                    let extents = record.get(74..).unwrap_or_default();
                    (number, Some(self.file(u32_at(record, 26), extents, number)))
                }
                _ => return Ok(()),
            };
            if found.len() as u64 >= limit {
                return Err(Refusal::TooManyEntries { limit });
            }
            names.add(number, u64::from(u32_at(key, 1)), name(key))?;
            found.push((number, file));
            Ok(())
        })?;
        let mut files = BTreeMap::new();
        for (number, file) in found {
            if let Some(mut path) = names.path(number, self.budget)? {
                if file.is_none() {
                    path.push(b'/');
                }
                files.insert(path, file.unwrap_or_default());
            }
        }
        Ok(files)
    }
}

/// The name in a key of the catalogue, in Mac OS Roman; a slash in it stands for a colon.
fn name(key: &[u8]) -> Vec<u8> {
    let name = key.get(5).and_then(|length| key.get(6..6 + usize::from(*length)));
    let (name, _) = encoding_rs::MACINTOSH.decode_without_bom_handling(name.unwrap_or_default());
    name.replace('/', ":").into_bytes()
}
