//! The places that keep a log.

pub(crate) mod memory;
pub(crate) mod remote;
pub(crate) mod sqlite;
mod tables;
