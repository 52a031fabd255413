//! The page of an app.

use dist_model::{App, ChannelName, Platform, Release, ReleaseStatus, Scope, Slug};
use persist::{SqlParam, SqlRead, SqlReadExt as _};

use super::{ChannelStand, Contents, channel_stands, contents, downloads_of};
use crate::query::app_to_read;
use crate::{Caller, Error, Page, Paging, Service, rows};

/// Which of an app's releases to show; what is `None` lets all through.
#[derive(Clone, Debug, Default)]
pub struct ReleaseSearch {
    /// Those that stand so.
    pub status: Option<ReleaseStatus>,
    /// Those with an artifact for this platform.
    pub platform: Option<Platform>,
    /// Those with this text in their version, build or source (commit, branch, run), whatever its case.
    pub text: Option<String>,
}

/// What the page of an app shows.
#[derive(Clone, Debug, PartialEq)]
pub struct AppPage {
    /// The app.
    pub app: App,
    /// Its channels, by name.
    pub channels: Vec<ChannelStand>,
    /// Its releases, newest first.
    pub releases: Page<ReleaseRow>,
}

/// A release as a row.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseRow {
    /// The release.
    pub release: Release,
    /// What it is made of.
    pub contents: Contents,
    /// The channels that point at it.
    pub channels: Vec<ChannelName>,
    /// How often its artifacts were downloaded.
    pub downloads: u64,
}

impl Service {
    /// An app with its channels and a page of its releases. Drafts are there for those who may
    /// publish.
    pub async fn app_page(
        &self,
        caller: &Caller,
        slug: &Slug,
        search: &ReleaseSearch,
        paging: &Paging,
    ) -> Result<AppPage, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let channels = channel_stands(tx, &app)?;
            let found = releases(tx, &app, search, caller.has(Scope::Publish, slug), paging)?;
            let items = found.items.into_iter();
            let items = items.map(|release| release_row(tx, &channels, release));
            let releases = Page {
                items: items.collect::<Result<_, Error>>()?,
                next_cursor: found.next_cursor,
            };
            Ok(AppPage {
                app,
                channels,
                releases,
            })
        })
    }
}

fn release_row(tx: &dyn SqlRead, channels: &[ChannelStand], release: Release) -> Result<ReleaseRow, Error> {
    let there = channels.iter().map(|stand| &stand.channel);
    let there = there.filter(|channel| channel.current_release_id.as_ref() == Some(&release.id));
    Ok(ReleaseRow {
        contents: contents(tx, &release.id)?,
        channels: there.map(|channel| channel.name.clone()).collect(),
        downloads: downloads_of(tx, &release.id)?,
        release,
    })
}

/// One page, off the index of the app's releases. What is asked for is looked at release by
/// release, of this app alone, and what has to be looked up last.
fn releases(
    tx: &dyn SqlRead,
    app: &App,
    search: &ReleaseSearch,
    drafts: bool,
    paging: &Paging,
) -> Result<Page<Release>, Error> {
    // '~' sorts after every time and id.
    let [listed_at, id] = paging
        .after::<2>("releases")?
        .unwrap_or_else(|| ["~".to_owned(), "~".to_owned()]);
    let text = search.text.as_deref().map(pattern);
    let conditions = [
        ("status =", search.status.map(ReleaseStatus::as_str), ""),
        (
            "LOWER(version || ' ' || build || ' ' || source) LIKE",
            text.as_deref(),
            " ESCAPE '!'",
        ),
        (
            "EXISTS (SELECT 1 FROM artifacts a WHERE a.release_id = releases.id AND a.platform =",
            search.platform.map(Platform::as_str),
            ")",
        ),
    ];
    let mut sql = rows::select_releases!("WHERE app_id = ?1 AND (listed_at, id) < (?2, ?3)").to_owned();
    let mut bound: Vec<SqlParam<'_>> = vec![app.id.as_str().into(), (&listed_at).into(), (&id).into()];
    if !drafts {
        sql.push_str(" AND status <> 'draft'");
    }
    for (condition, value, end) in conditions {
        if let Some(value) = value {
            bound.push(value.into());
            sql.extend([" AND ", condition, " ?", &bound.len().to_string(), end]);
        }
    }
    bound.push(paging.sql_limit().into());
    sql.extend([" ORDER BY listed_at DESC, id DESC LIMIT ?", &bound.len().to_string()]);
    let found = tx.query_all(&sql, &bound, rows::read_release)?;
    Ok(Page::cut(found, paging, "releases", |release| {
        let listed_at = release.published_at.unwrap_or(release.created_at);
        [listed_at.to_string(), release.id.to_string()]
    }))
}

/// A `LIKE` pattern, with `!` as its escape, for whatever contains the text.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
