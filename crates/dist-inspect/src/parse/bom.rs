//! Apple's "bill of materials" files, of which asset catalogues are one kind: numbered blocks, some of
//! which have names, and trees of pairs of them. All numbers are big-endian.
//! Source: `bomutils`' description of the format.

use super::big::{u16_at, u32_at};
use crate::{Budget, Refusal};

/// How many names there may be.
const NAMES: usize = 1000;

/// How many pairs a tree may have.
const PAIRS: usize = 100_000;

/// A key and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A file whose blocks can be asked for.
pub struct Bom<'a> {
    bytes: &'a [u8],
    /// Where each block starts, and how long it is.
    places: &'a [u8],
    /// The names of some blocks, and their numbers.
    names: Vec<(&'a [u8], u32)>,
}

impl<'a> Bom<'a> {
    /// Reads the list of blocks and of names.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, Refusal> {
        Self::read(bytes).ok_or_else(|| malformed("its lists are cut short"))
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let at = |offset: usize| Some(bytes.get(u32_at(bytes, offset)? as usize..)).flatten();
        let places = bytes.starts_with(b"BOMStore").then(|| at(16))??;
        let count = u32_at(places, 0)? as usize;
        let places = places.get(4..)?.get(..count.checked_mul(8)?)?;
        let named = at(24)?;
        let mut rest = named.get(4..)?;
        let mut names = Vec::new();
        for _ in 0..(u32_at(named, 0)? as usize).min(NAMES) {
            let len = usize::from(*rest.get(4)?);
            names.push((rest.get(5..5 + len)?, u32_at(rest, 0)?));
            rest = &rest[5 + len..];
        }
        Some(Self { bytes, places, names })
    }

    /// The bytes of the block of this name.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where it is not there.
    pub fn named(&self, name: &str) -> Result<&'a [u8], Refusal> {
        let found = self.names.iter().find(|(other, _)| *other == name.as_bytes());
        found
            .and_then(|(_, number)| self.block(*number))
            .ok_or_else(|| malformed(&format!("it has no {name}")))
    }

    /// The keys and values of the tree of this name.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where it does not end, or refers to what is not there.
    pub fn tree(&self, name: &str, budget: &Budget) -> Result<Vec<Pair<'a>>, Refusal> {
        let cut = || malformed("a tree is cut short");
        let head = self.named(name)?;
        let mut next = u32_at(head, 8).filter(|_| head.starts_with(b"tree")).ok_or_else(cut)?;
        let mut pairs = Vec::new();
        // No node comes twice.
        for _ in 0..self.places.len() / 8 {
            budget.step()?;
            let node = self.block(next).ok_or_else(cut)?;
            let is_leaf = u16_at(node, 0).ok_or_else(cut)? == 1;
            if !is_leaf {
                // The leaves are a list, of which this leads to the first.
                next = u32_at(node, 12).ok_or_else(cut)?;
                continue;
            }
            let count = u16_at(node, 2).map_or(0, usize::from);
            for pair in node
                .get(12..)
                .unwrap_or_default()
                .chunks_exact(8)
                .take(count.min(PAIRS))
            {
                budget.step()?;
                let block = |offset: usize| {
                    u32_at(pair, offset)
                        .and_then(|number| self.block(number))
                        .ok_or_else(cut)
                };
                pairs.push((block(4)?, block(0)?));
            }
            if pairs.len() > PAIRS {
                return Err(malformed("a tree has too many pairs"));
            }
            next = u32_at(node, 4).ok_or_else(cut)?;
            if next == 0 {
                return Ok(pairs);
            }
        }
        Err(malformed("a tree does not end"))
    }

    fn block(&self, number: u32) -> Option<&'a [u8]> {
        let place = (number as usize).checked_mul(8)?;
        let start = u32_at(self.places, place)? as usize;
        let len = u32_at(self.places, place.checked_add(4)?)? as usize;
        self.bytes.get(start..)?.get(..len)
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::malformed("asset catalogue", why)
}
