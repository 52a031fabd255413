//! Structures that several formats have inside. Each parser is bounded by what it is given, and by
//! the limits of a [`Budget`](crate::Budget) where a little input can claim much.

mod adc;
pub mod asn1;
pub mod authenticode;
pub mod big;
pub mod bom;
pub mod car;
pub mod cfb;
pub mod cms;
pub mod code_signature;
pub(crate) mod date;
pub mod deb822;
pub mod dib;
pub mod disk;
pub mod elf;
pub mod gvariant;
pub mod hash;
pub mod icns;
pub mod ico;
pub mod iso9660;
pub mod jar;
pub mod keyfile;
pub mod little;
pub mod lz;
pub mod macho;
pub mod msi;
pub mod openpgp;
mod openstep;
pub mod pe;
pub mod pe_resources;
pub mod picture;
pub mod plist;
pub mod profile;
pub mod protobuf;
pub mod public_key;
pub mod resources;
pub mod rpm;
pub mod signing_block;
pub mod skim;
pub mod squashfs;
pub mod tree;
pub mod udif;
pub mod x509;
pub mod xar;
pub mod xml;
pub mod yaml;

/// The bytes of a text file as text: UTF-16 where a byte order mark says so, else UTF-8; what is
/// neither is replaced.
pub fn text(bytes: &[u8]) -> String {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).skip(1).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    match bytes {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_several_encodings() {
        assert_eq!(text(b"\xFF\xFEa\0\xE9\0"), "aé");
        assert_eq!(text(b"\xFE\xFF\0a\0\xE9"), "aé");
        assert_eq!(text(b"\xEF\xBB\xBFa\xC3\xA9"), "aé");
        assert_eq!(text(b"a\xFF"), "a\u{FFFD}");
    }
}
