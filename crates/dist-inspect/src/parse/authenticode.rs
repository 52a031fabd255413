//! Authenticode: who signed a program or package for Windows, and over which digest of it.
//! Source: Microsoft's "Windows Authenticode Portable Executable Signature Format".

use std::ops::Range;

use sha2::digest::DynDigest;

use super::asn1::{malformed, tag};
use super::cms::{SignedData, Signer};
use super::hash::Hash;
use super::little::{u16_at, u32_at};
use super::pe::{Directory, Pe};
use crate::source::Source;
use crate::{Budget, Refusal};

/// What is signed: an algorithm and the digest of a file (`SPC_INDIRECT_DATA`).
const INDIRECT_DATA: &str = "1.3.6.1.4.1.311.2.1.4";
/// Further signatures, beside the first (`SPC_NESTED_SIGNATURE`).
const NESTED: &str = "1.3.6.1.4.1.311.2.4.1";
/// How many of them are read.
const NESTED_SIGNATURES: usize = 8;
/// A certificate table's entry that is a signed message.
const SIGNED_DATA: u16 = 2;
/// How long a table of signatures may be, in bytes; some hide settings in it.
const TABLE_BYTES: u64 = 32 << 20;
/// How much is hashed at once.
const READ: u64 = 256 << 10;

/// A signature of a file.
#[derive(Clone, Debug)]
pub struct Signature<'a> {
    /// The message that it is.
    pub message: SignedData<'a>,
    /// Who signed.
    pub signer: Signer<'a>,
    /// How the file is hashed; `None` for a way that is not known here.
    pub hash: Option<Hash>,
    /// The digest of the file, or several of its parts one after the other.
    pub digest: Vec<u8>,
}

impl<'a> Signature<'a> {
    /// Reads a signature, which may be followed by anything.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let message = SignedData::parse(bytes)?;
        if message.content_type != INDIRECT_DATA {
            return Err(malformed("it signs something else than a file"));
        }
        let content = message.content.ok_or_else(|| malformed("it signs nothing"))?;
        let mut fields = content.expect(tag::SEQUENCE)?.values();
        fields.expect(tag::SEQUENCE)?;
        let mut info = fields.expect(tag::SEQUENCE)?.values();
        let oid = info.expect(tag::SEQUENCE)?.values().expect(tag::OID)?.oid();
        let digest = info.expect(tag::OCTET_STRING)?.contents.to_vec();
        let signer = message.signers.first().cloned();
        Ok(Self {
            signer: signer.ok_or_else(|| malformed("nobody signed it"))?,
            hash: oid.as_deref().and_then(Hash::of_oid),
            digest,
            message,
        })
    }

    /// Whether the signer's certificate has the key with which the digest was signed; `None` where
    /// there is no certificate, or its key or the way to sign is not known here.
    pub fn is_by_its_signer(&self) -> Option<bool> {
        // The contents alone, without tag and length, as PKCS#7 has it.
        self.signer.verifies(self.message.content?.contents)
    }

    /// The signatures that stand beside it, whole.
    pub fn nested(&self) -> Vec<&'a [u8]> {
        let nested = self.signer.unsigned_attributes(NESTED);
        nested
            .into_iter()
            .map(|nested| nested.raw)
            .take(NESTED_SIGNATURES)
            .collect()
    }
}

/// Where the signatures of a program stand in the file; `None` where it has none.
///
/// # Errors
/// [`Refusal::Malformed`] where they lie outside of the file.
pub fn table(pe: &Pe, source: &dyn Source) -> Result<Option<Range<u64>>, Refusal> {
    let Some((start, len)) = pe.directory(Directory::Security) else {
        return Ok(None);
    };
    let table = u64::from(start)..u64::from(start) + u64::from(len);
    if table.end > source.len() || table.start < pe.security_at + 8 {
        return Err(malformed("the table of signatures lies outside of the file"));
    }
    Ok(Some(table))
}

/// The signed message in a program's table of signatures.
///
/// # Errors
/// [`Refusal::Malformed`] where there is none, [`Refusal::TooLarge`] and [`Refusal::Truncated`].
pub fn signed_message(source: &dyn Source, table: Range<u64>) -> Result<Vec<u8>, Refusal> {
    let bytes = source.bytes(table, TABLE_BYTES)?;
    let mut rest = bytes.as_slice();
    // An entry has its length, a revision and a kind, and starts at a multiple of eight.
    while let (Some(len), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 6)) {
        let entry = rest
            .get(8..len as usize)
            .ok_or_else(|| malformed("an entry is longer than its table"))?;
        if kind == SIGNED_DATA {
            return Ok(entry.to_vec());
        }
        rest = rest.get((len as usize).next_multiple_of(8)..).unwrap_or_default();
    }
    Err(malformed("the table of signatures has no signed message"))
}

/// Hashes a program as a signature does: all but the checksum, the signatures, and where they stand.
///
/// # Errors
/// [`Refusal::Truncated`], and what the budget refuses.
pub fn hash_program(
    pe: &Pe,
    source: &dyn Source,
    table: &Range<u64>,
    hasher: &mut dyn DynDigest,
    budget: &Budget,
) -> Result<(), Refusal> {
    hash_range(source, 0..pe.checksum_at, hasher, budget)?;
    hash_range(source, pe.checksum_at + 4..pe.security_at, hasher, budget)?;
    hash_range(source, pe.security_at + 8..table.start, hasher, budget)?;
    hash_range(source, table.end..source.len(), hasher, budget)
}

/// Hashes the bytes in `range`, which may be many.
///
/// # Errors
/// [`Refusal::Truncated`], and what the budget refuses.
pub fn hash_range(
    source: &dyn Source,
    mut range: Range<u64>,
    hasher: &mut dyn DynDigest,
    budget: &Budget,
) -> Result<(), Refusal> {
    while range.start < range.end {
        budget.take(0)?;
        let end = range.end.min(range.start + READ);
        hasher.update(&source.bytes(range.start..end, READ)?);
        range.start = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(len: u32, kind: u8, contents: &[u8]) -> Vec<u8> {
        let mut entry = len.to_le_bytes().to_vec();
        entry.extend([0, 2, kind, 0]);
        entry.extend(contents);
        entry.resize(entry.len().next_multiple_of(8), 0);
        entry
    }

    #[test]
    fn the_signed_message_is_found_among_others() {
        let find = |bytes: &[u8]| signed_message(&bytes, 0..bytes.len() as u64);
        let table = [entry(11, 1, b"abc"), entry(12, 2, b"wxyz")].concat();
        assert_eq!(find(&table).unwrap(), b"wxyz");
        for bad in [
            &entry(11, 1, b"abc")[..],
            &entry(0, 1, b""),
            &entry(40, 2, b"abc"),
            &entry(7, 2, b""),
            b"",
        ] {
            assert!(matches!(find(bad), Err(Refusal::Malformed { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_message_that_signs_no_file_is_refused() {
        assert!(matches!(Signature::parse(b"\x30\x00"), Err(Refusal::Malformed { .. })));
    }
}
