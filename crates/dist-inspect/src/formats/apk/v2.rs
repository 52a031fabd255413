//! Signature schemes v2, v3 and v3.1: lists of signers in the APK Signing Block.
//! See <https://source.android.com/docs/security/features/apksigning/v3>.

use std::collections::BTreeSet;

use super::contents::{Contents, Signed};
use super::signature::Fault;
use crate::parse::hash::Hash;
use crate::parse::public_key::{Padding, PublicKey};
use crate::parse::signing_block::Fields;
use crate::parse::x509::Certificate;

/// In a v2 signer: the number of a newer scheme that the package has a signature of, too.
const STRIPPING_PROTECTION: u32 = 0xBEEF_F00D;
/// In a v3 signer: the certificates that were used before.
const LINEAGE: u32 = 0x3BA0_6F8C;
/// In a v3 signer: the Android from which on a v3.1 signature counts in its place.
const ROTATION_MIN_SDK: u32 = 0x559F_8B02;
/// What stands for the newest Android, whichever that is.
pub(super) const NEWEST_SDK: u32 = i32::MAX.cast_unsigned();
/// How many may sign, as Android has it.
const SIGNERS: usize = 10;

/// A scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    /// How it is called.
    pub(super) name: &'static str,
    /// Its pair in the signing block.
    id: u32,
    /// Whether its signers tell for which devices they are, and may have been replaced.
    is_v3: bool,
}

pub(super) const V2: Scheme = Scheme {
    name: "v2",
    id: 0x7109_871A,
    is_v3: false,
};
pub(super) const V3: Scheme = Scheme {
    name: "v3",
    id: 0xF053_68C0,
    is_v3: true,
};
pub(super) const V31: Scheme = Scheme {
    name: "v3.1",
    id: 0x1B93_AD61,
    is_v3: true,
};

/// One who signed a package.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    /// The certificate.
    pub(super) certificate: Vec<u8>,
    /// The certificates that stand for the signer, from the oldest to the present one.
    pub(super) lineage: Vec<Vec<u8>>,
    /// Whether the signer says that there is a v3 signature.
    pub(super) expects_v3: bool,
    /// The Androids for which the signer counts, the first and the last.
    pub(super) sdks: (u32, u32),
    /// From which Android on the signer says that a v3.1 signature counts.
    pub(super) rotates_at: Option<u32>,
    digests: Vec<(Algorithm, Vec<u8>)>,
    /// The hashes that the signatures that count are made of.
    contents: Vec<Contents>,
}

/// Whose signature of `scheme` a package has; `None` where it has none.
pub(super) fn verify(scheme: Scheme, signed: &mut Signed<'_>) -> Result<Option<Vec<Signer>>, Fault> {
    let Some(value) = signed.block.get(scheme.id)? else {
        return Ok(None);
    };
    let signers = Fields::new(value).list()?;
    if signers.is_empty() || signers.len() > SIGNERS {
        let why = format!("it has {} signers of scheme {}", signers.len(), scheme.name);
        return Err(Fault::broken(why));
    }
    let signers = signers.into_iter().map(|signer| read_signer(scheme, signer));
    let signers: Vec<Signer> = signers.collect::<Result<_, _>>()?;
    let counting: BTreeSet<Contents> = signers
        .iter()
        .flat_map(|signer| signer.contents.iter().copied())
        .collect();
    for (algorithm, digest) in signers.iter().flat_map(|signer| &signer.digests) {
        if counting.contains(&algorithm.contents) && signed.digest(algorithm.contents)? != digest {
            let why = format!("it was changed after it was signed by scheme {}", scheme.name);
            return Err(Fault::broken(why));
        }
    }
    Ok(Some(signers))
}

/// Whether the signers of v3 are for all Androids from `first` to `last`, one after the other, and the
/// later ones are successors of the earlier.
pub(super) fn check_succession(signers: &[Signer], first: u32, last: u32) -> Result<(), Fault> {
    let mut signers: Vec<&Signer> = signers.iter().collect();
    signers.sort_by_key(|signer| signer.sdks.1);
    let mut next = None;
    let mut lineage: &[Vec<u8>] = &[];
    for signer in &signers {
        let (min, max) = signer.sdks;
        if min > max || next.is_some_and(|next| next != min) {
            return Err(Fault::broken("its v3 signers are not for one Android after the other"));
        }
        next = Some(max.saturating_add(1));
        if signer.lineage.len() > 1 {
            if !signer.lineage.starts_with(lineage) {
                return Err(Fault::broken("its v3 signers are of different lineages"));
            }
            lineage = &signer.lineage;
        }
    }
    let starts = signers.first().is_some_and(|signer| signer.sdks.0 <= first);
    let ends = signers.last().is_some_and(|signer| signer.sdks.1 >= last);
    if !starts || !ends {
        return Err(Fault::broken("its v3 signers are not for all Androids that it is for"));
    }
    Ok(())
}

/// An algorithm of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Algorithm {
    padding: Padding,
    hash: Hash,
    contents: Contents,
}

impl Algorithm {
    /// The algorithm of this number; unknown ones are passed over, as Android does.
    fn of(id: u32) -> Option<Self> {
        let chunked = |padding, hash| Self {
            padding,
            hash,
            contents: Contents::Chunked(hash),
        };
        let verity = Self {
            padding: Padding::Pkcs1,
            hash: Hash::Sha256,
            contents: Contents::Verity,
        };
        Some(match id {
            0x0101 => chunked(Padding::Pss, Hash::Sha256),
            0x0102 => chunked(Padding::Pss, Hash::Sha512),
            0x0103 | 0x0201 | 0x0301 => chunked(Padding::Pkcs1, Hash::Sha256),
            0x0104 | 0x0202 => chunked(Padding::Pkcs1, Hash::Sha512),
            0x0421 | 0x0423 | 0x0425 => verity,
            _ => return None,
        })
    }
}

fn read_signer(scheme: Scheme, mut fields: Fields<'_>) -> Result<Signer, Fault> {
    let broken = |why: &str| Fault::broken(format!("its {} signature {why}", scheme.name));
    let signed = fields.bytes()?;
    let sdks = if scheme.is_v3 {
        Some((fields.number()?, fields.number()?))
    } else {
        None
    };
    let mut signatures = Vec::new();
    for mut signature in fields.list()? {
        signatures.push((signature.number()?, signature.bytes()?));
    }
    let key_bytes = fields.bytes()?;
    let key = PublicKey::parse(key_bytes)?;
    let mut contents = Vec::new();
    for (algorithm, signature) in strongest(&signatures) {
        if !key.verifies(algorithm.padding, algorithm.hash, signed, signature) {
            return Err(broken("is not one of the key that it names"));
        }
        contents.push(algorithm.contents);
    }
    if contents.is_empty() {
        return Err(broken("is of no known algorithm"));
    }
    let mut signed = Fields::new(signed);
    let mut digests = Vec::new();
    for mut digest in signed.list()? {
        digests.push((digest.number()?, digest.bytes()?));
    }
    if !digests.iter().map(|(id, _)| id).eq(signatures.iter().map(|(id, _)| id)) {
        return Err(broken("has other algorithms than its digests"));
    }
    let certificates = signed.list()?;
    let certificate = certificates.first().ok_or_else(|| broken("has no certificate"))?.rest();
    if Certificate::parse(certificate)?.public_key != key_bytes {
        return Err(broken("has the certificate of another key"));
    }
    if let Some(sdks) = sdks
        && (signed.number()?, signed.number()?) != sdks
    {
        return Err(broken("is for other devices than it says"));
    }
    let mut signer = Signer {
        certificate: certificate.to_vec(),
        lineage: vec![certificate.to_vec()],
        expects_v3: false,
        sdks: sdks.unwrap_or((0, NEWEST_SDK)),
        rotates_at: None,
        digests: digests
            .iter()
            .filter_map(|(id, digest)| Some((Algorithm::of(*id)?, digest.to_vec())))
            .collect(),
        contents,
    };
    for mut attribute in signed.list()? {
        match attribute.number()? {
            STRIPPING_PROTECTION if !scheme.is_v3 => signer.expects_v3 = attribute.number()? == 3,
            ROTATION_MIN_SDK if scheme == V3 => signer.rotates_at = Some(attribute.number()?),
            LINEAGE if scheme.is_v3 => signer.lineage = read_lineage(attribute, certificate)?,
            _ => {}
        }
    }
    Ok(signer)
}

/// The signatures that count: the strongest, and the strongest of those that Android 7 knows.
fn strongest<'a>(signatures: &[(u32, &'a [u8])]) -> Vec<(Algorithm, &'a [u8])> {
    let known = || {
        signatures
            .iter()
            .filter_map(|(id, signature)| Some((Algorithm::of(*id)?, *signature)))
    };
    let old = known().filter(|(algorithm, _)| algorithm.contents != Contents::Verity);
    // Of several alike the first counts.
    let best = old.reduce(|best, other| {
        if other.0.contents > best.0.contents {
            other
        } else {
            best
        }
    });
    let verity = known().find(|(algorithm, _)| algorithm.contents == Contents::Verity);
    best.into_iter().chain(verity).collect()
}

/// The certificates of a lineage, each of which is signed with the key of the one before; the last
/// is the signer's.
fn read_lineage(mut fields: Fields<'_>, own: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    fields.number()?;
    let mut lineage: Vec<Vec<u8>> = Vec::new();
    let mut algorithm = 0;
    while !fields.is_empty() {
        let mut level = Fields::new(fields.bytes()?);
        let signed = level.bytes()?;
        level.number()?;
        let next = level.number()?;
        let signature = level.bytes()?;
        if let Some(previous) = lineage.last() {
            let key = PublicKey::parse(Certificate::parse(previous)?.public_key)?;
            let known = Algorithm::of(algorithm);
            if !known.is_some_and(|known| key.verifies(known.padding, known.hash, signed, signature)) {
                return Err(Fault::broken(
                    "a certificate in its lineage is not signed by the one before",
                ));
            }
        }
        let mut signed = Fields::new(signed);
        let certificate = signed.bytes()?.to_vec();
        if lineage.contains(&certificate) || lineage.len() >= LINEAGE_LEN {
            return Err(Fault::broken("its lineage goes round in circles"));
        }
        lineage.push(certificate);
        algorithm = next;
    }
    if lineage.last().is_none_or(|last| last != own) {
        return Err(Fault::broken(
            "its lineage ends with another certificate than its signer's",
        ));
    }
    Ok(lineage)
}

/// How long a lineage may be.
const LINEAGE_LEN: usize = 100;
