//! Blocks compressed by LZ4 or LZO1X, as images have them.
//! Sources: LZ4's block format, and `Documentation/staging/lzo.rst` of Linux.

use crate::Refusal;

/// Unpacks a block of LZ4 that becomes `limit` bytes at most.
///
/// # Errors
/// [`Refusal::Damaged`].
pub fn lz4(packed: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut block = Block::new(packed, limit);
    loop {
        let token = block.byte()?;
        let literals = block.lz4_length(token >> 4)?;
        block.literals(literals)?;
        if block.packed.is_empty() {
            return Ok(block.unpacked);
        }
        let distance = block.u16()?;
        let length = block.lz4_length(token & 15)?;
        block.repeat(distance, length + 4)?;
    }
}

/// Unpacks a block of LZO1X that becomes `limit` bytes at most.
///
/// # Errors
/// [`Refusal::Damaged`].
pub fn lzo(packed: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    /// What a run of four literals or more leaves, where others leave their number.
    const LONG_RUN: usize = 4;
    let mut block = Block::new(packed, limit);
    let mut before = 0;
    if let Some(run) = packed
        .first()
        .and_then(|first| first.checked_sub(17))
        .filter(|run| *run > 0)
    {
        block.byte()?;
        block.literals(run.into())?;
        before = usize::from(run).min(LONG_RUN);
    }
    loop {
        let code = usize::from(block.byte()?);
        let (distance, length, after) = match code {
            0..16 if before == 0 => {
                let run = block.lzo_length(code, 15)? + 3;
                block.literals(run)?;
                before = LONG_RUN;
                continue;
            }
            0..16 => {
                let distance = (usize::from(block.byte()?) << 2) + (code >> 2);
                let (nearest, length) = if before == LONG_RUN { (2049, 3) } else { (1, 2) };
                (distance + nearest, length, code & 3)
            }
            16..32 => {
                let length = block.lzo_length(code & 7, 7)? + 2;
                let place = block.u16()?;
                let distance = 16_384 + ((code & 8) << 11) + (place >> 2);
                if distance == 16_384 {
                    return Ok(block.unpacked);
                }
                (distance, length, place & 3)
            }
            32..64 => {
                let length = block.lzo_length(code & 31, 31)? + 2;
                let place = block.u16()?;
                ((place >> 2) + 1, length, place & 3)
            }
            _ => {
                let length = if code < 128 {
                    3 + (code >> 5 & 1)
                } else {
                    5 + (code >> 5 & 3)
                };
                let distance = (usize::from(block.byte()?) << 3) + (code >> 2 & 7) + 1;
                (distance, length, code & 3)
            }
        };
        block.repeat(distance, length)?;
        block.literals(after)?;
        before = after;
    }
}

/// What is read, and what has been unpacked.
struct Block<'a> {
    packed: &'a [u8],
    unpacked: Vec<u8>,
    limit: usize,
}

impl<'a> Block<'a> {
    fn new(packed: &'a [u8], limit: usize) -> Self {
        let unpacked = Vec::new();
        Self {
            packed,
            unpacked,
            limit,
        }
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        let (first, rest) = self.packed.split_first().ok_or_else(damaged)?;
        self.packed = rest;
        Ok(*first)
    }

    fn u16(&mut self) -> Result<usize, Refusal> {
        Ok(usize::from(self.byte()?) | usize::from(self.byte()?) << 8)
    }

    /// A length of four bits, and more bytes where these are all set.
    fn lz4_length(&mut self, bits: u8) -> Result<usize, Refusal> {
        let mut length = usize::from(bits);
        let mut goes_on = bits == 15;
        while goes_on {
            let byte = self.byte()?;
            length += usize::from(byte);
            goes_on = byte == 255;
        }
        Ok(length)
    }

    /// A length in some bits, or where these are zero, in the bytes that follow.
    fn lzo_length(&mut self, bits: usize, most: usize) -> Result<usize, Refusal> {
        if bits != 0 {
            return Ok(bits);
        }
        let mut length = most;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Ok(length + usize::from(last)),
            }
        }
    }

    fn literals(&mut self, count: usize) -> Result<(), Refusal> {
        let (literals, rest) = self.packed.split_at_checked(count).ok_or_else(damaged)?;
        self.check(count)?;
        self.unpacked.extend_from_slice(literals);
        self.packed = rest;
        Ok(())
    }

    /// Appends bytes from `distance` before; they may be among those that are appended.
    fn repeat(&mut self, distance: usize, count: usize) -> Result<(), Refusal> {
        self.check(count)?;
        let start = self.unpacked.len().checked_sub(distance).filter(|_| distance > 0);
        let start = start.ok_or_else(damaged)?;
        for place in start..start + count {
            let byte = self.unpacked.get(place).copied().ok_or_else(damaged)?;
            self.unpacked.push(byte);
        }
        Ok(())
    }

    fn check(&self, more: usize) -> Result<(), Refusal> {
        if self.limit - self.unpacked.len() < more {
            return Err(damaged());
        }
        Ok(())
    }
}

fn damaged() -> Refusal {
    Refusal::Damaged("a block cannot be unpacked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repetitions_are_unpacked() {
        assert_eq!(lz4(b"\x35abc\x03\0\x20de", 99).unwrap(), b"abcabcabcabcde");
        // Six literals; nine bytes from three before, then two literals; the end.
        assert_eq!(lzo(b"\x17abcdef\x2A\x08\0\x11\0\0", 99).unwrap(), b"abcdefdefdefdefdef");
    }

    #[test]
    fn blocks_that_lie_are_refused() {
        for bad in [
            &b""[..],
            b"\x35ab",
            b"\x10a\x05\0",
            b"\x1Fa\x01\0\xFF\xFF",
            b"\x14a\x00\0\x00",
        ] {
            assert!(lz4(bad, 64).is_err(), "{bad:?}");
        }
        for bad in [&b""[..], b"\x17ab", b"\x12a\x2A\xFF\xFF", b"\x12a\x20\0\0\0\0\x01\0\0"] {
            assert!(lzo(bad, 64).is_err(), "{bad:?}");
        }
    }
}
