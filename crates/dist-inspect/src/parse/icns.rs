//! Icons of macOS: one picture in many sizes.

/// The PNG with the most pixels; `None` where there is none, as in old icons.
pub fn largest_png(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(b"icns")?.get(4..)?;
    let mut found: Option<(u32, &[u8])> = None;
    // Each has its kind, then its length with both of these.
    while let Some((head, _)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes(head.last_chunk().copied()?);
        let Some((picture, after)) = rest.split_at_checked((length as usize).max(8)) else {
            break;
        };
        let picture = &picture[8..];
        let width = width(picture).unwrap_or(0);
        if width > found.map_or(0, |(width, _)| width) {
            found = Some((width, picture));
        }
        rest = after;
    }
    found.map(|(_, picture)| picture)
}

/// How wide a PNG is, in pixels; `None` for what is none.
fn width(picture: &[u8]) -> Option<u32> {
    let header = picture.strip_prefix(b"\x89PNG\r\n\x1A\n")?;
    header.get(8..12)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_png_is_taken() {
        let png = |width: u32| [b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", &width.to_be_bytes()[..]].concat();
        let entry = |kind: &[u8], bytes: &[u8]| {
            let length = u32::try_from(bytes.len() + 8).unwrap();
            [kind, &length.to_be_bytes(), bytes].concat()
        };
        let pictures = [
            entry(b"ic07", &png(128)),
            entry(b"ic09", &png(512)),
            entry(b"is32", b"old"),
        ]
        .concat();
        let icns = [b"icns\0\0\0\0", &pictures[..]].concat();
        assert_eq!(largest_png(&icns), Some(&png(512)[..]));
        assert_eq!(largest_png(&icns[..60]), Some(&png(128)[..]));
        assert_eq!(largest_png(b"icns\0\0\0\0ic07\0\0\0\0"), None);
        assert_eq!(largest_png(b"PNG"), None);
    }
}
