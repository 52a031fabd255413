//! Walking the audit log under a filter, either way, in time that follows what is shown.
//!
//! An event's kind is its app, actor and action (see `schema::AUDIT`). A filter picks kinds, and for
//! each an index has the events in order; the walk merges those with a heap. Whatever the filter,
//! it reads about as many rows as it shows, and one a kind.

use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use dist_model::{AuditEvent, ReleaseId, Timestamp};
use persist::{SqlError, SqlParam, SqlRead, SqlReadExt as _, params};

use super::{AuditFilter, AuditPlace};
use crate::rows;

/// How many ids are read at once of a kind, at most.
const RUN: usize = 256;

/// An event with the ids of what it is about.
pub(crate) struct EventRow {
    pub event: AuditEvent,
    pub app_id: Option<String>,
    pub release_id: Option<String>,
}

/// The event with this id.
pub(crate) fn row(tx: &dyn SqlRead, id: i64) -> Result<Option<EventRow>, SqlError> {
    tx.query_opt(rows::select_audit!("WHERE id = ?1"), params![id], |row| {
        Ok(EventRow {
            event: rows::read_audit(row)?,
            app_id: row.get(7)?,
            release_id: row.get(8)?,
        })
    })
}

/// A kind of events.
pub(super) struct Kind {
    first_id: i64,
    pub actor: String,
    pub action: String,
    pub count: u64,
}

/// The kinds of an app's events, or all.
pub(super) fn kinds(tx: &dyn SqlRead, app: Option<&str>) -> Result<Vec<Kind>, SqlError> {
    const ALL: &str = "SELECT first_id, actor, action, count FROM audit_kinds";
    const OF_APP: &str = "SELECT first_id, actor, action, count FROM audit_kinds WHERE app_id = ?1";
    let read = |row: &persist::Row<'_>| {
        Ok(Kind {
            first_id: row.get(0)?,
            actor: row.get(1)?,
            action: row.get(2)?,
            count: row.get(3)?,
        })
    };
    match app {
        Some(app) => tx.query_all(OF_APP, params![app], read),
        None => tx.query_all(ALL, &[], read),
    }
}

/// Events that one index has in order.
enum Source<'a> {
    All,
    Kind(i64),
    KindOfTarget(i64, &'a str),
    Release(String),
}

/// The statements of a source, older and newer: ids and times on one side of ?1 and not beyond ?2.
macro_rules! statements {
    ($condition:literal) => {
        (
            concat!(
                "SELECT id, created_at FROM audit_events WHERE ",
                $condition,
                " id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3"
            ),
            concat!(
                "SELECT id, created_at FROM audit_events WHERE ",
                $condition,
                " id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"
            ),
        )
    };
}

impl Source<'_> {
    /// The next events on the way, each as its id and time.
    fn run(&self, tx: &dyn SqlRead, way: &Way, from: i64, most: usize) -> Result<VecDeque<(i64, Timestamp)>, SqlError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut bound: Vec<SqlParam<'_>> = vec![from.into(), way.end.into(), most.into()];
        let (older, newer) = match self {
            Self::All => statements!(""),
            Self::Kind(kind) => {
                bound.push((*kind).into());
                statements!("kind = ?4 AND")
            }
            Self::KindOfTarget(kind, target) => {
                bound.extend([SqlParam::from(*kind), (*target).into()]);
                statements!("kind = ?4 AND target_id = ?5 AND")
            }
            Self::Release(release) => {
                bound.push(release.into());
                statements!("release_id = ?4 AND")
            }
        };
        let sql = if way.newer { newer } else { older };
        let ids = tx.query_all(sql, &bound, |row| Ok((row.get(0)?, rows::parsed(row, 1)?)))?;
        Ok(ids.into())
    }
}

/// Where a walk goes: from `start`, which is not part of it, to `end`, which is.
struct Way {
    newer: bool,
    start: i64,
    end: i64,
}

impl Way {
    /// The order in which ids come on the way, as a heap that gives the greatest first needs it.
    fn rank(&self, id: i64) -> i64 {
        if self.newer { -id } else { id }
    }
}

/// The events that a filter finds.
pub(crate) struct Walk<'a> {
    sources: Vec<Source<'a>>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// The lowest and the highest id that can be within the time.
    ids: (i64, i64),
}

impl<'a> Walk<'a> {
    /// The events that a filter finds, whose app has this id.
    pub fn new(tx: &dyn SqlRead, filter: &'a AuditFilter, app: Option<&str>) -> Result<Self, SqlError> {
        let all_kinds = app.is_none() && filter.actor.is_none() && filter.action.is_none();
        let picked = if all_kinds {
            None
        } else {
            Some(picked(tx, filter, app)?)
        };
        let sources = match (&filter.target, picked) {
            (None, None) => vec![Source::All],
            (None, Some(kinds)) => kinds.into_iter().map(Source::Kind).collect(),
            (Some(target), kinds) => {
                let mut there = kinds_of_target(tx, target)?;
                there.retain(|kind| kinds.as_ref().is_none_or(|kinds| kinds.contains(kind)));
                let there = there.into_iter();
                there.map(|kind| Source::KindOfTarget(kind, target)).collect()
            }
        };
        Ok(Self {
            sources,
            since: filter.since,
            until: filter.until,
            ids: ids_within(tx, filter)?,
        })
    }

    /// The events that are about a release.
    pub fn release(release: &ReleaseId) -> Self {
        Self {
            sources: vec![Source::Release(release.to_string())],
            since: None,
            until: None,
            ids: (0, i64::MAX),
        }
    }

    /// The events next to a place, nearest first: newest first, but after an event oldest first.
    pub fn rows(&self, tx: &dyn SqlRead, place: AuditPlace, most: usize) -> Result<Vec<EventRow>, SqlError> {
        let (lowest, highest) = self.ids;
        let id = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
        let way = match place {
            AuditPlace::Newest => Way {
                newer: false,
                start: highest.saturating_add(1),
                end: lowest,
            },
            AuditPlace::Before(before) => Way {
                newer: false,
                start: id(before).min(highest.saturating_add(1)),
                end: lowest,
            },
            AuditPlace::After(after) => Way {
                newer: true,
                start: id(after).max(lowest.saturating_sub(1)),
                end: highest,
            },
        };
        let run = most.div_ceil(self.sources.len().max(1)).clamp(1, RUN);
        let mut heap = BinaryHeap::new();
        for (source, from) in self.sources.iter().enumerate() {
            let mut ids = from.run(tx, &way, way.start, run)?;
            if let Some((id, at)) = ids.pop_front() {
                heap.push((way.rank(id), id, at, source, ids));
            }
        }
        let mut found = Vec::new();
        while found.len() < most
            && let Some((_, id, at, source, mut ids)) = heap.pop()
        {
            if self.is_within(at) {
                found.extend(row(tx, id)?);
            }
            if ids.is_empty() {
                ids = self.sources[source].run(tx, &way, id, run)?;
            }
            if let Some((next, at)) = ids.pop_front() {
                heap.push((way.rank(next), next, at, source, ids));
            }
        }
        Ok(found)
    }

    fn is_within(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// The kinds that a filter by app, actor or action picks.
fn picked(tx: &dyn SqlRead, filter: &AuditFilter, app: Option<&str>) -> Result<BTreeSet<i64>, SqlError> {
    let acts = |action: &str| match &filter.action {
        Some(wanted) if wanted.ends_with('.') => action.starts_with(wanted),
        Some(wanted) => action == wanted,
        None => true,
    };
    let kinds = kinds(tx, app)?.into_iter();
    let picked = kinds.filter(|kind| acts(&kind.action) && filter.actor.as_ref().is_none_or(|it| *it == kind.actor));
    Ok(picked.map(|kind| kind.first_id).collect())
}

/// The kinds of the events of a target, each found by one step on the index.
fn kinds_of_target(tx: &dyn SqlRead, target: &str) -> Result<Vec<i64>, SqlError> {
    let sql = "SELECT kind FROM audit_events WHERE target_id = ?1 AND kind > ?2 ORDER BY kind LIMIT 1";
    let mut kinds = Vec::new();
    let mut last = 0;
    while let Some(kind) = tx.query_opt(sql, params![target, last], |row| row.get(0))? {
        kinds.push(kind);
        last = kind;
    }
    Ok(kinds)
}

/// The lowest and the highest id of the days that the filter's times lie in.
fn ids_within(tx: &dyn SqlRead, filter: &AuditFilter) -> Result<(i64, i64), SqlError> {
    const SINCE: &str = "SELECT MIN(first_id) FROM audit_days WHERE day >= ?1";
    const UNTIL: &str = "SELECT MAX(last_id) FROM audit_days WHERE day <= ?1";
    let bound = |sql: &str, at: Option<Timestamp>, open: i64, nothing: i64| match at {
        None => Ok(open),
        Some(at) => tx.query_one(sql, params![&at.day()], |row| {
            Ok(row.get::<Option<i64>>(0)?.unwrap_or(nothing))
        }),
    };
    // Where no day is within, the bounds cross and nothing is found.
    let lowest = bound(SINCE, filter.since, 0, i64::MAX)?;
    let highest = bound(UNTIL, filter.until, i64::MAX, 0)?;
    Ok((lowest, highest))
}
