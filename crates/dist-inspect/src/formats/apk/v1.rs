//! Signature scheme v1, which is that of JARs: a manifest with the hash of every entry, files with
//! the hashes of its sections, and a PKCS#7 signature of each of those.
//!
//! What counts is what Android looks at, as AOSP's `V1SchemeVerifier` has it.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signature::Fault;
use crate::archive::zip::{Member, Zip};
use crate::parse::cms::{SignedData, Signer};
use crate::parse::hash::Hash;
use crate::parse::jar::{Section, Sections};
use crate::parse::public_key::{Padding, PublicKey};
use crate::refusal::shown;
use crate::source::PIECE;

/// How long each file of a signature may be, in bytes.
const FILE_BYTES: u64 = 32 << 20;
/// How many may sign, as Android has it.
const SIGNERS: usize = 10;
/// From this Android on the strongest hash counts; those before take SHA-1.
pub(super) const STRONGEST: u32 = 18;
/// Androids before this one misread what is signed along with a file, as today's jarsigner has it.
const ATTRIBUTES: u32 = 19;
/// From this Android on any signer of a file may be the right one; those before take the first.
const ANY_SIGNER: u32 = 24;

/// Whom entries are signed by.
#[derive(Debug)]
pub(in crate::formats) struct Jar {
    /// The signers' certificates, in the order of their files.
    pub(in crate::formats) certificates: Vec<Vec<u8>>,
    /// Whether something in the chain from signature to entry hangs on MD5 or SHA-1.
    pub(in crate::formats) is_weak: bool,
    /// From which Android on its algorithms are known.
    pub(super) min_sdk: u32,
}

/// A manifest's sections, by the names of their entries.
struct Manifest {
    bytes: Vec<u8>,
    main: Option<Section>,
    entries: HashMap<String, Section>,
}

/// One who signed the manifest: the certificate, and the entries that are signed.
struct Signed {
    certificate: Vec<u8>,
    entries: BTreeSet<String>,
}

/// Verifies the signature of a zip of which Android from `min_sdk` on would look at it, and beside
/// which signatures of the schemes `found` are; `None` where there is none.
pub(in crate::formats) fn verify(zip: &Zip<'_>, min_sdk: u32, found: &[u32]) -> Result<Option<Jar>, Fault> {
    let blocks: Vec<Member<'_>> = zip.members().filter(|member| is_block(member.name)).collect();
    let Some(manifest) = zip.find(b"META-INF/MANIFEST.MF").filter(|_| !blocks.is_empty()) else {
        return Ok(None);
    };
    let manifest = read_manifest(zip, &manifest)?;
    let (mut is_weak, mut since) = (false, 0);
    let mut signed = Vec::new();
    for block in blocks {
        let name = block
            .name
            .iter()
            .rposition(|byte| *byte == b'.')
            .and_then(|dot| block.name.get(..dot));
        let Some(file) = name.and_then(|name| zip.find(&[name, b".SF"].concat())) else {
            continue;
        };
        if signed.len() >= SIGNERS {
            return Err(Fault::broken(format!("it has more than {SIGNERS} v1 signatures")));
        }
        let file = read(zip, &file)?;
        let (certificate, hash, known_since) = verify_block(&read(zip, &block)?, &file, min_sdk)?;
        is_weak |= hash < Hash::Sha224;
        since = since.max(known_since);
        let entries = verify_file(&file, &manifest, min_sdk, found)?;
        signed.push(Signed { certificate, entries });
    }
    if signed.is_empty() {
        return Ok(None);
    }
    let entries = verify_entries(zip, &manifest, &signed, min_sdk)?;
    if !entries.has_sha1 {
        since = since.max(STRONGEST);
    }
    // Who signed none of the entries is no signer of the package.
    let signers = signed
        .into_iter()
        .zip(entries.signers)
        .filter(|(_, is_signer)| *is_signer);
    Ok(Some(Jar {
        certificates: signers.map(|(signed, _)| signed.certificate).collect(),
        is_weak: is_weak || entries.is_weak,
        min_sdk: since,
    }))
}

/// Whether a member is a signature.
pub(super) fn is_block(name: &[u8]) -> bool {
    let is_kind = [&b".RSA"[..], b".DSA", b".EC"]
        .iter()
        .any(|ending| name.ends_with(ending));
    name.starts_with(b"META-INF/") && is_kind
}

fn read(zip: &Zip<'_>, member: &Member<'_>) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    zip.reader(&member.deflated_unless_stored())?
        .take(FILE_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_manifest(zip: &Zip<'_>, member: &Member<'_>) -> Result<Manifest, Fault> {
    let bytes = read(zip, member)?;
    let mut sections = Sections::new(&bytes);
    let main = sections.next();
    let mut entries = HashMap::new();
    for section in sections {
        let Some(name) = section.get("Name").map(str::to_owned) else {
            return Err(Fault::broken("a section of META-INF/MANIFEST.MF has no name"));
        };
        if zip.find(name.as_bytes()).is_none() {
            return Err(Fault::broken(format!(
                "{} is signed, and missing",
                shown(name.as_bytes())
            )));
        }
        if let Some(twice) = entries
            .insert(name, section)
            .and_then(|section| section.get("Name").map(str::to_owned))
        {
            return Err(Fault::broken(format!(
                "META-INF/MANIFEST.MF names {} twice",
                shown(twice.as_bytes())
            )));
        }
    }
    Ok(Manifest { bytes, main, entries })
}

/// Whether a signature is one of `file`; the signer's certificate, the hash that it is made with,
/// and from which Android on that is known.
fn verify_block(block: &[u8], file: &[u8], min_sdk: u32) -> Result<(Vec<u8>, Hash, u32), Fault> {
    let message = SignedData::parse(block)?;
    let tried = if min_sdk < ANY_SIGNER { 1 } else { SIGNERS };
    let signed = message
        .signers
        .iter()
        .take(tried)
        .find_map(|signer| verify_signer(signer, file));
    signed.ok_or_else(|| Fault::broken("a v1 signature is not one of its file"))
}

fn verify_signer(signer: &Signer<'_>, file: &[u8]) -> Option<(Vec<u8>, Hash, u32)> {
    let hash = Hash::of_oid(&signer.digest_algorithm)?;
    // The algorithm of the signature may be that of the key alone.
    let signing_hash = Hash::of_oid(&signer.signature_algorithm).unwrap_or(hash);
    let certificate = signer.certificate.as_ref()?;
    let key = PublicKey::parse(certificate.public_key).ok()?;
    let attributes = signer.signed_bytes();
    if attributes.is_some() && signer.message_digest()? != hash.digest(file) {
        return None;
    }
    let message = attributes.as_deref().unwrap_or(file);
    let holds = key.verifies(Padding::Pkcs1, signing_hash, message, &signer.signature);
    let min_sdk = match key {
        PublicKey::Rsa(..) | PublicKey::Dsa(..) if hash <= Hash::Sha1 => 0,
        PublicKey::Rsa(..) | PublicKey::Ec(..) => 18,
        PublicKey::Dsa(..) => 21,
    };
    let min_sdk = min_sdk.max(if attributes.is_some() { ATTRIBUTES } else { 0 });
    holds.then(|| (certificate.raw.to_vec(), hash.min(signing_hash), min_sdk))
}

/// Whether a signature file fits the manifest; the entries that it signs.
fn verify_file(file: &[u8], manifest: &Manifest, min_sdk: u32, found: &[u32]) -> Result<BTreeSet<String>, Fault> {
    let mut sections = Sections::new(file);
    let main = sections.next().filter(|main| main.get("Signature-Version").is_some());
    let main = main.ok_or_else(|| Fault::broken("a signature file has no version"))?;
    let expected = main.get("X-Android-APK-Signed").unwrap_or_default().split(',');
    let missing = expected
        .filter_map(|scheme| scheme.trim().parse().ok())
        .find(|scheme| [2, 3].contains(scheme) && !found.contains(scheme));
    if let Some(scheme) = missing {
        return Err(Fault::broken(format!(
            "its v{scheme} signature was stripped: the v1 signature says that there is one"
        )));
    }
    let by_signtool = main.get("Created-By").is_some_and(|tool| tool.contains("signtool"));
    let suffix = if by_signtool { "-Digest" } else { "-Digest-Manifest" };
    let whole = digests(&main, suffix, min_sdk);
    let is_whole = !whole.is_empty() && whole.iter().all(|digest| digest.is_of(&manifest.bytes));
    if let Some(own) = manifest.main.as_ref().filter(|_| !by_signtool) {
        let bytes = manifest.bytes.get(own.range.clone()).unwrap_or_default();
        if !digests(&main, "-Digest-Manifest-Main-Attributes", min_sdk)
            .iter()
            .all(|digest| digest.is_of(bytes))
        {
            return Err(Fault::broken("the main section of META-INF/MANIFEST.MF was changed"));
        }
    }
    let mut entries = BTreeSet::new();
    for section in sections {
        let Some(name) = section.get("Name") else {
            return Err(Fault::broken("a section of a signature file has no name"));
        };
        let fits = is_whole
            || manifest.entries.get(name).is_some_and(|signed| {
                let bytes = manifest.bytes.get(signed.range.clone()).unwrap_or_default();
                let bytes = bytes
                    .strip_suffix(b"\n")
                    .filter(|rest| by_signtool && rest.ends_with(b"\n"))
                    .unwrap_or(bytes);
                let digests = digests(&section, "-Digest", min_sdk);
                !digests.is_empty() && digests.iter().all(|digest| digest.is_of(bytes))
            });
        if !fits {
            return Err(Fault::broken(format!(
                "the section of META-INF/MANIFEST.MF for {} was changed",
                shown(name.as_bytes())
            )));
        }
        if !entries.insert(name.to_owned()) {
            return Err(Fault::broken(format!(
                "a signature file names {} twice",
                shown(name.as_bytes())
            )));
        }
    }
    Ok(entries)
}

/// What the entries hang on.
struct Entries {
    /// Which of those who signed something signed the entries.
    signers: Vec<bool>,
    /// Whether an entry hangs on SHA-1 alone.
    is_weak: bool,
    /// Whether each has a SHA-1, which old Androids ask for.
    has_sha1: bool,
}

/// Whether every entry that has to be is signed by the same signers, and is what they signed.
fn verify_entries(zip: &Zip<'_>, manifest: &Manifest, signed: &[Signed], min_sdk: u32) -> Result<Entries, Fault> {
    let mut first: Option<Vec<bool>> = None;
    let (mut is_weak, mut has_sha1) = (false, true);
    let mut buffer = vec![0; PIECE];
    for member in zip.members().filter(|member| needs_digest(member.name)) {
        let name = String::from_utf8_lossy(member.name);
        let unsigned = || Fault::broken(format!("{} is not signed", shown(member.name)));
        let section = manifest.entries.get(&*name).ok_or_else(unsigned)?;
        let signers: Vec<bool> = signed.iter().map(|signed| signed.entries.contains(&*name)).collect();
        let digests = digests(section, "-Digest", min_sdk);
        if digests.is_empty() || !signers.contains(&true) {
            return Err(unsigned());
        }
        if first.get_or_insert_with(|| signers.clone()) != &signers {
            return Err(Fault::broken(format!(
                "{} is signed by others than the rest",
                shown(member.name)
            )));
        }
        is_weak |= digests.iter().all(|digest| digest.hash < Hash::Sha224);
        has_sha1 &= digests.iter().any(|digest| digest.hash == Hash::Sha1);
        if !is_intact(zip, &member, &digests, &mut buffer)? {
            return Err(Fault::broken(format!(
                "{} was changed after it was signed",
                shown(member.name)
            )));
        }
    }
    let signers = first.ok_or_else(|| Fault::broken("no entry is signed"))?;
    Ok(Entries {
        signers,
        is_weak,
        has_sha1,
    })
}

/// Whether a member has these hashes; `buffer` is what it is read into.
fn is_intact(zip: &Zip<'_>, member: &Member<'_>, digests: &[Digest], buffer: &mut [u8]) -> Result<bool, Fault> {
    let mut hashers: Vec<_> = digests.iter().map(|digest| digest.hash.hasher()).collect();
    let mut reader = zip.reader(&member.deflated_unless_stored())?.without_crc();
    loop {
        let count = reader.read(buffer)?;
        if count == 0 {
            break;
        }
        for hasher in &mut hashers {
            hasher.update(&buffer[..count]);
        }
    }
    let same = |(hasher, digest): (Box<dyn sha2::digest::DynDigest>, &Digest)| *hasher.finalize() == *digest.value;
    Ok(hashers.into_iter().zip(digests).all(same))
}

/// Whether Android asks for the hash of an entry of this name: not for folders, nor for anything in
/// the folder of the signatures, where some tools leave notes after they signed.
fn needs_digest(name: &[u8]) -> bool {
    !name.starts_with(b"META-INF/") && !name.ends_with(b"/")
}

/// A hash that something has to have.
struct Digest {
    hash: Hash,
    value: Vec<u8>,
}

impl Digest {
    fn is_of(&self, bytes: &[u8]) -> bool {
        self.hash.digest(bytes) == self.value
    }
}

/// The hashes of a section that some Android looks at: the strongest, and for old ones SHA-1.
fn digests(section: &Section, suffix: &str, min_sdk: u32) -> Vec<Digest> {
    const WORDS: [(&str, Hash); 5] = [
        ("SHA-512", Hash::Sha512),
        ("SHA-384", Hash::Sha384),
        ("SHA-256", Hash::Sha256),
        ("SHA1", Hash::Sha1),
        ("SHA", Hash::Sha1),
    ];
    let given = WORDS.iter().filter_map(|(word, hash)| {
        // What is no Base64 is a hash that nothing has.
        let value = section.get(&format!("{word}{suffix}"))?;
        Some(Digest {
            hash: *hash,
            value: STANDARD.decode(value).unwrap_or_default(),
        })
    });
    let mut digests: Vec<Digest> = given.collect();
    let is_looked_at = |place: usize, hash: Hash| place == 0 || (min_sdk < STRONGEST && hash == Hash::Sha1);
    let mut place = 0;
    digests.retain(|digest| {
        place += 1;
        is_looked_at(place - 1, digest.hash)
    });
    digests
}
