//! Linux packages that somebody damaged, and bytes that nobody meant: whatever they are, there is
//! an answer.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use dist_inspect::parse::deb822::Paragraph;
use dist_inspect::parse::gvariant::Dictionary;
use dist_inspect::parse::iso9660::Iso;
use dist_inspect::parse::keyfile::KeyFile;
use dist_inspect::parse::openpgp::Signature;
use dist_inspect::parse::rpm::Package;
use dist_inspect::parse::squashfs::Squashfs;
use dist_inspect::parse::tree::Tree;
use dist_inspect::parse::yaml::Mapping;
use dist_inspect::parse::{lz, macho};
use dist_inspect::{Budget, Context, Limits, inspect};
use proptest::prelude::*;

fn limits() -> Limits {
    Limits {
        nodes: 10_000,
        total_bytes: 4 << 20,
        ..Limits::default()
    }
}

fn read_with_all(bytes: &[u8]) {
    let budget = Budget::new(&limits());
    let _ = Paragraph::parse(bytes, &budget);
    let _ = (KeyFile::parse(bytes), Mapping::parse(bytes));
    let _ = (lz::lz4(bytes, 1 << 16), lz::lzo(bytes, 1 << 16));
    let _ = (Signature::parse(bytes), macho::archs(bytes));
    let _ = Package::read(&bytes, &budget);
    if let Ok(dictionary) = Dictionary::first(&bytes, &budget) {
        let _ = dictionary.text("ref", 100);
    }
    if let Ok(image) = Squashfs::open(&bytes, &budget) {
        let _ = image.read(b"meta/snap.yaml", 1 << 16);
    }
    if let Ok(image) = Iso::open(&bytes, &budget) {
        let _ = image.read(b".DirIcon", 1 << 16);
    }
}

/// How the things start that are read.
const MAGIC: [&[u8]; 9] = [
    b"",
    b"\x88\x10\x04\0\x01\x08\0\x06",
    b"\xC2\x20\x06\0\x01\x08\0\0",
    b"Package: a\n",
    b"[Desktop Entry]\nName=",
    b"name: a\narchitectures:\n",
    b"\x1Fabc",
    b"\xCA\xFE\xBA\xBE\0\0\0\x02",
    b"flatpak\0\x01\0\x89\xE5\0u",
];

/// The real packages that are small enough to be read often; none where the corpus is missing.
#[allow(clippy::disallowed_methods, reason = "the tests' only settings")]
fn packages() -> Vec<(String, Vec<u8>)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("DIST_FIXTURES")
        .map_or_else(beside, PathBuf::from)
        .join("visible/linux");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let small = files.filter(|file| file.metadata().is_ok_and(|data| data.is_file() && data.len() < 240_000));
    let mut packages: Vec<_> = small
        .map(|file| {
            (
                file.file_name().into_string().unwrap(),
                std::fs::read(file.path()).unwrap(),
            )
        })
        .collect();
    packages.sort();
    packages
}

/// What happens to a package on its way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Cut,
    Insert(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (1..=u8::MAX).prop_map(Damage::Flip),
        1 => Just(Damage::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..9).prop_map(Damage::Insert),
    ]
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(
        magic in prop::sample::select(MAGIC.to_vec()),
        tail in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\0\x01\x08 :-[]'\"\n".to_vec())], 0..300),
    ) {
        read_with_all(&[magic, &tail].concat());
    }
}

#[test]
fn a_damaged_package_gets_an_answer() {
    let packages = packages();
    if packages.is_empty() {
        return;
    }
    // Headers stand at the start, and tables at the end.
    let place = prop_oneof![
        (0..4096_usize).prop_map(|place| (true, place)),
        (1..4096_usize).prop_map(|place| (false, place)),
        any::<usize>().prop_map(|place| (true, place)),
    ];
    let context = Context {
        limits: limits(),
        now: 0,
    };
    let mut runner = prop::test_runner::TestRunner::default();
    let one = (
        any::<prop::sample::Index>(),
        prop::collection::vec((place, damage()), 1..4),
    );
    runner
        .run(&one, |(index, damages)| {
            let (name, whole) = &packages[index.index(packages.len())];
            let mut bytes = whole.clone();
            for ((is_from_start, place), damage) in damages {
                let len = bytes.len().max(1);
                let place = if is_from_start {
                    place % len
                } else {
                    len - 1 - place % len
                };
                match damage {
                    Damage::Flip(mask) => bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= mask),
                    Damage::Cut => bytes.truncate(place),
                    Damage::Insert(new) => drop(bytes.splice(place.min(bytes.len())..place.min(bytes.len()), new)),
                }
            }
            inspect(&bytes, name, &context).unwrap();
            Ok(())
        })
        .unwrap();
}
