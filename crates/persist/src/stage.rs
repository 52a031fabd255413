//! Deciding what a commit becomes: the one place of the semantics that all backends share.
//!
//! A backend says what is there ([`State`]); staging checks expectations and gives out revisions
//! and positions; the backend stores the result. Nothing is written while staging, so a conflict
//! has nothing to undo.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Value, json};

use crate::{
    Append, Commit, Conflict, Error, Event, ExpectedRevision, KvChange, KvExpected, NewEvent, NewReceipt, Position,
    Receipt, Recorded, Revision, StreamName,
};

/// The deepest nesting of a stored value. The parser that reads values back stops at 127 levels.
const MAX_DEPTH: usize = 100;
const MAX_TYPE_BYTES: usize = 200;
const MAX_KEY_BYTES: usize = 1024;

/// What is there before the commit.
pub(crate) trait State {
    /// The revision last given in a stream, if there is one.
    fn last_seq(&self, stream: &StreamName) -> Result<Option<Revision>, Error>;
    /// The value of a key.
    fn value(&self, key: &str) -> Result<Option<Value>, Error>;
    /// The receipt of an idempotency key.
    fn receipt(&self, scope: &str, key: &str) -> Result<Option<Receipt>, Error>;
}

/// What a commit becomes.
pub(crate) enum Staging {
    /// To be stored.
    Ready(Staged),
    /// Committed before.
    Duplicate(Receipt),
    /// Not to be committed.
    Conflict(Conflict),
}

/// What is to be stored, with every number given out.
pub(crate) struct Staged {
    pub(crate) events: Vec<Recorded>,
    pub(crate) streams: BTreeMap<StreamName, Tip>,
    pub(crate) kv: BTreeMap<String, Option<Value>>,
    pub(crate) receipt: Option<(NewReceipt, Receipt)>,
    pub(crate) head: Position,
}

/// The end of a stream, before and after; `None` while nothing was ever appended.
pub(crate) struct Tip {
    pub(crate) before: Option<Revision>,
    pub(crate) after: Option<Revision>,
}

/// Stages a commit on what is there, after `head` and recorded at `now` (Unix milliseconds).
pub(crate) fn stage(commit: Commit, state: &impl State, head: Position, now: i64) -> Result<Staging, Error> {
    if let Some(new) = &commit.receipt {
        check_key("receipt scope", &new.scope)?;
        check_key("idempotency key", &new.key)?;
        check_depth(&new.result)?;
        if let Some(receipt) = state.receipt(&new.scope, &new.key)? {
            return Ok(if receipt.request_hash == new.request_hash {
                Staging::Duplicate(receipt)
            } else {
                let NewReceipt { scope, key, .. } = new.clone();
                Staging::Conflict(Conflict::Receipt { scope, key })
            });
        }
    }
    let mut staged = Staged {
        events: Vec::with_capacity(commit.appends.iter().map(|append| append.events.len()).sum()),
        streams: BTreeMap::new(),
        kv: BTreeMap::new(),
        receipt: None,
        head,
    };
    for append in commit.appends {
        if let Some(conflict) = staged.append(append, state, now)? {
            return Ok(Staging::Conflict(conflict));
        }
    }
    for change in commit.kv {
        if let Some(conflict) = staged.change(change, state)? {
            return Ok(Staging::Conflict(conflict));
        }
    }
    staged.receipt = commit.receipt.map(|new| {
        let receipt = Receipt {
            request_hash: new.request_hash,
            result: new.result.clone(),
            position: staged.head,
            created_at: now,
        };
        (new, receipt)
    });
    Ok(Staging::Ready(staged))
}

impl Staged {
    fn append(&mut self, append: Append, state: &impl State, now: i64) -> Result<Option<Conflict>, Error> {
        let Append {
            stream,
            expected,
            events,
            global,
        } = append;
        let actual = self.tip(&stream, state)?.after;
        if !expected.admits(actual) {
            return Ok(Some(Conflict::Revision {
                stream,
                expected,
                actual,
            }));
        }
        let mut pointers = Vec::new();
        let mut seq = actual.unwrap_or_default();
        for event in events {
            seq = seq.next();
            if global {
                let pointer = json!({"stream": stream, "seq": seq});
                pointers.push(NewEvent::new("pointer", event.at, pointer));
            }
            self.record(stream.clone(), seq, event, now)?;
        }
        if seq > Revision::ZERO {
            self.tip(&stream, state)?.after = Some(seq);
        }
        if pointers.is_empty() {
            return Ok(None);
        }
        let timeline = Append::new(StreamName::global(), ExpectedRevision::Any, pointers);
        self.append(timeline, state, now)
    }

    fn record(&mut self, stream: StreamName, seq: Revision, new: NewEvent, now: i64) -> Result<(), Error> {
        let NewEvent {
            r#type,
            at,
            data,
            meta,
            format,
        } = new;
        if r#type.is_empty() || r#type.len() > MAX_TYPE_BYTES || r#type.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "an event type has 1 to {MAX_TYPE_BYTES} bytes and no control characters"
            )));
        }
        check_depth(&data)?;
        check_depth(&meta)?;
        self.head = self.head.next();
        self.events.push(Recorded {
            event: Event {
                stream,
                seq,
                r#type,
                at,
                data,
            },
            position: self.head,
            recorded_at: now,
            format,
            meta,
        });
        Ok(())
    }

    fn tip(&mut self, stream: &StreamName, state: &impl State) -> Result<&mut Tip, Error> {
        match self.streams.entry(stream.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let before = state.last_seq(stream)?;
                Ok(unknown.insert(Tip { before, after: before }))
            }
        }
    }

    fn change(&mut self, change: KvChange, state: &impl State) -> Result<Option<Conflict>, Error> {
        let (key, value) = match change {
            KvChange::Delete { key } => (key, None),
            KvChange::Put { key, value, expected } => {
                check_depth(&value)?;
                if expected != KvExpected::Any {
                    let actual = match self.kv.get(&key) {
                        Some(staged) => staged.clone(),
                        None => state.value(&key)?,
                    };
                    if !expected.admits(actual.as_ref()) {
                        return Ok(Some(Conflict::Value { key, expected, actual }));
                    }
                }
                (key, Some(value))
            }
        };
        check_key("key", &key)?;
        self.kv.insert(key, value);
        Ok(None)
    }
}

fn check_key(what: &str, key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        let bytes = key.len();
        return Err(Error::invalid(format!(
            "a {what} has 1 to {MAX_KEY_BYTES} bytes, not {bytes}"
        )));
    }
    Ok(())
}

/// Refuses what could be written but never read back.
fn check_depth(value: &Value) -> Result<(), Error> {
    fn fits(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| fits(item, left - 1)),
            Value::Object(members) => left > 0 && members.values().all(|item| fits(item, left - 1)),
            _ => true,
        }
    }
    if fits(value, MAX_DEPTH) {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "a value is nested at most {MAX_DEPTH} levels deep"
        )))
    }
}
