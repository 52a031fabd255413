//! What the fuzzer tried, tried again: every input that is kept, by the functions that it fuzzes.
//!
//! `fixtures/replay/TARGET.hex` has an input a line. Those that broke something come first, under a
//! comment that says what; `cargo xtask fuzz --keep` writes the others.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::missing_panics_doc)]

#[path = "../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "seeds are for the fuzzer and the tests of real files"
)]
mod fuzz;

use std::path::Path;

#[test]
fn every_input_that_was_kept_is_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/replay");
    for target in fuzz::TARGETS {
        let inputs = std::fs::read_to_string(folder.join(format!("{}.hex", target.name))).unwrap();
        let lines = inputs.lines().filter(|line| !line.starts_with('#'));
        for input in lines {
            target.run(&hex::decode(input).unwrap());
        }
    }
}

#[test]
fn every_kept_input_belongs_to_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/replay");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let target = name.strip_suffix(".hex").unwrap();
        assert!(fuzz::TARGETS.iter().any(|known| known.name == target), "{name}");
    }
}
