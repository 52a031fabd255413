//! What a cleanup would let go of an app, before it does.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dist_model::{App, Channel, ChannelName, Digest, Release, Scope, Slug};
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
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRelease {
    /// The release.
    pub release: Release,
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
            let mut releases = Vec::new();
            for id in &going {
                let pointed = lineages
                    .iter()
                    .filter(|(_, lineage)| lineage.releases.iter().any(|(it, _)| it == id));
                releases.push(PlannedRelease {
                    release: rows::known_release(tx, id)?,
                    channels: pointed.map(|(name, _)| name.clone()).collect(),
                });
            }
            releases.sort_by_key(|planned| Reverse(planned.release.published_at));
            Ok(RetentionPlan {
                freed_bytes: freed(tx, &app, &releases)?,
                app,
                channels,
                releases,
            })
        })
    }
}

/// The bytes of the objects that only these releases of the app are made of.
fn freed(tx: &dyn SqlRead, app: &App, going: &[PlannedRelease]) -> Result<u64, SqlError> {
    let mut uses: BTreeMap<Digest, u64> = BTreeMap::new();
    for planned in going {
        let sql = "SELECT sha256 FROM artifacts WHERE release_id = ?1";
        tx.query(sql, params![planned.release.id.as_str()], &mut |row| {
            *uses.entry(rows::parsed(row, 0)?).or_default() += 1;
            Ok(())
        })?;
    }
    let mut bytes = 0;
    for (digest, going) in uses {
        let sql = "SELECT app_id, artifacts, size_bytes FROM app_objects WHERE sha256 = ?1";
        let all = tx.query_all(sql, params![&digest.to_string()], |row| {
            Ok((row.get::<String>(0)?, row.get::<u64>(1)?, row.get::<u64>(2)?))
        })?;
        if let [(owner, artifacts, size)] = &all[..]
            && owner == app.id.as_str()
            && *artifacts == going
        {
            bytes += size;
        }
    }
    Ok(bytes)
}
