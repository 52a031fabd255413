//! Big-endian numbers in bytes that may end anywhere.

use super::little::array;

/// The number in the two bytes at `offset`.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_be_bytes)
}

/// The number in the four bytes at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_be_bytes)
}

/// The number in the eight bytes at `offset`.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_be_bytes)
}

/// [`u32_at`], or 0 where there is none.
pub fn u32_or_zero(bytes: &[u8], offset: usize) -> u32 {
    u32_at(bytes, offset).unwrap_or_default()
}

/// [`u64_at`], or 0 where there is none.
pub fn u64_or_zero(bytes: &[u8], offset: usize) -> u64 {
    u64_at(bytes, offset).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_after_the_end_are_none() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u16_at(&bytes, 6), Some(0x0708));
        assert_eq!(u32_at(&bytes, 4), Some(0x0506_0708));
        assert_eq!(u64_at(&bytes, 0), Some(0x0102_0304_0506_0708));
        assert_eq!(u32_at(&bytes, 5), None);
        assert_eq!(u32_or_zero(&bytes, usize::MAX), 0);
    }
}
