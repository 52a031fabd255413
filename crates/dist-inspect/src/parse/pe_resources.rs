//! The resources of a Windows executable, by position: version, icon, manifest.
//! Source: Microsoft's "PE Format" (the .rsrc section), `VS_VERSIONINFO` and `GRPICONDIR`.

use std::cell::Cell;
use std::ops::Range;

use super::little::{u16_at, u32_at, wide_text};
use super::pe::{Directory, Pe, malformed};
use super::{dib, picture};
use crate::source::Source;
use crate::{Budget, Icon, Refusal};

/// The number of a type of resource.
pub mod kind {
    /// One picture of an icon.
    pub const ICON: u32 = 3;
    /// Bytes of the program's own.
    pub const DATA: u32 = 10;
    /// An icon in several sizes.
    pub const ICON_GROUP: u32 = 14;
    /// Version and texts.
    pub const VERSION: u32 = 16;
    /// The manifest.
    pub const MANIFEST: u32 = 24;
}

/// A folder's entry that leads to another folder, or a name that is a text.
const IS_FOLDER: u32 = 0x8000_0000;
/// How many entries are looked at, in all folders together.
const ENTRIES: u32 = 20_000;
/// How large a version, a manifest or a picture may be, in bytes.
const RESOURCE_BYTES: u64 = 4 << 20;
/// How many pictures of an icon are looked at.
const PICTURES: usize = 64;

/// The tree of resources: types, in them names, in them languages.
pub struct Resources<'a> {
    source: &'a dyn Source,
    pe: &'a Pe,
    budget: &'a Budget,
    /// Where the tree starts in the file.
    start: u64,
    left: Cell<u32>,
}

/// A resource in one of its languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its number, unless it has a name.
    pub id: Option<u32>,
    /// Where its bytes stand in the file.
    pub range: Range<u64>,
}

/// What a program says of its version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The file's version in numbers.
    pub file: Option<[u16; 4]>,
    /// The product's version in numbers.
    pub product: Option<[u16; 4]>,
    /// The texts of the first language by their names, without white space around them.
    pub texts: Vec<(String, String)>,
}

impl<'a> Resources<'a> {
    /// The resources of a program; `None` where it has none.
    pub fn of(pe: &'a Pe, source: &'a dyn Source, budget: &'a Budget) -> Option<Self> {
        let start = pe.place(pe.directory(Directory::Resources)?.0)?;
        let left = Cell::new(ENTRIES);
        Some(Self {
            source,
            pe,
            budget,
            start,
            left,
        })
    }

    /// All resources of a type, each in its first language.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn all(&self, kind: u32) -> Result<Vec<Resource>, Refusal> {
        let kinds = self.folder(0)?;
        let found = kinds.into_iter().find(|(id, _)| *id == kind);
        found.map_or_else(|| Ok(Vec::new()), |(_, names)| self.leaves(names))
    }

    /// All resources of a type that has a name and no number.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn all_named(&self, kind: &str) -> Result<Vec<Resource>, Refusal> {
        for (id, names) in self.folder(0)? {
            let len = 2 + 2 * kind.len() as u64;
            let is_named = id & IS_FOLDER != 0;
            // A name is the number of its units, and these.
            let name = self.source.bytes(self.at(id, len), len);
            if is_named
                && name.is_ok_and(|name| {
                    u16_at(&name, 0) == u16::try_from(kind.len()).ok() && wide_text(&name[2..]) == kind
                })
            {
                return self.leaves(names);
            }
        }
        Ok(Vec::new())
    }

    fn leaves(&self, names: u32) -> Result<Vec<Resource>, Refusal> {
        let mut found = Vec::new();
        for (id, languages) in self.folder(names)? {
            let Some((_, leaf)) = self.folder(languages)?.into_iter().next() else {
                continue;
            };
            let leaf = self.source.bytes(self.at(leaf, 16), 16)?;
            let (Some(address), Some(size)) = (u32_at(&leaf, 0), u32_at(&leaf, 4)) else {
                continue;
            };
            if let Some(place) = self.pe.place(address) {
                found.push(Resource {
                    id: (id & IS_FOLDER == 0).then_some(id),
                    range: place..place + u64::from(size),
                });
            }
        }
        Ok(found)
    }

    /// The bytes of a resource, unless it is too large to be a version, manifest or picture.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] and [`Refusal::Truncated`].
    pub fn bytes(&self, resource: &Resource) -> Result<Vec<u8>, Refusal> {
        self.source.bytes(resource.range.clone(), RESOURCE_BYTES)
    }

    /// What the program says of its version, if it does.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn version(&self) -> Result<Option<Version>, Refusal> {
        let first = self.all(kind::VERSION)?.into_iter().next();
        let bytes = first.map(|resource| self.bytes(&resource)).transpose()?;
        Ok(bytes.and_then(|bytes| Version::parse(&bytes)))
    }

    /// The best picture of the first icon, which is the one that Windows shows.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn icon(&self) -> Result<Option<Icon>, Refusal> {
        let Some(group) = self.all(kind::ICON_GROUP)?.into_iter().next() else {
            return Ok(None);
        };
        let Some(id) = best_picture(&self.bytes(&group)?) else {
            return Ok(None);
        };
        let pictures = self.all(kind::ICON)?;
        let Some(resource) = pictures.iter().find(|picture| picture.id == Some(u32::from(id))) else {
            return Ok(None);
        };
        let bytes = self.bytes(resource)?;
        let is_png = bytes.starts_with(b"\x89PNG");
        let icon = if is_png {
            picture::icon(&bytes, self.budget)
        } else {
            dib::icon(&bytes, self.budget)
        };
        icon.map(Some)
    }

    /// A place in the tree.
    fn at(&self, offset: u32, len: u64) -> Range<u64> {
        let start = self.start + u64::from(offset & !IS_FOLDER);
        start..start + len
    }

    /// The entries of a folder: names or numbers, and what they lead to.
    fn folder(&self, offset: u32) -> Result<Vec<(u32, u32)>, Refusal> {
        let head = self.source.bytes(self.at(offset, 16), 16)?;
        let counts = u16_at(&head, 12).zip(u16_at(&head, 14)).unwrap_or_default();
        let count = u32::from(counts.0) + u32::from(counts.1);
        let left = self.left.get().checked_sub(count);
        self.left
            .set(left.ok_or_else(|| malformed("it has too many resources"))?);
        self.budget.step()?;
        let entries = self.at(offset, 16).end;
        let len = u64::from(count) * 8;
        let bytes = self.source.bytes(entries..entries + len, len)?;
        let entry = |bytes: &[u8]| Some((u32_at(bytes, 0)?, u32_at(bytes, 4)?));
        Ok(bytes.chunks_exact(8).filter_map(entry).collect())
    }
}

/// The number of the largest picture of an icon, and of those the one with the most colours.
fn best_picture(group: &[u8]) -> Option<u16> {
    let count = usize::from(u16_at(group, 4)?);
    let pictures = group.get(6..)?.chunks_exact(14).take(count.min(PICTURES));
    // A width of 0 is one of 256.
    let size = |picture: &[u8]| (picture[0].wrapping_sub(1), u16_at(picture, 6));
    pictures
        .max_by_key(|picture| size(picture))
        .and_then(|picture| u16_at(picture, 12))
}

/// How a version's numbers start.
const FIXED: u32 = 0xFEEF_04BD;
/// How many texts are read.
const TEXTS: usize = 200;

impl Version {
    /// Reads a `VS_VERSIONINFO`; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (root, _) = Node::split(bytes)?;
        if root.key != "VS_VERSION_INFO" {
            return None;
        }
        let mut version = Self::default();
        if u32_at(root.value, 0) == Some(FIXED) {
            version.file = numbers(root.value, 8);
            version.product = numbers(root.value, 16);
        }
        let tables = root.children().find(|child| child.key == "StringFileInfo");
        let table = tables.and_then(|tables| tables.children().next());
        let texts = table.into_iter().flat_map(|table| table.children()).take(TEXTS);
        version.texts = texts
            .map(|text| (text.key, wide_text(text.body).trim().to_owned()))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        Some(version)
    }

    /// The text of this name, as in `ProductName`.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.texts.iter().find(|(key, _)| key == name);
        found.map(|(_, text)| text.as_str())
    }
}

/// Two halves that stand before two others: 1.2.3.4 as 2, 1, 4, 3.
fn numbers(bytes: &[u8], offset: usize) -> Option<[u16; 4]> {
    let number = |place: usize| u16_at(bytes, offset + place);
    Some([number(2)?, number(0)?, number(6)?, number(4)?])
}

/// A part of a version: its key, and after it a value, and other parts.
struct Node<'v> {
    key: String,
    /// What the header says is the value; wrong for texts, whose length some count in bytes.
    value: &'v [u8],
    /// All after the key.
    body: &'v [u8],
}

impl<'v> Node<'v> {
    /// The first part, and what follows it.
    fn split(bytes: &'v [u8]) -> Option<(Self, &'v [u8])> {
        let len = usize::from(u16_at(bytes, 0)?);
        let value_len = usize::from(u16_at(bytes, 2)?);
        let node = bytes.get(..len)?;
        let key = node.get(6..)?;
        let key_len = 2 * key.chunks_exact(2).position(|unit| unit == [0, 0])?;
        let body = node.get(aligned(6 + key_len + 2)..).unwrap_or_default();
        let rest = bytes.get(aligned(len)..).unwrap_or_default();
        let value = &body[..value_len.min(body.len())];
        let key = wide_text(&key[..key_len]);
        Some((Self { key, value, body }, rest))
    }

    /// The parts after the value.
    fn children(&self) -> impl Iterator<Item = Node<'v>> + use<'v> {
        let mut rest = self.body.get(aligned(self.value.len())..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (node, after) = Node::split(rest)?;
            rest = after;
            Some(node)
        })
    }
}

/// The next multiple of four.
fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A part with its header, as the resource compiler writes it.
    fn node(key: &str, value: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
        let wide = |text: &str| {
            text.encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<u8>>()
        };
        let mut bytes = vec![0; 6];
        bytes.extend(wide(key));
        bytes.resize(aligned(bytes.len()), 0);
        bytes.extend(value);
        for child in children {
            bytes.resize(aligned(bytes.len()), 0);
            bytes.extend(child);
        }
        let len = u16::try_from(bytes.len()).unwrap();
        bytes[..2].copy_from_slice(&len.to_le_bytes());
        bytes[2..4].copy_from_slice(&u16::try_from(value.len()).unwrap().to_le_bytes());
        bytes
    }

    fn version() -> Vec<u8> {
        let mut fixed = FIXED.to_le_bytes().to_vec();
        fixed.extend([0, 0, 1, 0, 2, 0, 1, 0, 4, 0, 3, 0, 6, 0, 5, 0, 8, 0, 7, 0]);
        let texts = [
            node("ProductName", b"A\0c\0m\0e\0 \0\0\0", &[]),
            node("Comments", b"", &[]),
        ];
        let table = node("040904b0", b"", &texts);
        node("VS_VERSION_INFO", &fixed, &[node("StringFileInfo", b"", &[table])])
    }

    #[test]
    fn a_version_has_numbers_and_texts() {
        let version = Version::parse(&version()).unwrap();
        assert_eq!(
            (version.file, version.product),
            (Some([1, 2, 3, 4]), Some([5, 6, 7, 8]))
        );
        assert_eq!(version.texts, [("ProductName".to_owned(), "Acme".to_owned())]);
        assert_eq!(version.text("ProductName"), Some("Acme"));
        assert_eq!(Version::parse(&node("VS_OTHER", b"", &[])), None);
    }

    #[test]
    fn the_largest_picture_with_the_most_colours_is_the_best() {
        let picture = |width: u8, bits: u8, id: u8| [width, width, 0, 0, 1, 0, bits, 0, 9, 9, 0, 0, id, 0];
        let pictures = [
            picture(32, 32, 1),
            picture(0, 8, 2),
            picture(0, 32, 3),
            picture(48, 32, 4),
        ];
        let group = [&[0, 0, 1, 0, 4, 0], pictures.as_flattened()].concat();
        assert_eq!(best_picture(&group), Some(3));
        assert_eq!(best_picture(&group[..20]), Some(1));
        assert_eq!(best_picture(&group[..10]), None);
    }

    proptest! {
        #[test]
        fn a_version_of_any_bytes_is_read_or_not(place in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
            let mut bytes = version();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len() + 1));
            let _ = Version::parse(&bytes);
        }
    }
}
