//! Dictionaries in `GLib`'s `GVariant` format, by position.
//! Source: the `GVariant` specification 1.0, chapter 2.5.

use std::ops::Range;

use super::text;
use crate::source::Source;
use crate::{Budget, Refusal};

/// How many entries a dictionary may have, and how long a key may be, in bytes.
const ENTRIES: u64 = 10_000;
const KEY_BYTES: u64 = 1 << 10;

/// A dictionary of variants by texts, of type `a{sv}`, of which only keys are held.
pub struct Dictionary<'a> {
    source: &'a dyn Source,
    entries: Vec<(String, Range<u64>)>,
}

impl<'a> Dictionary<'a> {
    /// The dictionary that a tuple starts with which is all of `source`, and has something of
    /// variable size behind it.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn first(source: &'a dyn Source, budget: &Budget) -> Result<Self, Refusal> {
        let end = last_offset(source, 0..source.len())?;
        let whole = 0..end;
        let size = offset_size(end);
        let table = last_offset(source, whole)?;
        let count = (end - table) / size;
        if (end - table) % size != 0 || count > ENTRIES {
            return Err(malformed("a dictionary has an impossible size"));
        }
        let offsets = source.bytes(table..end, ENTRIES * 8)?;
        let mut entries = Vec::new();
        let mut start = 0;
        for offset in offsets.chunks_exact(usize::try_from(size).unwrap_or(1)) {
            budget.step()?;
            let end = number(offset);
            if end > table || start > end {
                return Err(malformed("an entry lies outside of its dictionary"));
            }
            entries.push(entry(source, start..end)?);
            start = end.next_multiple_of(8);
        }
        Ok(Self { source, entries })
    }

    /// The text of a key; `None` where it is something else.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`].
    pub fn text(&self, key: &str, limit: u64) -> Result<Option<String>, Refusal> {
        let value = self.value(key, b"s", limit)?;
        Ok(value.and_then(|value| value.strip_suffix(b"\0").map(text)))
    }

    /// The bytes of a key; `None` where it is something else.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`].
    pub fn bytes(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, Refusal> {
        self.value(key, b"ay", limit)
    }

    /// Where the values of this type stand whose keys start with `prefix`, with the number that their
    /// keys end in.
    ///
    /// # Errors
    /// Those of reading.
    pub fn numbered(&self, prefix: &str, kind: &[u8]) -> Result<Vec<(usize, Range<u64>)>, Refusal> {
        let mut found = Vec::new();
        for (key, range) in self.entries.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let Some(number) = key.rsplit('/').next().and_then(|number| number.parse().ok()) else {
                continue;
            };
            let end = range.end.saturating_sub(kind.len() as u64 + 1).max(range.start);
            let suffix = self.source.bytes(end..range.end, KEY_BYTES)?;
            if suffix.strip_prefix(b"\0") == Some(kind) {
                found.push((number, range.start..end));
            }
        }
        Ok(found)
    }

    /// The value of a key, if it is of this type: a variant is its value, NUL, and its type.
    fn value(&self, key: &str, kind: &[u8], limit: u64) -> Result<Option<Vec<u8>>, Refusal> {
        let Some((_, range)) = self.entries.iter().find(|(name, _)| name == key) else {
            return Ok(None);
        };
        let mut value = self.source.bytes(range.clone(), limit)?;
        let len = value
            .strip_suffix(kind)
            .and_then(|rest| rest.strip_suffix(b"\0"))
            .map(<[u8]>::len);
        Ok(len.map(|len| {
            value.truncate(len);
            value
        }))
    }
}

/// The entries of the array of tuples that is the part of a tuple before its last one, whose parts are
/// aligned by eight; `before` parts of variable size stand before it.
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn array(source: &dyn Source, before: u64) -> Result<Vec<Range<u64>>, Refusal> {
    let len = source.len();
    let size = offset_size(len);
    let offset = |index: u64| {
        let end = len
            .checked_sub(size * index)
            .ok_or_else(|| malformed("a tuple has no such part"))?;
        let start = end
            .checked_sub(size)
            .ok_or_else(|| malformed("a tuple has no such part"))?;
        Ok::<u64, Refusal>(number(&source.bytes(start..end, 8)?))
    };
    let (start, end) = (offset(before - 1)?.next_multiple_of(8), offset(before)?);
    if start >= end || end > len {
        return Ok(Vec::new());
    }
    let size = offset_size(end - start);
    let table = start + last_offset(source, start..end)?;
    let count = (end - table) / size;
    if count > ENTRIES {
        return Err(malformed("an array has an impossible size"));
    }
    let offsets = source.bytes(table..end, ENTRIES * 8)?;
    let mut entries = Vec::new();
    let mut entry = start;
    for offset in offsets.chunks_exact(usize::try_from(size).unwrap_or(1)) {
        let end = start.saturating_add(number(offset));
        if end > table || entry > end {
            return Err(malformed("an entry lies outside of its array"));
        }
        entries.push(entry..end);
        entry = end.next_multiple_of(8);
    }
    Ok(entries)
}

/// The key of an entry, and where its variant stands.
fn entry(source: &dyn Source, range: Range<u64>) -> Result<(String, Range<u64>), Refusal> {
    let start = range.start;
    let end = range.end - offset_size(range.end - start).min(range.end - start);
    let after = start + last_offset(source, range)?;
    let key = source.bytes(start..after, KEY_BYTES)?;
    let key = key.strip_suffix(b"\0").ok_or_else(|| malformed("a key does not end"))?;
    // A variant stands at a multiple of eight.
    let value = after.next_multiple_of(8);
    if value > end {
        return Err(malformed("a value lies outside of its entry"));
    }
    Ok((text(key), value..end))
}

/// The number at the end of a container: where its first part of variable size ends, or where the
/// last entry of an array does, from the container's start.
fn last_offset(source: &dyn Source, range: Range<u64>) -> Result<u64, Refusal> {
    let len = range.end - range.start;
    let size = offset_size(len);
    if len < size {
        return Err(malformed("a container is empty"));
    }
    let offset = number(&source.bytes(range.end - size..range.end, 8)?);
    if offset > len - size {
        return Err(malformed("a part lies outside of its container"));
    }
    Ok(offset)
}

/// How many bytes an offset has in a container of this many.
fn offset_size(len: u64) -> u64 {
    match len {
        0..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFFFF_FFFF => 4,
        _ => 8,
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn malformed(why: &'static str) -> Refusal {
    Refusal::malformed("index", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn tuple() -> Vec<u8> {
        let entries: [(&[u8], &[u8]); 3] = [
            (b"ref\0", b"app/a\0\0s"),
            (b"icon\0", b"\x01\x02\0ay"),
            (b"n\0", b"\x05\0\0\0\0u"),
        ];
        let mut dictionary: Vec<u8> = Vec::new();
        let mut ends = Vec::new();
        for (key, variant) in entries {
            dictionary.resize(dictionary.len().next_multiple_of(8), 0);
            let mut entry = key.to_vec();
            entry.resize(entry.len().next_multiple_of(8), 0);
            entry.extend(variant);
            entry.push(u8::try_from(key.len()).unwrap());
            dictionary.extend(entry);
            ends.push(u8::try_from(dictionary.len()).unwrap());
        }
        dictionary.extend(ends);
        let end = u8::try_from(dictionary.len()).unwrap();
        [&dictionary[..], b"rest", &[end]].concat()
    }

    fn open(bytes: &[u8]) -> Result<Vec<String>, Refusal> {
        let dictionary = Dictionary::first(&bytes, &Budget::new(&Limits::default()))?;
        Ok(dictionary.entries.into_iter().map(|(key, _)| key).collect())
    }

    #[test]
    fn values_are_found_by_key_and_type() {
        let bytes = tuple();
        let dictionary = Dictionary::first(&bytes, &Budget::new(&Limits::default())).unwrap();
        assert_eq!(dictionary.text("ref", 99).unwrap().as_deref(), Some("app/a"));
        assert_eq!(dictionary.bytes("icon", 99).unwrap().as_deref(), Some(&b"\x01\x02"[..]));
        assert_eq!(dictionary.text("icon", 99).unwrap(), None);
        assert_eq!(dictionary.bytes("none", 99).unwrap(), None);
        assert!(matches!(dictionary.text("ref", 3), Err(Refusal::TooLarge { limit: 3 })));
    }

    #[test]
    fn the_array_before_the_last_part_is_found() {
        // A text, an array of two entries with the table of their ends, a text, and where the first
        // two parts end, the first one last.
        let bytes = b"ab\0\0\0\0\0\0one.....two\x08\x0Bz\0\x15\x03";
        assert_eq!(array(&bytes.as_slice(), 1).unwrap(), [8..16, 16..19]);
        for len in 0..bytes.len() {
            let _ = array(&&bytes[..len], 1);
        }
        assert!(array(&b"".as_slice(), 1).is_err());
    }

    #[test]
    fn offsets_that_lie_are_refused() {
        let bytes = tuple();
        assert_eq!(open(&bytes).unwrap(), ["ref", "icon", "n"]);
        for len in [0, 1, 20, bytes.len() - 1] {
            assert!(matches!(open(&bytes[..len]), Err(Refusal::Malformed { .. })), "{len}");
        }
        for place in bytes.len() - 8..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[place] = 0xFE;
            let _ = open(&bytes);
        }
    }
}
