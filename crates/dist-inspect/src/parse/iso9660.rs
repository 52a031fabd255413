//! ISO 9660 images with Rock Ridge's names and links, or else with Joliet's names, and files compressed
//! by `mkzftree`.
//! Sources: ECMA-119, the System Use Sharing and Rock Ridge Interchange Protocols 1.12, and Microsoft's
//! Joliet specification.

use super::little::u32_or_zero as u32_at;
use std::io::Read;
use std::ops::Range;

use flate2::read::ZlibDecoder;

use super::tree::{Children, Tree};
use crate::source::Source;
use crate::{Budget, Refusal};

const SECTOR: u64 = 2048;
/// Where the first description of a volume stands.
const VOLUMES: u64 = 16 * SECTOR;
/// How many descriptions there may be.
const DESCRIPTIONS: u64 = 64;
/// How long the list of a folder may be, in bytes.
const FOLDER: u64 = 1 << 20;
/// How many times the description of a node may go on elsewhere.
const CONTINUATIONS: u32 = 8;
/// How a compressed file starts.
const ZISOFS: &[u8] = b"\x37\xE4\x53\x96\xC9\xDB\xD6\x07";

/// An image.
pub struct Iso<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    root: Record,
    /// Whether names are in UTF-16, as Joliet has them.
    is_joliet: bool,
}

/// What a folder says about something in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    start: u64,
    size: u64,
    is_folder: bool,
    name: Vec<u8>,
    target: Option<Vec<u8>>,
}

impl<'a> Iso<'a> {
    /// Reads the description of the volume.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is none.
    pub fn open(source: &'a dyn Source, budget: &'a Budget) -> Result<Self, Refusal> {
        const PRIMARY: u8 = 1;
        const SUPPLEMENTARY: u8 = 2;
        let mut plain = None;
        let mut joliet = None;
        for index in 0..DESCRIPTIONS {
            let start = VOLUMES + index * SECTOR;
            let Ok(volume) = source.bytes(start..start + SECTOR, SECTOR) else {
                break;
            };
            if volume.get(1..6) != Some(b"CD001") {
                break;
            }
            let root = volume.get(156..190).and_then(Record::read);
            let is_joliet = matches!(&volume[88..91], b"%/@" | b"%/C" | b"%/E");
            match volume.first() {
                Some(&PRIMARY) if plain.is_none() => plain = root,
                Some(&SUPPLEMENTARY) if is_joliet && joliet.is_none() => joliet = root,
                _ => {}
            }
        }
        let root = plain.ok_or_else(|| malformed("it describes no volume"))?;
        let plain = Self {
            source,
            budget,
            root,
            is_joliet: false,
        };
        match joliet {
            Some(root) if !plain.is_extended() => Ok(Self {
                root,
                is_joliet: true,
                ..plain
            }),
            _ => Ok(plain),
        }
    }

    /// Whether the first record of the root says that there are fields besides those of the standard,
    /// as Rock Ridge's.
    fn is_extended(&self) -> bool {
        const FIELDS: usize = 34;
        let start = self.root.start;
        let list = self.source.bytes(start..start + SECTOR, SECTOR).unwrap_or_default();
        list.get(FIELDS..).is_some_and(|fields| fields.starts_with(b"SP"))
    }

    /// A name as systems show it, without the version of the standard's.
    fn shown_name(&self, name: &[u8]) -> Vec<u8> {
        if self.is_joliet {
            let units = name.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            let name: String = char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            return name.strip_suffix(";1").unwrap_or(&name).as_bytes().to_vec();
        }
        let name = name.strip_suffix(b";1").unwrap_or(name);
        name.strip_suffix(b".").unwrap_or(name).to_vec()
    }

    /// The fields that a node has besides those of the standard: Rock Ridge's name and link.
    fn extend(&self, record: &mut Record, fields: &[u8]) -> Result<(), Refusal> {
        let mut name = None;
        let mut link = Link::default();
        let mut fields = fields.to_vec();
        for _ in 0..=CONTINUATIONS {
            let mut next = None;
            let mut rest = fields.as_slice();
            while let [a, b, length, _, ..] = *rest {
                self.budget.step()?;
                let length = usize::from(length).max(4);
                let Some((field, after)) = rest.split_at_checked(length) else {
                    break;
                };
                match (&[a, b], field.get(4..).unwrap_or_default()) {
                    // Names of more than 250 bytes have several parts.
                    (b"NM", [_, part @ ..]) => name.get_or_insert_with(Vec::new).extend_from_slice(part),
                    (b"SL", [_, parts @ ..]) => link.add(parts),
                    (b"CE", place) => next = Some([0, 8, 16].map(|at| u64::from(u32_at(place, at)))),
                    _ => {}
                }
                rest = after;
            }
            let Some([block, offset, length]) = next else { break };
            let start = block * SECTOR + offset;
            fields = self.source.bytes(start..start + length, SECTOR)?;
        }
        record.name = name.unwrap_or_else(|| self.shown_name(&record.name));
        record.target = link.target();
        Ok(())
    }

    /// The bytes of a file that was compressed by blocks.
    fn unpack(&self, packed: &[u8], limit: u64) -> Result<Vec<u8>, Refusal> {
        let damaged = || Refusal::Damaged("a compressed file has no such block".to_owned());
        let (size, header, block) = (
            u64::from(u32_at(packed, 8)),
            packed.get(12).copied(),
            packed.get(13).copied(),
        );
        let (Some(header), Some(block @ 15..=17)) = (header, block) else {
            return Err(damaged());
        };
        if size > limit {
            return Err(Refusal::TooLarge { limit });
        }
        self.budget.take(size)?;
        let block = 1_u64 << block;
        let pointer = |index: u64| {
            let place = u64::from(header) * 4 + index * 4;
            usize::try_from(place).map_or(0, |place| u32_at(packed, place) as usize)
        };
        let mut unpacked = Vec::new();
        for index in 0..size.div_ceil(block) {
            self.budget.step()?;
            let wanted = block.min(size - index * block);
            let part = packed.get(pointer(index)..pointer(index + 1)).ok_or_else(damaged)?;
            let before = unpacked.len();
            // A block of zeros has no bytes.
            if !part.is_empty() {
                ZlibDecoder::new(part).take(wanted).read_to_end(&mut unpacked)?;
            }
            unpacked.resize(before + usize::try_from(wanted).unwrap_or(0), 0);
        }
        Ok(unpacked)
    }
}

impl Tree for Iso<'_> {
    type Node = Record;

    fn root(&self) -> Result<Record, Refusal> {
        Ok(self.root.clone())
    }

    fn children(&self, folder: &Record) -> Result<Children<Record>, Refusal> {
        let mut children = Vec::new();
        if !folder.is_folder {
            return Ok(children);
        }
        let list = self.source.bytes(folder.start..folder.start + folder.size, FOLDER)?;
        // No record goes on in the next sector; the rest of one is zeros.
        for sector in list.chunks(usize::try_from(SECTOR).unwrap_or(usize::MAX)) {
            let mut rest = sector;
            while let Some(length) = rest.first().copied().filter(|length| *length > 0) {
                self.budget.step()?;
                let Some((bytes, after)) = rest.split_at_checked(length.into()) else {
                    break;
                };
                rest = after;
                let Some(mut record) = Record::read(bytes) else { break };
                // The folder itself, and the one that it is in.
                if matches!(record.name.as_slice(), b"\0" | b"\x01") {
                    continue;
                }
                let fields = 33 + record.name.len();
                let fields = fields + (fields & 1);
                self.extend(&mut record, bytes.get(fields..).unwrap_or_default())?;
                children.push((record.name.clone(), record));
            }
        }
        Ok(children)
    }

    fn target(&self, node: &Record) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(node.target.clone())
    }

    fn bytes(&self, node: &Record, limit: u64) -> Result<Option<Vec<u8>>, Refusal> {
        if node.is_folder || node.target.is_some() {
            return Ok(None);
        }
        let bytes = self.source.bytes(node.start..node.start + node.size, limit)?;
        if bytes.starts_with(ZISOFS) {
            return self.unpack(&bytes, limit).map(Some);
        }
        Ok(Some(bytes))
    }
}

impl Record {
    /// Where its bytes are.
    pub fn place(&self) -> Range<u64> {
        self.start..self.start + self.size
    }

    /// Whether there may be others in it.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The fields of the standard, of a record that is all of `bytes`.
    fn read(bytes: &[u8]) -> Option<Self> {
        const FOLDER: u8 = 2;
        let length = usize::from(*bytes.get(32)?);
        Some(Self {
            start: u64::from(u32_at(bytes, 2)) * SECTOR,
            size: u64::from(u32_at(bytes, 10)),
            is_folder: bytes.get(25)? & FOLDER != 0,
            name: bytes.get(33..33 + length)?.to_vec(),
            target: None,
        })
    }
}

/// The parts of a link, which are joined by slashes unless one goes on in the next field.
#[derive(Default)]
struct Link {
    parts: Vec<u8>,
    goes_on: bool,
    is_one: bool,
}

impl Link {
    fn add(&mut self, mut parts: &[u8]) {
        self.is_one = true;
        while let [flags, length, rest @ ..] = parts {
            let Some((text, after)) = rest.split_at_checked(usize::from(*length)) else {
                break;
            };
            if !self.goes_on && !self.parts.is_empty() && self.parts != b"/" {
                self.parts.push(b'/');
            }
            match flags & 0xE {
                2 => self.parts.push(b'.'),
                4 => self.parts.extend(b".."),
                8 => self.parts = b"/".to_vec(),
                _ => self.parts.extend(text),
            }
            self.goes_on = flags & 1 != 0;
            parts = after;
        }
    }

    fn target(self) -> Option<Vec<u8>> {
        self.is_one.then_some(self.parts)
    }
}

fn malformed(why: &'static str) -> Refusal {
    Refusal::malformed("ISO image", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    /// A record of what stands at a sector.
    fn record(sector: u8, size: u16, flags: u8, name: &[u8], fields: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 33];
        bytes[2] = sector;
        bytes[10..12].copy_from_slice(&size.to_le_bytes());
        bytes[25] = flags;
        bytes[32] = u8::try_from(name.len()).unwrap();
        bytes.extend(name);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes.extend(fields);
        bytes[0] = u8::try_from(bytes.len()).unwrap();
        bytes
    }

    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 20 * 2048];
        let mut put = |place: usize, part: &[u8]| bytes[place..place + part.len()].copy_from_slice(part);
        put(16 * 2048, b"\x01CD001");
        put(16 * 2048 + 156, &record(17, 2048, 2, b"\0", b""));
        let list = [
            record(17, 2048, 2, b"\0", b""),
            record(18, 5, 0, b"A.TXT;1", b"NM\x0B\x01\0a.text"),
            record(
                0,
                0,
                0,
                b"LINK",
                b"NM\x09\x01\0linkSL\x11\x01\0\x02\0\x01\x02a.\0\x04text",
            ),
            record(17, 2048, 2, b"LOOP", b""),
        ];
        put(17 * 2048, &list.concat());
        put(18 * 2048, b"bytes");
        bytes
    }

    #[test]
    fn names_and_links_are_those_of_rock_ridge() {
        let (bytes, budget) = (image(), Budget::new(&Limits::default()));
        let iso = Iso::open(&bytes, &budget).unwrap();
        let names: Vec<_> = iso
            .children(&iso.root)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, [&b"a.text"[..], b"link", b"LOOP"]);
        assert_eq!(
            iso.read(b"LOOP/LOOP/a.text", 9).unwrap().as_deref(),
            Some(&b"bytes"[..])
        );
        assert!(matches!(iso.read(b"a.text", 4), Err(Refusal::TooLarge { limit: 4 })));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let budget = Budget::new(&Limits::default());
        let bytes = image();
        for len in [0, 16 * 2048, 17 * 2048 - 1] {
            assert!(matches!(
                Iso::open(&&bytes[..len], &budget),
                Err(Refusal::Malformed { .. })
            ));
        }
        let cut = &bytes[..17 * 2048 + 9];
        let iso = Iso::open(&cut, &budget).unwrap();
        assert!(matches!(iso.read(b"a", 9), Err(Refusal::Truncated)));
    }
}
