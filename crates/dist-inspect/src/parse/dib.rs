//! The pictures of Windows icons that are not PNG: a bitmap without a file header, with a mask below.
//! Source: Microsoft's `BITMAPINFOHEADER`.

use super::little::{u16_at, u32_at};
use super::picture;
use crate::{Budget, Icon, Refusal};

/// The largest picture of an icon, in pixels each way.
const PICTURE: u32 = 1024;

/// A bitmap of an icon.
struct Bitmap<'a> {
    width: u32,
    height: u32,
    bits: u16,
    /// Blue, green, red and nothing.
    palette: &'a [[u8; 4]],
    /// Rows of pixels from below, and then those of the mask.
    rows: &'a [u8],
}

/// Reads the bitmap of an icon and makes a PNG of it.
///
/// # Errors
/// [`Refusal::Malformed`] for what is none, is cut short or too large.
pub fn icon(bytes: &[u8], budget: &Budget) -> Result<Icon, Refusal> {
    let bitmap = Bitmap::parse(bytes).ok_or_else(|| malformed("it is no bitmap of an icon"))?;
    let (width, height) = (bitmap.width, bitmap.height);
    budget.take(u64::from(width) * u64::from(height) * 4)?;
    let pixels = bitmap
        .pixels()
        .ok_or_else(|| malformed("it ends before its pixels do"))?;
    picture::icon_of_pixels(width, height, pixels)
}

fn malformed(why: &str) -> Refusal {
    Refusal::malformed("picture", why)
}

impl<'a> Bitmap<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = u32_at(bytes, 0)?;
        // The height counts the mask too.
        let (width, height) = (u32_at(bytes, 4)?, u32_at(bytes, 8)? / 2);
        let (bits, compression) = (u16_at(bytes, 14)?, u32_at(bytes, 16)?);
        let is_known = header >= 40 && matches!(bits, 1 | 4 | 8 | 24 | 32) && matches!(compression, 0 | 3);
        let is_sized = (1..=PICTURE).contains(&width) && (1..=PICTURE).contains(&height);
        if !is_known || !is_sized {
            return None;
        }
        let colours = match (bits, u32_at(bytes, 32)?) {
            (24 | 32, _) => 0,
            (_, 0) => 1 << bits,
            (_, used) => used.min(256),
        };
        let after = bytes.get(usize::try_from(header).ok()?..)?;
        let (palette, rows) = after.split_at_checked(colours as usize * 4)?;
        let (palette, _) = palette.as_chunks();
        Some(Self {
            width,
            height,
            bits,
            palette,
            rows,
        })
    }

    /// Rows from above of red, green, blue and opacity.
    fn pixels(&self) -> Option<Vec<[u8; 4]>> {
        let colours = self
            .rows
            .get(..self.stride(self.bits).checked_mul(self.height as usize)?)?;
        let mask = &self.rows[colours.len()..];
        // Old pictures of 32 bits say nothing of their opacity, and all with their masks.
        let has_alpha = self.bits == 32 && colours.chunks_exact(4).any(|pixel| pixel[3] != 0);
        let mut pixels = Vec::new();
        for y in (0..self.height as usize).rev() {
            let row = colours.get(y * self.stride(self.bits)..)?;
            let mask = mask.get(y * self.stride(1)..);
            for x in 0..self.width as usize {
                let is_masked = mask.and_then(|mask| bits_of(mask, x, 1)) == Some(1);
                let alpha = if is_masked { 0 } else { 0xFF };
                let pixel = self.pixel(row, x)?;
                pixels.push(if has_alpha {
                    pixel
                } else {
                    [pixel[0], pixel[1], pixel[2], alpha]
                });
            }
        }
        Some(pixels)
    }

    /// How many bytes a row takes.
    fn stride(&self, bits: u16) -> usize {
        (self.width as usize * usize::from(bits)).div_ceil(32) * 4
    }

    /// Its last part says nothing where there are less than 32 bits.
    fn pixel(&self, row: &[u8], x: usize) -> Option<[u8; 4]> {
        if self.bits >= 24 {
            let step = usize::from(self.bits / 8);
            let part = row.get(x * step..(x + 1) * step)?;
            return Some([part[2], part[1], part[0], part.get(3).copied().unwrap_or(0xFF)]);
        }
        let place = bits_of(row, x, usize::from(self.bits))?;
        let [blue, green, red, _] = self.palette.get(place).copied().unwrap_or_default();
        Some([red, green, blue, 0xFF])
    }
}

/// The number of this many bits, at most 8, at this place of a row.
fn bits_of(row: &[u8], place: usize, bits: usize) -> Option<usize> {
    let byte = usize::from(*row.get(place * bits / 8)?);
    let shift = 8 - bits - place * bits % 8;
    Some(byte >> shift & ((1 << bits) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use proptest::prelude::*;

    fn bitmap(bits: u8, palette: &[u8], rows: &[u8]) -> Vec<u8> {
        let mut bytes = vec![40, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, bits, 0];
        bytes.resize(40, 0);
        bytes[32] = u8::try_from(palette.len() / 4).unwrap();
        [&bytes, palette, rows].concat()
    }

    fn pixels(bytes: &[u8]) -> Vec<[u8; 4]> {
        Bitmap::parse(bytes).unwrap().pixels().unwrap()
    }

    #[test]
    fn rows_stand_upside_down_and_the_mask_below() {
        let mask = [0x40, 0, 0, 0, 0, 0, 0, 0];
        let expected = [[3, 2, 1, 255], [6, 5, 4, 255], [9, 8, 7, 255], [3, 2, 1, 0]];
        let rows = [7, 8, 9, 1, 2, 3, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0];
        assert_eq!(pixels(&bitmap(24, &[], &[&rows[..], &mask].concat())), expected);
        let palette = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0];
        let rows = [0x20, 0, 0, 0, 0x01, 0, 0, 0];
        assert_eq!(pixels(&bitmap(4, &palette, &[&rows[..], &mask].concat())), expected);
    }

    #[test]
    fn opacity_is_the_pixels_own_where_any_has_some() {
        let mask = [0xC0, 0, 0, 0, 0xC0, 0, 0, 0];
        let rows = [[1, 2, 3, 9], [1, 2, 3, 0], [1, 2, 3, 255], [1, 2, 3, 7]];
        let of = |bytes: &[u8]| pixels(bytes).iter().map(|pixel| pixel[3]).collect::<Vec<_>>();
        assert_eq!(
            of(&bitmap(32, &[], &[rows.as_flattened(), &mask].concat())),
            [255, 7, 9, 0]
        );
        let rows = rows.map(|[blue, green, red, _]| [blue, green, red, 0]);
        assert_eq!(of(&bitmap(32, &[], &[rows.as_flattened(), &mask].concat())), [0; 4]);
    }

    proptest! {
        #[test]
        fn any_bitmap_is_read_or_refused(place in 0_usize..52, byte: u8, len in 0_usize..80) {
            let mut bytes = bitmap(4, &[1; 12], &[7; 28]);
            bytes[place] = byte;
            bytes.truncate(len);
            let _ = icon(&bytes, &Budget::new(&Limits::default()));
        }
    }
}
