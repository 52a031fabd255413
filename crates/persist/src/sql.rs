//! The SQL seam: what commands, projections and queries see of a database.
//!
//! Statements are in the portable subset, with `?1`, `?2` … as parameters, and are cached by
//! their text: write them as constants.

use std::fmt;
use std::sync::Arc;

/// A value at the seam: a parameter of a statement, or a column of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SqlParam<'a> {
    /// NULL.
    Null,
    /// An integer. Booleans are 0 and 1.
    Integer(i64),
    /// A float.
    Real(f64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// Parameters of a statement, each converted with [`SqlParam::from`].
///
/// ```
/// use persist::{SqlParam, params};
/// let bound = params![7_i64, "a", None::<&str>];
/// assert_eq!(bound, &[SqlParam::Integer(7), SqlParam::Text("a"), SqlParam::Null]);
/// ```
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::SqlParam::from($value)),*] as &[$crate::SqlParam<'_>]
    };
}

/// `u64` is not among these: it would be lossy, so the caller says `i64::try_from`.
macro_rules! into_param {
    ($($from:ty => |$value:ident| $param:expr;)*) => {$(
        impl<'a> From<$from> for SqlParam<'a> {
            fn from($value: $from) -> Self {
                $param
            }
        }
    )*};
}

into_param! {
    &'a str => |value| Self::Text(value);
    &'a String => |value| Self::Text(value);
    i64 => |value| Self::Integer(value);
    i32 => |value| Self::Integer(value.into());
    u32 => |value| Self::Integer(value.into());
    bool => |value| Self::Integer(value.into());
    f64 => |value| Self::Real(value);
    &'a [u8] => |value| Self::Blob(value);
    &'a Vec<u8> => |value| Self::Blob(value);
}

impl<'a, T: Into<SqlParam<'a>>> From<Option<T>> for SqlParam<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl SqlParam<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a float",
            Self::Text(_) => "a text",
            Self::Blob(_) => "bytes",
        }
    }
}

/// A type that a column can be read as.
pub trait FromSql: Sized {
    /// Reads a column.
    fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError>;
}

fn mismatch<T>(wanted: &str, found: SqlParam<'_>) -> Result<T, SqlError> {
    Err(SqlError::decode(format_args!(
        "{wanted} was wanted, {} is there",
        found.kind()
    )))
}

impl FromSql for i64 {
    fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError> {
        match value {
            SqlParam::Integer(number) => Ok(number),
            other => mismatch("an integer", other),
        }
    }
}

macro_rules! from_integer {
    ($($to:ty),*) => {$(
        impl FromSql for $to {
            fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError> {
                let number = i64::from_sql(value)?;
                Self::try_from(number).map_err(|_| {
                    SqlError::decode(format_args!("{number} is out of range"))
                })
            }
        }
    )*};
}

from_integer!(u64, u32);

impl FromSql for bool {
    fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError> {
        match value {
            SqlParam::Integer(0) => Ok(false),
            SqlParam::Integer(1) => Ok(true),
            other => mismatch("0 or 1", other),
        }
    }
}

impl FromSql for f64 {
    fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError> {
        match value {
            SqlParam::Real(number) => Ok(number),
            other => mismatch("a float", other),
        }
    }
}

impl FromSql for String {
    fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError> {
        match value {
            SqlParam::Text(text) => Ok(text.to_owned()),
            other => mismatch("a text", other),
        }
    }
}

impl FromSql for Vec<u8> {
    fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError> {
        match value {
            SqlParam::Blob(bytes) => Ok(bytes.to_owned()),
            other => mismatch("bytes", other),
        }
    }
}

impl<T: FromSql> FromSql for Option<T> {
    fn from_sql(value: SqlParam<'_>) -> Result<Self, SqlError> {
        match value {
            SqlParam::Null => Ok(None),
            value => T::from_sql(value).map(Some),
        }
    }
}

/// A row of a query's result.
pub struct Row<'a>(&'a dyn Columns);

/// What a backend's own row can do.
pub(crate) trait Columns {
    /// The column at `index`, from 0.
    fn column(&self, index: usize) -> Result<SqlParam<'_>, SqlError>;
}

impl<'a> Row<'a> {
    pub(crate) fn new(columns: &'a dyn Columns) -> Self {
        Self(columns)
    }
}

impl Row<'_> {
    /// The column at `index`, from 0.
    pub fn get<T: FromSql>(&self, index: usize) -> Result<T, SqlError> {
        T::from_sql(self.0.column(index)?).map_err(|error| error.at_column(index))
    }

    /// Whether the column at `index`, from 0, is NULL.
    pub fn is_null(&self, index: usize) -> Result<bool, SqlError> {
        Ok(self.0.column(index)? == SqlParam::Null)
    }

    /// The text at `index`, from 0, without a copy.
    pub fn text(&self, index: usize) -> Result<&str, SqlError> {
        match self.0.column(index)? {
            SqlParam::Text(text) => Ok(text),
            other => mismatch("a text", other).map_err(|error: SqlError| error.at_column(index)),
        }
    }

    /// The bytes at `index`, from 0, without a copy.
    pub fn blob(&self, index: usize) -> Result<&[u8], SqlError> {
        match self.0.column(index)? {
            SqlParam::Blob(bytes) => Ok(bytes),
            other => mismatch("bytes", other).map_err(|error: SqlError| error.at_column(index)),
        }
    }
}

/// What looks at each row of a result.
pub type EachRow<'f> = &'f mut dyn FnMut(&Row<'_>) -> Result<(), SqlError>;

/// Reading, in one transaction. [`SqlReadExt`] has the comfortable forms.
pub trait SqlRead {
    /// Runs a query and shows each row to `each`, whose error ends it.
    fn query(&self, sql: &str, params: &[SqlParam<'_>], each: EachRow<'_>) -> Result<(), SqlError>;

    /// Runs a query and shows its first row, if there is one, to `each`.
    fn query_first(&self, sql: &str, params: &[SqlParam<'_>], each: EachRow<'_>) -> Result<(), SqlError>;
}

/// Queries that give back what they read; there for every [`SqlRead`].
pub trait SqlReadExt: SqlRead {
    /// All rows.
    fn query_all<T>(
        &self,
        sql: &str,
        params: &[SqlParam<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let mut rows = Vec::new();
        self.query(sql, params, &mut |row| {
            rows.push(map(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row, if there is one.
    fn query_opt<T>(
        &self,
        sql: &str,
        params: &[SqlParam<'_>],
        map: impl FnOnce(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Option<T>, SqlError> {
        let mut map = Some(map);
        let mut first = None;
        self.query_first(sql, params, &mut |row| {
            first = map.take().map(|map| map(row)).transpose()?;
            Ok(())
        })?;
        Ok(first)
    }

    /// The first row of a query that always has one, such as an aggregate.
    fn query_one<T>(
        &self,
        sql: &str,
        params: &[SqlParam<'_>],
        map: impl FnOnce(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.query_opt(sql, params, map)?
            .ok_or_else(|| SqlError::decode("a row was wanted, none is there"))
    }
}

impl<R: SqlRead + ?Sized> SqlReadExt for R {}

/// Reading and writing, in one transaction.
pub trait SqlTx: SqlRead {
    /// Runs a statement and answers how many rows it changed.
    ///
    /// Transactions are the store's: statements such as `COMMIT` or `SAVEPOINT` do not belong here.
    fn execute(&mut self, sql: &str, params: &[SqlParam<'_>]) -> Result<u64, SqlError>;
}

/// What kind of thing went wrong in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The disk, or the database's allowance, is full.
    Full,
    /// The operating system failed to read or write.
    Io,
    /// Somebody else holds the lock.
    Busy,
    /// A constraint of the schema was violated.
    Constraint,
    /// What is stored cannot be understood.
    Corrupt,
    /// The database cannot be written.
    ReadOnly,
    /// Anything else, such as a statement that does not parse.
    Other,
}

/// An error of the database.
#[derive(Clone, Debug)]
pub struct SqlError {
    class: ErrorClass,
    message: String,
    failed_sync: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl SqlError {
    /// A stored value that the caller cannot make sense of.
    pub fn decode(why: impl fmt::Display) -> Self {
        Self::new(ErrorClass::Corrupt, why)
    }

    /// What kind of error it is.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    pub(crate) fn new(class: ErrorClass, message: impl fmt::Display) -> Self {
        Self {
            class,
            message: message.to_string(),
            failed_sync: false,
            source: None,
        }
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Says that it was a sync that failed, after which nobody knows what the disk holds.
    #[must_use]
    pub(crate) fn of_sync(mut self, failed_sync: bool) -> Self {
        self.failed_sync = failed_sync;
        self
    }

    pub(crate) fn is_failed_sync(&self) -> bool {
        self.failed_sync
    }

    fn at_column(mut self, index: usize) -> Self {
        self.message = format!("column {index}: {}", self.message);
        self
    }
}
