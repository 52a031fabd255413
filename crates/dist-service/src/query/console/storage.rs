//! What the apps' objects take, and how that grew.

use dist_model::{Scope, Slug};
use persist::{SqlError, SqlRead, SqlReadExt as _, params};

use crate::{Caller, Error, Service, rows};

/// What the artifacts of all releases take, but for deleted ones. Icons are not counted: they are
/// small, and a release does not say how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageUse {
    /// The bytes of all objects that releases are made of, each once.
    pub bytes: u64,
    /// What would be needed beside that if apps did not share objects.
    pub shared_bytes: u64,
    /// How `bytes` grew.
    pub days: Vec<StorageDay>,
    /// Each app, by slug.
    pub apps: Vec<AppStorage>,
}

/// What one app's artifacts take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppStorage {
    /// The app.
    pub slug: Slug,
    /// The bytes of all objects that its releases are made of, each once.
    pub bytes: u64,
    /// How that grew.
    pub days: Vec<StorageDay>,
}

/// What was taken at the end of a day. Days on which nothing came or went are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageDay {
    /// The UTC day, as `2026-01-31`.
    pub day: String,
    /// The bytes.
    pub bytes: u64,
}

impl Service {
    /// What each app takes, and all of them together, for admins.
    pub async fn storage(&self, caller: &Caller) -> Result<StorageUse, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        self.read(|tx| {
            let apps = tx.query_all("SELECT id, slug FROM apps ORDER BY slug", &[], |row| {
                Ok((row.get::<String>(0)?, rows::parsed(row, 1)?))
            })?;
            let mut found = Vec::new();
            for (id, slug) in apps {
                let days = growth(tx, &id)?;
                found.push(AppStorage {
                    slug,
                    bytes: last(&days),
                    days,
                });
            }
            // The objects of all apps stand under an empty id.
            let days = growth(tx, "")?;
            let (bytes, one_by_one): (u64, u64) = (last(&days), found.iter().map(|app| app.bytes).sum());
            Ok(StorageUse {
                bytes,
                shared_bytes: one_by_one.saturating_sub(bytes),
                days,
                apps: found,
            })
        })
    }
}

fn growth(tx: &dyn SqlRead, app: &str) -> Result<Vec<StorageDay>, SqlError> {
    let sql = "SELECT day, bytes FROM storage_days WHERE app_id = ?1 ORDER BY day";
    let mut bytes = 0_i64;
    tx.query_all(sql, params![app], |row| {
        bytes += row.get::<i64>(1)?;
        Ok(StorageDay {
            day: row.get(0)?,
            // A clock that was set back lets go of bytes on a day before they came.
            bytes: u64::try_from(bytes).unwrap_or(0),
        })
    })
}

fn last(days: &[StorageDay]) -> u64 {
    days.last().map_or(0, |day| day.bytes)
}
