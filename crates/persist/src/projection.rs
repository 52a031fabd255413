//! Inline projections: tables that are folded from the log in the transaction that appends to it.

use crate::{Position, Recorded, SqlError, SqlTx, StreamName};

/// A fold of the log into tables.
///
/// It sees the events of the streams that it reads, in order of position, and must depend on
/// nothing else but its own tables: then a replay of the log gives the same rows.
pub trait InlineProjection: Send + Sync + 'static {
    /// Its name, which no other projection of the store has.
    fn name(&self) -> &'static str;

    /// The version of its tables and its fold. The store refuses a writer whose set of names and
    /// versions is not the one that its tables were made by.
    fn version(&self) -> u32;

    /// The tables that it alone writes.
    fn tables(&self) -> &'static [Table];

    /// Whether it folds the events of that stream, which then can never be truncated. A change of
    /// the answer is a change of the fold, and needs a new version.
    fn reads(&self, stream: &StreamName) -> bool {
        let _ = stream;
        true
    }

    /// Folds one event into the tables. An error undoes the command that appended the event.
    fn apply(&self, tx: &mut dyn SqlTx, recorded: &Recorded) -> Result<(), SqlError>;
}

/// A table of a projection.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// `CREATE TABLE …` and its indexes, all with plain names, since the same text also makes the
    /// table in the scratch database of a rebuild. No triggers: a rebuild would fire them.
    pub ddl: &'static str,
    /// The columns of its primary key.
    pub key: &'static [&'static str],
    /// Columns that no event carries, such as the time of a last use: left out of comparisons, and
    /// kept by a rebuild where the key is still there.
    pub side: &'static [&'static str],
}

/// How a table differs from a replay of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDifference {
    /// The table.
    pub table: &'static str,
    /// Rows that the replay has and the table has not.
    pub missing: u64,
    /// Rows that the table has and the replay has not. A row that was changed counts in both.
    pub unexpected: u64,
}

/// What a rebuild did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// How many events were replayed.
    pub events: u64,
    /// The head of the store that the tables now stand at.
    pub position: Position,
    /// The tables that differed, and were replaced.
    pub differences: Vec<TableDifference>,
}
