//! The hashes of a package's contents that schemes v2 and newer sign.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sha2::{Digest as _, Sha256};

use crate::parse::hash::Hash;
use crate::parse::signing_block::SigningBlock;
use crate::source::Source;
use crate::{Budget, Refusal};

/// How contents are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contents {
    /// Chunks of a mebibyte, and their hashes.
    Chunked(Hash),
    /// Pages of four kibibytes in a tree, as the kernel checks them.
    Verity,
}

const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;

/// What a signing block signs, whose hashes are each made once for all schemes.
pub(super) struct Signed<'a> {
    pub(super) block: &'a SigningBlock,
    source: &'a dyn Source,
    budget: &'a Budget,
    digests: BTreeMap<Contents, Vec<u8>>,
}

impl<'a> Signed<'a> {
    pub(super) fn new(source: &'a dyn Source, block: &'a SigningBlock, budget: &'a Budget) -> Self {
        Self {
            block,
            source,
            budget,
            digests: BTreeMap::new(),
        }
    }

    /// The hash of all of it.
    pub(super) fn digest(&mut self, contents: Contents) -> Result<&[u8], Refusal> {
        let (source, block, budget) = (self.source, self.block, self.budget);
        Ok(match self.digests.entry(contents) {
            Entry::Occupied(made) => made.into_mut(),
            Entry::Vacant(place) => place.insert(match contents {
                Contents::Chunked(hash) => chunked(hash, source, block, budget)?,
                Contents::Verity => verity(source, block, budget)?,
            }),
        })
    }
}

/// Gives the parts of the file that are signed to `each`, in pieces of a mebibyte, of which only
/// the last one of a part is shorter.
fn pieces(
    source: &dyn Source,
    block: &SigningBlock,
    budget: &Budget,
    mut each: impl FnMut(&[u8]),
) -> Result<(), Refusal> {
    let mut buffer = vec![0; CHUNK];
    for part in [block.members.clone(), block.directory.clone()] {
        let mut start = part.start;
        while start < part.end {
            budget.take(0)?;
            let len = usize::try_from(part.end - start).unwrap_or(CHUNK).min(CHUNK);
            source.read_exact_at(start, &mut buffer[..len])?;
            each(&buffer[..len]);
            start += len as u64;
        }
    }
    block.end.chunks(CHUNK).for_each(each);
    Ok(())
}

fn chunked(hash: Hash, source: &dyn Source, block: &SigningBlock, budget: &Budget) -> Result<Vec<u8>, Refusal> {
    let mut count: u32 = 0;
    let mut digests = Vec::new();
    pieces(source, block, budget, |piece| {
        let mut hasher = hash.hasher();
        hasher.update(&[0xA5]);
        // No piece is longer than a chunk.
        hasher.update(&u32::try_from(piece.len()).unwrap_or(u32::MAX).to_le_bytes());
        hasher.update(piece);
        digests.extend_from_slice(&hasher.finalize());
        count = count.wrapping_add(1);
    })?;
    Ok(hash.digest(&[&[0x5A][..], &count.to_le_bytes(), &digests].concat()))
}

/// The root of a tree of salted SHA-256 over pages, and after it the length of what is in it.
fn verity(source: &dyn Source, block: &SigningBlock, budget: &Budget) -> Result<Vec<u8>, Refusal> {
    let mut total: u64 = 0;
    let mut page = Vec::with_capacity(PAGE);
    let mut level = Vec::new();
    pieces(source, block, budget, |mut piece| {
        total += piece.len() as u64;
        while !piece.is_empty() {
            let (taken, rest) = piece.split_at(piece.len().min(PAGE - page.len()));
            page.extend_from_slice(taken);
            piece = rest;
            if page.len() == PAGE {
                level.extend_from_slice(&hash_page(&page));
                page.clear();
            }
        }
    })?;
    if !page.is_empty() {
        level.extend_from_slice(&hash_page(&page));
    }
    while level.len() > PAGE {
        level = level.chunks(PAGE).flat_map(hash_page).collect();
    }
    let mut digest = hash_page(&level).to_vec();
    digest.extend(total.to_le_bytes());
    Ok(digest)
}

/// The hash of a page after its salt, filled up with zeros.
fn hash_page(page: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([0; 8]);
    hasher.update(page);
    hasher.update(&[0; PAGE][page.len().min(PAGE)..]);
    hasher.finalize().into()
}
