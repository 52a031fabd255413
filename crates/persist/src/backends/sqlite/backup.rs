//! Copies of a store that is in use.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{Location, Session, sql_error};
use super::open::sync_folder_of;
use crate::backends::tables;
use crate::{Error, Position, SqlError, SqlReadExt, params};

/// `VACUUM INTO` reads in one transaction, so that writers neither wait nor make it start again,
/// as they would a page-by-page copy.
pub(super) fn backup(source: &Connection, path: &Path) -> Result<Position, Error> {
    let path = std::path::absolute(path)?;
    if path.exists() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
    }
    let copied = copy(source, &path);
    if copied.is_err() {
        // Half a copy must not be taken for one. The first error is the one to tell.
        let _ = fs::remove_file(&path);
    }
    copied
}

fn copy(source: &Connection, path: &Path) -> Result<Position, Error> {
    let copy = Location::File(path.to_owned());
    source
        .execute("VACUUM INTO ?1", [copy.attach_name()?])
        .map_err(sql_error)?;
    let position = read_through(&copy)?;
    File::open(path)?.sync_all()?;
    sync_folder_of(path)?;
    Ok(position)
}

/// Reads every page of the copy, and answers the position that it stands at.
fn read_through(copy: &Location) -> Result<Position, Error> {
    let connection = copy.connect(false, Duration::ZERO)?;
    let session = Session::begin(&connection, "BEGIN")?;
    let found: String = session.query_one("PRAGMA quick_check(1)", params![], |row| row.get(0))?;
    let head = tables::head(&session)?;
    session.rollback()?;
    if found == "ok" {
        Ok(head.position)
    } else {
        Err(Error::Corrupt(SqlError::decode(found)))
    }
}
