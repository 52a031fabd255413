//! Icons of macOS: one picture in many sizes.
//! Source: the list of kinds at <https://en.wikipedia.org/wiki/Apple_Icon_Image_format>.

use super::big::u32_at;
use super::picture;
use crate::{Budget, Icon, Refusal};

/// How many pictures are looked at.
const PICTURES: usize = 100;
/// How wide the widest picture is, in pixels.
const WIDTH: u32 = 1024;

/// How the pixels of a picture are kept.
#[derive(Clone, Copy)]
enum Form {
    /// As a PNG.
    Png,
    /// Opacity, red, green and blue, one after the other, packed.
    Argb,
    /// Red, green and blue in the same way; the opacity is a mask of its own, of this kind.
    Rgb(&'static [u8; 4]),
}

/// A picture: its width, its form, and its bytes.
type Picture<'a> = (u32, Form, &'a [u8]);

/// Makes an icon of the widest picture that can be read; `None` where there is none, as in icons of
/// JPEG 2000 alone.
///
/// # Errors
/// Why the widest picture cannot be read, where no other can.
pub fn icon(bytes: &[u8], budget: &Budget) -> Result<Option<Icon>, Refusal> {
    let entries = entries(bytes);
    let mut pictures: Vec<Picture<'_>> = entries.iter().filter_map(|(kind, bytes)| form(kind, bytes)).collect();
    pictures.sort_by_key(|(width, ..)| std::cmp::Reverse(*width));
    let mut fault = None;
    for (width, form, bytes) in pictures {
        match read(width, form, bytes, &entries, budget) {
            Ok(icon) => return Ok(Some(icon)),
            Err(refusal @ (Refusal::Malformed { .. } | Refusal::Truncated)) => fault = fault.or(Some(refusal)),
            Err(stop) => return Err(stop),
        }
    }
    fault.map_or(Ok(None), Err)
}

/// The parts of an icon by their kinds; each has its length with both before it.
fn entries(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut rest = bytes
        .strip_prefix(b"icns")
        .and_then(|rest| rest.get(4..))
        .unwrap_or_default();
    let mut entries = Vec::new();
    while let Some(length) = u32_at(rest, 4).filter(|_| entries.len() < PICTURES) {
        let Some((entry, after)) = rest.split_at_checked((length as usize).max(8)) else {
            break;
        };
        let (head, contents) = entry.split_at(8);
        entries.push((&head[..4], contents));
        rest = after;
    }
    entries
}

/// How wide a picture is, and in what form; `None` for what is none, or of few colours.
fn form<'a>(kind: &[u8], bytes: &'a [u8]) -> Option<Picture<'a>> {
    if let Some(header) = bytes.strip_prefix(b"\x89PNG\r\n\x1A\n") {
        let width = u32_at(header, 8).filter(|width| *width <= WIDTH)?;
        return Some((width, Form::Png, bytes));
    }
    if let Some(packed) = bytes.strip_prefix(b"ARGB") {
        let width = match kind {
            b"ic04" => 16,
            b"icsb" => 18,
            b"ic05" => 32,
            b"icsB" => 36,
            _ => return None,
        };
        return Some((width, Form::Argb, packed));
    }
    Some(match kind {
        b"is32" => (16, Form::Rgb(b"s8mk"), bytes),
        b"il32" => (32, Form::Rgb(b"l8mk"), bytes),
        b"ih32" => (48, Form::Rgb(b"h8mk"), bytes),
        // Four bytes of nothing come first.
        b"it32" => (128, Form::Rgb(b"t8mk"), bytes.get(4..)?),
        _ => return None,
    })
}

fn read(width: u32, form: Form, bytes: &[u8], entries: &[(&[u8], &[u8])], budget: &Budget) -> Result<Icon, Refusal> {
    let count = (width * width) as usize;
    let cut = || Refusal::malformed("picture", "it ends before its pixels do");
    let pixels: Vec<[u8; 4]> = match form {
        Form::Png => return picture::icon(bytes, budget),
        Form::Argb => {
            let channels = unpack(bytes, 4 * count).ok_or_else(cut)?;
            let of = |channel: usize, place: usize| channels[channel * count + place];
            let pixel = |place| [of(1, place), of(2, place), of(3, place), of(0, place)];
            (0..count).map(pixel).collect()
        }
        Form::Rgb(mask) => {
            let mask = entries.iter().find(|(kind, _)| kind == mask);
            let opacity = |place: usize| {
                mask.and_then(|(_, mask)| mask.get(place))
                    .map_or(0xFF, |opacity| *opacity)
            };
            if bytes.len() == 4 * count {
                // Not packed: nothing, red, green and blue of each pixel.
                let pixels = bytes.chunks_exact(4).enumerate();
                pixels
                    .map(|(place, pixel)| [pixel[1], pixel[2], pixel[3], opacity(place)])
                    .collect()
            } else {
                let channels = unpack(bytes, 3 * count).ok_or_else(cut)?;
                let of = |channel: usize, place: usize| channels[channel * count + place];
                (0..count)
                    .map(|place| [of(0, place), of(1, place), of(2, place), opacity(place)])
                    .collect()
            }
        }
    };
    budget.take(4 * count as u64)?;
    picture::icon_of_pixels(width, width, pixels)
}

/// Unpacks so many bytes: a byte below 128 says how many follow, and another one how many times the
/// next one comes. `None` where there are less.
fn unpack(mut packed: &[u8], count: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let (first, rest) = packed.split_first()?;
        let first = usize::from(*first);
        if first < 128 {
            let (literals, rest) = rest.split_at_checked(first + 1)?;
            bytes.extend_from_slice(literals);
            packed = rest;
        } else {
            let (byte, rest) = rest.split_first()?;
            bytes.resize(bytes.len() + first - 125, *byte);
            packed = rest;
        }
    }
    bytes.truncate(count);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn entry(kind: &[u8], bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len() + 8).unwrap();
        [kind, &length.to_be_bytes(), bytes].concat()
    }

    fn icns(entries: &[Vec<u8>]) -> Vec<u8> {
        [&b"icns\0\0\0\0"[..], &entries.concat()].concat()
    }

    fn look(bytes: &[u8]) -> Result<Option<Icon>, Refusal> {
        icon(bytes, &Budget::new(&Limits::default()))
    }

    fn png(width: u32, pixel: [u8; 4]) -> Vec<u8> {
        let pixels = vec![pixel; (width * width) as usize];
        picture::icon_of_pixels(width, width, pixels).unwrap().png
    }

    #[test]
    fn the_widest_picture_that_can_be_read_is_taken() {
        let small = entry(b"ic07", &png(8, [1, 2, 3, 255]));
        let wide = png(16, [4, 5, 6, 255]);
        let cut = entry(b"ic09", &wide[..40]);
        let wide = entry(b"ic09", &wide);
        let width = |entries: &[Vec<u8>]| look(&icns(entries)).unwrap().map(|icon| icon.width);
        assert_eq!(width(&[small.clone(), wide, entry(b"ICN#", b"old")]), Some(16));
        assert_eq!(width(&[cut.clone(), small]), Some(8));
        assert_eq!(width(&[entry(b"ic08", b"\0\0\0\x0CjP  ")]), None);
        assert!(matches!(look(&icns(&[cut])), Err(Refusal::Malformed { .. })));
        for none in [&b"icns\0\0\0\0ic07\0\0\0\0"[..], b"PNG", b""] {
            assert_eq!(look(none).unwrap(), None);
        }
    }

    #[test]
    fn those_of_png2icns_are_the_pictures_that_went_in() {
        let cases: [(&[u8], &[u8]); 2] = [
            (
                include_bytes!("../../tests/data/icons/acme.icns"),
                include_bytes!("../../tests/data/icons/128.png"),
            ),
            (
                include_bytes!("../../tests/data/icons/small.icns"),
                include_bytes!("../../tests/data/icons/48.png"),
            ),
        ];
        for (icns, png) in cases {
            let budget = Budget::new(&Limits::default());
            assert_eq!(look(icns).unwrap(), Some(picture::icon(png, &budget).unwrap()));
        }
    }

    #[test]
    fn channels_are_unpacked_and_masked() {
        let expected = |pixel| Some(png(16, pixel));
        let made = |entries: &[Vec<u8>]| look(&icns(entries)).unwrap().map(|icon| icon.png);
        // A channel of 256 pixels is two runs of 128.
        let runs = |values: &[u8]| -> Vec<u8> { values.iter().flat_map(|value| [0xFD, *value].repeat(2)).collect() };
        let rgb = entry(b"is32", &runs(&[10, 20, 30]));
        assert_eq!(made(std::slice::from_ref(&rgb)), expected([10, 20, 30, 255]));
        let mask = entry(b"s8mk", &[99; 256]);
        assert_eq!(made(&[rgb, mask.clone()]), expected([10, 20, 30, 99]));
        let plain = entry(b"is32", &[0, 10, 20, 30].repeat(256));
        assert_eq!(made(&[mask, plain]), expected([10, 20, 30, 99]));
        let argb = [&b"ARGB"[..], &runs(&[99, 10, 20, 30])].concat();
        assert_eq!(made(&[entry(b"ic04", &argb)]), expected([10, 20, 30, 99]));
        let short = entry(b"il32", &[0xFF, 1].repeat(20));
        assert!(look(&icns(&[short])).is_err());
    }
}
