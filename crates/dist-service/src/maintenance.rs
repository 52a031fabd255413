//! What keeps a store in order: cleanup, verification, backup, restore, rebuild, upgrade.

mod backup;
pub(crate) mod cleanup;
pub(crate) mod upgrade;
mod verify;
