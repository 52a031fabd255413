//! HFS+: a catalogue of files, and their attributes, as trees.
//! Source: Apple's technical note TN1150. All numbers are big-endian.

use crate::parse::big::{u16_at, u32_or_zero as u32_at, u64_or_zero as u64_at};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::btree::{self, Key, number};
use super::packed::{self, Packed};
use super::{File, Names, malformed};
use crate::source::Source;
use crate::{Budget, Refusal};

/// The numbers of the root folder, and of the files that are trees.
const ROOT: u64 = 2;
const EXTENTS: u64 = 3;
const CATALOGUE: u64 = 4;
const ATTRIBUTES: u64 = 8;
/// The two forks of a file, as the tree of extents tells them apart.
const DATA: u8 = 0;
const RESOURCES: u8 = 0xFF;
/// What stands before the places of a fork, and how many there are.
const FORK_EXTENTS: usize = 16;
/// `UF_COMPRESSED`, among the owner's flags.
const IS_PACKED: u8 = 0x20;
/// The kind of an attribute that stands in the tree.
const INLINE: u32 = 0x10;
/// How many bytes of attributes are held.
const ATTRIBUTES_BYTES: usize = 32 << 20;

/// Places of forks that have more than eight: by the fork and the number of the file, and the block
/// in it.
type Overflow = HashMap<(u8, u64), Vec<(u64, Vec<Range<u64>>)>>;

struct Volume<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    /// Where its first block is.
    base: u64,
    block: u64,
    overflow: RefCell<Overflow>,
}

pub(super) fn files(source: &dyn Source, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
    let base = base(source)?;
    let header = source.bytes(base + 1024..base + 1536, 512)?;
    let mut volume = Volume {
        source,
        budget,
        base,
        block: u64::from(u32_at(&header, 40)),
        overflow: RefCell::default(),
    };
    if !(512..=1 << 20).contains(&volume.block) {
        return Err(malformed("its blocks have an impossible size"));
    }
    let extents = volume.fork(&header[192..272], DATA, EXTENTS);
    let mut overflow = Overflow::new();
    btree::leaves(source, &extents, Key::Long, budget, |record, key| {
        let fork = key.first().copied().unwrap_or_default();
        let file = overflow.entry((fork, u64::from(u32_at(key, 2)))).or_default();
        file.push((u64::from(u32_at(key, 6)), volume.places(record)));
        Ok(())
    })?;
    volume.overflow = RefCell::new(overflow);
    let catalogue = volume.fork(&header[272..352], DATA, CATALOGUE);
    let attributes = volume.fork(&header[352..432], DATA, ATTRIBUTES);
    let mut found = volume.read_catalogue(&catalogue)?;
    if found.files.iter().any(|(.., file)| file.packed.is_some()) {
        volume.read_attributes(&attributes, &mut found)?;
    }
    found.by_path(budget)
}

/// Where the volume starts: some lie in one of HFS, so that old systems could tell why they did not
/// show it.
fn base(source: &dyn Source) -> Result<u64, Refusal> {
    let header = source.bytes(1024..1536, 512)?;
    if !header.starts_with(b"BD") {
        return Ok(0);
    }
    let (block, first) = (u64::from(u32_at(&header, 20)), number(&header, 28) as u64);
    Ok(first * 512 + number(&header, 126) as u64 * block)
}

/// What the catalogue tells: numbers, whether that is a folder, and the files.
struct Catalogue {
    names: Names,
    files: Vec<(u64, bool, File)>,
}

impl Volume<'_> {
    /// The bytes of a fork, by the form of its places.
    fn fork(&self, fork: &[u8], kind: u8, number: u64) -> File {
        let mut places = self.places(fork.get(FORK_EXTENTS..).unwrap_or_default());
        if let Some(mut more) = self.overflow.borrow_mut().remove(&(kind, number)) {
            more.sort_by_key(|(start, _)| *start);
            places.extend(more.into_iter().flat_map(|(_, places)| places));
        }
        File::new(u64_at(fork, 0), places)
    }

    /// Eight places, of which those that are used come first.
    fn places(&self, extents: &[u8]) -> Vec<Range<u64>> {
        let extents = extents.chunks_exact(8).take(8);
        let place = |extent: &[u8]| {
            let start = self.base + u64::from(u32_at(extent, 0)) * self.block;
            start..start + u64::from(u32_at(extent, 4)) * self.block
        };
        extents.map(place).take_while(|place| !place.is_empty()).collect()
    }

    fn read_catalogue(&self, catalogue: &File) -> Result<Catalogue, Refusal> {
        let limit = self.budget.limits().entries;
        let mut names = Names::new(ROOT, self.budget);
        let mut files = Vec::new();
        btree::leaves(self.source, catalogue, Key::Long, self.budget, |record, key| {
            let kind = number(record, 0);
            if !matches!(kind, 1 | 2) {
                return Ok(());
            }
            if files.len() as u64 >= limit {
                return Err(Refusal::TooManyEntries { limit });
            }
            let number = u64::from(u32_at(record, 8));
            names.add(number, u64::from(u32_at(key, 0)), name(key))?;
            let mut file = File::default();
            if kind == 2 {
                let fork = |range: Range<usize>| record.get(range).unwrap_or_default();
                file = self.fork(fork(88..168), DATA, number);
                if record.get(41).is_some_and(|flags| flags & IS_PACKED != 0) {
                    file.packed = Some(Box::new(Packed {
                        attribute: Vec::new(),
                        fork: self.fork(fork(168..248), RESOURCES, number),
                    }));
                }
            }
            files.push((number, kind == 1, file));
            Ok(())
        })?;
        Ok(Catalogue { names, files })
    }

    /// Gives packed files what says how they are packed, as long as there is room.
    fn read_attributes(&self, attributes: &File, catalogue: &mut Catalogue) -> Result<(), Refusal> {
        let files = catalogue.files.iter_mut();
        let mut packed: HashMap<u64, &mut File> = files
            .filter(|(.., file)| file.packed.is_some())
            .map(|(number, _, file)| (*number, file))
            .collect();
        let mut left = ATTRIBUTES_BYTES;
        btree::leaves(self.source, attributes, Key::Long, self.budget, |record, key| {
            let is_ours = u32_at(record, 0) == INLINE && attribute_name(key) == packed::ATTRIBUTE;
            let len = usize::try_from(u32_at(record, 12)).unwrap_or(usize::MAX);
            let bytes = record.get(16..).and_then(|rest| rest.get(..len));
            let Some(bytes) = bytes.filter(|_| is_ours && len <= packed::ATTRIBUTE_BYTES.min(left)) else {
                return Ok(());
            };
            if let Some(file) = packed.remove(&u64::from(u32_at(key, 2))) {
                left -= len;
                file.len = Packed::len(bytes);
                if let Some(packed) = &mut file.packed {
                    packed.attribute = bytes.to_vec();
                }
            }
            Ok(())
        })
    }
}

impl Catalogue {
    fn by_path(mut self, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
        let mut files = BTreeMap::new();
        for (number, is_folder, file) in self.files {
            if let Some(mut path) = self.names.path(number, budget)? {
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
    unicode(key, 4).replace('/', ":").into_bytes()
}

/// The name in a key of the attributes.
fn attribute_name(key: &[u8]) -> Vec<u8> {
    unicode(key, 10).into_bytes()
}

/// A text after the number of its units.
fn unicode(bytes: &[u8], offset: usize) -> String {
    let count = number(bytes, offset);
    let units = bytes.get(offset + 2..).unwrap_or_default().chunks_exact(2).take(count);
    let units = units.map(|unit| u16_at(unit, 0).unwrap_or_default());
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    const BLOCK: usize = 512;

    fn put(bytes: &mut [u8], place: usize, part: &[u8]) {
        bytes[place..place + part.len()].copy_from_slice(part);
    }

    fn unicode_of(text: &str) -> Vec<u8> {
        let count = u16::try_from(text.len()).unwrap().to_be_bytes();
        let units = text.encode_utf16().flat_map(u16::to_be_bytes);
        count.into_iter().chain(units).collect()
    }

    /// A fork of so many bytes, in two blocks from one on.
    fn fork(len: u8, block: u8) -> Vec<u8> {
        let mut fork = vec![0; 80];
        fork[7] = len;
        put(&mut fork, 16, &[0, 0, 0, block, 0, 0, 0, 2]);
        fork
    }

    /// A tree of a header and one leaf.
    fn tree(records: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut tree = vec![0; 2 * BLOCK];
        put(&mut tree, 24, &[0, 0, 0, 1]);
        put(&mut tree, 32, &[2, 0]);
        let leaf = &mut tree[BLOCK..];
        leaf[8] = 0xFF;
        leaf[11] = u8::try_from(records.len()).unwrap();
        let mut at = 14;
        for (place, (key, record)) in records.iter().enumerate() {
            let record = [&u16::try_from(key.len()).unwrap().to_be_bytes(), &key[..], record].concat();
            put(leaf, at, &record);
            put(leaf, BLOCK - 2 * (place + 1), &u16::try_from(at).unwrap().to_be_bytes());
            at += record.len().next_multiple_of(2);
        }
        tree
    }

    /// A volume with a file that is packed in its attribute.
    fn volume() -> Vec<u8> {
        let mut file = vec![0; 248];
        put(&mut file, 0, &[0, 2]);
        put(&mut file, 8, &[0, 0, 0, 20]);
        file[41] = IS_PACKED;
        let catalogue = tree(&[([&[0, 0, 0, 2][..], &unicode_of("a/b")].concat(), file)]);
        let attribute = b"fpmc\x03\0\0\0\x05\0\0\0\0\0\0\0\xFFhello";
        let inline = [&[0, 0, 0, 0x10][..], &[0; 8], &[0, 0, 0, 22], attribute].concat();
        let key = [&[0, 0, 0, 0, 0, 20, 0, 0, 0, 0][..], &unicode_of("com.apple.decmpfs")].concat();
        let attributes = tree(&[(key, inline)]);
        let mut bytes = vec![0; 4 * BLOCK];
        put(&mut bytes, 1024, b"H+\0\x04");
        put(&mut bytes, 1024 + 40, &[0, 0, 2, 0]);
        put(&mut bytes, 1024 + 272, &fork(0, 4));
        put(&mut bytes, 1024 + 272 + 6, &[4]);
        put(&mut bytes, 1024 + 352, &fork(0, 6));
        put(&mut bytes, 1024 + 352 + 6, &[4]);
        [bytes, catalogue, attributes].concat()
    }

    fn read(volume: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
        let budget = Budget::new(&Limits::default());
        let files = files(&volume, &budget)?;
        let read = |(path, file): (&Vec<u8>, &File)| {
            let contents = file.open(&volume, &budget)?;
            let path = String::from_utf8_lossy(path).into_owned();
            Ok((path, contents.bytes(0..contents.len(), 100)?))
        };
        files.iter().map(read).collect()
    }

    #[test]
    fn a_file_that_is_packed_is_found_by_its_attribute() {
        assert_eq!(read(&volume()).unwrap(), [("a:b".to_owned(), b"hello".to_vec())]);
    }

    #[test]
    fn a_volume_may_lie_in_one_of_hfs() {
        let mut bytes = vec![0; 3 * 512];
        put(&mut bytes, 1024, b"BD");
        put(&mut bytes, 1024 + 20, &[0, 0, 2, 0]);
        put(&mut bytes, 1024 + 28, &[0, 2]);
        put(&mut bytes, 1024 + 124, b"H+\0\x01");
        let bytes = [bytes, volume()].concat();
        assert_eq!(
            super::super::FileSystem::of(&bytes).unwrap(),
            Some(super::super::FileSystem::HfsPlus)
        );
        assert_eq!(read(&bytes).unwrap(), [("a:b".to_owned(), b"hello".to_vec())]);
    }

    #[test]
    fn any_changed_byte_is_read_or_refused() {
        let sound = volume();
        for place in (0..sound.len()).filter(|place| sound[*place] != 0) {
            for bit in [0x01, 0x80] {
                let mut bytes = sound.clone();
                bytes[place] ^= bit;
                let _ = read(&bytes);
            }
        }
    }
}
