//! A log in memory: the model that the other backends are compared with, and for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::stage::{Staged, Staging, State, stage};
use crate::{
    Backend, Clock, Commit, Committed, Error, Outcome, Position, Receipt, Recorded, Revision, StreamName, SystemClock,
};

/// A log in memory, gone when it is dropped.
///
/// It has the facets and nothing else: no SQL, so no commands and no projections. Tests of those
/// use [`SqlStore::in_memory`](crate::SqlStore::in_memory).
pub struct MemoryLog {
    clock: Arc<dyn Clock>,
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    /// The event at position n is at index n - 1.
    events: Vec<Recorded>,
    streams: BTreeMap<StreamName, Vec<Position>>,
    kv: BTreeMap<String, Value>,
    receipts: BTreeMap<(String, String), Receipt>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryLog {
    /// An empty log that records by that clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            content: Mutex::default(),
        }
    }

    /// A panic while the lock is held leaves the content whole: staging does not write, and
    /// storing does not panic.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn head(&self) -> Position {
        Position::new(self.events.len() as u64)
    }

    fn at(&self, position: Position) -> Option<&Recorded> {
        let index = usize::try_from(position.get()).ok()?.checked_sub(1)?;
        self.events.get(index)
    }

    fn store(&mut self, staged: Staged) -> Committed {
        for recorded in &staged.events {
            let stream = recorded.event.stream.clone();
            self.streams.entry(stream).or_default().push(recorded.position);
        }
        for (key, value) in staged.kv {
            match value {
                Some(value) => self.kv.insert(key, value),
                None => self.kv.remove(&key),
            };
        }
        if let Some((new, receipt)) = staged.receipt {
            self.receipts.insert((new.scope, new.key), receipt);
        }
        self.events.extend(staged.events.iter().cloned());
        Committed {
            events: staged.events,
            head: staged.head,
        }
    }
}

impl State for Content {
    fn last_seq(&self, stream: &StreamName) -> Result<Option<Revision>, Error> {
        Ok(self
            .streams
            .get(stream)
            .map(|positions| Revision::new(positions.len() as u64)))
    }

    fn value(&self, key: &str) -> Result<Option<Value>, Error> {
        Ok(self.kv.get(key).cloned())
    }

    fn receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        Ok(self.receipts.get(&(scope.to_owned(), key.to_owned())).cloned())
    }
}

impl Backend for MemoryLog {
    fn commit(&self, commit: Commit) -> Result<Outcome<()>, Error> {
        let now = self.clock.now_ms();
        let mut content = self.content();
        Ok(match stage(commit, &*content, content.head(), now)? {
            Staging::Ready(staged) => Outcome::Committed {
                value: (),
                committed: content.store(staged),
            },
            Staging::Duplicate(receipt) => Outcome::Duplicate(receipt),
            Staging::Conflict(conflict) => Outcome::Conflict(conflict),
        })
    }

    fn read_stream(&self, stream: &StreamName, after: Revision, limit: usize) -> Result<Vec<Recorded>, Error> {
        let content = self.content();
        let positions = content.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let skip = usize::try_from(after.get()).unwrap_or(usize::MAX);
        let wanted = positions.iter().skip(skip).take(limit);
        Ok(wanted.filter_map(|position| content.at(*position)).cloned().collect())
    }

    fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, Error> {
        let skip = usize::try_from(after.get()).unwrap_or(usize::MAX);
        Ok(self.content().events.iter().skip(skip).take(limit).cloned().collect())
    }

    fn last_seq(&self, stream: &StreamName) -> Result<Revision, Error> {
        Ok(State::last_seq(&*self.content(), stream)?.unwrap_or_default())
    }

    fn count(&self, stream: &StreamName) -> Result<u64, Error> {
        Ok(self
            .content()
            .streams
            .get(stream)
            .map_or(0, |positions| positions.len() as u64))
    }

    fn stream_revisions(&self) -> Result<Vec<(StreamName, Revision)>, Error> {
        let content = self.content();
        let revision = |positions: &Vec<Position>| Revision::new(positions.len() as u64);
        Ok(content
            .streams
            .iter()
            .map(|(name, all)| (name.clone(), revision(all)))
            .collect())
    }

    fn head(&self) -> Result<Position, Error> {
        Ok(self.content().head())
    }

    fn kv_get(&self, key: &str) -> Result<Option<Value>, Error> {
        self.content().value(key)
    }

    fn kv_keys(&self) -> Result<Vec<String>, Error> {
        Ok(self.content().kv.keys().cloned().collect())
    }

    fn find_receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        self.content().receipt(scope, key)
    }
}
