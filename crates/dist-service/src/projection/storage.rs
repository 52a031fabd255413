//! Which objects an app's releases are made of, and how their bytes grow from day to day.

use dist_model::{Artifact, ReleaseId, Timestamp};
use persist::{SqlError, SqlRead, SqlReadExt as _, SqlTx, params};

use crate::rows;

/// The `app_id` under which the objects of all apps are counted, each once.
const ALL: &str = "";

/// An artifact is made of its object.
pub(super) fn refer(tx: &mut dyn SqlTx, artifact: &Artifact, at: Timestamp) -> Result<(), SqlError> {
    let (app, digest) = (artifact.app_id.as_str(), artifact.sha256.to_string());
    let size = rows::number(artifact.size_bytes)?;
    let others = references(&*tx, &digest)?;
    let sql = "INSERT INTO app_objects (sha256, app_id, size_bytes, artifacts) VALUES (?1, ?2, ?3, 1) \
         ON CONFLICT (sha256, app_id) DO UPDATE SET artifacts = app_objects.artifacts + 1";
    tx.execute(sql, params![&digest, app, size])?;
    if others.is_empty() {
        grow(tx, ALL, at, size)?;
    }
    if others.iter().all(|other| other.app != app) {
        grow(tx, app, at, size)?;
    }
    Ok(())
}

/// An artifact of the app is no longer made of the object.
pub(super) fn unrefer(tx: &mut dyn SqlTx, app: &str, digest: &str, at: Timestamp) -> Result<(), SqlError> {
    let references = references(&*tx, digest)?;
    let Some(own) = references.iter().find(|reference| reference.app == app) else {
        return Ok(());
    };
    if own.artifacts > 1 {
        let sql = "UPDATE app_objects SET artifacts = artifacts - 1 WHERE sha256 = ?1 AND app_id = ?2";
        return tx.execute(sql, params![digest, app]).map(drop);
    }
    tx.execute(
        "DELETE FROM app_objects WHERE sha256 = ?1 AND app_id = ?2",
        params![digest, app],
    )?;
    grow(tx, app, at, -own.size)?;
    if references.len() == 1 {
        grow(tx, ALL, at, -own.size)?;
    }
    Ok(())
}

/// All artifacts of a release let their objects go.
pub(super) fn let_go(tx: &mut dyn SqlTx, release: &ReleaseId, at: Timestamp) -> Result<(), SqlError> {
    let sql = "SELECT app_id, sha256 FROM artifacts WHERE release_id = ?1";
    let objects = tx.query_all(sql, params![release.as_str()], |row| {
        Ok((row.get::<String>(0)?, row.get::<String>(1)?))
    })?;
    objects
        .iter()
        .try_for_each(|(app, digest)| unrefer(tx, app, digest, at))
}

/// An app that has artifacts made of an object.
struct Reference {
    app: String,
    size: i64,
    artifacts: i64,
}

fn references(tx: &dyn SqlRead, digest: &str) -> Result<Vec<Reference>, SqlError> {
    let sql = "SELECT app_id, size_bytes, artifacts FROM app_objects WHERE sha256 = ?1";
    tx.query_all(sql, params![digest], |row| {
        Ok(Reference {
            app: row.get(0)?,
            size: row.get(1)?,
            artifacts: row.get(2)?,
        })
    })
}

fn grow(tx: &mut dyn SqlTx, app: &str, at: Timestamp, bytes: i64) -> Result<(), SqlError> {
    let sql = "INSERT INTO storage_days (app_id, day, bytes) VALUES (?1, ?2, ?3) \
         ON CONFLICT (app_id, day) DO UPDATE SET bytes = storage_days.bytes + excluded.bytes";
    tx.execute(sql, params![app, &at.day(), bytes]).map(drop)
}
