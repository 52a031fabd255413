//! What keeps a store in order: cleanup, verification, backup, restore, rebuild.

mod backup;
pub(crate) mod cleanup;
mod verify;
