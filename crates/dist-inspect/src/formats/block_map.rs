//! The block map of a Windows app package: the digests of its files, in blocks of 64 KiB.
//! Source: Microsoft's "App package block map" schema.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::digest::DynDigest;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::msix::{Code, FOOTPRINT, namespace, path, path_of};
use crate::archive::zip::{Member, Zip};
use crate::parse::xml::{self, Element};
use crate::{Budget, Refusal, Report};

const NAMESPACE: &str = "http://schemas.microsoft.com/appx/2010/blockmap";
/// The methods of hashing.
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";
const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";
/// How much a digest is of.
const BLOCK: u64 = 64 << 10;
/// How many bytes of files are unpacked to check their digests; those of larger packages are
/// believed.
const CHECKED_BYTES: u64 = 256 << 20;

pub(super) const NAME: &[u8] = b"AppxBlockMap.xml";

const PACK_AGAIN: &str = "Pack it again with makeappx, and change nothing in it afterwards.";
const MISSING: Code = ("msix.no_block_map", PACK_AGAIN);
const INVALID: Code = ("msix.block_map_invalid", PACK_AGAIN);
const MISMATCH: Code = ("msix.block_map_mismatch", PACK_AGAIN);

/// What the block map says of a file.
struct File<'m> {
    size: u64,
    hashes: Vec<&'m str>,
}

/// Checks the block map against the files; `is_payload` are those that it does not list.
pub(super) fn check(
    report: &mut Report,
    zip: &Zip<'_>,
    budget: &Budget,
    is_payload: &dyn Fn(&str) -> bool,
) -> Result<(), Refusal> {
    let Some(member) = zip.find(NAME) else {
        let message = "It has no AppxBlockMap.xml, without which Windows does not install it.";
        report.error(MISSING.0, message, MISSING.1);
        return Ok(());
    };
    let read = zip.read(&member, budget.limits().member_bytes);
    let root = match read.and_then(|bytes| xml::parse(&bytes, budget)) {
        Ok(root) => root,
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. })) => return Err(stop),
        Err(refusal) => {
            report.error(INVALID.0, format!("Its block map cannot be read. {refusal}"), INVALID.1);
            return Ok(());
        }
    };
    let files = match files(&root) {
        Ok(files) => files,
        Err(why) => {
            report.error(INVALID.0, format!("Its block map is not valid: {why}."), INVALID.1);
            return Ok(());
        }
    };
    if let Err(why) = compare(&root, &files, zip, budget, is_payload)? {
        let message = format!("Windows does not install it, since its block map does not fit: {why}.");
        report.error(MISMATCH.0, message, MISMATCH.1);
    }
    Ok(())
}

/// The files by their paths in lower case, or why there are none.
fn files(root: &Element) -> Result<BTreeMap<String, File<'_>>, String> {
    if root.local_name() != "BlockMap" || namespace(root, &root.name) != Some(NAMESPACE) {
        return Err("its root is no BlockMap".to_owned());
    }
    let mut files = BTreeMap::new();
    for element in &root.children {
        match (namespace(root, &element.name), element.local_name()) {
            (Some(NAMESPACE), "File") => {}
            (Some(NAMESPACE) | None, name) => return Err(format!("it has an element {name}, which is not known")),
            _ => continue,
        }
        let size = element.attribute("Size").and_then(|size| size.parse().ok());
        let (Some(name), Some(size)) = (element.attribute("Name"), size) else {
            return Err("a file lacks its name or size".to_owned());
        };
        let hashes = element
            .all("Block")
            .map(|block| block.attribute("Hash").unwrap_or_default().trim());
        let hashes = hashes.collect();
        if files.insert(path(name), File { size, hashes }).is_some() {
            return Err(format!("it has the file {name} twice"));
        }
    }
    Ok(files)
}

/// Compares what the map says with what is there; the inner error says what differs.
fn compare(
    root: &Element,
    files: &BTreeMap<String, File<'_>>,
    zip: &Zip<'_>,
    budget: &Budget,
    is_payload: &dyn Fn(&str) -> bool,
) -> Result<Result<(), String>, Refusal> {
    let Some(mut hasher) = hasher(root.attribute("HashMethod").unwrap_or_default()) else {
        return Ok(Err("its way of hashing is not known".to_owned()));
    };
    let mut seen = 0;
    let mut left = CHECKED_BYTES;
    for member in zip.members().filter(|member| !member.is_folder()) {
        budget.step()?;
        let path = path_of(member.name);
        let is_footprint = FOOTPRINT.iter().any(|name| name.eq_ignore_ascii_case(&path));
        let file = match files.get(&path) {
            Some(_) if is_footprint => return Ok(Err(format!("it has {path}, which it must not list"))),
            Some(file) => file,
            None if is_footprint || is_payload(&path) => continue,
            None => return Ok(Err(format!("it lacks the file {path}"))),
        };
        seen += 1;
        if file.size != member.size() || file.hashes.len() as u64 != file.size.div_ceil(BLOCK) {
            return Ok(Err(format!("the file {path} has another size")));
        }
        let Some(rest) = left.checked_sub(file.size) else {
            continue;
        };
        left = rest;
        if !has_hashes(zip, &member, &file.hashes, hasher.as_mut())? {
            return Ok(Err(format!("the file {path} has other bytes")));
        }
    }
    if seen < files.len() {
        return Ok(Err("it lists a file that is not there".to_owned()));
    }
    Ok(Ok(()))
}

fn hasher(method: &str) -> Option<Box<dyn DynDigest>> {
    match method {
        SHA256 => Some(Box::new(Sha256::new())),
        SHA384 => Some(Box::new(Sha384::new())),
        SHA512 => Some(Box::new(Sha512::new())),
        _ => None,
    }
}

/// Whether the blocks of a file have these digests; a file that cannot be unpacked has not.
fn has_hashes(
    zip: &Zip<'_>,
    member: &Member<'_>,
    hashes: &[&str],
    hasher: &mut dyn DynDigest,
) -> Result<bool, Refusal> {
    let mut reader = match zip.reader(member) {
        Ok(reader) => reader,
        Err(Refusal::MethodUnknown { .. } | Refusal::Encrypted(_)) => return Ok(false),
        Err(refusal) => return Err(refusal),
    };
    let mut block = Vec::new();
    for hash in hashes {
        block.clear();
        let read = reader
            .by_ref()
            .take(BLOCK)
            .read_to_end(&mut block)
            .map_err(Refusal::from);
        match read {
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            Err(_) => return Ok(false),
            Ok(_) => {}
        }
        hasher.update(&block);
        if STANDARD.encode(hasher.finalize_reset()) != *hash {
            return Ok(false);
        }
    }
    Ok(true)
}
