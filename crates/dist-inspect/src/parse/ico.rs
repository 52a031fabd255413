//! Icons of Windows as files: one picture in many sizes.
//! Source: Microsoft's "Icons in Win32".

use super::little::{u16_at, u32_at};
use super::{dib, picture};
use crate::{Budget, Icon, Refusal};

/// How a file of icons starts: it has no magic number, but all of them have this.
const START: &[u8] = b"\0\0\x01\0";
/// How many pictures are looked at.
const PICTURES: usize = 64;

/// Whether a file starts as icons do.
pub fn is_icon(bytes: &[u8]) -> bool {
    bytes.starts_with(START)
}

/// Makes an icon of the largest picture, and of those the one with the most colours; `None` where there
/// is none.
///
/// # Errors
/// [`Refusal::Malformed`] for a picture that cannot be read.
pub fn icon(bytes: &[u8], budget: &Budget) -> Result<Option<Icon>, Refusal> {
    let count = u16_at(bytes, 4).map_or(0, usize::from);
    let pictures = bytes
        .get(6..)
        .unwrap_or_default()
        .chunks_exact(16)
        .take(count.min(PICTURES));
    // A width of 0 is one of 256.
    let size = |picture: &&[u8]| (picture[0].wrapping_sub(1), u16_at(picture, 6));
    let Some(best) = pictures.max_by_key(size) else {
        return Ok(None);
    };
    let place = |offset: usize| u32_at(best, offset).map_or(usize::MAX, |place| place as usize);
    let (len, start) = (place(8), place(12));
    let picture = bytes
        .get(start..)
        .and_then(|rest| rest.get(..len))
        .ok_or(Refusal::Truncated)?;
    if picture.starts_with(b"\x89PNG") {
        picture::icon(picture, budget).map(Some)
    } else {
        dib::icon(picture, budget).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn icons(pictures: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = [START, &[u8::try_from(pictures.len()).unwrap(), 0]].concat();
        let mut start = u32::try_from(6 + 16 * pictures.len()).unwrap();
        for (width, picture) in pictures {
            let len = u32::try_from(picture.len()).unwrap();
            bytes.extend([*width, *width, 0, 0, 1, 0, 32, 0]);
            bytes.extend([len, start].map(u32::to_le_bytes).as_flattened());
            start += len;
        }
        let contents = pictures.iter().flat_map(|(_, picture)| *picture);
        bytes.into_iter().chain(contents.copied()).collect()
    }

    fn look(bytes: &[u8]) -> Result<Option<Icon>, Refusal> {
        icon(bytes, &Budget::new(&Limits::default()))
    }

    #[test]
    fn the_largest_picture_is_taken() {
        let large = picture::icon_of_pixels(2, 2, vec![[1, 2, 3, 255]; 4]).unwrap();
        let mut small = vec![40, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 32, 0];
        small.resize(40, 0);
        small.extend([3, 2, 1, 255, 0, 0, 0, 0]);
        assert_eq!(look(&icons(&[(16, &small), (0, &large.png)])).unwrap(), Some(large));
        let small = look(&icons(&[(16, &small)])).unwrap().unwrap();
        assert_eq!((small.width, small.height), (1, 1));
    }

    #[test]
    fn places_that_lie_are_refused() {
        let bytes = icons(&[(16, b"picture")]);
        assert!(matches!(look(&bytes), Err(Refusal::Malformed { .. })));
        assert!(matches!(look(&bytes[..bytes.len() - 1]), Err(Refusal::Truncated)));
        assert_eq!(look(&bytes[..20]).unwrap(), None);
        assert!(is_icon(&bytes) && !is_icon(b"MZ"));
    }
}
