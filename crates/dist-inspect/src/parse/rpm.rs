//! The headers of RPM packages, by position.
//! Source: the V4 package format in the manual of rpm, and the LSB core specification, chapter 25.

use std::ops::Range;

use crate::source::Source;
use crate::{Budget, Refusal};

/// How a package starts.
pub const MAGIC: &[u8] = b"\xED\xAB\xEE\xDB";

/// The size of what stands before the first header.
const LEAD: u64 = 96;
const HEADER_MAGIC: &[u8] = b"\x8E\xAD\xE8\x01";
/// The size of a header's own start, and of a line in its index.
const START: u64 = 16;
const LINE: u64 = 16;
/// How many tags rpm itself takes in a header.
const TAGS: u32 = 0xFFFF;

/// The parts of a package.
#[derive(Clone, Debug)]
pub struct Package {
    /// Whether its first bytes say that it is a source package.
    pub is_source: bool,
    /// What is said about the rest: signatures, sizes and digests.
    pub signature: Header,
    /// What the package is.
    pub header: Header,
}

impl Package {
    /// Reads both headers.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`], and those of limits.
    pub fn read(source: &dyn Source, budget: &Budget) -> Result<Self, Refusal> {
        let lead = source.bytes(0..LEAD, LEAD)?;
        if !lead.starts_with(MAGIC) {
            return Err(malformed("it does not start as one does"));
        }
        let signature = Header::read(source, LEAD, budget)?;
        // Only the first header is followed by padding.
        let start = signature.range.end.next_multiple_of(8);
        Ok(Self {
            is_source: lead[6..8] == [0, 1],
            header: Header::read(source, start, budget)?,
            signature,
        })
    }

    /// Where the payload starts; it goes on to the end.
    pub fn payload(&self) -> u64 {
        self.header.range.end
    }
}

/// A header: tags with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it stands in the file.
    pub range: Range<u64>,
    tags: Vec<Tag>,
    store: Vec<u8>,
}

/// A line of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    number: u32,
    kind: u32,
    offset: u32,
    count: u32,
}

impl Header {
    fn read(source: &dyn Source, start: u64, budget: &Budget) -> Result<Self, Refusal> {
        let head = source.bytes(start..start.saturating_add(START), START)?;
        if !head.starts_with(HEADER_MAGIC) {
            return Err(malformed(format!("there is no header at {start}")));
        }
        let (count, size) = (number(&head, 8), number(&head, 12));
        if count > TAGS {
            return Err(malformed(format!("a header has {count} tags")));
        }
        let store = start + START + u64::from(count) * LINE;
        let end = store + u64::from(size);
        let index = source.bytes(start + START..store, u64::from(TAGS) * LINE)?;
        let mut tags = Vec::with_capacity(count as usize);
        for line in index.chunks_exact(16) {
            budget.step()?;
            tags.push(Tag {
                number: number(line, 0),
                kind: number(line, 4),
                offset: number(line, 8),
                count: number(line, 12),
            });
        }
        Ok(Self {
            range: start..end,
            tags,
            store: source.bytes(store..end, budget.limits().member_bytes)?,
        })
    }

    /// The first value of a tag, if it is a text.
    pub fn text(&self, tag: u32) -> Option<String> {
        self.texts(tag).next()
    }

    /// The texts of a tag; what is not UTF-8 in them is replaced. Of a text in several languages the
    /// first is that of none.
    pub fn texts(&self, tag: u32) -> impl Iterator<Item = String> {
        const TEXTS: [u32; 3] = [6, 8, 9];
        let found = self.find(tag).filter(|tag| TEXTS.contains(&tag.kind));
        let (count, values) = found.map_or((0, &[][..]), |tag| (tag.count as usize, self.values(tag)));
        // What no NUL ends is no text.
        let texts = values.split_inclusive(|byte| *byte == 0).take(count);
        let texts = texts.filter_map(|text| text.strip_suffix(b"\0"));
        texts.map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// The numbers of a tag, of 16, 32 or 64 bits.
    pub fn numbers(&self, tag: u32) -> impl Iterator<Item = u64> {
        let found = self.find(tag);
        let size = found.map_or(0, |tag| {
            [(3, 2), (4, 4), (5, 8)]
                .iter()
                .find(|(kind, _)| *kind == tag.kind)
                .map_or(0, |(_, size)| *size)
        });
        let (count, values) = found
            .filter(|_| size > 0)
            .map_or((0, &[][..]), |tag| (tag.count as usize, self.values(tag)));
        let join = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        values.chunks_exact(size.max(1)).take(count).map(join)
    }

    /// The bytes of a tag that has neither texts nor numbers.
    pub fn bytes(&self, tag: u32) -> Option<&[u8]> {
        const BYTES: u32 = 7;
        let found = self.find(tag).filter(|tag| tag.kind == BYTES)?;
        self.values(found).get(..found.count as usize)
    }

    /// Whether there is such a tag.
    pub fn has(&self, tag: u32) -> bool {
        self.find(tag).is_some()
    }

    /// How many values a tag has, as far as it says.
    pub fn count(&self, tag: u32) -> Option<u32> {
        self.find(tag).map(|tag| tag.count)
    }

    fn find(&self, tag: u32) -> Option<&Tag> {
        self.tags.iter().find(|found| found.number == tag)
    }

    /// The bytes that the values of a tag start in.
    fn values(&self, tag: &Tag) -> &[u8] {
        self.store.get(tag.offset as usize..).unwrap_or_default()
    }
}

/// The number at a place that is known to be there.
fn number(bytes: &[u8], place: usize) -> u32 {
    let bytes = bytes.get(place..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("rpm header", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    /// A header of these tags, each with its kind, its count and its bytes.
    fn header(tags: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
        let mut store = Vec::new();
        let mut index = Vec::new();
        for (tag, kind, count, bytes) in tags {
            let offset = u32::try_from(store.len()).unwrap();
            index.extend([*tag, *kind, offset, *count].into_iter().flat_map(u32::to_be_bytes));
            store.extend_from_slice(bytes);
        }
        let numbers = [u32::try_from(tags.len()).unwrap(), u32::try_from(store.len()).unwrap()];
        let numbers: Vec<u8> = numbers.into_iter().flat_map(u32::to_be_bytes).collect();
        [HEADER_MAGIC, &[0; 4], &numbers, &index, &store].concat()
    }

    fn read(tags: &[(u32, u32, u32, &[u8])]) -> Result<Package, Refusal> {
        let lead = [MAGIC, &[3, 0, 0, 1], &[0; 88]].concat();
        let bytes = [lead, header(&[]), header(tags)].concat();
        Package::read(&bytes, &Budget::new(&Limits::default()))
    }

    #[test]
    fn values_are_read_by_tag_and_kind() {
        let package = read(&[
            (1000, 6, 1, b"acme\0"),
            (1049, 8, 2, b"sh\0bash\0"),
            (1048, 4, 2, &[0, 0, 0, 8, 0, 0, 1, 0]),
            (257, 7, 2, b"abc"),
        ])
        .unwrap();
        let header = package.header;
        assert!(package.is_source);
        assert_eq!(header.text(1000).as_deref(), Some("acme"));
        assert_eq!(header.texts(1049).collect::<Vec<_>>(), ["sh", "bash"]);
        assert_eq!(header.numbers(1048).collect::<Vec<_>>(), [8, 256]);
        assert_eq!(header.bytes(257), Some(&b"ab"[..]));
        assert_eq!((header.text(1048), header.numbers(1000).next()), (None, None));
    }

    #[test]
    fn values_outside_of_the_header_are_none() {
        let header = read(&[(3, 4, 9, b"\0\0\0\x01\0"), (2, 7, 9, b"ab"), (1, 6, 9, b"no end")]);
        let header = header.unwrap().header;
        assert_eq!((header.text(1), header.bytes(2)), (None, None));
        assert_eq!(header.numbers(3).next(), Some(1));
        let mut bytes = [MAGIC, &[0; 92], HEADER_MAGIC, &[0; 4], &[0xFF; 8]].concat();
        let package = |bytes: &Vec<u8>| Package::read(bytes, &Budget::new(&Limits::default()));
        assert!(matches!(package(&bytes), Err(Refusal::Malformed { .. })));
        bytes[104..108].fill(0);
        assert!(matches!(package(&bytes), Err(Refusal::TooLarge { .. })));
        bytes[108..110].fill(0);
        assert!(matches!(package(&bytes), Err(Refusal::Truncated)));
    }
}
