//! Naming a release: by id, or by version and perhaps build.

use dist_model::{App, Build, ErrorCode, Refusal, Release, ReleaseId};
use persist::{SqlRead, SqlReadExt as _, params};

use crate::{Error, rows};

/// How a caller names a release.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    text: String,
    build: Option<Build>,
}

impl Selector {
    /// An id or a version; with a build, a version.
    pub fn new(text: &str, build: Option<Build>) -> Self {
        Self {
            text: text.to_owned(),
            build,
        }
    }

    /// The release of `app` that this names. Versions of drafts count only where `drafts` is true:
    /// to anybody else they do not exist.
    pub(crate) fn find(&self, tx: &dyn SqlRead, app: &App, drafts: bool) -> Result<Release, Error> {
        let visible = |release: &Release| drafts || release.status != dist_model::ReleaseStatus::Draft;
        if self.build.is_none()
            && let Some(release) =
                rows::release(tx, &self.text)?.filter(|release| release.app_id == app.id && visible(release))
        {
            return Ok(release);
        }
        let sql = rows::select_releases!("WHERE app_id = ?1 AND version = ?2");
        let mut found = tx.query_all(sql, params![app.id.as_str(), self.text.as_str()], rows::read_release)?;
        found.retain(|release| visible(release) && self.build.as_ref().is_none_or(|build| *build == release.build));
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(self.not_found(app).into()),
            _ => Err(self.ambiguous(&found).into()),
        }
    }

    fn not_found(&self, app: &App) -> Refusal {
        Refusal::new(
            ErrorCode::ReleaseNotFound,
            format!(
                "{} has no release {}: see `dist release list --app {}`",
                app.slug, self.text, app.slug
            ),
        )
    }

    fn ambiguous(&self, found: &[Release]) -> Refusal {
        let builds: Vec<&str> = found.iter().map(|release| release.build.as_str()).collect();
        Refusal::new(
            ErrorCode::ReleaseAmbiguous,
            format!(
                "{} has the builds {}: name one with --build, or the release by its id",
                self.text,
                builds.join(", ")
            ),
        )
        .with("builds", builds)
    }
}

impl From<ReleaseId> for Selector {
    fn from(id: ReleaseId) -> Self {
        Self {
            text: id.into(),
            build: None,
        }
    }
}
