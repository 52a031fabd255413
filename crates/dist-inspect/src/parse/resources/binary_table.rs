//! `resources.arsc`, in which a resource is looked up without reading the others.

use super::chunk::{Chunk, Numbers, Strings, kind, malformed};
use super::{Config, Value, binary_xml};
use crate::{Budget, Refusal};

const SPARSE: u8 = 1;
const SHORT_OFFSETS: u8 = 2;
const COMPLEX: u16 = 1;
const COMPACT: u16 = 8;
/// Where a type's configuration stands.
const CONFIG: usize = 20;
/// Where a package's offset of its types stands, if its header is long enough.
const TYPE_OFFSET: usize = 284;

/// The values of all resources: one chunk for each type and configuration.
#[derive(Debug)]
pub struct BinaryTable<'a> {
    strings: Strings<'a>,
    types: Vec<Type<'a>>,
    budget: &'a Budget,
}

#[derive(Clone, Copy, Debug)]
struct Type<'a> {
    /// The upper half of the numbers of its resources.
    prefix: u32,
    config: Config,
    chunk: Chunk<'a>,
}

impl<'a> BinaryTable<'a> {
    pub(super) fn parse(bytes: &'a [u8], budget: &'a Budget) -> Result<Self, Refusal> {
        let (whole, _) = Chunk::split(bytes)?;
        if whole.kind != kind::TABLE {
            return Err(malformed("resources.arsc is no table"));
        }
        let mut table = Self {
            strings: Strings::default(),
            types: Vec::new(),
            budget,
        };
        for chunk in whole.chunks() {
            budget.step()?;
            let chunk = chunk?;
            match chunk.kind {
                kind::STRINGS => table.strings = Strings::parse(chunk)?,
                kind::PACKAGE => table.add_package(chunk)?,
                _ => {}
            }
        }
        Ok(table)
    }

    fn add_package(&mut self, package: Chunk<'a>) -> Result<(), Refusal> {
        let id = package.bytes.u32_at(8)?;
        let offset = if package.header >= TYPE_OFFSET + 4 {
            package.bytes.u32_at(TYPE_OFFSET)?
        } else {
            0
        };
        let limit = self.budget.limits().nodes;
        for chunk in package.chunks() {
            self.budget.step()?;
            let chunk = chunk?;
            if chunk.kind != kind::TYPE {
                continue;
            }
            if self.types.len() >= limit as usize {
                return Err(Refusal::TooManyNodes { limit });
            }
            let number = u32::from(chunk.bytes.u8_at(8)?).wrapping_add(offset);
            let prefix = id << 24 | (number & 0xFF) << 16;
            self.types.push(Type {
                prefix,
                config: config(&chunk)?,
                chunk,
            });
        }
        Ok(())
    }

    /// Every value of a resource; those that consist of several are [`Value::Other`].
    pub(super) fn values(&self, id: u32) -> Result<Vec<(Config, Value)>, Refusal> {
        let mut values = Vec::new();
        for kind in self.types.iter().filter(|kind| kind.prefix == id & 0xFFFF_0000) {
            self.budget.step()?;
            let entry = kind.entry(id & 0xFFFF).ok().flatten();
            // A damaged entry says nothing, as one that is not there.
            if let Some(Ok(value)) = entry.map(|entry| self.value(entry)) {
                values.push((kind.config, value));
            }
        }
        Ok(values)
    }

    pub(super) fn densities(&self) -> Vec<u16> {
        self.types.iter().map(|kind| kind.config.density).collect()
    }

    fn value(&self, entry: &[u8]) -> Result<Value, Refusal> {
        let flags = entry.u16_at(2)?;
        if flags & COMPACT != 0 {
            return binary_xml::value(flags.to_be_bytes()[0], entry.u32_at(4)?, &self.strings, self.budget);
        }
        if flags & COMPLEX != 0 {
            return Ok(Value::Other);
        }
        let size = usize::from(entry.u16_at(0)?);
        if size < 8 {
            return Err(malformed("an entry is smaller than its header"));
        }
        binary_xml::value(
            entry.u8_at(size + 3)?,
            entry.u32_at(size + 4)?,
            &self.strings,
            self.budget,
        )
    }
}

impl<'a> Type<'a> {
    /// The entry of this number, and what follows it.
    fn entry(&self, number: u32) -> Result<Option<&'a [u8]>, Refusal> {
        let bytes = self.chunk.bytes;
        let number = usize::try_from(number).map_err(malformed)?;
        let (flags, count, start) = (bytes.u8_at(9)?, bytes.len_at(12)?, bytes.len_at(16)?);
        let offsets = bytes.get(self.chunk.header..).unwrap_or_default();
        let offset = if flags & SPARSE != 0 {
            let pairs = offsets.chunks_exact(4).take(count);
            let mut found = pairs.filter(|pair| pair.u16_at(0).is_ok_and(|other| usize::from(other) == number));
            found
                .next()
                .map(|pair| pair.u16_at(2))
                .transpose()?
                .map(|offset| usize::from(offset) * 4)
        } else if number >= count {
            None
        } else if flags & SHORT_OFFSETS != 0 {
            Some(offsets.u16_at(number * 2)?)
                .filter(|offset| *offset != u16::MAX)
                .map(|offset| usize::from(offset) * 4)
        } else {
            Some(offsets.u32_at(number * 4)?)
                .filter(|offset| *offset != u32::MAX)
                .map(|offset| offset as usize)
        };
        let Some(offset) = offset else { return Ok(None) };
        Ok(bytes.get(
            start
                .checked_add(offset)
                .ok_or_else(|| malformed("an entry lies outside"))?..,
        ))
    }
}

/// What `ResTable_config` says; older ones are shorter, and what they lack is zero.
fn config(chunk: &Chunk<'_>) -> Result<Config, Refusal> {
    let size = chunk.bytes.len_at(CONFIG)?;
    let end = CONFIG
        .checked_add(size)
        .ok_or_else(|| malformed("a configuration lies outside"))?;
    let bytes = chunk
        .bytes
        .get(CONFIG..end)
        .ok_or_else(|| malformed("a configuration lies outside"))?;
    let small = |offset| bytes.u8_at(offset).unwrap_or(0);
    let number = |offset| bytes.u16_at(offset).unwrap_or(0);
    let (layout, mode) = (small(28), small(29));
    let is_plain = number(4) == 0
        && number(6) == 0
        // Upright, and without demands on keys.
        && small(12) <= 1
        && small(13) == 0
        && number(16) == 0
        && small(18) == 0
        && number(20) == 0
        // Of no direction, of normal size at most, and by day.
        && layout & 0xF0 == 0
        && layout & 0x0F <= 2
        && mode & 0x0F <= 1
        && mode & 0x30 != 0x20
        && number(30) <= 320
        && number(32) <= 320
        && number(34) <= 480;
    Ok(Config {
        is_plain,
        is_neutral: number(8) == 0,
        density: number(14),
        sdk: number(24),
    })
}
