#![no_main]
//! The fuzzer. `DIST_FUZZ_TARGET` names what is fuzzed: one program for all targets, since each
//! costs a build.

use std::sync::LazyLock;

use dist_inspect_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("DIST_FUZZ_TARGET").expect("DIST_FUZZ_TARGET names a target");
    let target = TARGETS.iter().find(|target| target.name == name);
    target.unwrap_or_else(|| panic!("there is no target {name}"))
});

fuzz_target!(|bytes: &[u8]| TARGET.run(bytes));
