//! Making a store, and recognising one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rustix::fs::{Access, FlockOperation, access, flock};

use super::connection::{Location, Session, run, sql_error};
use super::files::Files;
use super::{OpenMode, Options};
use crate::backends::tables;
use crate::{ErrorClass, OpenError, SqlError, SqlRead, SqlReadExt, params};

/// The version of schema.sql, kept in the database's `user_version`.
pub(super) const SCHEMA_VERSION: u32 = 1;
const SCHEMA: &str = include_str!("schema.sql");
/// How often a lock that somebody else holds is asked for.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// The set of projections, as the head row names it: `name@version …`, ordered.
pub(super) fn projection_set(options: &Options) -> Result<String, OpenError> {
    let mut names: Vec<_> = options.projections.iter().map(|each| each.name()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(OpenError::Invalid("two projections have the same name".to_owned()));
    }
    let mut set: Vec<_> = options
        .projections
        .iter()
        .map(|each| format!("{}@{}", each.name(), each.version()))
        .collect();
    set.sort_unstable();
    Ok(set.join(" "))
}

/// The writer's connection to a store that is there, current and ours, and the set of projections
/// that made its tables.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) projections: String,
    /// `None` for a database in memory.
    pub(super) files: Option<Files>,
    /// The store's file lock, until it is dropped; `None` for a database in memory.
    pub(super) lock: Option<File>,
}

/// Opens a store, or makes it, and holds the store's file lock from then on.
pub(super) fn open(location: &Location, mode: OpenMode, options: &Options) -> Result<Opened, OpenError> {
    let lock = match location {
        Location::File(path) => {
            check_access(path, mode)?;
            Some(lock(path, options)?)
        }
        Location::Memory(_) => None,
    };
    let writer = location.connect(mode == OpenMode::CreateIfMissing, options.busy_timeout)?;
    run(&writer, "PRAGMA synchronous = FULL; PRAGMA cache_size = -4096;")?;
    let own = projection_set(options)?;
    let ours = recognise(&writer, options)?;
    if !ours && mode != OpenMode::CreateIfMissing {
        return Err(OpenError::NotFound);
    }
    if !ours {
        make(&writer, location, options, &own)?;
    }
    let session = Session::begin(&writer, "BEGIN")?;
    let stored = tables::head(&session)?.projections;
    session.rollback()?;
    if stored != own && mode != OpenMode::AdoptProjections {
        return Err(OpenError::ProjectionMismatch { stored, own });
    }
    if ours {
        // A backup is not in WAL mode, and side tables may be new in this version.
        switch_to_wal(&writer, location)?;
        for ddl in options.side_tables {
            run(&writer, ddl)?;
        }
    }
    let files = match location {
        Location::File(path) => Some(settle(&writer, path)?),
        Location::Memory(_) => None,
    };
    Ok(Opened {
        writer,
        projections: stored,
        files,
        lock,
    })
}

/// Tells the common refusals apart before `SQLite` calls them all "unable to open". It must not
/// open the file: closing it again would drop the locks of every connection of this process.
fn check_access(path: &Path, mode: OpenMode) -> Result<(), OpenError> {
    let wanted = if path.exists() {
        path
    } else if mode == OpenMode::CreateIfMissing {
        path.parent().unwrap_or(path)
    } else {
        return Err(OpenError::NotFound);
    };
    access(wanted, Access::READ_OK | Access::WRITE_OK).map_err(|errno| io_error(errno.into()))
}

fn lock(path: &Path, options: &Options) -> Result<File, OpenError> {
    let path = options.lock_path.clone().unwrap_or_else(|| with_suffix(path, ".lock"));
    let file = File::options().create(true).append(true).open(path).map_err(io_error)?;
    let mut waited = Duration::ZERO;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if waited < options.busy_timeout => {
                thread::sleep(LOCK_POLL);
                waited += LOCK_POLL;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Busy),
            Err(errno) => return Err(io_error(errno.into())),
        }
    }
}

/// Makes durable what is there before anything is built on it.
fn settle(writer: &Connection, path: &Path) -> Result<Files, OpenError> {
    // The log is there from the first transaction on, and during this one nobody writes to it.
    let session = Session::begin(writer, "BEGIN IMMEDIATE")?;
    // SQLite syncs the folder with the first commit of a new log, and takes it for done if that
    // fails. The log keeps its name for as long as the writer is open.
    let settled = renew_log(path).and_then(|()| sync_folder_of(path));
    session.rollback()?;
    settled.map_err(io_error)?;
    Ok(Files::of(path))
}

/// Writes the log once more and syncs it.
///
/// If a process died after a failed sync, its log may be complete only in the system's memory,
/// which takes it for written; what is appended to such a log is lost with the power.
fn renew_log(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(with_suffix(path, "-wal"))?;
    let mut bytes = vec![0; 1 << 16];
    let mut offset = 0;
    loop {
        let length = file.read_at(&mut bytes, offset)?;
        if length == 0 {
            break;
        }
        file.write_all_at(&bytes[..length], offset)?;
        offset += length as u64;
    }
    if offset > 0 { file.sync_all() } else { Ok(()) }
}

/// Makes the names in a file's folder durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// A path beside another: the same name with more at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether the database is a store of ours (`true`) or empty (`false`).
fn recognise(connection: &Connection, options: &Options) -> Result<bool, OpenError> {
    let session = Session::begin(connection, "BEGIN")?;
    let application_id: i64 = session.query_one("PRAGMA application_id", params![], |row| row.get(0))?;
    let schema = user_version(&session)?;
    let tables: i64 = session.query_one("SELECT COUNT(*) FROM sqlite_schema", params![], |row| row.get(0))?;
    session.rollback()?;
    if application_id == 0 && tables == 0 {
        return Ok(false);
    }
    let application_id = i32::try_from(application_id).unwrap_or(0);
    if application_id != options.application_id || schema == 0 {
        return Err(OpenError::Foreign { application_id });
    }
    if schema > SCHEMA_VERSION {
        return Err(OpenError::Newer {
            found: schema,
            known: SCHEMA_VERSION,
        });
    }
    Ok(true)
}

/// The version of the schema of the database.
pub(super) fn user_version(tx: &dyn SqlRead) -> Result<u32, SqlError> {
    tx.query_one("PRAGMA user_version", params![], |row| row.get(0))
}

/// Makes a store, all or nothing.
fn make(connection: &Connection, location: &Location, options: &Options, projections: &str) -> Result<(), OpenError> {
    switch_to_wal(connection, location)?;
    let session = Session::begin(connection, "BEGIN IMMEDIATE")?;
    let made = fill(connection, options, projections);
    if made.is_err() {
        session.rollback()?;
        return made;
    }
    Ok(session.control("COMMIT")?)
}

fn fill(connection: &Connection, options: &Options, projections: &str) -> Result<(), OpenError> {
    run(connection, SCHEMA)?;
    connection
        .execute(
            "INSERT INTO persist_head (id, store_id, epoch, position, projections) \
             VALUES (1, lower(hex(randomblob(16))), 1, 0, ?1)",
            [projections],
        )
        .map_err(sql_error)?;
    for projection in &options.projections {
        for table in projection.tables() {
            run(connection, table.ddl)?;
        }
    }
    for ddl in options.side_tables {
        run(connection, ddl)?;
    }
    let application_id = options.application_id;
    run(
        connection,
        &format!("PRAGMA application_id = {application_id}; PRAGMA user_version = {SCHEMA_VERSION};"),
    )?;
    Ok(())
}

fn switch_to_wal(connection: &Connection, location: &Location) -> Result<(), OpenError> {
    if matches!(location, Location::Memory(_)) {
        return Ok(());
    }
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(sql_error)?;
    if mode == "wal" {
        Ok(())
    } else {
        Err(OpenError::Invalid(format!(
            "the file system allows no WAL, only journal mode {mode}"
        )))
    }
}

fn io_error(error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::NotFound => OpenError::NotFound,
        io::ErrorKind::PermissionDenied => OpenError::PermissionDenied(error),
        io::ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly,
        io::ErrorKind::StorageFull => OpenError::Full,
        _ => OpenError::Io(error),
    }
}

impl From<SqlError> for OpenError {
    fn from(error: SqlError) -> Self {
        match error.class() {
            ErrorClass::Busy => Self::Busy,
            ErrorClass::Full => Self::Full,
            ErrorClass::ReadOnly => Self::ReadOnly,
            _ if is_not_a_database(&error) => Self::NotADatabase,
            _ => Self::Sql(error),
        }
    }
}

fn is_not_a_database(error: &SqlError) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<rusqlite::Error>())
        .and_then(rusqlite::Error::sqlite_error_code)
        == Some(rusqlite::ErrorCode::NotADatabase)
}
