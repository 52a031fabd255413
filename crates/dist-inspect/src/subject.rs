//! What the formats look at.

use std::collections::BTreeSet;

use crate::archive::zip::{self, Zip};
use crate::formats::Marker;
use crate::source::Source;
use crate::{Budget, Refusal};

/// Holds every header that is looked at: the farthest is a PE header behind its DOS stub.
const HEAD_BYTES: u64 = 64 << 10;
/// A disk image's trailer.
const TAIL_BYTES: u64 = 512;

/// A file under inspection.
pub(crate) struct Subject<'a> {
    /// The file's name in lower case.
    pub(crate) name: String,
    /// All of its bytes.
    pub(crate) source: &'a dyn Source,
    /// The first 64 KiB, or all of it.
    pub(crate) head: Vec<u8>,
    /// The last 512 bytes, or all of it.
    pub(crate) tail: Vec<u8>,
    /// Its directory, or why that cannot be read, if it is a zip.
    pub(crate) zip: Option<Result<Zip<'a>, Refusal>>,
    /// The members that tell zips apart.
    pub(crate) markers: BTreeSet<Marker>,
    /// What is left to spend on it.
    pub(crate) budget: &'a Budget,
    /// The time, in milliseconds since the Unix epoch.
    pub(crate) now: i64,
}

impl<'a> Subject<'a> {
    /// Reads what tells the kind of `source`. A file that does not start as a zip does is one if
    /// `may_be_zip` and there is a directory at its end.
    pub(crate) fn take(
        source: &'a dyn Source,
        name: &str,
        budget: &'a Budget,
        now: i64,
        may_be_zip: fn(&Self) -> bool,
    ) -> Result<Self, Refusal> {
        let len = source.len();
        let mut subject = Self {
            name: name.to_lowercase(),
            source,
            head: source.bytes(0..len.min(HEAD_BYTES), HEAD_BYTES)?,
            tail: source.bytes(len.saturating_sub(TAIL_BYTES)..len, TAIL_BYTES)?,
            zip: None,
            markers: BTreeSet::new(),
            budget,
            now,
        };
        let starts_as_zip = zip::MAGIC.iter().any(|magic| subject.head.starts_with(magic));
        if starts_as_zip || may_be_zip(&subject) {
            subject.zip = match Zip::open(source, budget) {
                Err(stop @ Refusal::Io(_)) => return Err(stop),
                Err(_) if !starts_as_zip => None,
                opened => Some(opened),
            };
        }
        if let Some(zip) = subject.zip() {
            subject.markers = zip.members().filter_map(|member| Marker::of(member.name)).collect();
        }
        Ok(subject)
    }

    /// Its directory, if it is a zip that can be read.
    pub(crate) fn zip(&self) -> Option<&Zip<'a>> {
        self.zip.as_ref()?.as_ref().ok()
    }

    /// Whether it is a zip with all of `markers`.
    pub(crate) fn zips(&self, markers: &[Marker]) -> bool {
        self.zip().is_some() && markers.iter().all(|marker| self.markers.contains(marker))
    }

    pub(crate) fn starts_with(&self, magic: &[u8]) -> bool {
        self.head.starts_with(magic)
    }

    pub(crate) fn has_at(&self, offset: usize, magic: &[u8]) -> bool {
        self.head.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    }

    /// The little-endian number at `offset`.
    pub(crate) fn u16_at(&self, offset: usize) -> Option<u16> {
        let bytes = self.head.get(offset..offset.checked_add(2)?)?;
        bytes.try_into().ok().map(u16::from_le_bytes)
    }

    /// The little-endian number at `offset`.
    pub(crate) fn u32_at(&self, offset: usize) -> Option<u32> {
        let bytes = self.head.get(offset..offset.checked_add(4)?)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    }

    /// Whether the name ends in a dot and one of these.
    pub(crate) fn is_named(&self, extensions: &[&str]) -> bool {
        extensions.iter().any(|extension| {
            let stem = self.name.strip_suffix(extension);
            stem.is_some_and(|stem| stem.ends_with('.'))
        })
    }
}
