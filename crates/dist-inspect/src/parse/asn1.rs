//! ASN.1 in BER, of which DER is a part: certificates and signatures.
//!
//! Real signatures are BER, with lengths that are not told and texts in pieces, and what is signed
//! or hashed are exact bytes. So this reads values where they stand and re-encodes nothing.

use crate::Refusal;

/// How deep values without a length may lie in each other, since finding their ends is recursive.
const DEPTH: u32 = 32;

/// The tags that are read here, class and form included.
pub mod tag {
    #![expect(missing_docs, reason = "they are ASN.1's own names")]
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0C;
    pub const TELETEX_STRING: u8 = 0x14;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const UNIVERSAL_STRING: u8 = 0x1C;
    pub const BMP_STRING: u8 = 0x1E;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;

    /// The constructed value with this number in brackets.
    pub const fn context(number: u8) -> u8 {
        0xA0 | number
    }
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its tag, class and form included.
    pub tag: u8,
    /// Its contents.
    pub contents: &'a [u8],
    /// All of it, as it stands there.
    pub raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// The values in it, one after the other.
    pub fn values(&self) -> Values<'a> {
        Values(self.contents)
    }

    /// Itself, if it has this tag.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn expect(self, tag: u8) -> Result<Self, Refusal> {
        if self.tag != tag {
            return Err(malformed(format!("the tag {:#04x} stands for {tag:#04x}", self.tag)));
        }
        Ok(self)
    }

    /// The dotted form of an object identifier; `None` where it is none.
    pub fn oid(&self) -> Option<String> {
        if self.tag != tag::OID || self.contents.last()? & 0x80 != 0 {
            return None;
        }
        let mut arcs: Vec<u64> = Vec::new();
        let mut arc: u64 = 0;
        for byte in self.contents {
            arc = arc.checked_mul(128)? | u64::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                arcs.push(arc);
                arc = 0;
            }
        }
        let first = (*arcs.first()? / 40).min(2);
        arcs[0] -= first * 40;
        arcs.insert(0, first);
        Some(arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
    }

    /// The bytes of an octet string, put together where it comes in pieces, whatever its tag.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn octets(&self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        self.add_octets(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn add_octets(&self, bytes: &mut Vec<u8>, depth: u32) -> Result<(), Refusal> {
        if self.tag & 0x20 == 0 {
            bytes.extend_from_slice(self.contents);
            return Ok(());
        }
        if depth > DEPTH {
            return Err(malformed("a text comes in too many pieces of pieces"));
        }
        self.values().try_for_each(|piece| piece?.add_octets(bytes, depth + 1))
    }

    /// The text of a string of any kind; what is no text is replaced.
    pub fn text(&self) -> String {
        if self.tag == tag::BMP_STRING {
            let units = self
                .contents
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            return char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
        }
        if self.tag == tag::UNIVERSAL_STRING {
            let (units, _) = self.contents.as_chunks();
            let character = |unit: &[u8; 4]| char::from_u32(u32::from_be_bytes(*unit));
            return units
                .iter()
                .map(|unit| character(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
        }
        match std::str::from_utf8(self.contents) {
            // By its standard it is something else, and all who write and read it have Latin-1.
            Ok(text) if self.tag != tag::TELETEX_STRING => text.to_owned(),
            Err(_) if self.tag == tag::UTF8_STRING => String::from_utf8_lossy(self.contents).into_owned(),
            // So do those who write other letters into an older kind of string.
            _ => self.contents.iter().copied().map(char::from).collect(),
        }
    }
}

/// Values that stand one after the other.
#[derive(Clone, Debug)]
pub struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    /// The values of which `bytes` consist.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next value, which has to have this tag.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is none, or another one.
    pub fn expect(&mut self, tag: u8) -> Result<Value<'a>, Refusal> {
        self.any()?.expect(tag)
    }

    /// The next value, whatever it is.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is none.
    pub fn any(&mut self) -> Result<Value<'a>, Refusal> {
        self.next().ok_or_else(|| malformed("a value is missing"))?
    }

    /// The next value, if there is one and it has this tag; else it stays.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where it cannot be read.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, Refusal> {
        if self.0.first() == Some(&tag) {
            self.any().map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<Value<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = split(self.0, 0);
        self.0 = split.as_ref().map_or(&[], |(_, rest)| rest);
        Some(split.map(|(value, _)| value))
    }
}

/// The first value of `bytes`, which may be followed by anything.
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn first(bytes: &[u8]) -> Result<Value<'_>, Refusal> {
    split(bytes, 0).map(|(value, _)| value)
}

/// The first value, and what follows it.
fn split(bytes: &[u8], depth: u32) -> Result<(Value<'_>, &[u8]), Refusal> {
    let cut = || malformed("a value ends after its end");
    let (&tag, rest) = bytes.split_first().ok_or_else(cut)?;
    if tag & 0x1F == 0x1F {
        return Err(malformed("a tag takes several bytes"));
    }
    let (&length, rest) = rest.split_first().ok_or_else(cut)?;
    if length == 0x80 {
        return split_open(bytes, tag, rest, depth);
    }
    let (length, rest) = match usize::from(length) {
        length @ ..0x80 => (length, rest),
        long => {
            let (digits, rest) = rest
                .split_at_checked(long - 0x80)
                .filter(|(digits, _)| digits.len() <= 4)
                .ok_or_else(cut)?;
            (
                digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)),
                rest,
            )
        }
    };
    let (contents, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    let raw = &bytes[..bytes.len() - rest.len()];
    Ok((Value { tag, contents, raw }, rest))
}

/// A value that ends with two zeros instead of telling its length.
fn split_open<'a>(bytes: &'a [u8], tag: u8, inner: &'a [u8], depth: u32) -> Result<(Value<'a>, &'a [u8]), Refusal> {
    if depth >= DEPTH {
        return Err(malformed("values lie too deep in each other"));
    }
    let mut rest = inner;
    loop {
        if let Some(after) = rest.strip_prefix(&[0, 0]) {
            let contents = &inner[..inner.len() - rest.len()];
            let raw = &bytes[..bytes.len() - after.len()];
            return Ok((Value { tag, contents, raw }, after));
        }
        rest = split(rest, depth + 1)?.1;
    }
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("signature", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_and_without_a_length_are_alike() {
        let told = b"\x30\x05\x02\x01\x07\x04\x00rest";
        let open = b"\x30\x80\x02\x01\x07\x04\x00\x00\x00rest";
        for bytes in [&told[..], &open[..]] {
            let (value, rest) = split(bytes, 0).unwrap();
            assert_eq!((value.contents, rest), (&b"\x02\x01\x07\x04\x00"[..], &b"rest"[..]));
            assert_eq!(value.raw.len() + rest.len(), bytes.len());
            assert_eq!(value.values().expect(tag::INTEGER).unwrap().contents, [7]);
            assert!(value.values().expect(tag::SET).is_err());
        }
    }

    #[test]
    fn texts_in_pieces_are_put_together() {
        let value = first(b"\x24\x80\x04\x02ab\x24\x03\x04\x01c\x00\x00").unwrap();
        assert_eq!(value.octets().unwrap(), b"abc");
    }

    #[test]
    fn texts_are_read_as_their_kind_says() {
        let text = |bytes: &[u8]| first(bytes).unwrap().text();
        assert_eq!(text(b"\x0C\x03M\xC3\xBC"), "Mü");
        assert_eq!(text(b"\x14\x02M\xFC"), "Mü");
        assert_eq!(text(b"\x1E\x04\0M\0\xFC"), "Mü");
        assert_eq!(text(b"\x1C\x08\0\0\0M\0\0\0\xFC"), "Mü");
        assert_eq!(text(b"\x0C\x02M\xFC"), "M\u{FFFD}");
    }

    #[test]
    fn object_identifiers_have_their_dotted_form() {
        let oid = |bytes: &[u8]| first(bytes).unwrap().oid();
        assert_eq!(
            oid(b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02").as_deref(),
            Some("1.2.840.113549.1.7.2")
        );
        assert_eq!(oid(b"\x06\x03\x55\x04\x03").as_deref(), Some("2.5.4.3"));
        assert_eq!(oid(b"\x06\x01\x80"), None);
        assert_eq!(oid(b"\x06\x0B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"), None);
    }

    #[test]
    fn lengths_that_lie_and_endless_depth_are_refused() {
        let deep = [0x30, 0x80].repeat(100_000);
        let cases: [&[u8]; 6] = [
            b"",
            b"\x30",
            b"\x30\x05\x00",
            b"\x30\x84\xFF\xFF\xFF\xFF",
            b"\x1F\x81\x00",
            &deep,
        ];
        for bytes in cases {
            assert!(matches!(first(bytes), Err(Refusal::Malformed { .. })));
        }
    }
}
