//! One file a backend; each runs the conformance suite in `tests/conformance.rs`.

pub(crate) mod fs;
pub(crate) mod memory;
