//! Asset catalogues as Xcode compiles them (`Assets.car`), as far as it takes to show an app's icon:
//! pictures of colours or greys, packed by LZFSE. All numbers but the file's own are little-endian.
//! Source: Timac's "Reverse engineering the .car file format", and real files.

use std::io::Read as _;

use lzfse_rust::LzfseRingDecoder;

use super::bom::Bom;
use super::little::{u16_at, u32_at};
use super::picture;
use crate::{Budget, Icon, Refusal};

/// The part of a key that tells of which asset a picture is.
const IDENTIFIER: u32 = 17;
/// How long the description of a picture is before what is known besides, in bytes.
const HEADER: usize = 184;
/// The kind of a further fact that tells how long a row is.
const ROW: u32 = 1007;
/// The widest picture, in pixels each way.
const PICTURE: u32 = 2048;
/// How a picture may be packed: not at all, or by LZFSE.
const PLAIN: u32 = 0;
const LZFSE: u32 = 4;

/// Makes an icon of the largest picture of the asset that has one of these names; `None` where there is
/// none that can be read, as those in newer ways to pack.
///
/// # Errors
/// [`Refusal::Malformed`] for what is no catalogue.
pub fn icon(bytes: &[u8], names: &[&str], budget: &Budget) -> Result<Option<Icon>, Refusal> {
    let catalogue = Bom::open(bytes)?;
    let assets = catalogue.tree("FACETKEYS", budget)?;
    let named = |name: &&str| assets.iter().find(|(key, _)| *key == name.as_bytes());
    let Some(identifier) = names.iter().find_map(named).and_then(|(_, asset)| identifier(asset)) else {
        return Ok(None);
    };
    let format = catalogue.named("KEYFORMAT")?;
    let parts = format.get(12..).unwrap_or_default().chunks_exact(4);
    let Some(part) = parts.into_iter().position(|part| u32_at(part, 0) == Some(IDENTIFIER)) else {
        return Ok(None);
    };
    let pictures = catalogue.tree("RENDITIONS", budget)?.into_iter();
    let own = pictures.filter(|(key, _)| u16_at(key, 2 * part) == Some(identifier));
    let mut own: Vec<Rendition<'_>> = own.filter_map(|(_, picture)| Rendition::read(picture)).collect();
    own.sort_by_key(|picture| std::cmp::Reverse(picture.width));
    for picture in own {
        match picture.icon(budget) {
            Ok(icon) => return Ok(Some(icon)),
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            Err(_) => {}
        }
    }
    Ok(None)
}

/// The number of an asset, among the parts of the keys of its pictures.
fn identifier(asset: &[u8]) -> Option<u16> {
    let parts = asset.get(6..)?.chunks_exact(4);
    let mut values = parts.filter(|part| u16_at(part, 0).map(u32::from) == Some(IDENTIFIER));
    u16_at(values.next()?, 2)
}

/// What a picture is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pixels {
    /// Blue, green, red and opacity.
    Colours,
    /// Grey and opacity.
    Greys,
}

impl Pixels {
    fn bytes(self) -> usize {
        match self {
            Self::Colours => 4,
            Self::Greys => 2,
        }
    }
}

/// A picture of an asset.
struct Rendition<'a> {
    width: u32,
    height: u32,
    pixels: Pixels,
    /// How many bytes a row has.
    row: usize,
    /// The pixels in their packed form.
    packed: &'a [u8],
}

impl<'a> Rendition<'a> {
    /// Reads the description of a picture; `None` for what is none, or of another kind.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let pixels = match bytes.get(24..28)? {
            b"BGRA" => Pixels::Colours,
            b" 8AG" => Pixels::Greys,
            _ => return None,
        };
        let (width, height) = (u32_at(bytes, 12)?, u32_at(bytes, 16)?);
        let is_sized = (1..=PICTURE).contains(&width) && (1..=PICTURE).contains(&height);
        let (mut facts, packed) = bytes.get(HEADER..)?.split_at_checked(u32_at(bytes, 168)? as usize)?;
        if !bytes.starts_with(b"ISTC") || !is_sized || !packed.starts_with(b"MLEC") {
            return None;
        }
        let mut row = width as usize * pixels.bytes();
        while let (Some(kind), Some(len)) = (u32_at(facts, 0), u32_at(facts, 4)) {
            if kind == ROW {
                row = u32_at(facts, 8)? as usize;
            }
            facts = facts.get(8..)?.get(len as usize..)?;
        }
        Some(Self {
            width,
            height,
            pixels,
            row,
            packed,
        })
    }

    fn icon(&self, budget: &Budget) -> Result<Icon, Refusal> {
        let height = self.height as usize;
        let len = self.row.checked_mul(height).filter(|len| *len <= 1 << 28);
        let len = len.ok_or_else(|| malformed("its rows are too long"))?;
        budget.take(len as u64)?;
        let bytes = self.unpack(len)?;
        let width = self.width as usize * self.pixels.bytes();
        let mut pixels = Vec::new();
        for row in bytes.chunks_exact(self.row.max(1)) {
            let row = row.get(..width).ok_or_else(|| malformed("its rows are too short"))?;
            match self.pixels {
                Pixels::Colours => pixels.extend_from_slice(row.as_chunks().0),
                Pixels::Greys => pixels.extend(
                    row.as_chunks()
                        .0
                        .iter()
                        .map(|[grey, alpha]| [*grey, *grey, *grey, *alpha]),
                ),
            }
        }
        picture::icon_of_apple_pixels(self.width, self.height, pixels)
    }

    /// All rows, which may be packed in several chunks.
    fn unpack(&self, len: usize) -> Result<Vec<u8>, Refusal> {
        let cut = || malformed("it is cut short");
        let number = |bytes: &[u8], offset: usize| u32_at(bytes, offset).map(|number| number as usize).ok_or_else(cut);
        let packing = u32_at(self.packed, 8).ok_or_else(cut)?;
        let mut rest = self.packed.get(16..).ok_or_else(cut)?;
        let mut bytes = Vec::new();
        if !rest.starts_with(b"KCBC") {
            let packed = rest.get(..number(self.packed, 12)?).ok_or_else(cut)?;
            unpack(packing, packed, len, &mut bytes)?;
        }
        while bytes.len() < len && rest.starts_with(b"KCBC") {
            let end = number(rest, 16)?.checked_add(20).ok_or_else(cut)?;
            let (chunk, after) = rest.split_at_checked(end).ok_or_else(cut)?;
            unpack(packing, &chunk[20..], len - bytes.len(), &mut bytes)?;
            rest = after;
        }
        if bytes.len() != len {
            return Err(cut());
        }
        Ok(bytes)
    }
}

/// Unpacks `limit` bytes at most.
fn unpack(packing: u32, packed: &[u8], limit: usize, bytes: &mut Vec<u8>) -> Result<(), Refusal> {
    match packing {
        PLAIN => bytes.extend_from_slice(&packed[..packed.len().min(limit)]),
        LZFSE => {
            let mut decoder = LzfseRingDecoder::default();
            decoder.reader_bytes(packed).take(limit as u64).read_to_end(bytes)?;
        }
        _ => return Err(malformed("it is packed in a way that is not known")),
    }
    Ok(())
}

fn malformed(why: &str) -> Refusal {
    Refusal::malformed("asset catalogue", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    /// A file of these blocks, the first of which have these names.
    fn bom(names: &[&str], blocks: &[Vec<u8>]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
        let mut places = number(blocks.len()).to_vec();
        let mut contents = Vec::new();
        for block in blocks {
            places.extend([number(32 + contents.len()), number(block.len())].concat());
            contents.extend(block);
        }
        let mut named = number(names.len()).to_vec();
        for (place, name) in names.iter().enumerate() {
            named.extend(
                [
                    &number(place)[..],
                    &[u8::try_from(name.len()).unwrap()],
                    name.as_bytes(),
                ]
                .concat(),
            );
        }
        let start = 32 + contents.len();
        let head = [1, blocks.len(), start, places.len(), start + places.len(), named.len()].map(number);
        [b"BOMStore", head.as_flattened(), &contents, &places, &named].concat()
    }

    fn tree(node: u8) -> Vec<u8> {
        [&b"tree\0\0\0\x01\0\0\0"[..], &[node], &[0; 9]].concat()
    }

    /// A leaf of one pair: the number of its value, and that of its key.
    fn leaf(value: u8, key: u8) -> Vec<u8> {
        [
            &[0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[0, 0, 0, value, 0, 0, 0, key],
        ]
        .concat()
    }

    /// A catalogue of one picture of greys, two pixels wide and one high, in two chunks.
    fn catalogue() -> Vec<u8> {
        let mut picture = vec![0; HEADER];
        picture[..4].copy_from_slice(b"ISTC");
        (picture[12], picture[16]) = (2, 1);
        picture[24..28].copy_from_slice(b" 8AG");
        let packed = b"MLEC\x03\0\0\0\0\0\0\0\x02\0\0\0";
        let chunk = |bytes: [u8; 2]| [&b"KCBC\0\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0"[..], &bytes].concat();
        picture.extend([&packed[..], &chunk([64, 128]), &chunk([7, 255])].concat());
        let blocks = [
            tree(3),
            tree(4),
            b"tmfk\0\0\0\0\x02\0\0\0\x01\0\0\0\x11\0\0\0".to_vec(),
            leaf(5, 6),
            leaf(7, 8),
            [&[0; 6][..], &[1, 0, 9, 0, 17, 0, 42, 0]].concat(),
            b"AppIcon".to_vec(),
            picture,
            vec![0, 0, 42, 0],
        ];
        bom(&["FACETKEYS", "RENDITIONS", "KEYFORMAT"], &blocks)
    }

    fn look(bytes: &[u8], name: &str) -> Result<Option<Icon>, Refusal> {
        icon(bytes, &[name], &Budget::new(&Limits::default()))
    }

    #[test]
    fn the_picture_of_the_asset_of_that_name_is_found() {
        let expected = picture::icon_of_pixels(2, 1, vec![[128, 128, 128, 128], [7, 7, 7, 255]]).unwrap();
        assert_eq!(look(&catalogue(), "AppIcon").unwrap(), Some(expected));
        assert_eq!(look(&catalogue(), "Other").unwrap(), None);
    }

    #[test]
    fn lies_are_refused_or_show_nothing() {
        let sound = catalogue();
        for place in 0..sound.len() {
            for byte in [0, 1, 0x7F, 0xFF] {
                let mut bytes = sound.clone();
                bytes[place] = byte;
                let _ = look(&bytes, "AppIcon");
            }
            let cut = look(&sound[..place], "AppIcon");
            assert!(matches!(cut, Err(Refusal::Malformed { .. }) | Ok(None)), "{place}");
        }
        let circle = leaf(5, 6);
        let place = sound.windows(circle.len()).position(|window| window == circle).unwrap();
        let mut bytes = sound.clone();
        // The next leaf is the same one.
        bytes[place + 7] = 3;
        assert!(matches!(look(&bytes, "AppIcon"), Err(Refusal::Malformed { .. })));
    }
}
