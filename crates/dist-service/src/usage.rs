//! Usage: counts and refusals that gather in memory and are written every few seconds.
//!
//! Counts are side state, and a crash loses a few seconds of them. Refusals of strangers are
//! history, but one event an address and minute, so that nobody can flood the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dist_model::decide::Decided;
use dist_model::{ArtifactId, ErrorCode, Event, SessionId, Timestamp, TokenId, events};
use persist::{SqlTx, params};

use crate::{Caller, Error, Principal, Service, rows};

const MINUTE: i64 = 60_000;

/// Beyond so many addresses a minute, further ones share one count: memory stays bounded whoever
/// comes.
const MOST_ADDRESSES: usize = 4096;

#[derive(Default)]
pub(crate) struct Usage(Mutex<Counts>);

#[derive(Clone, Default)]
struct Counts {
    tokens: HashMap<TokenId, Timestamp>,
    sessions: HashMap<SessionId, Timestamp>,
    downloads: HashMap<(ArtifactId, String), u64>,
    strangers: HashMap<(Option<IpAddr>, Timestamp), u64>,
}

impl Counts {
    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.sessions.is_empty() && self.downloads.is_empty() && self.strangers.is_empty()
    }

    /// Takes everything, but of the strangers only those of minutes up to `until`.
    fn take(&mut self, until: Timestamp) -> Self {
        Self {
            tokens: std::mem::take(&mut self.tokens),
            sessions: std::mem::take(&mut self.sessions),
            downloads: std::mem::take(&mut self.downloads),
            strangers: self.strangers.extract_if(|(_, minute), _| *minute <= until).collect(),
        }
    }

    /// Takes back what could not be written. What has come since is newer.
    fn put_back(&mut self, counts: Self) {
        for (id, at) in counts.tokens {
            self.tokens.entry(id).or_insert(at);
        }
        for (id, at) in counts.sessions {
            self.sessions.entry(id).or_insert(at);
        }
        for (key, count) in counts.downloads {
            *self.downloads.entry(key).or_default() += count;
        }
        for (key, count) in counts.strangers {
            *self.strangers.entry(key).or_default() += count;
        }
    }
}

impl Usage {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // A panic elsewhere leaves counts, not broken ones.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn session_used(&self, id: &SessionId, now: Timestamp) {
        self.counts().sessions.insert(id.clone(), now);
    }

    /// When a session was last used, as far as the table does not know it yet.
    pub(crate) fn session_seen(&self, id: &SessionId) -> Option<Timestamp> {
        self.counts().sessions.get(id).copied()
    }

    pub(crate) fn token_used(&self, id: &TokenId, now: Timestamp) {
        let mut counts = self.counts();
        match counts.tokens.get_mut(id) {
            Some(last) => *last = now,
            None => {
                counts.tokens.insert(id.clone(), now);
            }
        }
    }
}

impl Service {
    /// Counts a download that reached its last byte.
    pub fn count_download(&self, artifact: &ArtifactId) {
        let day = self.now().day();
        *self
            .usage()
            .counts()
            .downloads
            .entry((artifact.clone(), day))
            .or_default() += 1;
    }

    /// Counts a refusal of somebody without a credential that we know.
    pub fn count_stranger(&self, address: IpAddr) {
        let now = self.now().as_millis();
        let minute = Timestamp::from_millis(now - now.rem_euclid(MINUTE));
        let mut counts = self.usage().counts();
        let known = counts.strangers.contains_key(&(Some(address), minute));
        let address = (known || counts.strangers.len() < MOST_ADDRESSES).then_some(address);
        *counts.strangers.entry((address, minute)).or_default() += 1;
    }

    /// Records that a credential of ours was refused something.
    pub async fn record_refusal(
        &self,
        principal: &Principal,
        code: ErrorCode,
        request: &str,
        request_id: Option<Arc<str>>,
    ) -> Result<(), Error> {
        let (token_id, user_id) = match principal {
            Principal::Token(token) => (Some(token.id.clone()), None),
            Principal::Person(person) => (None, Some(person.user.id.clone())),
            _ => return Ok(()),
        };
        let caller = Caller {
            principal: principal.clone(),
            request_id,
        };
        let event = Event::AccessRefused(events::AccessRefused {
            token_id,
            user_id,
            code: code.as_str().to_owned(),
            request: request.chars().take(500).collect(),
        });
        self.write(&caller, move |_, _| {
            Ok(Decided {
                events: vec![event],
                value: (),
            })
        })
        .await
    }

    /// Writes what has gathered: uses, downloads, and the strangers of the minutes that are over. What
    /// cannot be written, on a full disk for one, waits for the next time.
    pub async fn flush(&self) -> Result<(), Error> {
        let over = self.now().plus_millis(-MINUTE);
        self.flush_until(over).await
    }

    /// Writes all that has gathered; for the end of a process.
    pub async fn flush_all(&self) -> Result<(), Error> {
        self.flush_until(self.now()).await
    }

    async fn flush_until(&self, until: Timestamp) -> Result<(), Error> {
        let counts = self.usage().counts().take(until);
        if counts.is_empty() {
            return Ok(());
        }
        let written = self.write_counts(counts.clone()).await;
        // What may have been written must not count twice.
        if let Err(error) = &written
            && error.refusal().code != ErrorCode::StoreOutcomeUnknown
        {
            self.usage().counts().put_back(counts);
        }
        written
    }

    async fn write_counts(&self, counts: Counts) -> Result<(), Error> {
        let caller = Caller::new(Principal::System);
        self.write(&caller, move |tx, _| {
            for (id, at) in &counts.tokens {
                tx.execute(
                    "UPDATE tokens SET last_used_at = ?2 WHERE id = ?1",
                    params![id.as_str(), &at.to_string()],
                )?;
            }
            for (id, at) in &counts.sessions {
                tx.execute(
                    "UPDATE sessions SET last_seen_at = ?2 WHERE id = ?1",
                    params![id.as_str(), &at.to_string()],
                )?;
            }
            for ((artifact, day), count) in &counts.downloads {
                add_downloads(tx, artifact, day, *count)?;
            }
            let events = counts.strangers.into_iter().map(|((address, minute), count)| {
                let address = address.map_or_else(|| "many others".to_owned(), |address| address.to_string());
                Event::StrangersRefused(events::StrangersRefused { address, minute, count })
            });
            Ok(Decided {
                events: events.collect(),
                value: (),
            })
        })
        .await
    }
}

/// Adds to the counts of an artifact, its release and its app.
fn add_downloads(tx: &mut dyn SqlTx, artifact: &ArtifactId, day: &str, count: u64) -> Result<(), Error> {
    const COUNTS: [&str; 3] = [
        "INSERT INTO artifact_downloads (artifact_id, day, count) VALUES (?1, ?2, ?3) \
         ON CONFLICT (artifact_id, day) DO UPDATE SET count = artifact_downloads.count + excluded.count",
        "INSERT INTO release_downloads (app_id, day, release_id, count) \
         SELECT app_id, ?2, release_id, ?3 FROM artifacts WHERE id = ?1 \
         ON CONFLICT (app_id, day, release_id) DO UPDATE SET count = release_downloads.count + excluded.count",
        "INSERT INTO app_downloads (app_id, day, count) SELECT app_id, ?2, ?3 FROM artifacts WHERE id = ?1 \
         ON CONFLICT (app_id, day) DO UPDATE SET count = app_downloads.count + excluded.count",
    ];
    for sql in COUNTS {
        tx.execute(sql, params![artifact.as_str(), day, rows::number(count)?])?;
    }
    Ok(())
}
