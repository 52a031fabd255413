//! The parts of a file that tell its kind.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

use crate::Limits;
use crate::archive::zip;
use crate::formats::Member;

/// Holds every header that is looked at: the farthest is a PE header behind its DOS stub.
const HEAD_BYTES: u64 = 64 << 10;
/// A disk image's trailer.
const TAIL_BYTES: u64 = 512;

/// What the formats look at.
pub(crate) struct Sample {
    /// The file's name in lower case.
    pub(crate) name: String,
    /// The first 64 KiB, or all of it.
    pub(crate) head: Vec<u8>,
    /// The last 512 bytes, or all of it.
    pub(crate) tail: Vec<u8>,
    /// What its directory lists, if it starts as a zip does.
    pub(crate) zip: Option<Zip>,
}

/// What a zip's directory lists.
pub(crate) struct Zip {
    /// The members that tell zips apart.
    pub(crate) members: BTreeSet<Member>,
    /// Why there may be more.
    pub(crate) fault: Option<zip::Fault>,
}

impl Sample {
    pub(crate) fn take(file: &mut (impl Read + Seek), name: &str, limits: &Limits) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        let head = read_at(file, 0, HEAD_BYTES)?;
        let tail = read_at(file, len.saturating_sub(TAIL_BYTES), TAIL_BYTES)?;
        let zip = if zip::MAGIC.iter().any(|magic| head.starts_with(magic)) {
            let mut members = BTreeSet::new();
            let walked = zip::for_each_name(file, limits, |name| members.extend(Member::of(name)))?;
            let fault = walked.err();
            Some(Zip { members, fault })
        } else {
            None
        };
        Ok(Self {
            name: name.to_lowercase(),
            head,
            tail,
            zip,
        })
    }

    /// Whether it is a zip with all of `members`.
    pub(crate) fn zips(&self, members: &[Member]) -> bool {
        let listed = self.zip.as_ref().map(|zip| &zip.members);
        listed.is_some_and(|listed| members.iter().all(|member| listed.contains(member)))
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

fn read_at(file: &mut (impl Read + Seek), offset: u64, len: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}
