//! Deciding what a commit becomes: the one place of the semantics that all backends share.
//!
//! A backend says what is there ([`State`]); staging checks expectations and gives out revisions
//! and positions; the backend stores the result. Nothing is written while staging, so a conflict
//! has nothing to undo.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Value, json};

use crate::{
    Append, Commit, Conflict, Error, Event, ExpectedRevision, InvalidInput, Key, KvChange, KvExpected, NewEvent,
    NewReceipt, Position, Receipt, ReceiptResult, Recorded, Revision, StreamName, names,
};

/// The deepest nesting of a stored value. The parser that reads values back stops at 127 levels.
const MAX_DEPTH: usize = 100;
/// The largest stored value, as JSON.
const MAX_VALUE_BYTES: usize = 8 << 20;
const MAX_TYPE_BYTES: usize = 200;
const MAX_RECEIPT_BYTES: usize = 1024;

/// What is there before the commit.
pub(crate) trait State {
    /// The revision last given in a stream, if there is one.
    fn last_seq(&self, stream: &StreamName) -> Result<Option<Revision>, Error>;
    /// The value of a key.
    fn value(&self, key: &Key) -> Result<Option<Value>, Error>;
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

/// What is to be stored, with every number given out and every value written as JSON.
pub(crate) struct Staged {
    pub(crate) events: Vec<Recorded>,
    /// The JSON of each event's data and meta.
    pub(crate) texts: Vec<EventText>,
    pub(crate) streams: BTreeMap<StreamName, Tip>,
    pub(crate) kv: BTreeMap<Key, Option<Stored>>,
    /// The last event to drop of each stream.
    pub(crate) truncations: BTreeMap<StreamName, Revision>,
    pub(crate) receipt: Option<StagedReceipt>,
    pub(crate) head: Position,
}

pub(crate) struct EventText {
    pub(crate) body: String,
    /// `None` if it is null.
    pub(crate) meta: Option<String>,
}

/// A value, and its JSON.
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) text: String,
}

pub(crate) struct StagedReceipt {
    pub(crate) scope: String,
    pub(crate) key: String,
    pub(crate) receipt: Receipt,
    /// The JSON of its result.
    pub(crate) result: String,
}

/// The end of a stream, before and after; `None` while nothing was ever appended.
pub(crate) struct Tip {
    pub(crate) before: Option<Revision>,
    pub(crate) after: Option<Revision>,
}

/// Stages a commit on what is there, after `head` and recorded at `now` (Unix milliseconds).
pub(crate) fn stage(commit: Commit, state: &impl State, head: Position, now: i64) -> Result<Staging, Error> {
    if let Some(new) = &commit.receipt {
        for name in [&new.scope, &new.key] {
            names::check(name, MAX_RECEIPT_BYTES).map_err(InvalidInput::Receipt)?;
        }
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
        texts: Vec::new(),
        streams: BTreeMap::new(),
        kv: BTreeMap::new(),
        truncations: BTreeMap::new(),
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
    for truncation in commit.truncations {
        let last = staged.tip(&truncation.stream, state)?.after.unwrap_or_default();
        let through = staged.truncations.entry(truncation.stream).or_default();
        *through = truncation.through.min(last).max(*through);
    }
    staged.receipt = commit.receipt.map(|new| staged.issue(new, now)).transpose()?;
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
        names::check(&r#type, MAX_TYPE_BYTES).map_err(InvalidInput::EventType)?;
        self.texts.push(EventText {
            body: text(&data)?,
            meta: if meta.is_null() { None } else { Some(text(&meta)?) },
        });
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
                if expected != KvExpected::Any {
                    let actual = match self.kv.get(&key) {
                        Some(staged) => staged.as_ref().map(|stored| stored.value.clone()),
                        None => state.value(&key)?,
                    };
                    if !expected.admits(actual.as_ref()) {
                        return Ok(Some(Conflict::Value { key, expected, actual }));
                    }
                }
                let text = text(&value)?;
                (key, Some(Stored { value, text }))
            }
        };
        self.kv.insert(key, value);
        Ok(None)
    }

    fn issue(&self, new: NewReceipt, now: i64) -> Result<StagedReceipt, Error> {
        let result = match new.result {
            ReceiptResult::Value(value) => value,
            ReceiptResult::FirstEvent => match self.events.first() {
                Some(Recorded { event, meta, .. }) => {
                    json!({"stream": event.stream, "seq": event.seq, "at": event.at, "meta": meta})
                }
                None => return Err(InvalidInput::Contradiction("a commit without events has no first event").into()),
            },
        };
        Ok(StagedReceipt {
            scope: new.scope,
            key: new.key,
            result: text(&result)?,
            receipt: Receipt {
                request_hash: new.request_hash,
                result,
                position: self.head,
                created_at: now,
            },
        })
    }
}

/// The JSON of a value, if it can be read back and is not too large.
fn text(value: &Value) -> Result<String, InvalidInput> {
    fn fits(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| fits(item, left - 1)),
            Value::Object(members) => left > 0 && members.values().all(|item| fits(item, left - 1)),
            _ => true,
        }
    }
    if !fits(value, MAX_DEPTH) {
        return Err(InvalidInput::TooDeep { max: MAX_DEPTH });
    }
    // Straight into a string; a value's `Display` takes a detour through a formatter.
    let text = serde_json::to_string(value).map_err(|error| InvalidInput::NotJson(error.to_string()))?;
    if text.len() > MAX_VALUE_BYTES {
        return Err(InvalidInput::TooLarge {
            max: MAX_VALUE_BYTES,
            found: text.len(),
        });
    }
    Ok(text)
}
