//! Zips made here, with lies at known places.

#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};

use dist_inspect::Severity::{Error, Warning};
use dist_inspect::archive::zip::Zip;
use dist_inspect::source::Source as _;
use dist_inspect::{Budget, Limits, Refusal};
use proptest::prelude::*;

/// A member, and what its two headers say of it.
struct Made {
    name: &'static str,
    own_name: &'static str,
    method: u16,
    flags: u16,
    packed: Vec<u8>,
    size: u32,
    crc: u32,
    /// Where the directory says that it starts, if not where it does.
    offset: Option<u32>,
}

fn stored(name: &'static str, bytes: &[u8]) -> Made {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    Made {
        name,
        own_name: name,
        method: 0,
        flags: 0,
        packed: bytes.to_vec(),
        size: u32::try_from(bytes.len()).unwrap(),
        crc: crc.sum(),
        offset: None,
    }
}

fn deflated(name: &'static str, bytes: &[u8]) -> Made {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    Made {
        method: 8,
        packed: encoder.finish().unwrap(),
        ..stored(name, bytes)
    }
}

/// The fields that both headers have, from the flags on.
fn fields(made: &Made, name: &str) -> Vec<u8> {
    let packed = u32::try_from(made.packed.len()).unwrap();
    let name = u16::try_from(name.len()).unwrap();
    let shorts = [made.flags, made.method, 0, 0].map(u16::to_le_bytes).concat();
    let longs = [made.crc, packed, made.size].map(u32::to_le_bytes).concat();
    [shorts, longs, [name, 0].map(u16::to_le_bytes).concat()].concat()
}

fn zip(members: &[Made]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for made in members {
        let start = u32::try_from(bytes.len()).unwrap();
        let own = fields(made, made.own_name);
        bytes.extend([b"PK\x03\x04\x14\0", &own[..], made.own_name.as_bytes(), &made.packed].concat());
        directory.extend([b"PK\x01\x02\x14\0\x14\0", &fields(made, made.name)[..], &[0; 10]].concat());
        directory.extend(made.offset.unwrap_or(start).to_le_bytes());
        directory.extend(made.name.as_bytes());
    }
    let [start, size] = [bytes.len(), directory.len()].map(|len| u32::try_from(len).unwrap().to_le_bytes());
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    bytes.extend(directory);
    bytes.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &start, &[0, 0]].concat());
    bytes
}

fn codes(zip: &Zip<'_>) -> Vec<&'static str> {
    zip.faults().iter().map(Refusal::code).collect()
}

/// The codes of what is wrong.
fn faults(bytes: &[u8]) -> Vec<&'static str> {
    codes(&Zip::open(&bytes, &Budget::new(&Limits::default())).unwrap())
}

/// What comes of reading the first member.
fn read(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let budget = Budget::new(&Limits::default());
    let zip = Zip::open(&bytes, &budget).unwrap();
    let member = zip.members().next().unwrap();
    zip.read(&member, 1 << 20).map_err(|refusal| refusal.code())
}

#[test]
fn members_are_found_and_read() {
    let bytes = zip(&[stored("b", b"one"), stored("a/", b""), deflated("a/c", &[7; 5000])]);
    let budget = Budget::new(&Limits::default());
    // Whatever comes before, as in a program that unpacks itself.
    for prefix in [&b""[..], b"#!/bin/sh\n"] {
        let whole = [prefix, &bytes].concat();
        let zip = Zip::open(&whole, &budget).unwrap();
        assert!(zip.faults().is_empty(), "{:?}", zip.faults());
        let names: Vec<_> = zip.members().map(|member| member.name.to_vec()).collect();
        assert_eq!(names, [&b"b"[..], b"a/", b"a/c"]);
        let packed = zip.find(b"a/c").unwrap();
        assert_eq!(zip.read(&packed, 5000).unwrap(), [7; 5000]);
        assert!(matches!(zip.read(&packed, 4999), Err(Refusal::TooLarge { .. })));
        assert!(zip.section(&packed).is_err());
        let section = zip.section(&zip.find(b"b").unwrap()).unwrap();
        assert_eq!(section.bytes(0..3, 3).unwrap(), b"one");
        assert!(zip.find(b"c").is_none() && zip.find(b"").is_none());
    }
}

#[test]
fn names_that_leave_the_folder_are_faults() {
    let code = |name| faults(&zip(&[stored(name, b"")]));
    assert_eq!(code("../a"), ["archive.path_traversal"]);
    assert_eq!(code("a\\..\\b"), ["archive.path_traversal"]);
    assert_eq!(code("/a"), ["archive.absolute_path"]);
    assert_eq!(code("a\\b"), ["archive.backslash_path"]);
}

#[test]
fn two_of_one_name_are_worse_if_they_differ() {
    let finding = |second: Made| {
        let bytes = zip(&[stored("a", b"one"), second]);
        let budget = Budget::new(&Limits::default());
        let zip = Zip::open(&bytes, &budget).unwrap();
        let mut faults = zip.faults().iter();
        faults.next().map(|fault| (fault.code(), fault.finding().severity))
    };
    assert_eq!(finding(stored("a", b"two")), Some(("archive.duplicate_name", Error)));
    assert_eq!(finding(stored("a", b"one")), Some(("archive.duplicate_name", Warning)));
    assert_eq!(finding(stored("b", b"one")), None);
}

#[test]
fn members_that_share_bytes_are_a_fault() {
    let mut second = stored("a", b"one");
    second.offset = Some(0);
    assert!(faults(&zip(&[stored("a", b"one"), second])).contains(&"archive.overlap"));
    // The directory names a member that lies inside of another one, header and all.
    let inner = zip(&[stored("b", b"two")]);
    let mut nested = stored("b", b"two");
    nested.offset = Some(31);
    assert!(faults(&zip(&[stored("a", &inner), nested])).contains(&"archive.overlap"));
}

#[test]
fn the_two_headers_have_to_agree() {
    let mut made = stored("a", b"one");
    made.own_name = "b";
    assert_eq!(faults(&zip(&[made])), ["archive.name_mismatch"]);
    let mut bytes = zip(&[stored("a", b"one")]);
    bytes[22] = 9;
    assert_eq!(faults(&bytes), ["archive.header_mismatch"]);
    bytes[0] = b'Q';
    assert_eq!(faults(&bytes), ["archive.broken"]);
    let mut far = stored("a", b"one");
    far.offset = Some(1 << 30);
    assert_eq!(faults(&zip(&[far])), ["archive.broken"]);
}

#[test]
fn bytes_have_to_be_what_the_directory_says() {
    let change = |change: fn(&mut Made)| {
        let mut made = deflated("a", b"some bytes of some length");
        change(&mut made);
        read(&zip(&[made]))
    };
    assert_eq!(change(|_| {}).unwrap(), b"some bytes of some length");
    assert_eq!(change(|made| made.crc ^= 1), Err("archive.crc_mismatch"));
    assert_eq!(change(|made| made.size += 1), Err("archive.size_mismatch"));
    assert_eq!(change(|made| made.size -= 1), Err("archive.size_mismatch"));
    assert_eq!(change(|made| made.packed[0] = 0xFF), Err("archive.damaged"));
    assert_eq!(change(|made| made.method = 99), Err("archive.method_unknown"));
    assert_eq!(change(|made| made.flags = 1), Err("archive.encrypted"));
    assert_eq!(change(|made| made.size = u32::MAX - 1), Err("archive.member_too_large"));
}

#[test]
fn bombs_are_told_by_what_they_claim_and_by_what_they_do() {
    let budget = Budget::new(&Limits {
        ratio_from: 1 << 16,
        total_bytes: 1 << 18,
        ..Limits::default()
    });
    let bomb = zip(&[deflated("a", &vec![0; 1 << 20])]);
    assert_eq!(codes(&Zip::open(&bomb, &budget).unwrap()), ["archive.ratio"]);
    // Each is small, and all together are not.
    let many: Vec<Made> = ["a", "b", "c", "d", "e"]
        .map(|name| deflated(name, &vec![1; 1 << 15]))
        .into();
    assert_eq!(codes(&Zip::open(&zip(&many), &budget).unwrap()), ["archive.ratio"]);
    // What is within the ratio still has to be within the budget.
    let large = zip(&[stored("a", &vec![1; 1 << 19])]);
    let zip = Zip::open(&large, &budget).unwrap();
    let mut reader = zip.reader(&zip.members().next().unwrap()).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(Refusal::from(error).code(), "limits.bytes");
}

#[test]
fn entries_and_the_directory_are_bounded() {
    let bytes = zip(&[stored("a", b""), stored("b", b"")]);
    let code = |limits: &Limits| {
        let opened = Zip::open(&bytes, &Budget::new(limits)).map(|_| ());
        opened.err().map(|refusal| refusal.code())
    };
    let few = Limits {
        entries: 1,
        ..Limits::default()
    };
    let short = Limits {
        directory_bytes: 60,
        ..Limits::default()
    };
    assert_eq!(code(&few), Some("archive.too_many_entries"));
    assert_eq!(code(&short), Some("archive.directory_too_long"));
    assert_eq!(code(&Limits::default()), None);
}

proptest! {
    /// Whatever is changed, it is read or refused.
    #[test]
    fn damage_anywhere_gets_an_answer(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = zip(&[stored("b", b"one"), deflated("a/c", &[7; 500])]);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let budget = Budget::new(&Limits::default());
        if let Ok(zip) = Zip::open(&bytes, &budget) {
            for member in zip.members() {
                if let Ok(read) = zip.read(&member, 1 << 20) {
                    prop_assert_eq!(read.len() as u64, member.size());
                }
            }
        }
    }
}
