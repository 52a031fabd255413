//! The plain operations, the same over every backend.

pub mod blob;
pub mod catalog;
pub mod compaction;
pub mod global;
pub mod hub;
pub mod kv;
pub mod log;
pub mod project;
pub mod query;
pub mod snapshot;
pub mod subscribe;
pub mod upcast;
pub mod view;
