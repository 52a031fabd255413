//! Property lists, as XML, binary, or in the form of `OpenStep`.
//!
//! The binary form is described in Apple's `CFBinaryPList.c`: objects refer to others by number, so
//! that a few bytes can claim a tree without end. Values are counted as they are made, and objects
//! that contain themselves end at the limit on nesting.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use std::collections::BTreeMap;

use super::date::days;
use super::xml::{self, Element};
use super::{openstep, text};
use crate::{Budget, Refusal};

/// Seconds from the Unix epoch to 2001-01-01, from which binary dates count.
const EPOCH: i64 = 978_307_200;

/// A value of a property list.
#[derive(Clone, Debug, PartialEq)]
pub enum Plist {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Data(Vec<u8>),
    /// A time, in seconds since the Unix epoch.
    Date(i64),
    /// A list.
    Array(Vec<Plist>),
    /// Values by their names.
    Dict(BTreeMap<String, Plist>),
}

/// How a property list is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `bplist00` and after.
    Binary,
    /// XML.
    Xml,
    /// Braces and parentheses.
    OpenStep,
}

impl Form {
    /// The form of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        match text.trim_ascii_start() {
            _ if bytes.starts_with(b"bplist") => Self::Binary,
            // A dictionary, or a comment before one.
            [b'{' | b'/', ..] => Self::OpenStep,
            _ => Self::Xml,
        }
    }
}

impl Plist {
    /// Reads a property list in any form.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Entities`], [`Refusal::Nesting`] and
    /// [`Refusal::TooManyNodes`].
    pub fn parse(bytes: &[u8], budget: &Budget) -> Result<Self, Refusal> {
        match Form::of(bytes) {
            Form::Binary => Binary::open(bytes, budget)?.root(),
            Form::OpenStep => openstep::parse(&text(bytes), budget),
            Form::Xml => {
                let document = xml::parse(bytes, budget)?;
                // Some old ones have no `plist` around them.
                match document.name.as_str() {
                    "plist" => document
                        .children
                        .first()
                        .map_or_else(|| Err(malformed("it is empty")), from_xml),
                    _ => from_xml(&document),
                }
            }
        }
    }

    /// The value of this name, where it is a dictionary and has one.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_dict()?.get(key)
    }

    /// The text of this name.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The texts of the list of this name; none where there is no such list.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.array(key).iter().filter_map(Self::as_text)
    }

    /// The list of this name; empty where there is none.
    pub fn array(&self, key: &str) -> &[Self] {
        self.get(key).and_then(Self::as_array).unwrap_or_default()
    }

    /// The text that it is.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The truth that it is.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The whole number that it is.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// The time that it is, in seconds since the Unix epoch.
    pub fn as_date(&self) -> Option<i64> {
        if let Self::Date(seconds) = self {
            Some(*seconds)
        } else {
            None
        }
    }

    /// The bytes that it is.
    pub fn as_data(&self) -> Option<&[u8]> {
        if let Self::Data(bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }

    /// The list that it is.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(list) = self { Some(list) } else { None }
    }

    /// The dictionary that it is.
    pub fn as_dict(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Dict(dict) = self { Some(dict) } else { None }
    }
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("property list", why)
}

fn from_xml(element: &Element) -> Result<Plist, Refusal> {
    let text = element.text.as_str();
    match element.name.as_str() {
        "true" => Ok(Plist::Bool(true)),
        "false" => Ok(Plist::Bool(false)),
        "string" => Ok(Plist::Text(text.to_owned())),
        "integer" => integer(text.trim())
            .ok_or_else(|| malformed("an integer is none"))
            .map(Plist::Integer),
        "real" => text.trim().parse().map_err(malformed).map(Plist::Real),
        "date" => date(text.trim())
            .ok_or_else(|| malformed("a date is none"))
            .map(Plist::Date),
        "data" => base64(text)
            .ok_or_else(|| malformed("data is not in Base64"))
            .map(Plist::Data),
        "array" => element
            .children
            .iter()
            .map(from_xml)
            .collect::<Result<_, _>>()
            .map(Plist::Array),
        "dict" => {
            let mut pairs = element.children.chunks_exact(2);
            let dict = pairs
                .by_ref()
                .map(|pair| match pair[0].name.as_str() {
                    "key" => Ok((pair[0].text.clone(), from_xml(&pair[1])?)),
                    _ => Err(malformed("a dictionary has a value without a key")),
                })
                .collect::<Result<_, _>>()?;
            if !pairs.remainder().is_empty() {
                return Err(malformed("a dictionary has a key without a value"));
            }
            Ok(Plist::Dict(dict))
        }
        _ => Err(malformed("an element is not known")),
    }
}

fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        // One that needs all 64 bits becomes what it is in the binary form.
        None => text.parse().ok().or_else(|| text.parse().ok().map(u64::cast_signed)),
    }
}

/// The seconds of `2026-01-31T09:30:00Z`.
fn date(text: &str) -> Option<i64> {
    let mut numbers = text
        .strip_suffix('Z')?
        .split(['-', 'T', ':'])
        .map(|part| part.parse::<i64>().ok());
    let mut next = || numbers.next().flatten();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    let is_date = (0..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // 60 is a leap second.
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    (is_date && is_time).then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The bytes of a text in Base64, white space and padding aside; `None` where it is none.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));
    let mut digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=')
        .collect();
    if digits.len() % 4 == 1 {
        // A last digit alone is less than a byte; real profiles have one.
        digits.pop();
    }
    LENIENT.decode(digits).ok()
}

/// A binary property list.
struct Binary<'b> {
    bytes: &'b [u8],
    budget: &'b Budget,
    /// How many bytes an offset takes, and a reference.
    offset_size: usize,
    reference_size: usize,
    count: u64,
    root: u64,
    /// Where the offsets stand.
    table: u64,
    made: u32,
}

impl<'b> Binary<'b> {
    fn open(bytes: &'b [u8], budget: &'b Budget) -> Result<Self, Refusal> {
        let start = bytes
            .len()
            .checked_sub(32)
            .ok_or_else(|| malformed("it is too short"))?;
        let trailer = &bytes[start..];
        let number = |offset: usize| number(&trailer[offset..offset + 8]);
        let plist = Self {
            bytes,
            budget,
            offset_size: usize::from(trailer[6]),
            reference_size: usize::from(trailer[7]),
            count: number(8),
            root: number(16),
            table: number(24),
            made: 0,
        };
        let sizes = 1..=8;
        let table = plist.count.checked_mul(plist.offset_size as u64);
        let end = table.and_then(|table| table.checked_add(plist.table));
        if !sizes.contains(&plist.offset_size) || !sizes.contains(&plist.reference_size) {
            return Err(malformed("its numbers have an impossible size"));
        }
        if end.is_none_or(|end| end > start as u64) {
            return Err(malformed("it claims more objects than it can have"));
        }
        Ok(plist)
    }

    fn root(mut self) -> Result<Plist, Refusal> {
        self.object(self.root, 0)
    }

    fn object(&mut self, reference: u64, depth: u32) -> Result<Plist, Refusal> {
        let limit = self.budget.limits().nodes;
        self.budget.nest(depth)?;
        self.budget.step()?;
        self.made += 1;
        if self.made > limit {
            return Err(Refusal::TooManyNodes { limit });
        }
        if reference >= self.count {
            return Err(malformed("a reference leads nowhere"));
        }
        let place = self.table + reference * self.offset_size as u64;
        let offset = number(self.slice(place, self.offset_size as u64)?);
        let marker = self.slice(offset, 1)?[0];
        let (kind, info) = (marker >> 4, marker & 0xF);
        let start = offset + 1;
        match kind {
            0 if info == 8 => Ok(Plist::Bool(false)),
            0 if info == 9 => Ok(Plist::Bool(true)),
            // 16 bytes hold what does not fit 8 unsigned ones; nothing that is looked for does not.
            1 if info <= 4 => {
                let bytes = self.slice(start, 1 << info)?;
                Ok(Plist::Integer(
                    number(&bytes[bytes.len().saturating_sub(8)..]).cast_signed(),
                ))
            }
            2 | 3 => self.real(kind, info, start),
            8 => Ok(Plist::Integer(
                number(self.slice(start, u64::from(info) + 1)?).cast_signed(),
            )),
            4..=6 | 10 | 12 | 13 => self.sized(kind, info, start, depth),
            _ => Err(malformed("an object is of no known type")),
        }
    }

    /// A real number or a date, which is one.
    fn real(&self, kind: u8, info: u8, start: u64) -> Result<Plist, Refusal> {
        let bytes = self.slice(start, 1 << info.min(4))?;
        let real = match bytes.len() {
            4 => f64::from(f32::from_bits(u32::try_from(number(bytes)).unwrap_or_default())),
            8 => f64::from_bits(number(bytes)),
            _ => return Err(malformed("a real number has an impossible size")),
        };
        if kind == 2 {
            return Ok(Plist::Real(real));
        }
        // What is far beyond any date becomes the last or the first one.
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
        let seconds = real as i64;
        Ok(Plist::Date(seconds.saturating_add(EPOCH)))
    }

    /// What begins with how many bytes or values it has.
    fn sized(&mut self, kind: u8, info: u8, start: u64, depth: u32) -> Result<Plist, Refusal> {
        let (count, start) = if info < 15 {
            (u64::from(info), start)
        } else {
            let marker = self.slice(start, 1)?[0];
            let size = 1 << (marker & 0xF).min(4);
            if marker >> 4 != 1 || size > 8 {
                return Err(malformed("a size is no integer"));
            }
            (number(self.slice(start + 1, size)?), start + 1 + size)
        };
        let too_long = || malformed("an object is longer than the list");
        let double = count.checked_mul(2).ok_or_else(too_long)?;
        match kind {
            4 => Ok(Plist::Data(self.slice(start, count)?.to_vec())),
            5 => Ok(Plist::Text(
                String::from_utf8_lossy(self.slice(start, count)?).into_owned(),
            )),
            6 => {
                let pairs = self.slice(start, double)?.chunks_exact(2);
                let units = pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                let text = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
                Ok(Plist::Text(text.collect()))
            }
            13 => {
                let references = self.references(start, double)?;
                let (keys, values) = references.split_at(references.len() / 2);
                let mut dict = BTreeMap::new();
                for (key, value) in keys.iter().zip(values) {
                    let Plist::Text(key) = self.object(*key, depth + 1)? else {
                        return Err(malformed("a key is no text"));
                    };
                    dict.insert(key, self.object(*value, depth + 1)?);
                }
                Ok(Plist::Dict(dict))
            }
            _ => {
                let references = self.references(start, count)?;
                let list = references.iter().map(|reference| self.object(*reference, depth + 1));
                list.collect::<Result<_, _>>().map(Plist::Array)
            }
        }
    }

    fn references(&self, start: u64, count: u64) -> Result<Vec<u64>, Refusal> {
        let size = self.reference_size;
        let len = count.checked_mul(size as u64);
        let bytes = self.slice(start, len.ok_or_else(|| malformed("a list is too long"))?)?;
        Ok(bytes.chunks_exact(size).map(number).collect())
    }

    fn slice(&self, start: u64, len: u64) -> Result<&'b [u8], Refusal> {
        let range = || {
            let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
            self.bytes.get(start..start.checked_add(len)?)
        };
        range().ok_or_else(|| malformed("an object lies outside of it"))
    }
}

/// A big-endian number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
