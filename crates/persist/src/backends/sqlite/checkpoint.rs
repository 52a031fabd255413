//! When the write-ahead log is written back.
//!
//! `SQLite` would do it inside the COMMIT that crosses a size, and answer that commit late. Here it
//! happens between batches, and its errors concern no commit: what is in the log stays durable
//! there, and the next checkpoint writes it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::connection::sql_error;
use crate::SqlError;

const PAGE_BYTES: u64 = 4096;
/// How far the log grows, in pages, before it is written back beside readers (4 MiB).
const PASSIVE_PAGES: u64 = 1024;
/// How far it grows before readers are waited for, so that it can start again (64 MiB).
const TRUNCATE_PAGES: u64 = 16 * PASSIVE_PAGES;
/// How long writing pauses for those readers.
const TRUNCATE_PATIENCE: Duration = Duration::from_millis(100);

pub(super) struct Checkpointer {
    /// The length of the log in pages after the last commit, as the database's hook tells it.
    pages: Arc<AtomicU64>,
    /// Its length when it was last written back.
    checkpointed: u64,
    /// The length beyond which it must not grow.
    limit: u64,
    busy_timeout: Duration,
}

impl Checkpointer {
    /// Takes checkpoints over from `SQLite` on the writer's connection.
    /// The log has at most `limit` bytes, and what one more transaction adds.
    pub(super) fn take_over(connection: &mut Connection, busy_timeout: Duration, limit: u64) -> Result<Self, SqlError> {
        let pages = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&pages);
        // A hook of one's own replaces that of the automatic checkpoint.
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, length| {
                seen.store(u64::try_from(length).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(sql_error)?;
        Ok(Self {
            pages,
            checkpointed: 0,
            limit: limit / PAGE_BYTES,
            busy_timeout,
        })
    }

    /// Whether the log may grow: if it is full, whether it could be emptied.
    pub(super) fn has_room(&mut self, connection: &Connection) -> bool {
        self.pages.load(Ordering::Relaxed) < self.limit || self.truncate(connection)
    }

    /// Whether enough has gathered to be written back.
    pub(super) fn is_due(&mut self) -> bool {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.checkpointed {
            // The log has started again from its beginning.
            self.checkpointed = 0;
        }
        pages - self.checkpointed >= PASSIVE_PAGES
    }

    /// Writes back what has gathered, if it is enough.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        if !self.is_due() {
            return;
        }
        let pages = self.pages.load(Ordering::Relaxed);
        self.checkpointed = pages;
        if pages >= TRUNCATE_PAGES {
            self.truncate(connection);
        } else {
            let _ = write_back(connection, "PRAGMA wal_checkpoint(PASSIVE)");
        }
    }

    /// Writes everything back and empties the log; answers whether readers let it.
    pub(super) fn truncate(&mut self, connection: &Connection) -> bool {
        let _ = connection.busy_timeout(TRUNCATE_PATIENCE.min(self.busy_timeout));
        let emptied = write_back(connection, "PRAGMA wal_checkpoint(TRUNCATE)").unwrap_or(false);
        let _ = connection.busy_timeout(self.busy_timeout);
        if emptied {
            self.pages.store(0, Ordering::Relaxed);
            self.checkpointed = 0;
        }
        emptied
    }
}

/// The first column says whether somebody was in the way.
fn write_back(connection: &Connection, pragma: &str) -> rusqlite::Result<bool> {
    connection
        .query_row(pragma, [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
}
