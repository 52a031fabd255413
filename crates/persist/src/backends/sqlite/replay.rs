//! Making the projections' tables from the log, a second time.
//!
//! The replay runs in a scratch database beside the store, page by page and without the writer,
//! since the projections name their tables plainly. Once it is nearly there, the rest happens in
//! one transaction: the tail is replayed from what that transaction sees, and the tables of the
//! store are compared with those of the scratch database, which is attached to its connection.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};

use super::SqlStore;
use super::connection::{Location, Session, run};
use super::open::with_suffix;
use super::sequencer::Writer;
use crate::backends::tables;
use crate::{
    After, Append, Backend, Error, ErrorClass, InlineProjection, Page, Position, RebuildError, RebuildReport, Recorded,
    SqlError, SqlRead, SqlReadExt, SqlTx, Table, TableDifference, params,
};

/// How many events are replayed in one transaction of the scratch database.
const PAGE: usize = 2000;
/// A begun transaction holds a lock on the scratch database only once it reads from it, so the
/// scratch connection can still write; `BEGIN IMMEDIATE` would lock both.
const BEGIN: &str = "BEGIN";

/// What goes with the adoption of a store's tables by another set of projections.
#[derive(Clone, Debug, Default)]
pub struct Adoption {
    /// Where the database is copied to, as it is, before anything is made again: nothing may be
    /// there yet. The copy is on the disk, and was read through, before the adoption begins.
    pub backup: Option<PathBuf>,
    /// What is appended to the log in the transaction that replaces the tables, which thereby know
    /// of it.
    pub appends: Vec<Append>,
}

type Projections = Arc<[Arc<dyn InlineProjection>]>;

impl SqlStore {
    /// What the database finds wrong with itself, a sentence each: pages that cannot be read, an index
    /// that lacks rows. Reads all of it. Blocks.
    pub fn check_integrity(&self) -> Result<Vec<String>, Error> {
        // Enough to know it by.
        const CHECK: &str = "PRAGMA integrity_check(20)";
        let connection = self.inner.connect()?;
        let session = Session::begin(&connection, "BEGIN")?;
        let mut found: Vec<String> = Vec::new();
        let read = session.query(CHECK, params![], &mut |row| {
            found.push(row.get(0)?);
            Ok(())
        });
        match read {
            // Some damage ends the check itself.
            Err(error) if error.class() == ErrorClass::Corrupt => found.push(error.to_string()),
            read => read?,
        }
        found.retain(|line| line != "ok");
        Ok(found)
    }
}

/// Replays, compares, and replaces the tables that differ, or every table of a damaged database: the
/// rows of one whose index is damaged are those of the log.
pub(super) fn rebuild(store: &SqlStore) -> Result<RebuildReport, RebuildError> {
    let is_damaged = !store.check_integrity()?.is_empty();
    let scratch = Scratch::replay(store)?;
    let what = if is_damaged {
        Replace::Damaged
    } else {
        Replace::Different
    };
    store.call(move |writer| replace(writer, scratch, what))?
}

/// Makes the tables of this program's set of projections, and enters that set in the head row.
pub(super) fn adopt(store: &SqlStore, set: String, adoption: Adoption) -> Result<(), RebuildError> {
    if let Some(path) = &adoption.backup {
        store.backup_to(path)?;
    }
    let scratch = Scratch::replay(store)?;
    store.call(move |writer| {
        replace(writer, scratch, Replace::All(&set, adoption.appends))?;
        writer.projection_set = set;
        Ok(())
    })?
}

/// Replays and compares.
pub(super) fn verify(store: &SqlStore) -> Result<Vec<TableDifference>, RebuildError> {
    let mut scratch = Scratch::replay(store)?;
    let connection = store.inner.connect()?;
    attach(&connection, &scratch)?;
    let session = Session::begin(&connection, BEGIN)?;
    scratch.follow(|after| Ok(tables::page(&session, after, PAGE)?))?;
    Ok(compare(&session, &scratch.tables())?)
}

/// What a rebuild replaces.
enum Replace<'a> {
    /// The rows of tables that differ.
    Different,
    /// Every table with its schema.
    Damaged,
    /// The same; the head row gets this set of projections, and the log these events.
    All(&'a str, Vec<Append>),
}

fn replace(writer: &mut Writer, mut scratch: Scratch, what: Replace<'_>) -> Result<RebuildReport, RebuildError> {
    // Tables are replaced one after the other, so that foreign keys hold only at the end; a
    // cascade would even delete what was just inserted.
    run(&writer.connection, "PRAGMA foreign_keys = OFF")?;
    attach(&writer.connection, &scratch)?;
    let report = replace_attached(writer, &mut scratch, what);
    if !writer.connection.is_autocommit() {
        run(&writer.connection, "ROLLBACK")?;
    }
    run(&writer.connection, "DETACH scratch; PRAGMA foreign_keys = ON")?;
    report
}

fn replace_attached(writer: &Writer, scratch: &mut Scratch, what: Replace<'_>) -> Result<RebuildReport, RebuildError> {
    const LOCK: &str = "UPDATE persist_head SET projections = projections WHERE id = 1";
    const ADOPT: &str = "UPDATE persist_head SET projections = ?1 WHERE id = 1";
    let mut session = Session::begin(&writer.connection, BEGIN)?;
    // A write as the first statement takes the write lock of the store, and of nothing else.
    session.execute(LOCK, params![])?;
    let mut position = writer.head(&session)?;
    let replaces_all = !matches!(what, Replace::Different);
    let adopted = match what {
        Replace::Different | Replace::Damaged => None,
        Replace::All(set, appends) => {
            // Appended first, so that the replay meets them at the log's end like any other.
            position = writer.append(&mut session, appends, position)?;
            Some(set)
        }
    };
    scratch.follow(|after| Ok(tables::page(&session, after, PAGE)?))?;
    let tables = scratch.tables();
    let differences = match adopted {
        None => compare(&session, &tables)?,
        Some(_) => Vec::new(),
    };
    for table in &tables {
        let name = quoted(table.name);
        let differs = differences.iter().any(|difference| difference.table == table.name);
        if !replaces_all && !differs {
            continue;
        }
        keep_side_columns(&mut session, table)?;
        if replaces_all {
            run(&writer.connection, &format!("DROP TABLE IF EXISTS main.{name}"))?;
            run(&writer.connection, table.ddl)?;
        } else {
            session.execute(&format!("DELETE FROM main.{name}"), params![])?;
        }
        copy_rows(&mut session, table)?;
    }
    if let Some(set) = adopted {
        session.execute(ADOPT, params![set])?;
    }
    writer.commit(&session)?;
    Ok(RebuildReport {
        events: scratch.events,
        position,
        differences,
    })
}

/// A database for a replay, gone when this is dropped.
struct Scratch {
    /// `None` while it is being dropped.
    connection: Option<Connection>,
    location: Location,
    /// Locked for as long as the file is in use, so that what a crash left can be told apart.
    _lock: Option<File>,
    projections: Projections,
    reached: Position,
    events: u64,
}

impl Scratch {
    /// Replays the log up to about its end.
    fn replay(store: &SqlStore) -> Result<Self, RebuildError> {
        let projections = Arc::clone(&store.inner.projections);
        let mut scratch = Self::create(&store.inner.location, projections)?;
        scratch.follow(|after| store.page(after, PAGE))?;
        Ok(scratch)
    }

    fn create(store: &Location, projections: Projections) -> Result<Self, RebuildError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (location, lock) = match store {
            Location::File(path) => {
                sweep(path)?;
                let pid = std::process::id();
                let path = with_suffix(path, &format!("{SUFFIX}{pid}-{number}"));
                let lock = File::create_new(&path)?;
                flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(std::io::Error::from)?;
                (Location::File(path), Some(lock))
            }
            Location::Memory(_) => (
                Location::Memory(format!("file:/persist-scratch-{number}?vfs=memdb")),
                None,
            ),
        };
        let connection = location.connect(true, Duration::ZERO)?;
        // Nobody needs this database after a crash.
        run(&connection, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
        let scratch = Self {
            connection: Some(connection),
            location,
            _lock: lock,
            projections,
            reached: Position::ZERO,
            events: 0,
        };
        for table in scratch.tables() {
            run(scratch.connection()?, table.ddl)?;
        }
        Ok(scratch)
    }

    fn connection(&self) -> Result<&Connection, Error> {
        self.connection.as_ref().ok_or(Error::Closed)
    }

    fn tables(&self) -> Vec<Table> {
        self.projections
            .iter()
            .flat_map(|projection| projection.tables())
            .copied()
            .collect()
    }

    /// Replays what `read` gives after the position reached, until that is nothing.
    fn follow(&mut self, read: impl Fn(After<'_>) -> Result<Page, Error>) -> Result<(), RebuildError> {
        loop {
            let page = read(After::Position(self.reached))?;
            let events = page.recorded()?;
            let Some(last) = events.last() else { return Ok(()) };
            self.apply(&events)?;
            self.reached = last.position;
            self.events += events.len() as u64;
        }
    }

    fn apply(&self, events: &[Recorded]) -> Result<(), RebuildError> {
        let mut session = Session::begin(self.connection()?, BEGIN)?;
        for recorded in events {
            let stream = &recorded.event.stream;
            for projection in self.projections.iter().filter(|each| each.reads(stream)) {
                let applied = catch_unwind(AssertUnwindSafe(|| projection.apply(&mut session, recorded)));
                applied
                    .map_err(|_| Error::Panicked)?
                    .map_err(|source| RebuildError::Projection {
                        name: projection.name(),
                        position: recorded.position,
                        source,
                    })?;
            }
        }
        Ok(session.control("COMMIT")?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.connection = None;
        if let Location::File(path) = &self.location {
            // A file that stays is swept by the next replay.
            let _ = fs::remove_file(path);
        }
    }
}

/// What the name of a scratch database adds to that of the store.
const SUFFIX: &str = ".rebuild-";

/// Removes the scratch databases that a crash has left: those that nobody has locked.
fn sweep(store: &Path) -> Result<(), std::io::Error> {
    let (Some(directory), Some(name)) = (store.parent(), store.file_name()) else {
        return Ok(());
    };
    let mut prefix = name.to_owned();
    prefix.push(SUFFIX);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(prefix.as_encoded_bytes())
        {
            continue;
        }
        let path: PathBuf = entry.path();
        // Another replay may have removed its own in the meantime.
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

fn attach(connection: &Connection, scratch: &Scratch) -> Result<(), SqlError> {
    let name = scratch.location.attach_name()?.replace('\'', "''");
    run(
        connection,
        &format!(
            "ATTACH '{name}' AS scratch; \
             PRAGMA scratch.journal_mode = MEMORY; PRAGMA scratch.synchronous = OFF;"
        ),
    )
}

fn compare(session: &Session<'_>, tables: &[Table]) -> Result<Vec<TableDifference>, SqlError> {
    let mut differences = Vec::new();
    for table in tables {
        let columns = columns(session, "scratch", table.name)?;
        let compared: Vec<_> = columns
            .iter()
            .filter(|column| !table.side.contains(&column.as_str()))
            .map(|column| quoted(column))
            .collect();
        let (columns, name) = (compared.join(", "), quoted(table.name));
        let only_in = |one: &str, other: &str| {
            let sql = format!(
                "SELECT COUNT(*) FROM (SELECT {columns} FROM {one}.{name} \
                 EXCEPT SELECT {columns} FROM {other}.{name})"
            );
            session.query_one(&sql, params![], |row| row.get(0))
        };
        let missing = only_in("scratch", "main")?;
        let unexpected = only_in("main", "scratch")?;
        if missing + unexpected > 0 {
            differences.push(TableDifference {
                table: table.name,
                missing,
                unexpected,
            });
        }
    }
    Ok(differences)
}

/// Takes the side columns over into the scratch database, where the key is still there.
fn keep_side_columns(session: &mut Session<'_>, table: &Table) -> Result<(), SqlError> {
    let there = columns(session, "main", table.name)?;
    let known = |column: &&&str| there.iter().any(|name| name == **column);
    let side: Vec<_> = table.side.iter().filter(known).collect();
    if side.is_empty() || !table.key.iter().all(|column| known(&column)) {
        return Ok(());
    }
    let name = quoted(table.name);
    let set: Vec<_> = side
        .iter()
        .map(|column| format!("{0} = old.{0}", quoted(column)))
        .collect();
    let same: Vec<_> = table
        .key
        .iter()
        .map(|column| format!("new.{0} = old.{0}", quoted(column)))
        .collect();
    let sql = format!(
        "UPDATE scratch.{name} AS new SET {} FROM main.{name} AS old WHERE {}",
        set.join(", "),
        same.join(" AND ")
    );
    session.execute(&sql, params![]).map(drop)
}

fn copy_rows(session: &mut Session<'_>, table: &Table) -> Result<(), SqlError> {
    let columns = columns(session, "scratch", table.name)?;
    let columns = columns
        .iter()
        .map(|column| quoted(column))
        .collect::<Vec<_>>()
        .join(", ");
    let name = quoted(table.name);
    let sql = format!("INSERT INTO main.{name} ({columns}) SELECT {columns} FROM scratch.{name}");
    session.execute(&sql, params![]).map(drop)
}

fn columns(session: &Session<'_>, schema: &str, table: &str) -> Result<Vec<String>, SqlError> {
    const SQL: &str = "SELECT name FROM pragma_table_info(?1, ?2) ORDER BY cid";
    session.query_all(SQL, params![table, schema], |row| row.get(0))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
