//! The chunks that compiled resources consist of, and their pools of strings.

use std::cell::Cell;

use crate::{Budget, Refusal};

/// How many bytes the texts of one document or table come to at most.
const TEXT_BYTES: usize = 32 << 20;
const UTF8: u32 = 1 << 8;

/// The kinds of chunk that are looked at.
pub(super) mod kind {
    pub(crate) const STRINGS: u16 = 0x0001;
    pub(crate) const TABLE: u16 = 0x0002;
    pub(crate) const XML: u16 = 0x0003;
    pub(crate) const START_ELEMENT: u16 = 0x0102;
    pub(crate) const END_ELEMENT: u16 = 0x0103;
    pub(crate) const ATTRIBUTE_IDS: u16 = 0x0180;
    pub(crate) const PACKAGE: u16 = 0x0200;
    pub(crate) const TYPE: u16 = 0x0201;
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("resources", why)
}

/// The little-endian numbers of bytes that nobody vouches for.
pub(super) trait Numbers {
    fn u8_at(&self, offset: usize) -> Result<u8, Refusal>;
    fn u16_at(&self, offset: usize) -> Result<u16, Refusal>;
    fn u32_at(&self, offset: usize) -> Result<u32, Refusal>;

    /// A number of bytes or of things.
    fn len_at(&self, offset: usize) -> Result<usize, Refusal> {
        usize::try_from(self.u32_at(offset)?).map_err(malformed)
    }
}

impl Numbers for [u8] {
    fn u8_at(&self, offset: usize) -> Result<u8, Refusal> {
        self.get(offset).copied().ok_or_else(|| malformed("they end early"))
    }

    fn u16_at(&self, offset: usize) -> Result<u16, Refusal> {
        let bytes = self.get(offset..).and_then(<[u8]>::first_chunk);
        bytes
            .map(|bytes| u16::from_le_bytes(*bytes))
            .ok_or_else(|| malformed("they end early"))
    }

    fn u32_at(&self, offset: usize) -> Result<u32, Refusal> {
        let bytes = self.get(offset..).and_then(<[u8]>::first_chunk);
        bytes
            .map(|bytes| u32::from_le_bytes(*bytes))
            .ok_or_else(|| malformed("they end early"))
    }
}

/// A chunk: its kind, its own header, and what it has inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) kind: u16,
    /// All of it, from its first byte on; offsets inside count from here.
    pub(super) bytes: &'a [u8],
    /// How long its header is.
    pub(super) header: usize,
}

impl<'a> Chunk<'a> {
    /// The chunk at the start of `bytes`, and what follows it.
    pub(super) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Refusal> {
        let (kind, header, size) = (bytes.u16_at(0)?, usize::from(bytes.u16_at(2)?), bytes.len_at(4)?);
        if header < 8 || size < header {
            return Err(malformed("a chunk is smaller than its header"));
        }
        let (bytes, rest) = bytes
            .split_at_checked(size)
            .ok_or_else(|| malformed("a chunk ends after its end"))?;
        Ok((Self { kind, bytes, header }, rest))
    }

    /// The chunks in it.
    pub(super) fn chunks(&self) -> Chunks<'a> {
        Chunks(self.bytes.get(self.header..).unwrap_or_default())
    }
}

/// Chunks that stand one after the other. Fewer bytes than a header has are padding.
pub(super) struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.len() < 8 {
            return None;
        }
        let split = Chunk::split(self.0);
        self.0 = split.as_ref().map_or(&[], |(_, rest)| rest);
        Some(split.map(|(chunk, _)| chunk))
    }
}

/// A pool of strings, each decoded when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Strings<'a> {
    offsets: &'a [u8],
    texts: &'a [u8],
    is_utf8: bool,
    taken: Cell<usize>,
}

impl<'a> Strings<'a> {
    pub(super) fn parse(chunk: Chunk<'a>) -> Result<Self, Refusal> {
        let bytes = chunk.bytes;
        let cut = || malformed("the strings end early");
        let (count, flags, start) = (bytes.len_at(8)?, bytes.u32_at(16)?, bytes.len_at(20)?);
        let offsets = bytes.get(chunk.header..).ok_or_else(cut)?;
        let len = count.checked_mul(4).ok_or_else(cut)?;
        Ok(Self {
            offsets: offsets.get(..len).ok_or_else(cut)?,
            texts: bytes
                .get(if count == 0 { bytes.len() } else { start }..)
                .ok_or_else(cut)?,
            is_utf8: flags & UTF8 != 0,
            taken: Cell::new(0),
        })
    }

    /// The string of this number; what is no text in it is replaced.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is none, or it has no end.
    pub(super) fn get(&self, place: u32, budget: &Budget) -> Result<String, Refusal> {
        let place = usize::try_from(place).ok().and_then(|place| place.checked_mul(4));
        let offset = self
            .offsets
            .len_at(place.ok_or_else(|| malformed("a string is missing"))?)?;
        let bytes = self
            .texts
            .get(offset..)
            .ok_or_else(|| malformed("a string lies outside"))?;
        let text = if self.is_utf8 { utf8(bytes)? } else { utf16(bytes)? };
        budget.take(text.len() as u64)?;
        let taken = self.taken.get().saturating_add(text.len());
        self.taken.set(taken);
        if taken > TEXT_BYTES {
            return Err(Refusal::TooLarge {
                limit: TEXT_BYTES as u64,
            });
        }
        Ok(text)
    }
}

fn endless() -> Refusal {
    malformed("a string does not end")
}

fn utf8(bytes: &[u8]) -> Result<String, Refusal> {
    let length = |at: usize| -> Result<(usize, usize), Refusal> {
        let first = usize::from(bytes.u8_at(at)?);
        if first & 0x80 == 0 {
            return Ok((first, at + 1));
        }
        Ok(((first & 0x7F) << 8 | usize::from(bytes.u8_at(at + 1)?), at + 2))
    };
    // The length in characters, which nobody needs, and the one in bytes.
    let (_, at) = length(0)?;
    let (len, at) = length(at)?;
    let text = bytes.get(at..at + len).ok_or_else(endless)?;
    if bytes.get(at + len) != Some(&0) {
        return Err(endless());
    }
    Ok(with_whole_characters(text))
}

/// The text of bytes that are UTF-8 but for characters beyond U+FFFF, as emoji are: of those aapt2
/// writes the two surrogates of UTF-16, in three bytes each, as Java's modified UTF-8 has them.
fn with_whole_characters(bytes: &[u8]) -> String {
    let mut whole = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        if let [
            0xED,
            a @ 0xA0..=0xAF,
            b @ 0x80..=0xBF,
            0xED,
            c @ 0xB0..=0xBF,
            d @ 0x80..=0xBF,
            after @ ..,
        ] = rest
        {
            let bits = |byte: u8, mask: u8, place: u32| u32::from(byte & mask) << place;
            let code = 0x1_0000 + (bits(*a, 0x0F, 16) | bits(*b, 0x3F, 10) | bits(*c, 0x0F, 6) | bits(*d, 0x3F, 0));
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            whole.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = after;
        } else {
            whole.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&whole).into_owned()
}

fn utf16(bytes: &[u8]) -> Result<String, Refusal> {
    let first = usize::from(bytes.u16_at(0)?);
    let (len, at) = if first & 0x8000 == 0 {
        (first, 2)
    } else {
        ((first & 0x7FFF) << 16 | usize::from(bytes.u16_at(2)?), 4)
    };
    let text = bytes.get(at..at + 2 * len).ok_or_else(endless)?;
    if bytes.u16_at(at + 2 * len)? != 0 {
        return Err(endless());
    }
    let units = text.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let replaced = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    Ok(replaced.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_in_two_surrogates_are_whole() {
        let text = |bytes: &[u8]| utf8(&[&[0, u8::try_from(bytes.len()).unwrap()], bytes, &[0]].concat()).unwrap();
        assert_eq!(text(b"Go \xED\xA0\xBD\xED\xBA\x80!"), "Go \u{1F680}!");
        assert_eq!(text("Go \u{1F680} \u{D7FF}!".as_bytes()), "Go \u{1F680} \u{D7FF}!");
        assert_eq!(text(b"\xED\xA0\xBD!").chars().last(), Some('!'));
    }
}
