//! Hearing of the commits of other processes.
//!
//! Nothing tells a process of them, so somebody has to look: a thread that begins when somebody
//! first listens and ends with the store. Commits of this process do not wait for it; the writer
//! tells of them itself.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{Location, sql_error};
use super::sequencer::Shared;
use crate::{Commits, SqlError};

/// How often it looks: soon enough for whoever waits for another process, and seldom enough that
/// the few system calls of a look are nothing.
const POLL: Duration = Duration::from_millis(20);

/// Begins to tell of every change of the database, until the store stops. To end at once the thread
/// wants to be unparked then.
pub(super) fn spawn(location: Location, shared: Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("persist-watcher".to_owned())
        .spawn(move || {
            let mut watched = None;
            while !shared.is_stopping() {
                watched = look(&location, watched.take(), &shared.commits).ok();
                thread::park_timeout(POLL);
            }
        })
}

/// A connection, and the version of the data that it last saw; those of different connections do
/// not compare.
type Watched = (Connection, i64);

/// Looks once. After an error, such as a lock that somebody holds, the next look begins anew.
fn look(location: &Location, watched: Option<Watched>, commits: &Commits) -> Result<Watched, SqlError> {
    let (connection, seen) = match watched {
        Some((connection, version)) => (connection, Some(version)),
        None => (location.connect(false, Duration::ZERO)?, None),
    };
    let version = data_version(&connection)?;
    // What came before the first look may be news too.
    if seen != Some(version) {
        commits.notify();
    }
    Ok((connection, version))
}

/// A number that changes with every commit of another connection. It reads for a moment and holds
/// nothing afterwards.
fn data_version(connection: &Connection) -> Result<i64, SqlError> {
    connection
        .prepare_cached("PRAGMA data_version")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(sql_error)
}

#[cfg(test)]
mod tests {
    use event_listener::Listener;

    use super::*;

    /// What a look finds: whether it told of a commit.
    fn tells(location: &Location, watched: &mut Option<Watched>) -> Result<bool, SqlError> {
        let commits = Commits::default();
        let listener = commits.listen();
        *watched = Some(look(location, watched.take(), &commits)?);
        Ok(listener.wait_timeout(Duration::ZERO).is_some())
    }

    #[test]
    fn tells_of_each_commit_once_and_of_what_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x)").unwrap();
        let (location, mut watched) = (Location::File(path), None);
        assert!(tells(&location, &mut watched).unwrap());
        assert!(!tells(&location, &mut watched).unwrap());
        other.execute_batch("BEGIN; INSERT INTO t VALUES (1)").unwrap();
        assert!(!tells(&location, &mut watched).unwrap());
        other.execute_batch("COMMIT").unwrap();
        assert!(tells(&location, &mut watched).unwrap());
        assert!(!tells(&location, &mut watched).unwrap());
    }

    #[test]
    fn begins_anew_after_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (location, mut watched) = (Location::File(path.clone()), None);
        tells(&location, &mut watched).unwrap_err();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(tells(&location, &mut watched).unwrap());
        other
            .execute_batch("BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)")
            .unwrap();
        let busy = tells(&location, &mut watched).unwrap_err();
        assert_eq!(busy.class(), crate::ErrorClass::Busy);
        other.execute_batch("COMMIT").unwrap();
        assert!(tells(&location, &mut watched).unwrap());
    }
}
