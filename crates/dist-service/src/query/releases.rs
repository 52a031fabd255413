//! Releases.

use dist_model::{Release, ReleaseDetail, ReleaseStatus, Scope, Slug, Version};
use persist::{SqlRead, SqlReadExt as _, params};

use super::app_to_read;
use crate::{Caller, Error, Page, Paging, Selector, Service, rows};

/// Which releases to list, and how.
#[derive(Clone, Debug, Default)]
pub struct ReleaseFilter {
    /// Only those that stand so.
    pub status: Option<ReleaseStatus>,
    /// Only the builds of one version.
    pub version: Option<Version>,
    /// The order.
    pub order: ReleaseOrder,
}

/// The order of a list of releases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReleaseOrder {
    /// The newest publish first.
    #[default]
    Newest,
    /// The highest version by `SemVer` first; what is no `SemVer` comes last, newest first.
    SemVer,
}

impl Service {
    /// An app's releases. Drafts are listed for those who may publish.
    pub async fn releases(
        &self,
        caller: &Caller,
        slug: &Slug,
        filter: &ReleaseFilter,
        paging: &Paging,
    ) -> Result<Page<ReleaseDetail>, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let drafts = caller.has(Scope::Publish, slug);
            let page = match filter.order {
                ReleaseOrder::Newest => newest(tx, app.id.as_str(), filter, drafts, paging)?,
                ReleaseOrder::SemVer => by_version(tx, app.id.as_str(), filter, drafts, paging)?,
            };
            let items = page
                .items
                .into_iter()
                .map(|release| release_detail(tx, release))
                .collect::<Result<_, _>>()?;
            Ok(Page {
                items,
                next_cursor: page.next_cursor,
            })
        })
    }

    /// A release with its artifacts and the channels that point at it.
    pub async fn release(&self, caller: &Caller, slug: &Slug, release: &Selector) -> Result<ReleaseDetail, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let found = release.find(tx, &app, caller.has(Scope::Publish, slug))?;
            release_detail(tx, found)
        })
    }
}

/// One page, straight off the index.
fn newest(
    tx: &dyn SqlRead,
    app: &str,
    filter: &ReleaseFilter,
    drafts: bool,
    paging: &Paging,
) -> Result<Page<Release>, Error> {
    // '~' sorts after every time and id.
    let [listed_at, id] = paging
        .after::<2>("releases")?
        .unwrap_or_else(|| ["~".to_owned(), "~".to_owned()]);
    let sql = rows::select_releases!(
        "WHERE app_id = ?1 AND (listed_at, id) < (?2, ?3) AND (?4 OR status <> 'draft') AND (?5 IS NULL OR status = ?5) \
         AND (?6 IS NULL OR version = ?6) ORDER BY listed_at DESC, id DESC LIMIT ?7"
    );
    let status = filter.status.map(ReleaseStatus::as_str);
    let version = filter.version.as_ref().map(Version::as_str);
    let releases = tx.query_all(
        sql,
        params![app, &listed_at, &id, drafts, status, version, paging.sql_limit()],
        rows::read_release,
    )?;
    Ok(Page::cut(releases, paging, "releases", |release| {
        let listed_at = release.published_at.unwrap_or(release.created_at);
        [listed_at.to_string(), release.id.to_string()]
    }))
}

/// One page in the order of versions, which SQL does not know: ids and versions of the whole app
/// are sorted here.
fn by_version(
    tx: &dyn SqlRead,
    app: &str,
    filter: &ReleaseFilter,
    drafts: bool,
    paging: &Paging,
) -> Result<Page<Release>, Error> {
    let after = paging.after::<1>("versions")?.map(|[id]| id);
    let sql = "SELECT id, version FROM releases WHERE app_id = ?1 AND (?2 OR status <> 'draft') AND (?3 IS NULL OR status = ?3) \
         AND (?4 IS NULL OR version = ?4) ORDER BY listed_at DESC, id DESC";
    let status = filter.status.map(ReleaseStatus::as_str);
    let version = filter.version.as_ref().map(Version::as_str);
    let mut all = tx.query_all(sql, params![app, drafts, status, version], |row| {
        Ok((row.get::<String>(0)?, semver(row.text(1)?)))
    })?;
    // The sort is stable: equal versions stay newest first.
    all.sort_by(|a, b| b.1.cmp(&a.1));
    let start = after
        .and_then(|id| all.iter().position(|entry| entry.0 == id))
        .map_or(0, |place| place + 1);
    let most = usize::try_from(paging.sql_limit()).unwrap_or(0);
    let mut releases = Vec::new();
    for (id, _) in all.into_iter().skip(start).take(most) {
        releases.extend(rows::release(tx, &id)?);
    }
    Ok(Page::cut(releases, paging, "versions", |release| {
        [release.id.to_string()]
    }))
}

/// A version as `SemVer` 2.0.0 orders it; `v1.2` and `1.2` count as `1.2.0`. `None` sorts last.
fn semver(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core_end = text.find(['-', '+']).unwrap_or(text.len());
    let missing = 2_usize.saturating_sub(text[..core_end].matches('.').count());
    let padded = format!("{}{}{}", &text[..core_end], ".0".repeat(missing), &text[core_end..]);
    semver::Version::parse(&padded).ok()
}

/// A release with its artifacts and the channels that point at it.
pub(crate) fn release_detail(tx: &dyn SqlRead, release: Release) -> Result<ReleaseDetail, Error> {
    let artifacts = rows::artifacts(tx, &release.id)?;
    let channels = rows::channels_at(tx, &release)?;
    Ok(ReleaseDetail {
        release,
        artifacts,
        channels,
    })
}

#[cfg(test)]
mod tests {
    use super::semver;

    #[test]
    fn short_and_prefixed_versions_are_padded() {
        assert!(semver("v1.2") == semver("1.2.0"));
        assert!(semver("2") > semver("1.99.99"));
        assert!(semver("1.0.0-rc.1") < semver("1.0.0"));
        assert!(semver("nightly").is_none());
        assert!(semver("1.0.0") > semver("nightly"));
    }
}
