//! The audit log, tokens and counts.

use dist_model::{ArtifactId, AuditEvent, Scope, Slug, Timestamp, Token};
use persist::{SqlParam, SqlReadExt as _, params};

use super::app_to_read;
use crate::{Caller, Error, Page, Paging, Service, rows};

/// Which audit events to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Those of one app.
    pub app: Option<Slug>,
    /// Those of one actor, such as `token:ci`.
    pub actor: Option<String>,
    /// Those of one action, such as `release.published`.
    pub action: Option<String>,
    /// Those at or after this time.
    pub since: Option<Timestamp>,
    /// Those before this time.
    pub until: Option<Timestamp>,
}

/// How often an artifact was downloaded to its last byte on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct DownloadCount {
    /// The artifact.
    pub artifact_id: ArtifactId,
    /// The UTC day, as `2026-01-31`.
    pub day: String,
    /// How often.
    pub count: u64,
}

impl Service {
    /// Audit events, newest first: of one app for those who may read it, of all for admins.
    pub async fn audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        paging: &Paging,
    ) -> Result<Page<AuditEvent>, Error> {
        let needed = if filter.app.is_some() {
            Scope::Read
        } else {
            Scope::Admin
        };
        // A person who manages all apps reads all of the log: it says who did what to them.
        let needed = if caller.person().is_some() {
            needed.min(Scope::Promote)
        } else {
            needed
        };
        caller.require(needed, filter.app.as_ref(), None, self.now())?;
        let before = match paging.after::<1>("audit")? {
            Some([id]) => id.parse().unwrap_or(0),
            None => i64::MAX,
        };
        let events = self.read(|tx| {
            let app = filter
                .app
                .as_ref()
                .map(|slug| app_to_read(tx, caller, slug))
                .transpose()?;
            let (since, until) = (
                filter.since.map(|at| at.to_string()),
                filter.until.map(|at| at.to_string()),
            );
            // Each condition is there only where it is asked for, so that the index of what is
            // asked for can be used.
            let mut sql = rows::select_audit!("WHERE id < ?1").to_owned();
            let mut bound: Vec<SqlParam<'_>> = vec![before.into()];
            let conditions = [
                ("app_id =", app.as_ref().map(|app| app.id.as_str())),
                ("actor =", filter.actor.as_deref()),
                ("action =", filter.action.as_deref()),
                ("created_at >=", since.as_deref()),
                ("created_at <", until.as_deref()),
            ];
            for (condition, value) in conditions {
                if let Some(value) = value {
                    bound.push(value.into());
                    sql.extend([" AND ", condition, " ?", &bound.len().to_string()]);
                }
            }
            bound.push(paging.sql_limit().into());
            sql.extend([" ORDER BY id DESC LIMIT ?", &bound.len().to_string()]);
            Ok::<_, Error>(tx.query_all(&sql, &bound, rows::read_audit)?)
        })?;
        Ok(Page::cut(events, paging, "audit", |event| [event.id.to_string()]))
    }

    /// Tokens by name, for admins; an admin of one app sees that app's, and so does a person who manages
    /// it.
    pub async fn tokens(&self, caller: &Caller, paging: &Paging) -> Result<Page<Token>, Error> {
        caller.require_tokens(self.now())?;
        let after = paging.after::<1>("tokens")?.map_or_else(String::new, |[name]| name);
        let sql = rows::select_tokens!(
            "WHERE name > ?1 AND (?3 IS NULL OR ?3 LIKE '%,' || app_slug || ',%') ORDER BY name LIMIT ?2"
        );
        let apps = caller.reach_of_tokens().slugs();
        let bound = params![&after, paging.sql_limit(), apps.as_deref()];
        let tokens = self.read(|tx| Ok(tx.query_all(sql, bound, rows::read_token)?))?;
        Ok(Page::cut(tokens, paging, "tokens", |token| [token.name.clone()]))
    }

    /// How often an app's artifacts were downloaded, by artifact and day.
    pub async fn downloads(&self, caller: &Caller, slug: &Slug) -> Result<Vec<DownloadCount>, Error> {
        caller.require(Scope::Read, Some(slug), None, self.now())?;
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let sql = "SELECT d.artifact_id, d.day, d.count FROM artifacts a JOIN artifact_downloads d ON d.artifact_id = a.id \
                 WHERE a.release_id IN (SELECT id FROM releases WHERE app_id = ?1) ORDER BY d.day, d.artifact_id";
            Ok(tx.query_all(sql, params![app.id.as_str()], |row| Ok(DownloadCount { artifact_id: rows::parsed(row, 0)?, day: row.get(1)?, count: row.get(2)? }))?)
        })
    }
}
