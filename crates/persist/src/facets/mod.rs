//! The plain operations, the same over every backend.

pub mod catalog;
pub mod kv;
pub mod log;
pub mod query;
