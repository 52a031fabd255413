//! An image made here, sound and damaged.

use super::*;
use crate::Limits;
use proptest::prelude::*;

fn u16s(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Metadata that is not compressed.
fn block(bytes: &[u8]) -> Vec<u8> {
    let header = 0x8000 | u16::try_from(bytes.len()).unwrap();
    [&header.to_le_bytes(), bytes].concat()
}

fn inode(kind: u16, body: &[u8]) -> Vec<u8> {
    [&u16s(&[kind, 0, 0, 0])[..], &[0; 8], body].concat()
}

/// An image with a file of a block and a fragment, one that is a hole, a link, and a folder in
/// itself.
fn image() -> Vec<u8> {
    const PLAIN: u32 = 1 << 24;
    let data = [vec![b'a'; 4096], b"..tail".to_vec()].concat();
    let file = inode(2, &u32s(&[96, 0, 2, 4100, PLAIN | 4096]));
    let hole = inode(
        9,
        &[u32s(&[0, 0, 5000, 0, 0, 0, 1, NONE, 0, 0]), u32s(&[0, 0])].concat(),
    );
    let link = inode(3, &[&u32s(&[1, 8])[..], b"self/big"].concat());
    let names: [(&[u8], usize); 4] = [
        (b"big", 0),
        (b"hole", file.len()),
        (b"link", file.len() + hole.len()),
        (b"self", 0),
    ];
    let root_at = file.len() + hole.len() + link.len();
    let mut folder = u32s(&[3, 0, 1]);
    for (name, place) in names {
        let place = if name == b"self" { root_at } else { place };
        folder.extend(u16s(&[
            u16::try_from(place).unwrap(),
            0,
            0,
            u16::try_from(name.len() - 1).unwrap(),
        ]));
        folder.extend(name);
    }
    let size = u16::try_from(folder.len() + 3).unwrap();
    let root = inode(1, &[u32s(&[0, 2]), u16s(&[size, 0]), u32s(&[0])].concat());
    let inodes = block(&[file, hole, link, root].concat());
    let fragment = block(&u32s(&[96 + 4096, 0, PLAIN | 6, 0]));
    let inode_table = 96 + data.len() as u64;
    let directory_table = inode_table + inodes.len() as u64;
    let folder = block(&folder);
    let fragments = directory_table + folder.len() as u64;
    let fragment_table = fragments + fragment.len() as u64;
    let superblock = [
        MAGIC.to_vec(),
        u32s(&[4, 0, 4096, 1]),
        u16s(&[1, 12, 0, 1, 4, 0]),
        [
            root_at as u64,
            fragment_table + 8,
            0,
            0,
            inode_table,
            directory_table,
            fragment_table,
            0,
        ]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect(),
    ]
    .concat();
    [
        superblock,
        data,
        inodes,
        folder,
        fragment,
        fragments.to_le_bytes().to_vec(),
    ]
    .concat()
}

#[test]
fn files_are_read_from_blocks_and_fragments() {
    let (bytes, budget) = (image(), Budget::new(&Limits::default()));
    let image = Squashfs::open(&bytes, &budget).unwrap();
    assert_eq!((image.compression(), image.is_cut()), (Some("gzip"), false));
    let names: Vec<_> = image
        .children(&image.root().unwrap())
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, [&b"big"[..], b"hole", b"link", b"self"]);
    let expected = [vec![b'a'; 4096], b"tail".to_vec()].concat();
    for path in ["big", "link", "self/self/link"] {
        assert_eq!(
            image.read(path.as_bytes(), 5000).unwrap().as_ref(),
            Some(&expected),
            "{path}"
        );
    }
    assert_eq!(image.read(b"hole", 5000).unwrap(), Some(vec![0; 5000]));
    assert!(matches!(
        image.read(b"big", 4099),
        Err(Refusal::TooLarge { limit: 4099 })
    ));
    assert_eq!(image.read(b"self", 5000).unwrap(), None);
}

proptest! {
    #[test]
    fn a_damaged_image_gets_an_answer(place in any::<prop::sample::Index>(), byte: u8, len in any::<prop::sample::Index>()) {
        let mut bytes = image();
        // The bytes of files matter to nobody.
        let metadata = 96 + 4102;
        let place = place.index(bytes.len() - 4102);
        bytes[if place < 96 { place } else { place - 96 + metadata }] = byte;
        if byte == 0 {
            bytes.truncate(len.index(bytes.len()));
        }
        let budget = Budget::new(&Limits { total_bytes: 1 << 20, ..Limits::default() });
        if let Ok(image) = Squashfs::open(&bytes, &budget) {
            for path in [&b"self/link"[..], b"hole", b"none"] {
                let _ = image.read(path, 1 << 16);
            }
        }
    }
}
