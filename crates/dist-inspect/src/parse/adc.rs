//! Apple Data Compression, of disk images before 2002: texts, and copies of what came before.

use crate::Refusal;

/// The unpacked bytes, of which `len` are read at most.
///
/// # Errors
/// [`Refusal::Damaged`] where a copy starts before the beginning, or it ends within a text.
pub(super) fn unpack(mut packed: &[u8], len: u64) -> Result<Vec<u8>, Refusal> {
    let damaged = || Refusal::Damaged("a chunk of a disk image".to_owned());
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(&control) = packed.first().filter(|_| (bytes.len() as u64) < len) {
        if control & 0x80 != 0 {
            let (text, rest) = packed[1..]
                .split_at_checked(usize::from(control & 0x7F) + 1)
                .ok_or_else(damaged)?;
            bytes.extend_from_slice(text);
            packed = rest;
            continue;
        }
        // A copy: its length, and how far back it starts.
        let is_long = control & 0x40 != 0;
        let (head, rest) = packed
            .split_at_checked(if is_long { 3 } else { 2 })
            .ok_or_else(damaged)?;
        let (count, back) = if is_long {
            (
                usize::from(control & 0x3F) + 4,
                usize::from(head[1]) << 8 | usize::from(head[2]),
            )
        } else {
            (
                usize::from(control >> 2 & 0xF) + 3,
                usize::from(control & 3) << 8 | usize::from(head[1]),
            )
        };
        let start = bytes.len().checked_sub(back + 1).ok_or_else(damaged)?;
        for place in start..start + count {
            bytes.push(bytes[place]);
        }
        packed = rest;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_copies_are_put_together() {
        // "ab", then five bytes from two before, then four from one before.
        let packed = [0x81, b'a', b'b', 0x08, 0x01, 0x40, 0x00, 0x00];
        assert_eq!(unpack(&packed, 100).unwrap(), b"abababaaaaa");
        assert!(unpack(&[0x08, 0x01], 100).is_err());
        assert!(unpack(&[0x85, b'a'], 100).is_err());
    }
}
