//! Bringing a store of an older version forward.
//!
//! The log is for ever, so only the tables are made again from it. Before that the database is
//! copied; objects never change, and are not touched. The tables are replaced in one transaction,
//! which also records the upgrade: wherever it is cut, the store is the old one or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dist_blobs::{FsStore, sync_folder};
use dist_model::{ErrorCode, Event, Refusal, StoreUpgradeReport, Timestamp, events};
use persist::{Adoption, Backend as _, Commit, OpenError, Options, SqlStore};
use serde_json::json;

use crate::service::{append, off_runtime};
use crate::{Caller, Error, Service, Setup};

/// How much room an upgrade needs, in sizes of the database: for the copy, for the tables while they
/// are made beside it, and for the log of the transaction that replaces them.
const ROOM: u64 = 3;
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Service {
    /// Brings the store in the folder `data` forward to this version, where it is of an older one.
    /// Programs of that version that have it open are refused from then on. Blocks: a million
    /// events take twenty seconds of one core, and what the disk takes.
    ///
    /// The database as it was goes to a folder of its own below `DATA/backups`.
    ///
    /// # Errors
    /// `store.full` where there is too little room, and then nothing was changed; `store.newer`;
    /// `store.not_found`.
    pub fn upgrade(caller: &Caller, data: &Path, setup: &Setup) -> Result<StoreUpgradeReport, Error> {
        let database = data.join("dist.db");
        let step = match Self::open_log(&database, persist::OpenMode::MustExist, setup) {
            Ok(log) => return report(&log, None),
            Err(error) => Step::forward(error)?,
        };
        let now = Timestamp::from_millis(setup.clock.now_ms());
        let database_bytes = require_room(data, &database)?;
        let before = data
            .join("backups")
            .join(format!("before-{VERSION}-{}", now.to_string().replace(':', "-")));
        make_folder(data, &before)?;
        let copy = before.join("dist.db");
        tracing::info!(from = step.from, to = step.to, database_bytes, backup = %before.display(), "upgrading the store");
        let log = match step.take(&database, caller, setup, &before, Some(copy.clone())) {
            Ok(log) if copy.exists() => log,
            Err(error) if error.refusal().code == ErrorCode::StoreOutcomeUnknown => return Err(error),
            // It failed and changed nothing, or another process was faster: either way nobody needs the copy.
            other => {
                let _ = fs::remove_dir_all(&before);
                return report(&other?, None);
            }
        };
        let took_ms = setup.clock.now_ms() - now.as_millis();
        let report = report(&log, Some(before.display().to_string()))?;
        tracing::info!(took_ms, events = report.position, "upgraded the store");
        Ok(report)
    }
}

fn report(log: &SqlStore, backup: Option<String>) -> Result<StoreUpgradeReport, Error> {
    let report = StoreUpgradeReport {
        upgraded: backup.is_some(),
        position: log.head()?.get(),
        backup,
    };
    log.shutdown();
    Ok(report)
}

/// From an older version's tables to ours, each set as `name@version …`.
pub(super) struct Step {
    from: String,
    to: String,
}

impl Step {
    /// The step that a store needs which was refused with `error`; any other error stays one.
    pub(super) fn forward(error: Error) -> Result<Self, Error> {
        match error {
            Error::OpenDatabase(OpenError::ProjectionMismatch { stored, own }) if !is_newer(&stored, &own) => {
                Ok(Self { from: stored, to: own })
            }
            other => Err(other),
        }
    }

    /// Makes the tables again and records it. `before` is where the store is as it was; with `copy`
    /// its database is copied to that file first.
    pub(super) fn take(
        self,
        database: &Path,
        caller: &Caller,
        setup: &Setup,
        before: &Path,
        copy: Option<PathBuf>,
    ) -> Result<SqlStore, Error> {
        let event = Event::StoreUpgraded(events::StoreUpgraded {
            version: VERSION.to_owned(),
            from: self.from,
            to: self.to,
            backup: before.display().to_string(),
        });
        let now = Timestamp::from_millis(setup.clock.now_ms());
        let mut commit = Commit::default();
        append(&mut commit, &event, now, json!({ "actor": caller.actor().to_string() }))?;
        let options = Options {
            adoption: Adoption {
                backup: copy,
                appends: commit.appends,
            },
            ..Service::log_options(database, setup)
        };
        // Making tables again waits for the store's own writer.
        off_runtime(|| {
            SqlStore::open_with(database, persist::OpenMode::AdoptProjections, options).map_err(Error::OpenDatabase)
        })
    }
}

/// Whether the tables that `stored` names were made by a newer program than the one of `own`: there is
/// a projection that it does not know, or knows only in an older version.
pub(crate) fn is_newer(stored: &str, own: &str) -> bool {
    let versions = |set: &str| -> BTreeMap<String, u32> {
        let named = set.split(' ').filter_map(|each| each.split_once('@'));
        named
            .map(|(name, version)| (name.to_owned(), version.parse().unwrap_or(u32::MAX)))
            .collect()
    };
    let own = versions(own);
    let newer = |(name, version): (String, u32)| own.get(&name).is_none_or(|known| version > *known);
    versions(stored).into_iter().any(newer)
}

/// The size of the database, where there is room for what an upgrade writes.
fn require_room(data: &Path, database: &Path) -> Result<u64, Error> {
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let bytes = size(database) + size(&database.with_extension("db-wal"));
    let free = FsStore::open(data).map_err(Error::OpenFolder)?.free_bytes()?;
    let needed = bytes.saturating_mul(ROOM);
    if free >= needed {
        return Ok(bytes);
    }
    let message = format!(
        "upgrading the store needs {} MiB in {}, and {} MiB are free: make room and try again; nothing was changed",
        needed.div_ceil(1 << 20),
        data.display(),
        free >> 20
    );
    let refusal = Refusal::new(ErrorCode::StoreFull, message);
    Err(refusal.with("needed_bytes", needed).with("free_bytes", free).into())
}

/// Makes a folder two levels below `data`, with a name that is there after a loss of power.
fn make_folder(data: &Path, folder: &Path) -> Result<(), Error> {
    let backups = data.join("backups");
    // An earlier copy of the same name is never written to.
    let made = fs::create_dir_all(&backups).and_then(|()| fs::create_dir(folder));
    made.map_err(|error| Error::file(format!("making {}", folder.display()), error))?;
    sync_folder(&backups)?;
    sync_folder(data)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn a_newer_store_is_told_from_an_older_one() {
        let own = "audit@2 entities@3 people@1";
        for older in ["audit@1 entities@1", "audit@2 entities@2 people@1", own] {
            assert!(!is_newer(older, own), "{older}");
        }
        for newer in [
            "audit@2 entities@4 people@1",
            "audit@1 entities@4",
            "audit@2 entities@3 feeds@1 people@1",
        ] {
            assert!(is_newer(newer, own), "{newer}");
        }
    }
}
