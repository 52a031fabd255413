//! What a cleanup would let go of an app, before it does.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dist_model::{App, Build, Channel, ChannelName, ReleaseId, ReleaseName, Scope, Slug, Timestamp, Version};
use persist::{SqlError, SqlRead, SqlReadExt as _, params};

use crate::maintenance::cleanup::letting_go;
use crate::query::app_to_read;
use crate::{Caller, Error, Service, rows};

/// The releases that the next cleanup lets go of an app.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionPlan {
    /// The app.
    pub app: App,
    /// Its channels, by name, with how many releases each keeps.
    pub channels: Vec<Channel>,
    /// What goes, newest first.
    pub releases: Vec<PlannedRelease>,
    /// The bytes of the objects that nothing needs any more then.
    pub freed_bytes: u64,
}

/// A release that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRelease {
    /// The release.
    pub release: ReleaseName,
    /// When it was published.
    pub published_at: Timestamp,
    /// The channels that once pointed at it, all of which let it go.
    pub channels: Vec<ChannelName>,
}

impl Service {
    /// What a cleanup would let go of an app now, for those who may change its channels.
    pub async fn retention_plan(&self, caller: &Caller, slug: &Slug) -> Result<RetentionPlan, Error> {
        caller.require(Scope::Admin, Some(slug), None, self.now())?;
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let sql = rows::select_channels!("WHERE app_id = ?1 ORDER BY name");
            let channels = tx.query_all(sql, params![app.id.as_str()], rows::read_channel)?;
            let (going, lineages) = letting_go(tx, &app.id)?;
            let mut pointed: BTreeMap<&ReleaseId, Vec<ChannelName>> = BTreeMap::new();
            for (name, lineage) in &lineages {
                for (release, _) in lineage.releases.iter().filter(|(id, _)| going.contains(id)) {
                    pointed.entry(release).or_default().push(name.clone());
                }
            }
            let mut releases = Vec::new();
            for (id, channels) in pointed {
                releases.push(planned(tx, id, channels)?);
            }
            releases.sort_by_key(|planned| Reverse(planned.published_at));
            Ok(RetentionPlan {
                freed_bytes: freed(tx, &app, &releases)?,
                app,
                channels,
                releases,
            })
        })
    }
}

fn planned(tx: &dyn SqlRead, id: &ReleaseId, channels: Vec<ChannelName>) -> Result<PlannedRelease, SqlError> {
    let sql = "SELECT version, build, listed_at FROM releases WHERE id = ?1";
    tx.query_one(sql, params![id.as_str()], |row| {
        let (version, build): (Version, Build) = (rows::parsed(row, 0)?, rows::parsed(row, 1)?);
        Ok(PlannedRelease {
            release: ReleaseName::new(id.clone(), &version, &build),
            published_at: rows::parsed(row, 2)?,
            channels,
        })
    })
}

/// The bytes of the objects that only these releases of the app are made of.
fn freed(tx: &dyn SqlRead, app: &App, going: &[PlannedRelease]) -> Result<u64, SqlError> {
    let sql = "SELECT a.sha256, o.artifacts, o.size_bytes FROM artifacts a \
         JOIN app_objects o ON o.sha256 = a.sha256 AND o.app_id = ?2 WHERE a.release_id = ?1 \
         AND NOT EXISTS (SELECT 1 FROM app_objects s WHERE s.sha256 = a.sha256 AND s.app_id <> ?2)";
    // How many artifacts of an object stay, and its size.
    let mut left: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for planned in going {
        tx.query(sql, params![planned.release.id.as_str(), app.id.as_str()], &mut |row| {
            let (artifacts, size) = (row.get(1)?, row.get(2)?);
            let object = left.entry(row.get(0)?).or_insert((artifacts, size));
            object.0 = object.0.saturating_sub(1);
            Ok(())
        })?;
    }
    let free = left.into_values().filter(|(artifacts, _)| *artifacts == 0);
    Ok(free.map(|(_, size)| size).sum())
}
