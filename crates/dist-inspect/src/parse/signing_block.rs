//! The APK Signing Block: what stands before a zip's directory in packages that are signed by
//! scheme v2 or a newer one.
//! See <https://source.android.com/docs/security/features/apksigning/v2>.

use std::ops::Range;

use crate::Refusal;
use crate::source::Source;

const MAGIC: &[u8] = b"APK Sig Block 42";
/// The block's size, and its magic.
const FOOTER: u64 = 24;
/// The record that ends a zip's directory, without its comment.
const END_RECORD: u64 = 22;
/// How long a block may be: those with long lineages and padding have some ten kilobytes.
const BLOCK_BYTES: u64 = 32 << 20;
/// How many pairs a block may have.
const PAIRS: usize = 1000;

/// A signing block, and what it signs.
#[derive(Debug)]
pub struct SigningBlock {
    /// The members before it.
    pub members: Range<u64>,
    /// The directory after it.
    pub directory: Range<u64>,
    /// What ends the directory, in which the directory's place counts as if there were no block.
    pub end: Vec<u8>,
    pairs: Vec<u8>,
}

fn malformed(why: &str) -> Refusal {
    Refusal::malformed("signing block", why)
}

impl SigningBlock {
    /// Reads the block of the zip whose directory ends with the record at `end`; `None` where there
    /// is none.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for one that Android does not take.
    pub fn find(source: &dyn Source, end: u64) -> Result<Option<Self>, Refusal> {
        let mut record = source.bytes(end..source.len(), END_RECORD + u64::from(u16::MAX))?;
        let mut fields = Fields::new(record.get(12..).unwrap_or_default());
        let (size, start) = (u64::from(fields.number()?), u64::from(fields.number()?));
        let Some(footer) = start.checked_sub(FOOTER) else {
            return Ok(None);
        };
        let footer = source.bytes(footer..start, FOOTER)?;
        if !footer.ends_with(MAGIC) {
            return Ok(None);
        }
        if start + size != end {
            return Err(malformed("the directory after it does not end where it says"));
        }
        let len = Fields::new(&footer).long()?;
        let block = start.checked_sub(8).and_then(|start| start.checked_sub(len));
        let block = block
            .filter(|_| len >= FOOTER)
            .ok_or_else(|| malformed("it is larger than the file"))?;
        let bytes = source.bytes(block..start, BLOCK_BYTES)?;
        if Fields::new(&bytes).long()? != len {
            return Err(malformed("it has two sizes"));
        }
        let pairs = bytes
            .get(8..bytes.len().saturating_sub(24))
            .unwrap_or_default()
            .to_vec();
        let place = u32::try_from(block).map_err(|_| malformed("it lies too far in the file"))?;
        record
            .get_mut(16..20)
            .ok_or(Refusal::Truncated)?
            .copy_from_slice(&place.to_le_bytes());
        Ok(Some(Self {
            members: 0..block,
            directory: start..end,
            end: record,
            pairs,
        }))
    }

    /// The first value of this number.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn get(&self, id: u32) -> Result<Option<&[u8]>, Refusal> {
        let mut fields = Fields::new(&self.pairs);
        for _ in 0..PAIRS {
            if fields.is_empty() {
                return Ok(None);
            }
            let len = usize::try_from(fields.long()?).map_err(|_| malformed("a pair ends after its end"))?;
            let mut pair = Fields::new(fields.take(len)?);
            if pair.number()? == id {
                return Ok(Some(pair.rest()));
            }
        }
        Err(malformed("it has too many pairs"))
    }
}

/// Fields one after the other, as the block has them: little-endian, and texts after their length.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields that `bytes` are.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there are no more.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| malformed("a field ends after its end"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn long(&mut self) -> Result<u64, Refusal> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// A number of four bytes.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn number(&mut self) -> Result<u32, Refusal> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    /// Bytes after their length.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Refusal> {
        let len = usize::try_from(self.number()?).map_err(|_| malformed("a field ends after its end"))?;
        self.take(len)
    }

    /// A list after its length, of things that each come after theirs.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also for more than a thousand.
    pub fn list(&mut self) -> Result<Vec<Fields<'a>>, Refusal> {
        let mut fields = Fields(self.bytes()?);
        let mut list = Vec::new();
        while !fields.is_empty() {
            if list.len() >= PAIRS {
                return Err(malformed("a list is too long"));
            }
            list.push(Fields(fields.bytes()?));
        }
        Ok(list)
    }
}
