//! The plain operations, the same over every backend.

pub mod blob;
pub mod catalog;
pub mod kv;
pub mod log;
pub mod project;
pub mod query;
pub mod upcast;
