//! Cleanup: what retention lets go, then objects that nothing refers to, then stale staging files.
//!
//! It never races a publish. An object that nothing refers to gets a mark; a later cleanup that
//! finds the mark older than the grace removes the object inside a write transaction, where it
//! looks for references again. An upload's end and a publish clear the mark and look at the file
//! inside theirs. The write lock puts one before the other, in whichever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dist_model::decide::{Decided, Lineage, retire};
use dist_model::{
    AppId, ChannelName, CleanupReport, Digest, Event, ReleaseId, RemovedObject, RetiredRelease, Scope, Slug, Timestamp,
    events,
};
use persist::{SqlError, SqlRead, SqlReadExt as _, SqlTx, params};
use serde_json::Value;

use crate::idempotency::Receipted;
use crate::service::{Scene, blocking};
use crate::{Caller, Error, Idempotency, Service, rows};

/// How many objects one transaction removes: other writers wait for as long.
const REMOVALS: usize = 64;

/// How a cleanup goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// How old a mark must be before its object is removed.
    pub grace: Duration,
}

impl Default for CleanupOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            grace: Duration::from_hours(1),
        }
    }
}

impl Service {
    /// Cleans up, or with `dry_run` says what a cleanup would do now.
    pub async fn cleanup(
        &self,
        caller: &Caller,
        options: CleanupOptions,
        idempotency: Option<Idempotency>,
    ) -> Result<CleanupReport, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        if let Some(idempotency) = &idempotency
            && let Some(report) = self.read(|tx| idempotency.recall::<CleanupReport>(tx, caller))?
        {
            return Ok(report);
        }
        let grace = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
        let mut report = CleanupReport {
            dry_run: options.dry_run,
            ..CleanupReport::default()
        };
        report.releases = self.retire_releases(caller, options.dry_run).await?;
        let going: BTreeSet<String> = report
            .releases
            .iter()
            .map(|release| release.release_id.to_string())
            .collect();
        self.sweep_objects(caller, &options, grace, &going, &mut report).await?;
        let (objects, before) = (self.objects().clone(), self.now().plus_millis(grace.saturating_neg()));
        let swept = blocking(move || Ok(objects.sweep_staging(before, options.dry_run)?)).await?;
        report.staging_files = swept.files;
        report.freed_bytes += swept.bytes;
        if !options.dry_run {
            self.record_cleanup(caller, &report, idempotency).await?;
            let mut cleaned = self.cleaned();
            cleaned.bytes += report.freed_bytes;
            cleaned.at = Some(self.now());
        }
        Ok(report)
    }

    async fn retire_releases(&self, caller: &Caller, dry_run: bool) -> Result<Vec<RetiredRelease>, Error> {
        if dry_run {
            return self.read(retired);
        }
        self.write(caller, |tx, scene| {
            scene.caller.require(Scope::Admin, None, None, scene.context.now)?;
            let releases = retired(&*tx)?;
            let mut events = Vec::new();
            for retired in &releases {
                events.push(rows::known_release(&*tx, &retired.release_id)?.deleted_event("retention"));
            }
            Ok(Decided {
                events,
                value: releases,
            })
        })
        .await
    }

    async fn sweep_objects(
        &self,
        caller: &Caller,
        options: &CleanupOptions,
        grace: i64,
        going: &BTreeSet<String>,
        report: &mut CleanupReport,
    ) -> Result<(), Error> {
        let (objects, service, going) = (self.objects().clone(), self.clone(), going.clone());
        let unreferenced = blocking(move || {
            let mut unreferenced = BTreeMap::new();
            for entry in objects.list()? {
                let (digest, size) = entry?;
                if !service.read(|tx| is_referenced(tx, &digest, &going))? {
                    unreferenced.insert(digest, size);
                }
            }
            Ok(unreferenced)
        })
        .await?;
        let guard = self.objects().try_removal()?;
        if guard.is_none() {
            report.held_off = Some("a backup is being taken; objects go with the next cleanup".to_owned());
        }
        let all: Vec<(Digest, u64)> = unreferenced.into_iter().collect();
        for some in all.chunks(REMOVALS) {
            let some = some.to_vec();
            let removed = if options.dry_run {
                let now = self.now();
                self.read(|tx| due(tx, &some, grace, now))?
            } else {
                let removing = guard.is_some();
                self.write(caller, move |tx, scene| remove_due(tx, scene, &some, grace, removing))
                    .await?
            };
            for (digest, size) in removed.going {
                report.freed_bytes += size;
                report.objects.push(RemovedObject {
                    sha256: digest,
                    size_bytes: size,
                });
            }
            report.doomed += removed.waiting;
        }
        Ok(())
    }

    async fn record_cleanup(
        &self,
        caller: &Caller,
        report: &CleanupReport,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Error> {
        let report = report.clone();
        self.write_once(caller, idempotency, move |_, _| {
            let swept = Event::StoreCleaned(events::StoreCleaned {
                objects: BTreeMap::new(),
                staging_files: report.staging_files,
            });
            let events = if report.staging_files == 0 { vec![] } else { vec![swept] };
            Ok(Decided { events, value: report })
        })
        .await
        .map(drop)
    }
}

/// The releases that retention lets go now.
fn retired(tx: &dyn SqlRead) -> Result<Vec<RetiredRelease>, Error> {
    let sql = "SELECT DISTINCT a.id, a.slug FROM channels c JOIN apps a ON a.id = c.app_id WHERE c.retention_keep > 0 ORDER BY a.id";
    let apps = tx.query_all(sql, &[], |row| {
        Ok((rows::parsed::<AppId>(row, 0)?, rows::parsed::<Slug>(row, 1)?))
    })?;
    let mut retired = Vec::new();
    for (app, slug) in apps {
        for id in letting_go(tx, &app)?.0 {
            let release = rows::known_release(tx, &id)?;
            retired.push(RetiredRelease {
                app: slug.clone(),
                release_id: id,
                version: release.version,
                build: release.build,
            });
        }
    }
    Ok(retired)
}

/// The releases of an app that retention lets go now, and the lineages of its channels, by name.
pub(crate) fn letting_go(
    tx: &dyn SqlRead,
    app: &AppId,
) -> Result<(BTreeSet<ReleaseId>, BTreeMap<ChannelName, Lineage>), SqlError> {
    let sql = "SELECT name, retention_keep, current_release_id FROM channels WHERE app_id = ?1";
    let channels = tx.query_all(sql, params![app.as_str()], |row| {
        Ok((
            rows::parsed::<ChannelName>(row, 0)?,
            row.get(1)?,
            rows::parsed_opt(row, 2)?,
        ))
    })?;
    let (mut lineages, mut in_use) = (BTreeMap::new(), BTreeSet::new());
    for (name, keep, current) in channels {
        let sql = "SELECT h.release_id, r.status FROM channel_history h JOIN releases r ON r.id = h.release_id \
             WHERE h.app_id = ?1 AND h.channel = ?2 GROUP BY h.release_id, r.status ORDER BY MAX(h.revision) DESC";
        let releases = tx.query_all(sql, params![app.as_str(), name.as_str()], |row| {
            Ok((rows::parsed(row, 0)?, rows::parsed(row, 1)?))
        })?;
        lineages.insert(name, Lineage { keep, releases });
        in_use.extend(current);
    }
    let all: Vec<Lineage> = lineages.values().cloned().collect();
    Ok((retire(&all, &in_use), lineages))
}

/// Whether anything but the releases in `going` refers to the object.
pub(crate) fn is_referenced(tx: &dyn SqlRead, digest: &Digest, going: &BTreeSet<String>) -> Result<bool, Error> {
    let sql = "SELECT a.release_id FROM artifacts a JOIN releases r ON r.id = a.release_id WHERE (a.sha256 = ?1 OR a.icon_sha256 = ?1) AND r.status <> 'deleted'";
    let releases = tx.query_all(sql, params![&digest.to_string()], |row| row.get::<String>(0))?;
    Ok(releases.iter().any(|release| !going.contains(release)))
}

/// Which of some objects go now, and how many wait for the grace.
#[derive(Default)]
struct Removed {
    going: Vec<(Digest, u64)>,
    waiting: u64,
}

/// Which of the objects carry a mark that is at least `grace` milliseconds old. One without a mark
/// would be marked now, which is old enough where there is no grace.
fn due(tx: &dyn SqlRead, some: &[(Digest, u64)], grace: i64, now: Timestamp) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    for (digest, size) in some {
        let marked: Option<Timestamp> = tx.query_opt(
            "SELECT doomed_at FROM doomed_objects WHERE sha256 = ?1",
            params![&digest.to_string()],
            |row| rows::parsed(row, 0),
        )?;
        let age = now.as_millis() - marked.unwrap_or(now).as_millis();
        if age >= grace {
            removed.going.push((*digest, *size));
        } else {
            removed.waiting += 1;
        }
    }
    Ok(removed)
}

/// Looks at each object again under the write lock: marks it, or removes it where its mark is old
/// enough and `removing` is allowed.
fn remove_due(
    tx: &mut dyn SqlTx,
    scene: &Scene,
    some: &[(Digest, u64)],
    grace: i64,
    removing: bool,
) -> Result<Decided<Removed>, Error> {
    scene.caller.require(Scope::Admin, None, None, scene.context.now)?;
    let mut still = Vec::new();
    for (digest, size) in some {
        if is_referenced(&*tx, digest, &BTreeSet::new())? {
            tx.execute(
                "DELETE FROM doomed_objects WHERE sha256 = ?1",
                params![&digest.to_string()],
            )?;
        } else {
            still.push((*digest, *size));
        }
    }
    let mut removed = due(&*tx, &still, grace, scene.context.now)?;
    if !removing {
        removed.waiting += u64::try_from(removed.going.len()).unwrap_or(0);
        removed.going.clear();
    }
    for (digest, _) in &still {
        let sql = "INSERT INTO doomed_objects (sha256, doomed_at) VALUES (?1, ?2) ON CONFLICT (sha256) DO NOTHING";
        tx.execute(sql, params![&digest.to_string(), &scene.context.now.to_string()])?;
    }
    for (digest, _) in &removed.going {
        scene.service.objects().remove(digest)?;
        tx.execute(
            "DELETE FROM doomed_objects WHERE sha256 = ?1",
            params![&digest.to_string()],
        )?;
    }
    let objects: BTreeMap<Digest, u64> = removed.going.iter().copied().collect();
    let event = Event::StoreCleaned(events::StoreCleaned {
        objects,
        staging_files: 0,
    });
    Ok(Decided {
        events: if removed.going.is_empty() { vec![] } else { vec![event] },
        value: removed,
    })
}

impl Receipted for CleanupReport {
    fn receipt(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn recall(_: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        serde_json::from_value(receipt.clone())
            .map_err(|error| Error::Broken(format!("a receipt cannot be read: {error}")))
    }
}
