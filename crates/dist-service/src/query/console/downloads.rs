//! Downloads over time: of all apps, and of an app by release, which is how a version is adopted.

use std::collections::BTreeMap;

use dist_model::{Build, ReleaseName, Scope, Slug, Timestamp, Version};
use persist::{SqlReadExt as _, params};

use super::apps::readable_apps;
use crate::query::app_to_read;
use crate::{Caller, Error, Service, rows};

/// How often something was downloaded, by UTC day. Days without a download are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloads<T> {
    /// What.
    pub of: T,
    /// The counts, by the day as `2026-01-31`.
    pub days: BTreeMap<String, u64>,
}

impl<T> Downloads<T> {
    /// How often in all.
    pub fn total(&self) -> u64 {
        self.days.values().sum()
    }
}

/// An app's downloads.
pub type AppDownloads = Downloads<Slug>;

/// A release's downloads.
pub type ReleaseDownloads = Downloads<ReleaseName>;

impl Service {
    /// The downloads of each app that the caller has `read` for, by slug, on the days from `since`
    /// to `until`. Apps without any are there, empty.
    pub async fn downloads_by_app(
        &self,
        caller: &Caller,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<AppDownloads>, Error> {
        let (since, until) = (since.day(), until.day());
        self.read(|tx| {
            let mut found = Vec::new();
            for app in readable_apps(tx, caller)? {
                if !caller.has(Scope::Read, &app.slug) {
                    continue;
                }
                let sql = "SELECT day, count FROM app_downloads WHERE app_id = ?1 AND day >= ?2 AND day <= ?3";
                let bound = params![app.id.as_str(), &since, &until];
                let days = tx.query_all(sql, bound, |row| Ok((row.get(0)?, row.get(1)?)))?;
                found.push(Downloads {
                    of: app.slug,
                    days: days.into_iter().collect(),
                });
            }
            Ok(found)
        })
    }

    /// The downloads of an app's releases on the days from `since` to `until`, the newest release
    /// first. Releases without any are absent.
    pub async fn downloads_by_release(
        &self,
        caller: &Caller,
        slug: &Slug,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ReleaseDownloads>, Error> {
        caller.require(Scope::Read, Some(slug), None, self.now())?;
        let (since, until) = (since.day(), until.day());
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let sql = "SELECT r.listed_at, r.id, r.version, r.build, d.day, d.count FROM release_downloads d JOIN releases r ON r.id = d.release_id \
                 WHERE d.app_id = ?1 AND d.day >= ?2 AND d.day <= ?3";
            let bound = params![app.id.as_str(), &since, &until];
            // By time and id, which is the order of every list of releases.
            let mut releases: BTreeMap<(String, String), ReleaseDownloads> = BTreeMap::new();
            tx.query(sql, bound, &mut |row| {
                let place = (row.get(0)?, row.get(1)?);
                let (version, build): (Version, Build) = (rows::parsed(row, 2)?, rows::parsed(row, 3)?);
                let (id, day, count) = (rows::parsed(row, 1)?, row.get(4)?, row.get(5)?);
                let release = releases.entry(place).or_insert_with(|| Downloads {
                    of: ReleaseName::new(id, &version, &build),
                    days: BTreeMap::new(),
                });
                release.days.insert(day, count);
                Ok(())
            })?;
            Ok(releases.into_values().rev().collect())
        })
    }
}
