//! Connections for reading.
//!
//! They are lent from a stack rather than kept by each thread: as many exist as reads overlap, the
//! warmest is lent first, and all close with the store instead of lingering in threads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{Location, run};
use crate::SqlError;

/// How many idle connections are kept: with 1 MiB of cache each, and the writer's, below 13 MiB.
const MAX_IDLE: usize = 8;

pub(super) struct Readers {
    location: Location,
    busy_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(location: Location, busy_timeout: Duration) -> Self {
        Self {
            location,
            busy_timeout,
            idle: Mutex::default(),
        }
    }

    /// Lends a connection to `read`. It comes back only without an open transaction, so that
    /// neither an error nor a panic can leave one behind.
    pub(super) fn with<T, E: From<SqlError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let result = read(&connection);
        if connection.is_autocommit() {
            let mut idle = self.idle();
            if idle.len() < MAX_IDLE {
                idle.push(connection);
            }
        }
        result
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> Result<Connection, SqlError> {
        let connection = self.location.connect(false, self.busy_timeout)?;
        run(&connection, "PRAGMA query_only = ON; PRAGMA cache_size = -1024;")?;
        Ok(connection)
    }
}
