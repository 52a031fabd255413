//! Archives, as far as their tables of contents.

pub(crate) mod zip;
