//! A log in memory: the model that the other backends are compared with, and for tests.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::stage::{EventText, Staged, Staging, State, stage};
use crate::{
    After, Backend, Clock, Commit, CommitFuture, Commits, Committed, Error, Key, Outcome, Page, Position, RawEvent,
    Receipt, Recorded, Revision, StoreIdentity, StreamName, SystemClock,
};

/// A log in memory, gone with its last handle. Clones are handles to the same log.
///
/// It has the facets and nothing else: no SQL, so no commands and no inline projections. Tests of
/// those use [`SqlStore::in_memory`](crate::SqlStore::in_memory).
#[derive(Clone)]
pub struct MemoryLog {
    inner: Arc<Inner>,
}

struct Inner {
    identity: StoreIdentity,
    clock: Arc<dyn Clock>,
    content: Mutex<Content>,
    commits: Arc<Commits>,
}

#[derive(Default)]
struct Content {
    head: Position,
    events: BTreeMap<Position, StoredEvent>,
    streams: BTreeMap<StreamName, StoredStream>,
    kv: BTreeMap<Key, Value>,
    receipts: BTreeMap<(String, String), Receipt>,
}

struct StoredEvent {
    recorded: Recorded,
    text: EventText,
}

#[derive(Default)]
struct StoredStream {
    last_seq: Revision,
    /// Where the events are that were not dropped.
    positions: BTreeMap<Revision, Position>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryLog {
    /// An empty log that records by that clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let identity = StoreIdentity {
            store_id: format!("{number:032x}"),
            epoch: 1,
            schema_version: 1,
        };
        Self {
            inner: Arc::new(Inner {
                identity,
                clock,
                content: Mutex::default(),
                commits: Arc::default(),
            }),
        }
    }

    /// A panic while the lock is held leaves the content whole: staging does not write, and
    /// storing does not panic.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.inner.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn store(&mut self, staged: Staged) -> Committed {
        self.head = staged.head;
        for (recorded, text) in staged.events.iter().zip(staged.texts) {
            let stream = self.streams.entry(recorded.event.stream.clone()).or_default();
            stream.last_seq = recorded.event.seq;
            stream.positions.insert(recorded.event.seq, recorded.position);
            let recorded = recorded.clone();
            self.events.insert(recorded.position, StoredEvent { recorded, text });
        }
        for (key, value) in staged.kv {
            match value {
                Some(stored) => self.kv.insert(key, stored.value),
                None => self.kv.remove(&key),
            };
        }
        for (name, through) in &staged.truncations {
            self.truncate(name, *through);
        }
        if let Some(new) = staged.receipt {
            self.receipts.insert((new.scope, new.key), new.receipt);
        }
        Committed {
            events: staged.events,
            head: staged.head,
        }
    }

    fn truncate(&mut self, name: &StreamName, through: Revision) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let kept = stream.positions.split_off(&through.next());
        for position in std::mem::replace(&mut stream.positions, kept).values() {
            self.events.remove(position);
        }
    }

    fn page<'a>(&self, positions: impl Iterator<Item = &'a Position>, limit: usize) -> Page {
        let mut page = Page::last();
        for StoredEvent { recorded, text } in positions.filter_map(|position| self.events.get(position)) {
            let raw = RawEvent {
                position: recorded.position,
                stream: &recorded.event.stream,
                seq: recorded.event.seq,
                r#type: &recorded.event.r#type,
                at: recorded.event.at,
                recorded_at: recorded.recorded_at,
                format: recorded.format,
                meta: text.meta.as_deref(),
                body: Some(&text.body),
            };
            if !page.offer(&raw, limit) {
                break;
            }
        }
        page
    }
}

impl State for Content {
    fn last_seq(&self, stream: &StreamName) -> Result<Option<Revision>, Error> {
        Ok(self.streams.get(stream).map(|stream| stream.last_seq))
    }

    fn value(&self, key: &Key) -> Result<Option<Value>, Error> {
        Ok(self.kv.get(key).cloned())
    }

    fn receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        Ok(self.receipts.get(&(scope.to_owned(), key.to_owned())).cloned())
    }
}

impl Backend for MemoryLog {
    fn identity(&self) -> Result<StoreIdentity, Error> {
        Ok(self.inner.identity.clone())
    }

    fn commit(&self, commit: Commit) -> Result<Outcome<()>, Error> {
        let now = self.inner.clock.now_ms();
        let mut content = self.content();
        let outcome = match stage(commit, &*content, content.head, now)? {
            Staging::Ready(staged) => Outcome::Committed {
                value: (),
                committed: content.store(staged),
            },
            Staging::Duplicate(receipt) => return Ok(Outcome::Duplicate(receipt)),
            Staging::Conflict(conflict) => return Ok(Outcome::Conflict(conflict)),
        };
        drop(content);
        self.inner.commits.notify();
        Ok(outcome)
    }

    fn commit_async(&self, commit: Commit) -> CommitFuture<'_> {
        let outcome = self.commit(commit);
        Box::pin(async { outcome })
    }

    fn page(&self, after: After<'_>, limit: usize) -> Result<Page, Error> {
        let content = self.content();
        Ok(match after {
            After::Revision(stream, revision) => match content.streams.get(stream) {
                Some(stream) => {
                    let rest = (Bound::Excluded(revision), Bound::Unbounded);
                    content.page(stream.positions.range(rest).map(|(_, position)| position), limit)
                }
                None => Page::last(),
            },
            After::Position(position) => {
                let rest = (Bound::Excluded(position), Bound::Unbounded);
                content.page(content.events.range(rest).map(|(position, _)| position), limit)
            }
        })
    }

    fn last_seq(&self, stream: &StreamName) -> Result<Revision, Error> {
        Ok(State::last_seq(&*self.content(), stream)?.unwrap_or_default())
    }

    fn count(&self, stream: &StreamName) -> Result<u64, Error> {
        let content = self.content();
        let stream = content.streams.get(stream);
        Ok(stream.map_or(0, |stream| stream.positions.len() as u64))
    }

    fn stream_revisions(&self) -> Result<Vec<(StreamName, Revision)>, Error> {
        let content = self.content();
        let streams = content.streams.iter();
        Ok(streams.map(|(name, stream)| (name.clone(), stream.last_seq)).collect())
    }

    fn head(&self) -> Result<Position, Error> {
        Ok(self.content().head)
    }

    fn kv_get(&self, key: &Key) -> Result<Option<Value>, Error> {
        self.content().value(key)
    }

    fn kv_keys(&self, prefix: &str) -> Result<Vec<Key>, Error> {
        let content = self.content();
        let rest = content.kv.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        Ok(rest
            .map(|(key, _)| key)
            .take_while(|key| key.as_str().starts_with(prefix))
            .cloned()
            .collect())
    }

    fn find_receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error> {
        self.content().receipt(scope, key)
    }

    fn commits(&self) -> Arc<Commits> {
        Arc::clone(&self.inner.commits)
    }
}
