//! Tokens and counts.

use dist_model::{ArtifactId, Scope, Slug, Token, TokenId};
use persist::{SqlReadExt as _, params};

use super::app_to_read;
use crate::token::no_such_token;
use crate::{Caller, Error, Page, Paging, Service, rows};

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

    /// A token, for whoever sees it in the list.
    ///
    /// # Errors
    /// `token.not_found`.
    pub async fn token(&self, caller: &Caller, id: &TokenId) -> Result<Token, Error> {
        caller.require_tokens(self.now())?;
        let token = self.read(|tx| Ok::<_, Error>(rows::token(tx, id)?))?;
        let token = token.filter(|token| caller.reach_of_tokens().holds(token.app_slug.as_ref()));
        Ok(token.ok_or_else(|| no_such_token(id))?)
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
