//! Apple's code signatures, as they stand in an executable or at the end of a disk image.
//!
//! A signature is a blob of blobs: code directories, which hash the code and what belongs to it,
//! entitlements, and a message in which somebody signs the first directory. All numbers are
//! big-endian. Source: Apple's `cs_blobs.h` and `codedirectory.h`.

use super::big::{u32_at, u64_at};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::asn1::{self, Value, tag};
use super::cms::SignedData;
use super::plist::Plist;
use crate::source::Source;
use crate::{Budget, Refusal};

/// The signed attribute that lists the digests of all directories.
const CDHASHES: &str = "1.2.840.113635.100.9.1";
const SUPER_BLOB: u32 = 0xFADE_0CC0;
const DIRECTORY: u32 = 0xFADE_0C02;
/// How long a signature may be, in bytes: a few percent of the code.
const SIZE: u64 = 32 << 20;
/// How many blobs there may be; real signatures have less than ten.
const BLOBS: u32 = 64;
/// What stands before the contents of a blob: its magic number and its length.
const HEADER: usize = 8;

/// What the blobs are, by their slot.
mod slot {
    pub(super) const DIRECTORY: u32 = 0;
    pub(super) const ENTITLEMENTS: u32 = 5;
    pub(super) const ENTITLEMENTS_DER: u32 = 7;
    /// Further directories, with other hashes, up to five.
    pub(super) const ALTERNATE: std::ops::Range<u32> = 0x1000..0x1005;
    pub(super) const SIGNATURE: u32 = 0x1_0000;
    pub(super) const TICKET: u32 = 0x1_0002;
}

/// What a code directory says in its flags.
pub mod flag {
    /// Nobody signed it.
    pub const ADHOC: u32 = 0x2;
    /// The hardened runtime.
    pub const RUNTIME: u32 = 0x1_0000;
    /// All of them, by the names that `codesign` has for them.
    pub const NAMES: [(u32, &str); 10] = [
        (0x1, "host"),
        (ADHOC, "adhoc"),
        (0x100, "hard"),
        (0x200, "kill"),
        (0x400, "expires"),
        (0x800, "restrict"),
        (0x1000, "enforcement"),
        (0x2000, "library-validation"),
        (RUNTIME, "runtime"),
        (0x2_0000, "linker-signed"),
    ];
}

/// The slots of a code directory for what belongs to the code, counted backwards from it.
pub mod special {
    /// `Info.plist`.
    pub const INFO: usize = 1;
    /// `_CodeSignature/CodeResources`.
    pub const RESOURCES: usize = 3;
}

/// A code signature.
#[derive(Clone, Debug)]
pub struct CodeSignature {
    /// All of it.
    bytes: Vec<u8>,
    /// The directories, the first one first.
    directories: Vec<Directory>,
    /// Where the signed message stands; nothing for an ad-hoc signature.
    message: std::ops::Range<usize>,
    /// What the code is allowed to do, where it says so.
    pub entitlements: Option<Plist>,
    /// Whether a notarization ticket is stapled to it, as to a disk image.
    pub has_ticket: bool,
}

/// What is hashed, and by whom it says it is.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The version of the format.
    pub version: u32,
    /// See [`flag`].
    pub flags: u32,
    /// The identifier, most often the app's id.
    pub identifier: String,
    /// The team that signs, where it says so.
    pub team_id: Option<String>,
    /// How it hashes.
    pub hash: Hash,
    /// Where it stands in the signature.
    place: std::ops::Range<usize>,
    /// Where the hashes of the code start in the directory, and how long each is.
    hashes: usize,
    hash_size: usize,
    specials: usize,
    /// How many hashes of code there are, of how many bytes each, and where the code ends.
    codes: usize,
    page: u64,
    code_limit: u64,
}

/// How a directory hashes, the better the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the algorithms' own names")]
pub enum Hash {
    Sha1,
    /// The first 20 bytes of SHA-256.
    Sha256Truncated,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Sha1,
            2 => Self::Sha256,
            3 => Self::Sha256Truncated,
            4 => Self::Sha384,
            5 => Self::Sha512,
            _ => return None,
        })
    }

    /// The name, as in `sha256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha256Truncated => "sha256-truncated",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest of `bytes`, as long as the algorithm has it.
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha256Truncated => Sha256::digest(bytes)[..20].to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

impl CodeSignature {
    /// Reads a signature, which may be followed by anything, as padding does.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Truncated`] and [`Refusal::TooLarge`].
    pub fn read(source: &dyn Source, budget: &Budget) -> Result<Self, Refusal> {
        let head = source.bytes(0..HEADER as u64, HEADER as u64)?;
        if u32_at(&head, 0) != Some(SUPER_BLOB) {
            return Err(malformed("it does not start as one does"));
        }
        let size = u32_at(&head, 4).map_or(0, u64::from);
        let bytes = source.bytes(0..size, SIZE)?;
        let count = u32_at(&bytes, HEADER).ok_or(Refusal::Truncated)?;
        if count > BLOBS {
            return Err(malformed(format!("it has {count} parts")));
        }
        let mut signature = Self {
            directories: Vec::new(),
            message: 0..0,
            entitlements: None,
            has_ticket: false,
            bytes: Vec::new(),
        };
        for place in (0..count as usize).map(|place| HEADER + 4 + place * 8) {
            let slot = u32_at(&bytes, place).ok_or(Refusal::Truncated)?;
            let start = u32_at(&bytes, place + 4).ok_or(Refusal::Truncated)? as usize;
            let length = start.checked_add(4).and_then(|place| u32_at(&bytes, place));
            let end = length.and_then(|length| start.checked_add(length as usize));
            let end = end.filter(|end| *end <= bytes.len() && *end >= start + HEADER);
            let end = end.ok_or_else(|| malformed("a part lies outside of it"))?;
            signature.add(slot, start..end, &bytes, budget)?;
        }
        if signature.directories.is_empty() {
            return Err(malformed("it has no code directory"));
        }
        signature.bytes = bytes;
        Ok(signature)
    }

    fn add(&mut self, slot: u32, place: std::ops::Range<usize>, bytes: &[u8], budget: &Budget) -> Result<(), Refusal> {
        let contents = &bytes[place.start + HEADER..place.end];
        match slot {
            slot::DIRECTORY => self.directories.insert(0, Directory::read(bytes, place)?),
            slot if slot::ALTERNATE.contains(&slot) => self.directories.push(Directory::read(bytes, place)?),
            slot::ENTITLEMENTS if !contents.is_empty() => self.entitlements = Some(Plist::parse(contents, budget)?),
            slot::ENTITLEMENTS_DER if self.entitlements.is_none() => {
                self.entitlements = Some(entitlements(contents, budget)?);
            }
            slot::SIGNATURE => self.message = place.start + HEADER..place.end,
            slot::TICKET => self.has_ticket = true,
            _ => {}
        }
        Ok(())
    }

    /// The directory with the best hash, by which systems know the code.
    pub fn directory(&self) -> &Directory {
        // There is at least one; of equals the last, which is as good.
        self.directories
            .iter()
            .max_by_key(|directory| directory.hash)
            .unwrap_or(&self.directories[0])
    }

    /// The first 20 bytes of the directory's own digest, in hexadecimal.
    pub fn cdhash(&self) -> String {
        let directory = self.directory();
        let digest = directory.hash.digest(&self.bytes[directory.place.clone()]);
        hex::encode(&digest[..20])
    }

    /// The message in which somebody signs the first directory; `None` for an ad-hoc signature.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn message(&self) -> Result<Option<SignedData<'_>>, Refusal> {
        let bytes = &self.bytes[self.message.clone()];
        (!bytes.is_empty()).then(|| SignedData::parse(bytes)).transpose()
    }

    /// Whether the first directory is the one that was signed; `None` where that cannot be told.
    pub fn is_signed_directory(&self, message: &SignedData<'_>) -> Option<bool> {
        let place = self.directories.first()?.place.clone();
        message.is_about(&self.bytes[place])
    }

    /// Whether the signer's certificate has the key with which the first directory was signed; `None`
    /// where that cannot be told.
    pub fn is_by_its_signer(&self, message: &SignedData<'_>) -> Option<bool> {
        let place = self.directories.first()?.place.clone();
        message.signers.first()?.verifies(&self.bytes[place])
    }

    /// Whether all directories are among those that the signed message lists by their digests; `None`
    /// where it lists none, as old ones do.
    pub fn are_signed_directories(&self, message: &SignedData<'_>, budget: &Budget) -> Option<bool> {
        let list = message.signers.first()?.attribute(CDHASHES)?.octets().ok()?;
        let list = Plist::parse(&list, budget).ok()?;
        let digests: Vec<&[u8]> = list.array("cdhashes").iter().filter_map(Plist::as_data).collect();
        let is_listed = |directory: &Directory| {
            let digest = directory.hash.digest(&self.bytes[directory.place.clone()]);
            digests.contains(&&digest[..20])
        };
        Some(self.directories.iter().all(is_listed))
    }

    /// Whether `code`, the file or part of it that is signed, is what the best directory hashes, page
    /// by page; `None` where that is more than `limit` bytes.
    ///
    /// # Errors
    /// Where the code cannot be read.
    pub fn is_code(&self, code: &dyn Source, limit: u64, budget: &Budget) -> Result<Option<bool>, Refusal> {
        let directory = self.directory();
        let (page, end) = (directory.page, directory.code_limit);
        if end > limit {
            return Ok(None);
        }
        let bytes = &self.bytes[directory.place.clone()];
        let hashes = bytes.get(directory.hashes..).unwrap_or_default();
        let hashes = hashes.chunks_exact(directory.hash_size.max(1)).take(directory.codes);
        if hashes.len() as u64 != end.div_ceil(page) || end > code.len() {
            return Ok(Some(false));
        }
        for (place, expected) in hashes.enumerate() {
            budget.step()?;
            let start = place as u64 * page;
            let page = code.bytes(start..end.min(start.saturating_add(page)), limit)?;
            if directory.hash.digest(&page) != expected {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    /// Whether `contents` are what the best directory has in this slot of [`special`]; `None` where
    /// it has nothing there.
    pub fn is_special(&self, slot: usize, contents: &[u8]) -> Option<bool> {
        let directory = self.directory();
        if slot > directory.specials {
            return None;
        }
        let start = directory.hashes.checked_sub(slot.checked_mul(directory.hash_size)?)?;
        let bytes = &self.bytes[directory.place.clone()];
        let expected = bytes.get(start..start.checked_add(directory.hash_size)?)?;
        let is_known = expected.iter().any(|byte| *byte != 0);
        is_known.then(|| directory.hash.digest(contents) == expected)
    }
}

impl Directory {
    fn read(whole: &[u8], place: std::ops::Range<usize>) -> Result<Self, Refusal> {
        let bytes = &whole[place.clone()];
        let number = |offset: usize| u32_at(bytes, offset).ok_or(Refusal::Truncated);
        if number(0)? != DIRECTORY {
            return Err(malformed("a code directory does not start as one does"));
        }
        let version = number(8)?;
        let hash = bytes.get(37).copied().and_then(Hash::of);
        let hash = hash.ok_or_else(|| malformed("its hash is not known"))?;
        let team = if version >= 0x2_0200 { number(48)? } else { 0 };
        Ok(Self {
            version,
            flags: number(12)?,
            identifier: text(bytes, number(20)?).unwrap_or_default(),
            team_id: text(bytes, team).filter(|_| team > 0),
            hash,
            place,
            hashes: number(16)? as usize,
            hash_size: bytes.get(36).copied().map_or(0, usize::from),
            specials: number(24)? as usize,
            codes: number(28)? as usize,
            // As a power of two; zero for all of it at once.
            page: match bytes.get(39) {
                Some(power @ 1..=24) => 1 << power,
                _ => u64::MAX,
            },
            code_limit: Self::code_limit(bytes, version).ok_or(Refusal::Truncated)?,
        })
    }

    /// Where the code ends; in files of 4 GiB and more that stands elsewhere.
    fn code_limit(bytes: &[u8], version: u32) -> Option<u64> {
        let large = if version >= 0x2_0300 { u64_at(bytes, 56)? } else { 0 };
        Some(if large > 0 { large } else { u32_at(bytes, 32)?.into() })
    }

    /// Whether it has this of [`flag`].
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// The text at `offset`, up to its NUL.
fn text(bytes: &[u8], offset: u32) -> Option<String> {
    let rest = bytes.get(offset as usize..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

/// Entitlements in DER, as `[APPLICATION 16] { version, dictionary }`, where a dictionary is a set
/// of pairs under the tag `[16]`.
fn entitlements(bytes: &[u8], budget: &Budget) -> Result<Plist, Refusal> {
    let mut parts = asn1::first(bytes)?.values();
    parts.expect(tag::INTEGER)?;
    entitlement(&parts.any()?, budget, 0)
}

fn entitlement(value: &Value<'_>, budget: &Budget, depth: u32) -> Result<Plist, Refusal> {
    const DICTIONARY: u8 = 0xB0;
    budget.nest(depth)?;
    budget.step()?;
    Ok(match value.tag {
        DICTIONARY => {
            let pair = |pair: Result<Value<'_>, Refusal>| {
                let mut parts = pair?.expect(tag::SEQUENCE)?.values();
                let key = parts.expect(tag::UTF8_STRING)?.text();
                Ok((key, entitlement(&parts.any()?, budget, depth + 1)?))
            };
            Plist::Dict(value.values().map(pair).collect::<Result<_, Refusal>>()?)
        }
        tag::SEQUENCE => {
            let values = value.values().map(|value| entitlement(&value?, budget, depth + 1));
            Plist::Array(values.collect::<Result<_, _>>()?)
        }
        tag::BOOLEAN => Plist::Bool(value.contents.first().is_some_and(|byte| *byte != 0)),
        tag::INTEGER if (1..=8).contains(&value.contents.len()) => {
            let first = i64::from(value.contents[0].cast_signed());
            let rest = value.contents[1..].iter();
            Plist::Integer(rest.fold(first, |number, byte| number << 8 | i64::from(*byte)))
        }
        tag::UTF8_STRING => Plist::Text(value.text()),
        _ => Plist::Data(value.contents.to_vec()),
    })
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("code signature", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn blob(magic: u32, contents: &[u8]) -> Vec<u8> {
        let length = u32::try_from(contents.len() + HEADER).unwrap();
        [&magic.to_be_bytes()[..], &length.to_be_bytes(), contents].concat()
    }

    fn signature(blobs: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut index = u32::try_from(blobs.len()).unwrap().to_be_bytes().to_vec();
        let mut start = u32::try_from(HEADER + 4 + blobs.len() * 8).unwrap();
        for (slot, blob) in blobs {
            index.extend(slot.to_be_bytes());
            index.extend(start.to_be_bytes());
            start += u32::try_from(blob.len()).unwrap();
        }
        let blobs: Vec<u8> = blobs.iter().flat_map(|(_, blob)| blob.clone()).collect();
        blob(SUPER_BLOB, &[index, blobs].concat())
    }

    /// A directory of version 0x20200 with the hash of `info` and no code.
    fn directory(flags: u32, info: &[u8]) -> Vec<u8> {
        let texts = b"com.acme\0TEAM000000\0";
        let hashes = u32::try_from(52 + texts.len() + 32).unwrap();
        let numbers = [0x2_0200, flags, hashes, 52, 1, 0, 0];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number: &u32| number.to_be_bytes()).collect();
        bytes.extend([32, 2, 0, 12]);
        bytes.extend([0; 8]);
        bytes.extend(61_u32.to_be_bytes());
        bytes.extend(texts);
        bytes.extend(Sha256::digest(info));
        blob(DIRECTORY, &bytes)
    }

    fn read(bytes: &[u8]) -> Result<CodeSignature, Refusal> {
        CodeSignature::read(&bytes, &Budget::new(&Limits::default()))
    }

    #[test]
    fn an_ad_hoc_signature_tells_who_and_what_and_is_signed_by_nobody() {
        let list = b"<plist><dict><key>get-task-allow</key><true/></dict></plist>";
        let entitlements = blob(0xFADE_7171, list);
        let bytes = signature(&[
            (slot::DIRECTORY, directory(flag::ADHOC, b"info")),
            (slot::ENTITLEMENTS, entitlements),
            (slot::SIGNATURE, blob(0xFADE_0B01, b"")),
        ]);
        let signature = read(&bytes).unwrap();
        let directory = signature.directory();
        assert_eq!(directory.identifier, "com.acme");
        assert_eq!(directory.team_id.as_deref(), Some("TEAM000000"));
        assert!(directory.has(flag::ADHOC) && !directory.has(flag::RUNTIME));
        assert!(signature.message().unwrap().is_none());
        assert_eq!(signature.is_special(special::INFO, b"info"), Some(true));
        assert_eq!(signature.is_special(special::INFO, b"other"), Some(false));
        assert_eq!(signature.is_special(special::RESOURCES, b""), None);
        assert_eq!(signature.cdhash().len(), 40);
        let allowed = signature.entitlements.unwrap();
        assert_eq!(allowed.get("get-task-allow"), Some(&Plist::Bool(true)));
    }

    #[test]
    fn code_is_compared_page_by_page() {
        let code: Vec<u8> = (0..10_000).map(|place: u32| place.to_le_bytes()[1]).collect();
        let mut directory = directory(0, b"info");
        for page in code.chunks(4096) {
            directory.extend(Sha256::digest(page));
        }
        let length = u32::try_from(directory.len()).unwrap();
        directory[4..8].copy_from_slice(&length.to_be_bytes());
        directory[31] = 3;
        directory[32..36].copy_from_slice(&10_000_u32.to_be_bytes());
        let signature = read(&signature(&[(slot::DIRECTORY, directory)])).unwrap();
        let budget = Budget::new(&Limits::default());
        let is_code = |code: &[u8], limit| signature.is_code(&code, limit, &budget).unwrap();
        assert_eq!(is_code(&code, 10_000), Some(true));
        assert_eq!(is_code(&code, 9_999), None);
        assert_eq!(is_code(&code[..9_999], 10_000), Some(false));
        assert_eq!(is_code(&[&code[..], b"signature"].concat(), 10_000), Some(true));
        for place in [0, 4096, 9_999] {
            let mut changed = code.clone();
            changed[place] ^= 1;
            assert_eq!(is_code(&changed, 10_000), Some(false), "{place}");
        }
    }

    #[test]
    fn entitlements_in_der_are_those_of_the_property_list() {
        let der = b"\x70\x15\x02\x01\x01\xB0\x10\x30\x06\x0C\x01a\x01\x01\xFF\x30\x06\x0C\x01b\x02\x01\xFF";
        let plist = entitlements(der, &Budget::new(&Limits::default())).unwrap();
        assert_eq!(plist.get("a"), Some(&Plist::Bool(true)));
        assert_eq!(plist.get("b"), Some(&Plist::Integer(-1)));
    }

    #[test]
    fn parts_that_lie_elsewhere_are_refused() {
        let whole = signature(&[(slot::DIRECTORY, directory(0, b""))]);
        assert!(matches!(read(&whole[..whole.len() - 1]), Err(Refusal::Truncated)));
        assert!(matches!(read(&signature(&[])), Err(Refusal::Malformed { .. })));
        let mut elsewhere = whole;
        elsewhere[16] = 0xFF;
        assert!(matches!(read(&elsewhere), Err(Refusal::Malformed { .. })));
    }
}
