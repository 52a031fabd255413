//! `rusqlite` behind the SQL seam.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, ToSql, ffi};

use crate::sql::{Columns, EachRow};
use crate::{ErrorClass, Row, SqlError, SqlParam, SqlRead, SqlTx};

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 128;

/// Where a database is.
#[derive(Clone, Debug)]
pub(super) enum Location {
    /// A file, by its absolute path.
    File(PathBuf),
    /// A database that the connections of this process share under a URI, while one is open.
    Memory(String),
}

impl Location {
    /// Opens a connection with what all connections have in common.
    pub(super) fn connect(&self, create: bool, busy_timeout: Duration) -> Result<Connection, SqlError> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        let connection = match self {
            Self::File(path) => Connection::open_with_flags(path, flags),
            Self::Memory(uri) => Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI),
        }
        .map_err(sql_error)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.busy_timeout(busy_timeout).map_err(sql_error)?;
        // Without the stability guarantee a statement is compiled anew whenever a parameter that
        // the planner looked at, such as that of a LIMIT, is bound again: at every use.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(sql_error)?;
        run(&connection, "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;")?;
        Ok(connection)
    }

    /// The name by which a connection of the same kind attaches the database.
    pub(super) fn attach_name(&self) -> Result<&str, SqlError> {
        match self {
            Self::File(path) => path
                .to_str()
                .ok_or_else(|| SqlError::new(ErrorClass::Other, "the path of the store is not UTF-8")),
            Self::Memory(uri) => Ok(uri),
        }
    }
}

/// Runs statements that give no rows, outside of the statement cache.
pub(super) fn run(connection: &Connection, sql: &str) -> Result<(), SqlError> {
    connection.execute_batch(sql).map_err(sql_error)
}

/// A transaction on a connection.
///
/// An error may end the transaction behind its back, after which every further statement would
/// commit by itself. The session notices and refuses them.
pub(super) struct Session<'c> {
    connection: &'c Connection,
    lost: RefCell<Option<SqlError>>,
}

impl<'c> Session<'c> {
    /// Begins a transaction.
    pub(super) fn begin(connection: &'c Connection, begin: &str) -> Result<Self, SqlError> {
        let session = Self {
            connection,
            lost: RefCell::default(),
        };
        session.control(begin)?;
        Ok(session)
    }

    /// Runs a statement that begins, marks or ends a transaction.
    pub(super) fn control(&self, sql: &str) -> Result<(), SqlError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(sql_error)?;
        statement.execute([]).map_err(sql_error)?;
        Ok(())
    }

    /// Whether the transaction is still there; if not, the error that ended it.
    pub(super) fn check(&self) -> Result<(), SqlError> {
        if let Some(error) = &*self.lost.borrow() {
            return Err(error.clone());
        }
        if self.connection.is_autocommit() {
            return Err(SqlError::new(ErrorClass::Other, "a statement ended the transaction"));
        }
        Ok(())
    }

    /// Ends the transaction without a trace, if it is still there.
    pub(super) fn rollback(&self) -> Result<(), SqlError> {
        if self.connection.is_autocommit() {
            Ok(())
        } else {
            self.control("ROLLBACK")
        }
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'c>, SqlError> {
        self.check()?;
        self.connection.prepare_cached(sql).map_err(sql_error)
    }

    fn note(&self, error: rusqlite::Error) -> SqlError {
        let error = sql_error(error);
        if self.connection.is_autocommit() || error.is_failed_sync() {
            self.lost.borrow_mut().get_or_insert_with(|| error.clone());
        }
        error
    }

    fn rows(&self, sql: &str, params: &[SqlParam<'_>], limit: usize, each: EachRow<'_>) -> Result<(), SqlError> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(params))
            .map_err(|error| self.note(error))?;
        for _ in 0..limit {
            match rows.next().map_err(|error| self.note(error))? {
                Some(row) => each(&Row::new(row))?,
                None => break,
            }
        }
        Ok(())
    }
}

impl SqlRead for Session<'_> {
    fn query(&self, sql: &str, params: &[SqlParam<'_>], each: EachRow<'_>) -> Result<(), SqlError> {
        self.rows(sql, params, usize::MAX, each)
    }

    fn query_first(&self, sql: &str, params: &[SqlParam<'_>], each: EachRow<'_>) -> Result<(), SqlError> {
        self.rows(sql, params, 1, each)
    }
}

impl SqlTx for Session<'_> {
    fn execute(&mut self, sql: &str, params: &[SqlParam<'_>]) -> Result<u64, SqlError> {
        let mut statement = self.statement(sql)?;
        let changed = statement
            .execute(rusqlite::params_from_iter(params))
            .map_err(|error| self.note(error))?;
        Ok(changed as u64)
    }
}

impl ToSql for SqlParam<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Real(number) => ValueRef::Real(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Columns for rusqlite::Row<'_> {
    fn column(&self, index: usize) -> Result<SqlParam<'_>, SqlError> {
        Ok(match self.get_ref(index).map_err(sql_error)? {
            ValueRef::Null => SqlParam::Null,
            ValueRef::Integer(number) => SqlParam::Integer(number),
            ValueRef::Real(number) => SqlParam::Real(number),
            ValueRef::Text(text) => SqlParam::Text(
                std::str::from_utf8(text).map_err(|_| SqlError::decode(format_args!("column {index} is not UTF-8")))?,
            ),
            ValueRef::Blob(bytes) => SqlParam::Blob(bytes),
        })
    }
}

/// What an error of `SQLite` means at the seam.
pub(super) fn sql_error(error: rusqlite::Error) -> SqlError {
    use rusqlite::ErrorCode;

    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    let (class, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (ErrorClass::Full, "the disk is full"),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            (ErrorClass::Io, "the database cannot be read or written")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (ErrorClass::Busy, "the database is locked"),
        Some(ErrorCode::ConstraintViolation) => (ErrorClass::Constraint, "a constraint is violated"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (ErrorClass::Corrupt, "the database is damaged"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (ErrorClass::ReadOnly, "the database cannot be written")
        }
        _ => (ErrorClass::Other, "the statement cannot be run"),
    };
    let failed_sync = matches!(extended, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC);
    SqlError::new(class, message).caused_by(error).of_sync(failed_sync)
}
