//! APFS: trees of records in blocks, which a map finds by their numbers. Of a container the first
//! volume is read, in its newest state. All numbers are little-endian.
//! Source: Apple File System Reference, 2020-06-22.

use crate::parse::little::{self, u32_or_zero as u32_at, u64_or_zero as u64_at};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::packed::{self, Packed};
use super::{File, Names, malformed};
use crate::source::Source;
use crate::{Budget, Refusal};

/// The number of the root folder.
const ROOT: u64 = 2;
/// How high a tree may be; real ones have less than ten levels.
const HEIGHT: u32 = 20;
/// Where a node's own bytes start, after its header.
const NODE: usize = 56;
/// What stands at the end of a root.
const ROOT_INFO: usize = 40;
/// `UF_COMPRESSED`, among a file's flags.
const IS_PACKED: u32 = 0x20;
/// The kind of an extended field that tells the length of a file.
const LENGTH: u8 = 8;

/// How many bytes of attributes are held.
const ATTRIBUTES: usize = 32 << 20;
/// The attribute that is the resource fork, and the flag of one that has a stream of its own.
const RESOURCE_FORK: &[u8] = b"com.apple.ResourceFork";
const HAS_STREAM: usize = 1;

/// The kinds of records.
mod kind {
    pub(super) const INODE: u64 = 3;
    pub(super) const ATTRIBUTE: u64 = 4;
    pub(super) const EXTENT: u64 = 8;
    pub(super) const ENTRY: u64 = 9;
}

struct Container<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    block: u64,
    /// How many nodes of trees have been read.
    nodes: Cell<u32>,
}

/// A file or folder by its own record.
struct Inode {
    /// By which its extents are found.
    stream: u64,
    is_folder: bool,
    is_packed: bool,
    len: u64,
}

#[derive(Default)]
struct Records {
    inodes: BTreeMap<u64, Inode>,
    extents: HashMap<u64, Vec<(u64, Range<u64>)>>,
    /// What says how files are packed, and how many bytes that is in all.
    attributes: HashMap<u64, Vec<u8>>,
    attributes_bytes: usize,
    /// Resource forks: the number of their extents, and their lengths.
    forks: HashMap<u64, (u64, u64)>,
    /// The folder, the name and the number of what is in it.
    entries: Vec<(u64, Vec<u8>, u64)>,
}

pub(super) fn files(source: &dyn Source, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
    let head = source.bytes(0..64, 64)?;
    let container = Container {
        source,
        budget,
        block: u64::from(u32_at(&head, 36)),
        nodes: Cell::new(0),
    };
    if !(4096..=65536).contains(&container.block) {
        return Err(malformed("its blocks have an impossible size"));
    }
    let newest = container.newest()?;
    let map = container.map(u64_at(&newest, 160))?;
    let volume = map.get(&u64_at(&newest, 184)).map(|(_, place)| *place);
    let volume = container.block(volume.ok_or_else(|| malformed("it has no volume"))?)?;
    if &volume[32..36] != b"APSB" {
        return Err(malformed("its volume is none"));
    }
    let is_plain = u64_at(&volume, 264) & 1 != 0;
    if !is_plain {
        return Err(Refusal::Encrypted("of the disk".to_owned()));
    }
    // Names have a hash beside them where case or form does not matter.
    let has_hashes = u64_at(&volume, 56) & 9 != 0;
    let map = container.map(u64_at(&volume, 128))?;
    let root = map.get(&u64_at(&volume, 136)).map(|(_, place)| *place);
    let mut records = Records::default();
    let root = root.ok_or_else(|| malformed("its volume has no root"))?;
    let mut visit = |key: &[u8], value: &[u8]| records.add(key, value, has_hashes, &container);
    container.walk(root, Some(&map), HEIGHT, &mut visit)?;
    records.files(budget)
}

/// The newest place of each object, after the number of the change that put it there.
type Map = HashMap<u64, (u64, u64)>;

/// Takes a key and a value.
type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<(), Refusal> + 'v;

impl Container<'_> {
    fn block(&self, number: u64) -> Result<Vec<u8>, Refusal> {
        self.budget.take(self.block)?;
        let start = number.checked_mul(self.block).ok_or(Refusal::Truncated)?;
        let end = start.checked_add(self.block).ok_or(Refusal::Truncated)?;
        self.source.bytes(start..end, self.block)
    }

    /// The newest of the superblocks, of which the first one is an old copy.
    fn newest(&self) -> Result<Vec<u8>, Refusal> {
        let mut newest = self.block(0)?;
        let (count, base) = (u32_at(&newest, 104), u64_at(&newest, 112));
        // Else they are in a tree, which happens on huge disks only.
        let count = if count >> 31 == 0 { count.min(4096) } else { 0 };
        for place in 0..u64::from(count) {
            let block = self.block(base.saturating_add(place))?;
            if &block[32..36] == b"NXSB" && u64_at(&block, 16) > u64_at(&newest, 16) {
                newest = block;
            }
        }
        Ok(newest)
    }

    /// The map of objects at a block.
    fn map(&self, block: u64) -> Result<Map, Refusal> {
        let root = u64_at(&self.block(block)?, 48);
        let mut map = Map::new();
        let limit = self.budget.limits().entries;
        let mut add = |key: &[u8], value: &[u8]| {
            let (change, place) = (u64_at(key, 8), u64_at(value, 8));
            let newest = map.entry(u64_at(key, 0)).or_insert((change, place));
            if change > newest.0 {
                *newest = (change, place);
            }
            if map.len() as u64 > limit {
                return Err(Refusal::TooManyEntries { limit });
            }
            Ok(())
        };
        self.walk(root, None, HEIGHT, &mut add)?;
        Ok(map)
    }

    /// Calls `visit` with the keys and values of a tree. Its nodes refer to blocks, or to objects where
    /// there is a map. A node of each level is held at once.
    fn walk(&self, block: u64, map: Option<&Map>, height: u32, visit: &mut Visit<'_>) -> Result<(), Refusal> {
        let limit = self.budget.limits().nodes;
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > limit {
            return Err(Refusal::TooManyNodes { limit });
        }
        let node = self.block(block)?;
        let (flags, level) = (u16_at(&node, 32), u16_at(&node, 34));
        let (is_root, is_leaf, is_fixed) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        let table = NODE + u16_at(&node, 40);
        let keys = table + u16_at(&node, 42);
        let end = node.len() - if is_root { ROOT_INFO } else { 0 };
        // The level goes down with each step, so that no node is below itself.
        if level > height as usize || is_leaf != (level == 0) {
            return Err(malformed("a tree does not end"));
        }
        for place in 0..u32_at(&node, 36) as usize {
            self.budget.step()?;
            let cut = || malformed("a record of a tree is cut");
            // Where the key starts and the value, counted from the end, and how long they are.
            let (key, key_len, value, value_len) = if is_fixed {
                let entry = table + place * 4;
                // Of the map, which is the only tree of this kind here.
                (
                    u16_at(&node, entry),
                    16,
                    u16_at(&node, entry + 2),
                    if is_leaf { 16 } else { 8 },
                )
            } else {
                let entry = table + place * 8;
                let number = |offset: usize| u16_at(&node, entry + offset);
                (number(0), number(2), number(4), number(6))
            };
            let key = node.get(keys + key..keys + key + key_len).ok_or_else(cut)?;
            let start = end.checked_sub(value).ok_or_else(cut)?;
            let value = node.get(start..start + value_len).ok_or_else(cut)?;
            if is_leaf {
                visit(key, value)?;
                continue;
            }
            let child = u64_at(value, 0);
            let child = map.map_or(Some(child), |map| map.get(&child).map(|(_, place)| *place));
            let height = u32::try_from(level).unwrap_or(height) - 1;
            self.walk(child.ok_or_else(cut)?, map, height, visit)?;
        }
        Ok(())
    }
}

impl Records {
    fn add(&mut self, key: &[u8], value: &[u8], has_hashes: bool, container: &Container<'_>) -> Result<(), Refusal> {
        let limit = container.budget.limits().entries;
        let counts = [
            self.entries.len(),
            self.extents.len(),
            self.inodes.len(),
            self.forks.len(),
        ];
        if counts.into_iter().any(|count| count as u64 > limit) {
            return Err(Refusal::TooManyEntries { limit });
        }
        let header = u64_at(key, 0);
        let number = header & 0x0FFF_FFFF_FFFF_FFFF;
        match header >> 60 {
            kind::INODE => {
                self.inodes.insert(number, Inode::read(value));
            }
            kind::ATTRIBUTE => self.add_attribute(number, key, value),
            kind::EXTENT => {
                let len = u64_at(value, 0) & 0x00FF_FFFF_FFFF_FFFF;
                let start = u64_at(value, 8).saturating_mul(container.block);
                let place = start..start.saturating_add(len);
                // A place of zero is a hole.
                if start > 0 {
                    self.extents.entry(number).or_default().push((u64_at(key, 8), place));
                }
            }
            kind::ENTRY => {
                let name = if has_hashes { 12 } else { 10 };
                let name = key.get(name..).unwrap_or_default();
                let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                self.entries.push((number, name[..end].to_vec(), u64_at(value, 0)));
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes what says how a file is packed, and where its resource fork is.
    fn add_attribute(&mut self, number: u64, key: &[u8], value: &[u8]) {
        let name = key.get(10..).unwrap_or_default();
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        let has_stream = u16_at(value, 0) & HAS_STREAM != 0;
        let data = value.get(4..).and_then(|rest| rest.get(..u16_at(value, 2)));
        let data = data.unwrap_or_default();
        if name == RESOURCE_FORK && has_stream {
            self.forks.insert(number, (u64_at(data, 0), u64_at(data, 8)));
        } else if name == packed::ATTRIBUTE
            && !has_stream
            && data.len() <= packed::ATTRIBUTE_BYTES
            && self.attributes_bytes + data.len() <= ATTRIBUTES
        {
            self.attributes_bytes += data.len();
            self.attributes.insert(number, data.to_vec());
        }
    }

    /// The bytes that a stream has.
    fn stream(&mut self, number: u64, len: u64) -> File {
        let mut extents = self.extents.remove(&number).unwrap_or_default();
        extents.sort_by_key(|(start, _)| *start);
        File {
            len,
            packed: None,
            extents,
        }
    }

    /// The form in which a file is packed.
    fn packed(&mut self, number: u64) -> Packed {
        let (fork, len) = self.forks.remove(&number).unwrap_or_default();
        Packed {
            attribute: self.attributes.remove(&number).unwrap_or_default(),
            fork: self.stream(fork, len),
        }
    }

    fn files(mut self, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
        let mut names = Names::new(ROOT, budget);
        for (folder, name, number) in std::mem::take(&mut self.entries) {
            names.add(number, folder, name)?;
        }
        let mut files = BTreeMap::new();
        for (number, inode) in std::mem::take(&mut self.inodes) {
            let Some(mut path) = names.path(number, budget)? else {
                continue;
            };
            let mut file = File::default();
            if inode.is_folder {
                path.push(b'/');
            } else {
                file = self.stream(inode.stream, inode.len);
            }
            if inode.is_packed {
                let packed = self.packed(number);
                file.len = Packed::len(&packed.attribute);
                file.packed = Some(Box::new(packed));
            }
            files.insert(path, file);
        }
        Ok(files)
    }
}

impl Inode {
    fn read(value: &[u8]) -> Self {
        Self {
            stream: u64_at(value, 8),
            is_folder: u16_at(value, 80) & 0xF000 == 0x4000,
            is_packed: u32_at(value, 68) & IS_PACKED != 0,
            len: length(value).unwrap_or(0),
        }
    }
}

/// The length of a file, from the extended fields of its record.
fn length(value: &[u8]) -> Option<u64> {
    let fields = value.get(92..)?;
    let count = u16_at(fields, 0);
    let mut data = 4 + count * 4;
    for field in fields.get(4..data)?.chunks_exact(4) {
        if field[0] == LENGTH {
            return Some(u64_at(fields, data));
        }
        data += u16_at(field, 2).next_multiple_of(8);
    }
    None
}

fn u16_at(bytes: &[u8], offset: usize) -> usize {
    little::u16_or_zero(bytes, offset).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_tell_how_a_file_is_packed_and_where() {
        let key = |name: &[u8]| [&[0; 10][..], name, b"\0"].concat();
        let mut records = Records::default();
        records.add_attribute(7, &key(packed::ATTRIBUTE), b"\x02\0\x03\0abcdef");
        let stream = [&[1, 0, 48, 0][..], &[9], &[0; 7], &[100], &[0; 39]].concat();
        records.add_attribute(7, &key(RESOURCE_FORK), &stream);
        records.add_attribute(8, &key(b"com.apple.quarantine"), b"\x02\0\x01\0a");
        records.extents.insert(9, vec![(0, 4096..8192)]);
        let packed = records.packed(7);
        assert_eq!((packed.attribute.as_slice(), packed.fork.len), (&b"abc"[..], 100));
        assert_eq!(packed.fork.extents, [(0, 4096..8192)]);
        assert_eq!(records.packed(8), Packed::default());
    }
}
