//! Who made an `OpenPGP` signature, and when; whether it holds is not looked at.
//! Source: RFC 9580, chapters 4 and 5.2, and RFC 4880.

use std::fmt;

use super::date::civil;
use crate::Refusal;

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The algorithm of the key, by its number.
    pub key_algorithm: u8,
    /// The algorithm of the digest, by its number.
    pub digest_algorithm: u8,
    /// When it was made, in seconds since the Unix epoch.
    pub created: Option<u32>,
    /// The id of the key, as sixteen hexadecimal digits.
    pub key_id: Option<String>,
}

/// The names of algorithms, by their numbers.
const KEY_ALGORITHMS: &[(u8, &str)] = &[
    (1, "RSA"),
    (2, "RSA"),
    (3, "RSA"),
    (17, "DSA"),
    (19, "ECDSA"),
    (22, "EdDSA"),
    (27, "Ed25519"),
    (28, "Ed448"),
];
const DIGEST_ALGORITHMS: &[(u8, &str)] = &[
    (1, "MD5"),
    (2, "SHA1"),
    (3, "RIPEMD160"),
    (8, "SHA256"),
    (9, "SHA384"),
    (10, "SHA512"),
    (11, "SHA224"),
    (12, "SHA3-256"),
    (14, "SHA3-512"),
];

impl Signature {
    /// Reads the first packet of `bytes`, which is not armoured.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for what is no signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        packet(bytes)
            .and_then(|body| match body.first()? {
                2 | 3 => Self::old(body),
                4 => Self::new(body, 2),
                6 => Self::new(body, 4),
                _ => None,
            })
            .ok_or_else(|| Refusal::malformed("OpenPGP signature", "it is none that is known"))
    }

    /// The body of one of version 3, where all stands at fixed places.
    fn old(body: &[u8]) -> Option<Self> {
        Some(Self {
            key_algorithm: *body.get(15)?,
            digest_algorithm: *body.get(16)?,
            created: Some(u32::from_be_bytes(*body.get(3..)?.first_chunk()?)),
            key_id: Some(hex::encode(body.get(7..15)?)),
        })
    }

    /// The body of one with areas of parts, whose lengths have `size` bytes.
    fn new(body: &[u8], size: usize) -> Option<Self> {
        let (hashed, rest) = area(body.get(4..)?, size)?;
        let (other, _) = area(rest, size)?;
        let mut signature = Self {
            key_algorithm: *body.get(2)?,
            digest_algorithm: *body.get(3)?,
            created: None,
            key_id: None,
        };
        for mut parts in [hashed, other] {
            while let Some((part, rest)) = subpacket(parts) {
                signature.read_part(part);
                parts = rest;
            }
        }
        Some(signature)
    }

    fn read_part(&mut self, part: &[u8]) {
        match part {
            // The highest bit says that it matters.
            [2 | 0x82, time @ ..] => self.created = time.first_chunk().map(|time| u32::from_be_bytes(*time)),
            [16 | 0x90, id @ ..] => self.key_id = id.first_chunk::<8>().map(hex::encode),
            [33 | 0xA1, 4, print @ ..] if self.key_id.is_none() => {
                self.key_id = print.get(12..20).map(hex::encode);
            }
            [33 | 0xA1, _, print @ ..] if self.key_id.is_none() => {
                self.key_id = print.first_chunk::<8>().map(hex::encode);
            }
            _ => {}
        }
    }
}

/// As rpm prints it, in UTC.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |names: &[(u8, &'static str)], number| {
            names
                .iter()
                .find(|(known, _)| *known == number)
                .map_or("?", |(_, name)| name)
        };
        let key = name(KEY_ALGORITHMS, self.key_algorithm);
        let digest = name(DIGEST_ALGORITHMS, self.digest_algorithm);
        write!(f, "{key}/{digest}")?;
        if let Some(created) = self.created {
            write!(f, ", {}", Time(created))?;
        }
        if let Some(id) = &self.key_id {
            write!(f, ", Key ID {id}")?;
        }
        Ok(())
    }
}

/// A time as C's `asctime` has it.
struct Time(u32);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WEEK: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const YEAR: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil(days.into());
        let weekday = WEEK[days as usize % 7];
        let month = usize::try_from(month - 1)
            .ok()
            .and_then(|month| YEAR.get(month))
            .unwrap_or(&"");
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}")
    }
}

/// The body of the first packet, if it is a signature.
fn packet(bytes: &[u8]) -> Option<&[u8]> {
    const SIGNATURE: u8 = 2;
    let (tag, rest) = bytes.split_first()?;
    if tag & 0xC0 == 0xC0 && tag & 0x3F == SIGNATURE {
        let (len, rest) = length(rest)?;
        return rest.get(..len);
    }
    if tag & 0xC0 != 0x80 || tag >> 2 & 0xF != SIGNATURE {
        return None;
    }
    let size = match tag & 3 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => return Some(rest),
    };
    area(rest, size).map(|(body, _)| body)
}

/// A length of one, two or five bytes, as new packets and subpackets have it, and what follows.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ 0..192, rest @ ..] => Some((usize::from(*short), rest)),
        [high @ 192..=254, low, rest @ ..] => Some((((usize::from(*high) - 192) << 8) + usize::from(*low) + 192, rest)),
        [255, rest @ ..] => {
            let (len, rest) = rest.split_first_chunk()?;
            Some((usize::try_from(u32::from_be_bytes(*len)).ok()?, rest))
        }
        _ => None,
    }
}

/// A part, its type in front, and what follows.
fn subpacket(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = length(bytes)?;
    rest.split_at_checked(len)
}

/// What stands behind a length of `size` bytes, and what follows.
fn area(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_at_checked(size)?;
    let len = len.iter().fold(0_u64, |len, byte| len << 8 | u64::from(*byte));
    rest.split_at_checked(usize::try_from(len).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_shown_as_rpm_shows_it() {
        let created = 1_652_267_552_u32.to_be_bytes();
        let hashed = [&[5, 2][..], &created].concat();
        let issuer = b"\x09\x10p-Bm5\r']";
        let body = [&[4, 0, 1, 8, 0, 6][..], &hashed, &[0, 10], issuer, &[0, 0]].concat();
        let expected = "RSA/SHA256, Wed May 11 11:12:32 2022, Key ID 702d426d350d275d";
        let old = [&[0x88, 26][..], &body].concat();
        let new = [&[0xC2, 26][..], &body].concat();
        let version_3 = [&[0x88, 19, 3, 5, 0][..], &created, &issuer[2..], &[1, 8, 0, 0]].concat();
        for bytes in [old, new, version_3] {
            assert_eq!(Signature::parse(&bytes).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn lengths_that_lie_end_it() {
        let cases: [&[u8]; 6] = [
            b"",
            b"\x88",
            b"\x88\x05\x04",
            b"\xC2\xFF\xFF\xFF\xFF\xFF\x04",
            b"\xC2\x06\x04\0\x01\x08\xFF\xFF",
            b"\x99\0\x01\x06",
        ];
        for bytes in cases {
            assert!(Signature::parse(bytes).is_err(), "{bytes:?}");
        }
        let odd = Signature::parse(b"\xC2\x0B\x04\0\xFF\xFF\0\x01\x09\0\x02\x00\x10").unwrap();
        assert_eq!(odd.to_string(), "?/?");
    }
}
