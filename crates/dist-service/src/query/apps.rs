//! Apps and their channels.

use dist_model::{App, Channel, ChannelDetail, ChannelName, HistoryEntry, Release, Scope, Slug};
use persist::{SqlRead, SqlReadExt as _, params};

use crate::access::no_such_app;
use crate::channel::known_channel;
use crate::{Caller, Error, Page, Paging, Service, rows};

/// How many of an app's releases its overview shows.
const NEWEST: i64 = 20;

/// An app with its channels and newest releases.
#[derive(Clone, Debug, PartialEq)]
pub struct AppOverview {
    /// The app.
    pub app: App,
    /// Its channels, by name.
    pub channels: Vec<ChannelDetail>,
    /// Its 20 newest published releases.
    pub releases: Vec<Release>,
}

impl Service {
    /// The apps that the caller may list, by slug.
    pub async fn apps(&self, caller: &Caller, paging: &Paging) -> Result<Page<App>, Error> {
        let after = paging.after::<1>("apps")?.map_or_else(String::new, |[slug]| slug);
        let limit = paging.sql_limit();
        let apps = self.read(|tx| {
            let sql = rows::select_apps!(
                "WHERE slug > ?1 AND (?3 IS NULL OR visibility = 'public' OR ?3 LIKE '%,' || slug || ',%') ORDER BY slug LIMIT ?2"
            );
            let readable = caller.reach(Scope::Read).slugs();
            Ok::<_, Error>(rows::apps(tx, sql, params![&after, limit, readable.as_deref()])?)
        })?;
        Ok(Page::cut(apps, paging, "apps", |app| [app.slug.to_string()]))
    }

    /// An app with its channels and newest releases.
    pub async fn app(&self, caller: &Caller, slug: &Slug) -> Result<AppOverview, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let channels = channel_details(tx, &app)?;
            let sql = rows::select_releases!(
                "WHERE app_id = ?1 AND status = 'published' ORDER BY listed_at DESC, id DESC LIMIT ?2"
            );
            let releases = tx.query_all(sql, params![app.id.as_str(), NEWEST], rows::read_release)?;
            Ok(AppOverview {
                app,
                channels,
                releases,
            })
        })
    }

    /// An app's channels, by name.
    pub async fn channels(&self, caller: &Caller, slug: &Slug) -> Result<Vec<ChannelDetail>, Error> {
        self.read(|tx| channel_details(tx, &app_to_read(tx, caller, slug)?))
    }

    /// A channel.
    pub async fn channel(&self, caller: &Caller, slug: &Slug, channel: &ChannelName) -> Result<ChannelDetail, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            channel_detail(tx, known_channel(tx, &app, channel)?)
        })
    }

    /// A channel's moves, newest first.
    pub async fn history(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
        paging: &Paging,
    ) -> Result<Page<HistoryEntry>, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            known_channel(tx, &app, channel)?;
            history(tx, &app, channel, paging)
        })
    }
}

/// A page of a channel's moves, newest first.
pub(crate) fn history(
    tx: &dyn SqlRead,
    app: &App,
    channel: &ChannelName,
    paging: &Paging,
) -> Result<Page<HistoryEntry>, Error> {
    let before = match paging.after::<1>("history")? {
        Some([revision]) => revision.parse().unwrap_or(0),
        None => i64::MAX,
    };
    let sql = rows::select_history!(
        "WHERE h.app_id = ?1 AND h.channel = ?2 AND h.revision < ?3 ORDER BY h.revision DESC LIMIT ?4"
    );
    let bound = params![app.id.as_str(), channel.as_str(), before, paging.sql_limit()];
    let entries = tx.query_all(sql, bound, rows::read_history)?;
    Ok(Page::cut(entries, paging, "history", |entry| {
        [entry.revision.to_string()]
    }))
}

/// The app, if it is public or the caller may read it; otherwise the answer is that of one that is not
/// there, and takes no longer: what is hidden is not even read.
pub(crate) fn app_to_read(tx: &dyn SqlRead, caller: &Caller, slug: &Slug) -> Result<App, Error> {
    let sql = rows::select_apps!("WHERE slug = ?1 AND (visibility = 'public' OR ?2 = 1)");
    let may_read = caller.has(Scope::Read, slug);
    let app = rows::apps(tx, sql, params![slug.as_str(), may_read])?.pop();
    app.ok_or_else(|| no_such_app(slug).into())
}

pub(crate) fn channel_details(tx: &dyn SqlRead, app: &App) -> Result<Vec<ChannelDetail>, Error> {
    let channels = tx.query_all(
        rows::select_channels!("WHERE app_id = ?1 ORDER BY name"),
        params![app.id.as_str()],
        rows::read_channel,
    )?;
    channels
        .into_iter()
        .map(|channel| channel_detail(tx, channel))
        .collect()
}

/// A channel with the release that it points at and the time of its last move.
pub(crate) fn channel_detail(tx: &dyn SqlRead, channel: Channel) -> Result<ChannelDetail, Error> {
    let current = channel
        .current_release_id
        .as_ref()
        .map(|id| rows::known_release(tx, id))
        .transpose()?;
    let sql = "SELECT created_at FROM channel_history WHERE app_id = ?1 AND channel = ?2 AND revision = ?3";
    let moved_at = tx.query_opt(
        sql,
        params![
            channel.app_id.as_str(),
            channel.name.as_str(),
            rows::number(channel.revision)?
        ],
        |row| rows::parsed(row, 0),
    )?;
    Ok(ChannelDetail {
        channel,
        current,
        moved_at,
    })
}
