//! The audit log: listed, paged both ways, and exported.

pub(super) mod walk;

use std::collections::BTreeMap;

use dist_model::{About, AuditEvent, ReleaseName, Scope, Slug, Timestamp};
use persist::{SqlError, SqlRead, SqlReadExt as _, params};

pub(crate) use walk::Walk;

use super::app_to_read;
use crate::{Caller, Error, Page, Paging, Selector, Service, rows};

/// How many events an export reads in one transaction.
const EXPORT: usize = 1000;
/// The most lines of a page.
const MOST: u32 = 200;

/// Which audit events to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Those of one app.
    pub app: Option<Slug>,
    /// Those of one actor, such as `token:ci`.
    pub actor: Option<String>,
    /// Those of one action, such as `release.published`, or where it ends in a dot, of all actions
    /// that begin so.
    pub action: Option<String>,
    /// Those done to one target, by its id or name.
    pub target: Option<String>,
    /// Those at or after this time.
    pub since: Option<Timestamp>,
    /// Those before this time.
    pub until: Option<Timestamp>,
}

/// Where a page of the audit log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditPlace {
    /// At the newest event.
    #[default]
    Newest,
    /// At the events older than this one.
    Before(u64),
    /// At the events newer than this one, those that are next to it.
    After(u64),
}

/// A page of the audit log, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditPage {
    /// The events.
    pub lines: Vec<AuditLine>,
    /// Where the page of newer events stands, if there is one.
    pub newer: Option<AuditPlace>,
    /// Where the page of older events stands, if there is one.
    pub older: Option<AuditPlace>,
}

/// An event, with what its sentence needs.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditLine {
    /// The event.
    pub event: AuditEvent,
    /// The names of what it is about: see [`dist_model::sentence`].
    pub about: About,
}

/// What a filter can be set to, with how many events there are of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditChoices {
    /// The actors.
    pub actors: BTreeMap<String, u64>,
    /// The actions.
    pub actions: BTreeMap<String, u64>,
}

/// All events that a filter finds when it is begun, newest first, a thousand at a time: memory does
/// not grow with the log, and no transaction stays open between two reads.
pub struct AuditExport {
    service: Service,
    caller: Caller,
    filter: AuditFilter,
    /// Where the next read stands; `None` at the end.
    next: Option<AuditPlace>,
}

impl Iterator for AuditExport {
    type Item = Result<Vec<AuditEvent>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.next.take()?;
        let read = self.service.read(|tx| {
            let walk = self.service.audit_walk(tx, &self.caller, &self.filter)?;
            Ok::<_, Error>(walk.rows(tx, place, EXPORT)?)
        });
        let events = match read {
            Ok(rows) => rows.into_iter().map(|row| row.event).collect::<Vec<_>>(),
            Err(error) => return Some(Err(error)),
        };
        if events.len() == EXPORT {
            self.next = events.last().map(|event| AuditPlace::Before(event.id));
        }
        (!events.is_empty()).then_some(Ok(events))
    }
}

impl Service {
    /// Audit events, newest first: of one app for those who may read it, of all for admins.
    pub async fn audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        paging: &Paging,
    ) -> Result<Page<AuditEvent>, Error> {
        let place = match paging.after::<1>("audit")? {
            Some([id]) => AuditPlace::Before(id.parse().unwrap_or(0)),
            None => AuditPlace::Newest,
        };
        let most = usize::try_from(paging.sql_limit()).unwrap_or(1);
        let rows = self.read(|tx| {
            let walk = self.audit_walk(tx, caller, filter)?;
            Ok::<_, Error>(walk.rows(tx, place, most)?)
        })?;
        let events = rows.into_iter().map(|row| row.event).collect();
        Ok(Page::cut(events, paging, "audit", |event| [event.id.to_string()]))
    }

    /// The same for people: a page that leads both ways, with the names of what each event is about.
    pub async fn audit_page(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        place: AuditPlace,
        most: u32,
    ) -> Result<AuditPage, Error> {
        self.read(|tx| {
            let walk = self.audit_walk(tx, caller, filter)?;
            Ok(page(tx, &walk, place, most)?)
        })
    }

    /// What happened to a release: itself, its artifacts, and the channels that were moved to it.
    /// Drafts are there for those who may publish.
    pub async fn release_timeline(
        &self,
        caller: &Caller,
        slug: &Slug,
        release: &Selector,
        place: AuditPlace,
        most: u32,
    ) -> Result<AuditPage, Error> {
        caller.require(Scope::Read, Some(slug), None, self.now())?;
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let release = release.find(tx, &app, caller.has(Scope::Publish, slug))?;
            Ok(page(tx, &Walk::release(&release.id), place, most)?)
        })
    }

    /// The actors and actions of the log, or of one app's part of it.
    pub async fn audit_choices(&self, caller: &Caller, app: Option<&Slug>) -> Result<AuditChoices, Error> {
        let filter = AuditFilter {
            app: app.cloned(),
            ..AuditFilter::default()
        };
        self.read(|tx| {
            let mut choices = AuditChoices::default();
            for kind in walk::kinds(tx, self.audited_app(tx, caller, &filter)?.as_deref())? {
                *choices.actors.entry(kind.actor).or_default() += kind.count;
                *choices.actions.entry(kind.action).or_default() += kind.count;
            }
            Ok(choices)
        })
    }

    /// Every event that the filter finds, to be read page by page.
    ///
    /// # Errors
    /// Those of [`Service::audit`], here and again from the iterator.
    pub async fn audit_export(&self, caller: &Caller, filter: AuditFilter) -> Result<AuditExport, Error> {
        self.read(|tx| self.audited_app(tx, caller, &filter))?;
        Ok(AuditExport {
            service: self.clone(),
            caller: caller.clone(),
            filter,
            next: Some(AuditPlace::Newest),
        })
    }

    fn audit_walk<'a>(&self, tx: &dyn SqlRead, caller: &Caller, filter: &'a AuditFilter) -> Result<Walk<'a>, Error> {
        let app = self.audited_app(tx, caller, filter)?;
        Ok(Walk::new(tx, filter, app.as_deref())?)
    }

    /// The id of the app that the filter names, if the caller may see its events; without one, they
    /// must be an admin.
    fn audited_app(&self, tx: &dyn SqlRead, caller: &Caller, filter: &AuditFilter) -> Result<Option<String>, Error> {
        let app = filter.app.as_ref();
        let needed = match app {
            Some(_) => Scope::Read,
            // A person who manages all apps reads all of the log: it says who did what to them.
            None if caller.person().is_some() => Scope::Promote,
            None => Scope::Admin,
        };
        caller.require(needed, app, None, self.now())?;
        let app = app.map(|slug| app_to_read(tx, caller, slug)).transpose()?;
        Ok(app.map(|app| app.id.into()))
    }
}

/// A page of a walk, with what each line needs.
fn page(tx: &dyn SqlRead, walk: &Walk<'_>, place: AuditPlace, most: u32) -> Result<AuditPage, SqlError> {
    let most = usize::try_from(most.clamp(1, MOST)).unwrap_or(1);
    let mut rows = walk.rows(tx, place, most + 1)?;
    let more = rows.len() > most;
    rows.truncate(most);
    let forwards = matches!(place, AuditPlace::After(_));
    if forwards {
        rows.reverse();
    }
    let newest = rows.first().map(|row| AuditPlace::After(row.event.id));
    let oldest = rows.last().map(|row| AuditPlace::Before(row.event.id));
    let mut names = Names::default();
    let lines = rows
        .into_iter()
        .map(|row| names.line(tx, row))
        .collect::<Result<_, _>>()?;
    Ok(AuditPage {
        lines,
        newer: newest.filter(|_| if forwards { more } else { place != AuditPlace::Newest }),
        older: oldest.filter(|_| forwards || more),
    })
}

/// The newest event of an app.
pub(crate) fn last_of_app(tx: &dyn SqlRead, names: &mut Names, app: &str) -> Result<Option<AuditLine>, SqlError> {
    let sql = "SELECT last_id FROM audit_kinds WHERE app_id = ?1 ORDER BY last_id DESC LIMIT 1";
    let last: Option<i64> = tx.query_opt(sql, params![app], |row| row.get(0))?;
    last.map_or(Ok(None), |id| names.line_of(tx, id))
}

/// The newest event of an action that belongs to no app.
pub(crate) fn last_of_action(tx: &dyn SqlRead, names: &mut Names, action: &str) -> Result<Option<AuditLine>, SqlError> {
    let sql = "SELECT last_id FROM audit_kinds WHERE app_id = '' AND action = ?1 ORDER BY last_id DESC LIMIT 1";
    let last: Option<i64> = tx.query_opt(sql, params![action], |row| row.get(0))?;
    last.map_or(Ok(None), |id| names.line_of(tx, id))
}

/// The names of what events are about, each looked up once.
#[derive(Default)]
pub(crate) struct Names {
    apps: BTreeMap<String, Option<Slug>>,
    releases: BTreeMap<String, Option<ReleaseName>>,
}

impl Names {
    /// An event with its names.
    pub fn line(&mut self, tx: &dyn SqlRead, row: walk::EventRow) -> Result<AuditLine, SqlError> {
        let app = row.app_id.map_or(Ok(None), |id| self.app(tx, id))?;
        let release = row.release_id.map_or(Ok(None), |id| self.release(tx, id))?;
        Ok(AuditLine {
            event: row.event,
            about: About { app, release },
        })
    }

    fn line_of(&mut self, tx: &dyn SqlRead, id: i64) -> Result<Option<AuditLine>, SqlError> {
        walk::row(tx, id)?.map(|row| self.line(tx, row)).transpose()
    }

    fn app(&mut self, tx: &dyn SqlRead, id: String) -> Result<Option<Slug>, SqlError> {
        if let Some(known) = self.apps.get(&id) {
            return Ok(known.clone());
        }
        let slug = tx.query_opt("SELECT slug FROM apps WHERE id = ?1", params![&id], |row| {
            rows::parsed(row, 0)
        })?;
        self.apps.insert(id, slug.clone());
        Ok(slug)
    }

    /// The name of a release; `None` for a draft that was discarded.
    pub fn release(&mut self, tx: &dyn SqlRead, id: String) -> Result<Option<ReleaseName>, SqlError> {
        if let Some(known) = self.releases.get(&id) {
            return Ok(known.clone());
        }
        let name = rows::release(tx, &id)?.map(|release| ReleaseName::from(&release));
        self.releases.insert(id, name.clone());
        Ok(name)
    }
}
