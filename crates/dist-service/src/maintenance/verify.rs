//! Verification and rebuild: does the store hold what the log says?

use std::collections::BTreeMap;

use dist_blobs::{FsStore, Verdict};
use dist_model::decide::Decided;
use dist_model::{Digest, ErrorCode, Event, Scope, StoreProblem, StoreRebuildReport, VerifyReport, events};
use persist::{Backend as _, SqlRead, SqlReadExt as _, TableDifference};

use crate::service::blocking;
use crate::{Caller, Error, Service, rows};

/// References that must lead somewhere: what is wrong, and a query for those that do not.
const REFERENCES: &[(&str, &str)] = &[
    (
        "a release of no app",
        "SELECT id FROM releases WHERE app_id NOT IN (SELECT id FROM apps)",
    ),
    (
        "an artifact of no release",
        "SELECT id FROM artifacts WHERE release_id NOT IN (SELECT id FROM releases)",
    ),
    (
        "a channel that points at what is no published release of its app",
        "SELECT name FROM channels c WHERE current_release_id IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM releases r WHERE r.id = c.current_release_id AND r.app_id = c.app_id AND r.status = 'published')",
    ),
    (
        "a channel whose history does not end where it points",
        "SELECT name FROM channels c WHERE revision > 0 AND NOT EXISTS (SELECT 1 FROM channel_history h WHERE h.app_id = c.app_id \
         AND h.channel = c.name AND h.revision = c.revision AND h.release_id = c.current_release_id)",
    ),
];

impl Service {
    /// Re-hashes every object, resolves every reference, checks the database's own order, and compares
    /// every table with a replay of the log. Problems are in the report; an error means that it could not look.
    pub async fn verify(&self, caller: &Caller) -> Result<VerifyReport, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        let service = self.clone();
        blocking(move || {
            let mut report = VerifyReport::default();
            for fault in service.log().check_integrity()? {
                let message =
                    format!("{fault}: run `dist store rebuild`, and restore a backup where that does not mend it");
                report.problems.push(problem("database_damaged", &"dist.db", message));
            }
            let is_damaged = !report.problems.is_empty();
            let dangling = service.read(dangling_references);
            report.problems.extend(as_far_as_readable(is_damaged, dangling)?);
            let needed = as_far_as_readable(is_damaged, service.read(needed_objects))?;
            check_objects(service.objects(), needed, &mut report)?;
            let differences = service.log().verify_projections().map_err(Error::from);
            for difference in as_far_as_readable(is_damaged, differences)? {
                report.problems.push(differs(&difference));
            }
            report.events = service.log().head()?.get();
            report.ok = report.problems.is_empty();
            Ok(report)
        })
        .await
    }

    /// Makes the tables again from the log alone.
    pub async fn rebuild(&self, caller: &Caller) -> Result<StoreRebuildReport, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        let service = self.clone();
        let rebuilt = blocking(move || Ok(service.log().rebuild()?)).await?;
        let differing: BTreeMap<String, u64> = rebuilt
            .differences
            .iter()
            .map(|difference| {
                (
                    difference.table.to_owned(),
                    difference.missing.max(difference.unexpected),
                )
            })
            .collect();
        let report = StoreRebuildReport {
            events: rebuilt.events,
            differing: differing.clone(),
        };
        let event = Event::StoreRebuilt(events::StoreRebuilt { differing });
        self.write(caller, move |_, _| {
            Ok(Decided {
                events: vec![event],
                value: report,
            })
        })
        .await
    }
}

fn problem(kind: &str, subject: &impl ToString, message: impl Into<String>) -> StoreProblem {
    StoreProblem {
        kind: kind.to_owned(),
        subject: subject.to_string(),
        message: message.into(),
    }
}

fn differs(difference: &TableDifference) -> StoreProblem {
    let TableDifference {
        table,
        missing,
        unexpected,
    } = difference;
    problem(
        "projection_differs",
        table,
        format!("{missing} rows of the log are missing and {unexpected} are not in the log: run `dist store rebuild`"),
    )
}

/// What is found in a database that is known to be damaged may be nothing: that it is damaged is told
/// already, and the objects are to be looked at all the same.
fn as_far_as_readable<T: Default>(is_damaged: bool, found: Result<T, Error>) -> Result<T, Error> {
    match found {
        Err(error) if is_damaged && error.refusal().code == ErrorCode::StoreCorrupt => Ok(T::default()),
        found => found,
    }
}

fn dangling_references(tx: &dyn SqlRead) -> Result<Vec<StoreProblem>, Error> {
    let mut problems = Vec::new();
    for (what, sql) in REFERENCES {
        for subject in tx.query_all(sql, &[], |row| row.get::<String>(0))? {
            problems.push(problem("dangling_reference", &subject, *what));
        }
    }
    Ok(problems)
}

/// What releases that were not cleaned up are made of, with the size that each artifact claims, and
/// their icons.
fn needed_objects(tx: &dyn SqlRead) -> Result<BTreeMap<Digest, Option<u64>>, Error> {
    let sql = "SELECT a.icon_sha256, NULL FROM artifacts a JOIN releases r ON r.id = a.release_id \
         WHERE r.status <> 'deleted' AND a.icon_sha256 IS NOT NULL \
         UNION SELECT a.sha256, a.size_bytes FROM artifacts a JOIN releases r ON r.id = a.release_id WHERE r.status <> 'deleted'";
    Ok(tx
        .query_all(sql, &[], |row| Ok((rows::parsed(row, 0)?, row.get(1)?)))?
        .into_iter()
        .collect())
}

fn check_objects(
    objects: &FsStore,
    mut needed: BTreeMap<Digest, Option<u64>>,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    for entry in objects.list()? {
        let (digest, size) = entry?;
        let claimed = needed.remove(&digest);
        report.objects += 1;
        report.bytes += size;
        let verdict = match objects.verify(&digest) {
            Ok(verdict) => verdict,
            Err(error) => {
                // One bad sector must not hide what else is damaged.
                let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                let message =
                    format!("it cannot be read ({cause}): look at the disk, and restore the file from a backup");
                report.problems.push(problem("object_unreadable", &digest, message));
                continue;
            }
        };
        match verdict {
            Verdict::Whole => {
                if let Some(claimed) = claimed.flatten().filter(|claimed| *claimed != size) {
                    report.problems.push(problem(
                        "object_size",
                        &digest,
                        format!("it has {size} bytes, and an artifact says {claimed}"),
                    ));
                }
            }
            Verdict::Corrupt { found, .. } => {
                report.problems.push(problem(
                    "object_corrupt",
                    &digest,
                    format!("its bytes have the digest {found}: restore the file from a backup"),
                ));
            }
            // A cleanup may remove what nothing needs while this looks.
            Verdict::Missing if claimed.is_none() => {}
            Verdict::Missing => report.problems.push(problem(
                "object_missing",
                &digest,
                "it vanished: restore the file from a backup",
            )),
        }
    }
    for digest in needed.keys() {
        // Published after the list was read, perhaps.
        if objects.stat(digest)?.is_none() {
            report.problems.push(problem(
                "object_missing",
                &digest,
                "a release needs it and it is not there: restore the file from a backup",
            ));
        }
    }
    for name in objects.foreign_names()? {
        report.problems.push(problem(
            "foreign_file",
            &name.display(),
            "it is in the objects folder and no object: move it away",
        ));
    }
    Ok(())
}
