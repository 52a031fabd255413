//! Public keys, and whether a signature is made with the private one. All that is computed with is
//! public, so that nothing has to take the same time for all keys.

use num_bigint::BigUint;

use super::asn1::{Value, first, malformed, tag};
use super::hash::Hash;
use crate::Refusal;

/// The longest modulus, in bits: more takes too long, and nobody has it.
const MODULUS_BITS: u64 = 16_384;
/// The longest exponent of an RSA key, and the longest order of a DSA key, in bits.
const EXPONENT_BITS: u64 = 64;
const ORDER_BITS: u64 = 512;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey<'a> {
    /// Modulus and exponent.
    Rsa(BigUint, BigUint),
    /// Prime, order, generator, and the key itself.
    Dsa(BigUint, BigUint, BigUint, BigUint),
    /// A point on one of the curves of NIST.
    Ec(Curve, &'a [u8]),
}

/// The curve of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the curves' own names")]
pub enum Curve {
    P256,
    P384,
    P521,
}

/// How the hash is laid out in an RSA signature; other keys have but one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// RSASSA-PKCS1-v1_5
    Pkcs1,
    /// RSASSA-PSS, with a salt as long as the hash
    Pss,
}

impl<'a> PublicKey<'a> {
    /// Reads a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for what is none, and for keys that nobody uses.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut info = first(bytes)?.expect(tag::SEQUENCE)?.values();
        let mut algorithm = info.expect(tag::SEQUENCE)?.values();
        let kind = algorithm.any()?.oid().unwrap_or_default();
        let bits = info.expect(tag::BIT_STRING)?.contents;
        let key = bits
            .strip_prefix(&[0])
            .ok_or_else(|| malformed("a key is no whole bytes"))?;
        match kind.as_str() {
            "1.2.840.113549.1.1.1" => {
                let mut numbers = first(key)?.expect(tag::SEQUENCE)?.values();
                let (modulus, exponent) = (number(&numbers.any()?)?, number(&numbers.any()?)?);
                check(modulus.bits() <= MODULUS_BITS && exponent.bits() <= EXPONENT_BITS && modulus.bit(0))?;
                Ok(Self::Rsa(modulus, exponent))
            }
            "1.2.840.10040.4.1" => {
                let mut numbers = algorithm.expect(tag::SEQUENCE)?.values();
                let (prime, order) = (number(&numbers.any()?)?, number(&numbers.any()?)?);
                let generator = number(&numbers.any()?)?;
                check(prime.bits() <= MODULUS_BITS && order.bits() <= ORDER_BITS && prime.bit(0) && order.bit(0))?;
                Ok(Self::Dsa(prime, order, generator, number(&first(key)?)?))
            }
            "1.2.840.10045.2.1" => match algorithm.any()?.oid().unwrap_or_default().as_str() {
                "1.2.840.10045.3.1.7" => Ok(Self::Ec(Curve::P256, key)),
                "1.3.132.0.34" => Ok(Self::Ec(Curve::P384, key)),
                "1.3.132.0.35" => Ok(Self::Ec(Curve::P521, key)),
                curve => Err(malformed(format!("the curve {curve} is not known"))),
            },
            kind => Err(malformed(format!("the kind of key {kind} is not known"))),
        }
    }

    /// Whether `signature` is one of `message` with this key.
    pub fn verifies(&self, padding: Padding, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        self.verifies_digest(padding, hash, &hash.digest(message), signature)
    }

    /// Whether `signature` is one, with this key, of what has this digest.
    pub fn verifies_digest(&self, padding: Padding, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
        let holds = match self {
            Self::Rsa(modulus, exponent) => rsa(modulus, exponent, padding, hash, digest, signature),
            Self::Dsa(prime, order, generator, key) => dsa([prime, order, generator, key], digest, signature),
            Self::Ec(curve, point) => ecdsa(*curve, point, digest, signature),
        };
        holds.unwrap_or(false)
    }
}

fn number(value: &Value<'_>) -> Result<BigUint, Refusal> {
    let number = BigUint::from_bytes_be(value.expect(tag::INTEGER)?.contents);
    check(number.bits() > 0 && number.bits() <= MODULUS_BITS)?;
    Ok(number)
}

fn check(holds: bool) -> Result<(), Refusal> {
    if holds {
        Ok(())
    } else {
        Err(malformed("a key has a number that no key has"))
    }
}

/// RFC 8017, sections 8.1.2 and 8.2.2.
fn rsa(
    modulus: &BigUint,
    exponent: &BigUint,
    padding: Padding,
    hash: Hash,
    digest: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let len = usize::try_from(modulus.bits().div_ceil(8)).ok()?;
    let signature =
        Some(BigUint::from_bytes_be(signature)).filter(|number| signature.len() == len && number < modulus)?;
    let message = signature.modpow(exponent, modulus).to_bytes_be();
    match padding {
        Padding::Pkcs1 => {
            let tail = [&[0], hash.digest_info(), digest].concat();
            // The zero at its start is not among the bytes of the number.
            let filling = len.checked_sub(tail.len() + 2).filter(|filling| *filling >= 8)?;
            Some(message == [&[1], &vec![0xFF; filling][..], &tail].concat())
        }
        Padding::Pss => pss(&message, modulus.bits() - 1, hash, digest),
    }
}

/// RFC 8017, section 9.1.2, for a message of `bits` bits, without the zeros at its start.
fn pss(message: &[u8], bits: u64, hash: Hash, digest: &[u8]) -> Option<bool> {
    let len = usize::try_from(bits.div_ceil(8)).ok()?;
    let mut padded = vec![0; len.checked_sub(message.len())?];
    padded.extend(message);
    let (body, last) = padded.split_at(len.checked_sub(1)?);
    let (masked, expected) = body.split_at(body.len().checked_sub(digest.len())?);
    let unused = u32::try_from(8 * len as u64 - bits).ok()?;
    let mask = generate_mask(hash, expected, masked.len());
    let mut block: Vec<u8> = masked.iter().zip(&mask).map(|(byte, mask)| byte ^ mask).collect();
    let start = block.first_mut()?;
    if last != [0xBC] || u32::from(masked[0]) >> (8 - unused) != 0 {
        return Some(false);
    }
    *start &= 0xFF_u8.checked_shr(unused)?;
    let (zeros, salt) = block.split_at(block.len().checked_sub(digest.len())?);
    let (one, zeros) = zeros.split_last()?;
    let is_padded = *one == 1 && zeros.iter().all(|byte| *byte == 0);
    Some(is_padded && hash.digest(&[&[0; 8], digest, salt].concat()) == expected)
}

/// MGF1 of RFC 8017, section B.2.1.
fn generate_mask(hash: Hash, seed: &[u8], len: usize) -> Vec<u8> {
    let mut mask = Vec::new();
    for counter in 0_u32.. {
        if mask.len() >= len {
            break;
        }
        mask.extend(hash.digest(&[seed, &counter.to_be_bytes()].concat()));
    }
    mask.truncate(len);
    mask
}

/// FIPS 186-4, section 4.7.
fn dsa([prime, order, generator, key]: [&BigUint; 4], digest: &[u8], signature: &[u8]) -> Option<bool> {
    let mut numbers = first(signature).ok()?.expect(tag::SEQUENCE).ok()?.values();
    let (r, s) = (number(&numbers.any().ok()?).ok()?, number(&numbers.any().ok()?).ok()?);
    if r >= *order || s >= *order {
        return Some(false);
    }
    let len = usize::try_from(order.bits() / 8).ok()?.min(digest.len());
    let hashed = BigUint::from_bytes_be(&digest[..len]);
    let inverse = s.modinv(order)?;
    let first = generator.modpow(&(hashed * &inverse % order), prime);
    let second = key.modpow(&(&r * &inverse % order), prime);
    Some(first * second % prime % order == r)
}

fn ecdsa(curve: Curve, point: &[u8], digest: &[u8], signature: &[u8]) -> Option<bool> {
    macro_rules! verify {
        ($curve:ident, $len:literal) => {{
            use $curve::ecdsa::signature::hazmat::PrehashVerifier as _;
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            let signature = $curve::ecdsa::Signature::from_der(signature).ok()?;
            // Zeros before a shorter hash do not change the number that it is.
            let mut padded = vec![0; usize::saturating_sub($len, digest.len())];
            padded.extend(digest);
            Some(key.verify_prehash(&padded, &signature).is_ok())
        }};
    }
    match curve {
        Curve::P256 => verify!(p256, 32),
        Curve::P384 => verify!(p384, 48),
        Curve::P521 => verify!(p521, 66),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"a message that is signed";

    /// Keys of 1024 and 1025 bits, of which the latter's last byte is nearly empty, and signatures
    /// by OpenSSL.
    const PSS: [(&str, &str); 2] = [
        (
            "30819f300d06092a864886f70d010101050003818d0030818902818100c0c6612f104d59818f63bacfd063d7bb767040\
         eb49f8a598ba7941ad3870655581f03e51bd03d1bc9ee0665dc921bd45dd38e704722224cd44bd474067ebbb467ec8c5\
         0b3a9606917436f09852c06bb374c0d16b995c2f5641d9d91e79db5025fa18bfd67f7a10e5ddf44596eaaeda452f0a13\
         3b17a9c37bc3ccd968410d8ea50203010001",
            "31c5062d237b72eed51c5c32af7c2ea1f1eca913d6bccd6edc7d5edf4d7ddd2f7bf51de58c6d28b783a9d6b45e44dc42\
         86455564192176ee4e18661b9c0bca3b8b19c51ccca4d99278f1d14a00f3566096d519391a55315c7a8bf72b1a41776e\
         e11369e9af874c0dd4884824aad2333c529a6cf32eed6e94b71f6c661a8ebb4b",
        ),
        (
            "30819f300d06092a864886f70d010101050003818d0030818902818101e351db20b346e594232ebbdec3974b86d89bb4\
         07273aba51761d245383325f8b9423de770c1e5aff0f499f5fd25d2902ca4eeb5ff4aac71bc3f14b6f6cca57c15d52a1\
         beb7623fa4f0e49badd915865fe2c0be9b68ce76288a80d4a232bd19d738972869db72ef6a5012da7735383647ec5284\
         c3ce22364965f44a3fbe63b9cd0203010001",
            "000a6a745fde4477cd9b344a1c06af74974ca5d0f847452fea4c36e909a028cdd7a5925b4e00dd4ff517778684a88fa0\
         a39f734399d5fe2d35c64d9768aebdffe209479beecafb0eca687b3c86d304707b08313c973daac85489977d108da8f3\
         08f0696501a12a2aa095030774fb97f7110ab6dc6dbbde064c11f7ff31892a9343",
        ),
    ];
    const PKCS1: &str = "0182944d3cb236a23fe56f26fc689b297cdc19eba4502b670fbf6cdb2e8c0b3e8af700e1f9474ea753ab406cb344ba8e\
         a396713d413a3c3b2952b17fa0afe0831ddd08d73280b14198ddd0d1b9f5728edb0f562ecd71ffb3d2bb42e86d72e6bf\
         503edc20cfd47f4c3cf02893400b03582c25c296601f9c88934cce577da63e57d2";

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex).unwrap()
    }

    #[test]
    fn signatures_hold_for_their_message_key_and_padding() {
        for (key, signature) in PSS {
            let (key, signature) = (bytes(key), bytes(signature));
            let key = PublicKey::parse(&key).unwrap();
            assert!(key.verifies(Padding::Pss, Hash::Sha256, MESSAGE, &signature));
            assert!(!key.verifies(Padding::Pss, Hash::Sha256, b"another message", &signature));
            assert!(!key.verifies(Padding::Pss, Hash::Sha512, MESSAGE, &signature));
            assert!(!key.verifies(Padding::Pkcs1, Hash::Sha256, MESSAGE, &signature));
            assert!(!key.verifies(Padding::Pss, Hash::Sha256, MESSAGE, &signature[1..]));
        }
        let key = bytes(PSS[1].0);
        let key = PublicKey::parse(&key).unwrap();
        assert!(key.verifies(Padding::Pkcs1, Hash::Sha256, MESSAGE, &bytes(PKCS1)));
        assert!(!key.verifies(Padding::Pss, Hash::Sha256, MESSAGE, &bytes(PKCS1)));
    }

    #[test]
    fn any_bytes_are_a_key_or_refused() {
        let key = bytes(PSS[0].0);
        for place in 0..key.len() {
            let mut damaged = key.clone();
            damaged[place] ^= 0x41;
            // Not all bytes matter, as those of empty parameters; all the same there is an answer.
            if let Ok(key) = PublicKey::parse(&damaged) {
                key.verifies(Padding::Pss, Hash::Sha256, MESSAGE, &bytes(PSS[0].1));
            }
            let _ = PublicKey::parse(&key[..place]);
        }
    }
}
