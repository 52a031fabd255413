//! Little-endian numbers in bytes that may end anywhere.

/// The number in the two bytes at `offset`.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

/// The number in the four bytes at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// The number in the eight bytes at `offset`.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

/// [`u16_at`], or 0 where there is none.
pub fn u16_or_zero(bytes: &[u8], offset: usize) -> u16 {
    u16_at(bytes, offset).unwrap_or_default()
}

/// [`u32_at`], or 0 where there is none.
pub fn u32_or_zero(bytes: &[u8], offset: usize) -> u32 {
    u32_at(bytes, offset).unwrap_or_default()
}

/// [`u64_at`], or 0 where there is none.
pub fn u64_or_zero(bytes: &[u8], offset: usize) -> u64 {
    u64_at(bytes, offset).unwrap_or_default()
}

/// The text of UTF-16 units up to the first zero or the end; what is no text is replaced.
pub fn wide_text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

pub(super) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_after_the_end_are_none() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u16_at(&bytes, 6), Some(0x0807));
        assert_eq!(u32_at(&bytes, 4), Some(0x0807_0605));
        assert_eq!(u64_at(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(u16_at(&bytes, 7), None);
        assert_eq!(u32_at(&bytes, usize::MAX), None);
    }

    #[test]
    fn texts_end_at_a_zero_or_at_the_end() {
        assert_eq!(wide_text(b"a\0\xE9\0\0\0b\0"), "aé");
        assert_eq!(wide_text(b"a\0b"), "a");
        assert_eq!(wide_text(b"\0\xD8"), "\u{FFFD}");
    }
}
