//! Pictures, made into icons: PNG, Apple's own PNG, and WebP.

use std::io::Cursor;

use image_webp::WebPDecoder;
use png::{BitDepth, ColorType, Decoder, Encoder, Transformations};

use crate::{Budget, Icon, Refusal};

/// The largest icon, in pixels each way.
const ICON: u32 = 512;
/// The largest picture that is decoded, in pixels each way.
const PICTURE: u32 = 4096;
/// How large an icon may be in memory, with what decoding takes besides, in bytes.
const MEMORY: usize = 128 << 20;
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1A\n";

/// Reads a picture and makes a PNG of at most 512 pixels each way of it, without anything that is
/// not needed to show it.
///
/// # Errors
/// [`Refusal::Malformed`] for what is no such picture, is damaged, or too large.
pub fn icon(bytes: &[u8], budget: &Budget) -> Result<Icon, Refusal> {
    let picture = if bytes.starts_with(b"RIFF") {
        read_webp(bytes, budget)?
    } else if let Some(plain) = plain_png(bytes) {
        read_png(&plain, budget)?.without_apple_order()
    } else {
        read_png(bytes, budget)?
    };
    picture.into_icon()
}

/// An icon of rows of pixels from above, each of red, green, blue and opacity.
///
/// # Errors
/// [`Refusal::Malformed`] where there are not as many as width and height say.
pub fn icon_of_pixels(width: u32, height: u32, pixels: Vec<[u8; 4]>) -> Result<Icon, Refusal> {
    if u64::from(width) * u64::from(height) != pixels.len() as u64 {
        return Err(malformed("it has another number of pixels than it claims"));
    }
    Picture { width, height, pixels }.into_icon()
}

/// The same of pixels in Apple's order: blue, green, red and opacity, which the others are multiplied by.
///
/// # Errors
/// [`Refusal::Malformed`] where there are not as many as width and height say.
pub fn icon_of_apple_pixels(width: u32, height: u32, pixels: Vec<[u8; 4]>) -> Result<Icon, Refusal> {
    let picture = Picture { width, height, pixels }.without_apple_order();
    icon_of_pixels(width, height, picture.pixels)
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("picture", why)
}

/// Four bytes a pixel: red, green, blue and opacity.
struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 4]>,
}

fn check_size(width: u32, height: u32, budget: &Budget) -> Result<(), Refusal> {
    if width == 0 || height == 0 || width > PICTURE || height > PICTURE {
        return Err(malformed(format!("it has {width} by {height} pixels")));
    }
    budget.take(u64::from(width) * u64::from(height) * 4)
}

fn read_png(bytes: &[u8], budget: &Budget) -> Result<Picture, Refusal> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MEMORY });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16 | Transformations::ALPHA);
    decoder.set_ignore_text_chunk(true);
    // Apple's have no checksum of their own.
    decoder.ignore_checksums(true);
    let mut reader = decoder.read_info().map_err(malformed)?;
    let (width, height) = (reader.info().width, reader.info().height);
    check_size(width, height, budget)?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| malformed("it is too large"))?;
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(malformed)?;
    let pixels = match frame.color_type {
        ColorType::Rgba => bytes.chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]).collect(),
        ColorType::GrayscaleAlpha => bytes.chunks_exact(2).map(|p| [p[0], p[0], p[0], p[1]]).collect(),
        _ => return Err(malformed("its colours are of no known kind")),
    };
    Ok(Picture { width, height, pixels })
}

fn read_webp(bytes: &[u8], budget: &Budget) -> Result<Picture, Refusal> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(malformed)?;
    decoder.set_memory_limit(MEMORY);
    let (width, height) = decoder.dimensions();
    check_size(width, height, budget)?;
    let size = decoder
        .output_buffer_size()
        .ok_or_else(|| malformed("it is too large"))?;
    let mut bytes = vec![0; size];
    decoder.read_image(&mut bytes).map_err(malformed)?;
    let pixels = if decoder.has_alpha() {
        bytes.chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]).collect()
    } else {
        bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2], 0xFF]).collect()
    };
    Ok(Picture { width, height, pixels })
}

/// A PNG as everybody reads it of one as Xcode packs it, which starts with a `CgBI` chunk and whose
/// pixels are deflated without zlib's header and checksum; `None` for any other.
fn plain_png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut chunks = bytes.strip_prefix(SIGNATURE)?;
    if chunks.get(4..8)? != b"CgBI" {
        return None;
    }
    let mut plain = SIGNATURE.to_vec();
    let mut pixels = b"\x78\x01".to_vec();
    while let Some((length, rest)) = chunks.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (chunk, rest) = rest.split_at_checked(length.checked_add(8)?)?;
        match &chunk[..4] {
            b"IDAT" => pixels.extend_from_slice(&chunk[4..4 + length]),
            b"IHDR" | b"PLTE" | b"tRNS" => write_chunk(&mut plain, &chunk[..4], &chunk[4..4 + length])?,
            _ => {}
        }
        chunks = rest;
    }
    // Where the checksum stands; it is not looked at.
    pixels.extend([0; 4]);
    write_chunk(&mut plain, b"IDAT", &pixels)?;
    write_chunk(&mut plain, b"IEND", b"")?;
    Some(plain)
}

fn write_chunk(png: &mut Vec<u8>, name: &[u8], contents: &[u8]) -> Option<()> {
    png.extend(u32::try_from(contents.len()).ok()?.to_be_bytes());
    png.extend(name);
    png.extend(contents);
    png.extend([0; 4]);
    Some(())
}

impl Picture {
    /// A PNG of at most 512 pixels each way.
    fn into_icon(self) -> Result<Icon, Refusal> {
        let picture = self.fit(ICON);
        let (width, height) = (picture.width, picture.height);
        let png = picture.write().map_err(malformed)?;
        Ok(Icon { png, width, height })
    }

    /// Apple's pixels are blue, green, red, and multiplied by their opacity.
    fn without_apple_order(mut self) -> Self {
        for pixel in &mut self.pixels {
            let [blue, green, red, alpha] = *pixel;
            *pixel = divided([red, green, blue, alpha].map(u32::from));
        }
        self
    }

    /// Scaled down until neither side is longer than `limit`, each pixel the mean of those that it
    /// stands for.
    fn fit(self, limit: u32) -> Self {
        let longest = self.width.max(self.height);
        if longest <= limit {
            return self;
        }
        let scale = |side: u32| (side * limit / longest).max(1);
        let (width, height) = (scale(self.width), scale(self.height));
        let mut pixels = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let columns = x * self.width / width..((x + 1) * self.width / width);
                let rows = y * self.height / height..((y + 1) * self.height / height);
                pixels.push(self.mean(columns, rows));
            }
        }
        Self { width, height, pixels }
    }

    /// The mean of some pixels, each as heavy as it is opaque.
    fn mean(&self, columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> [u8; 4] {
        let mut sums = [0_u64; 4];
        let mut count = 0;
        for row in rows {
            let start = (row * self.width) as usize;
            for pixel in &self.pixels[start + columns.start as usize..start + columns.end as usize] {
                let alpha = u64::from(pixel[3]);
                for (sum, part) in sums.iter_mut().zip(&pixel[..3]) {
                    *sum += u64::from(*part) * alpha;
                }
                sums[3] += alpha;
                count += 1;
            }
        }
        let colour = |sum: u64| u8::try_from(sum.checked_div(sums[3]).unwrap_or(0)).unwrap_or(u8::MAX);
        let alpha = u8::try_from(sums[3].checked_div(count).unwrap_or(0)).unwrap_or(u8::MAX);
        [colour(sums[0]), colour(sums[1]), colour(sums[2]), alpha]
    }

    fn write(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(ColorType::Rgba);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// A pixel whose colours are multiplied by its opacity, without that.
fn divided([red, green, blue, alpha]: [u32; 4]) -> [u8; 4] {
    let divide = |part: u32| (part * 255 + alpha / 2).checked_div(alpha).unwrap_or(0).min(255);
    [divide(red), divide(green), divide(blue), alpha].map(|part| part.to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::io::Write as _;

    fn budget() -> Budget {
        Budget::new(&Limits::default())
    }

    fn picture(width: u32, height: u32, pixels: Vec<[u8; 4]>) -> Picture {
        Picture { width, height, pixels }
    }

    fn pixels(icon: &Icon) -> Vec<[u8; 4]> {
        read_png(&icon.png, &budget()).unwrap().pixels
    }

    #[test]
    fn a_small_picture_stays_as_it_is() {
        let whole = picture(2, 1, vec![[1, 2, 3, 255], [4, 5, 6, 128]]);
        let icon = icon(&whole.write().unwrap(), &budget()).unwrap();
        assert_eq!((icon.width, icon.height), (2, 1));
        assert_eq!(pixels(&icon), whole.pixels);
    }

    #[test]
    fn a_large_one_is_scaled_down_without_the_colour_of_what_is_not_seen() {
        let row: Vec<[u8; 4]> = [[200, 0, 0, 255], [0, 0, 0, 0]].repeat(512);
        let icon = icon(&picture(1024, 2, row.repeat(2)).write().unwrap(), &budget()).unwrap();
        assert_eq!((icon.width, icon.height), (512, 1));
        assert!(pixels(&icon).iter().all(|pixel| *pixel == [200, 0, 0, 127]));
    }

    #[test]
    fn apples_own_form_becomes_a_plain_png() {
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        // No filter, then blue, green, red and opacity, multiplied.
        deflated.write_all(&[0, 10, 20, 100, 128, 1, 2, 3, 255]).unwrap();
        let deflated = deflated.finish().unwrap();
        let mut apple = SIGNATURE.to_vec();
        write_chunk(&mut apple, b"CgBI", &[0x50, 0, 0x20, 2]).unwrap();
        write_chunk(&mut apple, b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 6, 0, 0, 0]).unwrap();
        write_chunk(&mut apple, b"IDAT", &deflated).unwrap();
        write_chunk(&mut apple, b"IEND", b"").unwrap();
        let icon = icon(&apple, &budget()).unwrap();
        assert_eq!(pixels(&icon), [[199, 40, 20, 128], [3, 2, 1, 255]]);
    }

    #[test]
    fn what_is_too_large_or_damaged_is_refused() {
        let mut huge = SIGNATURE.to_vec();
        write_chunk(&mut huge, b"IHDR", &[0, 1, 0, 0, 0, 1, 0, 0, 8, 6, 0, 0, 0]).unwrap();
        write_chunk(&mut huge, b"IDAT", b"").unwrap();
        let cut = &picture(1, 1, vec![[0; 4]]).write().unwrap()[..40];
        for bytes in [&huge[..], cut, b"", b"RIFF", b"GIF89a"] {
            assert!(matches!(icon(bytes, &budget()), Err(Refusal::Malformed { .. })));
        }
    }
}
