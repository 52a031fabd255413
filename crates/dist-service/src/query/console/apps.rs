//! The page of all apps.

use dist_model::{App, Digest, Release, Timestamp};
use persist::{SqlError, SqlRead, SqlReadExt as _, params};

use super::{ChannelStand, channel_stands};
use crate::query::audit::{AuditLine, Names, last_of_app};
use crate::{Caller, Error, Service, rows};

/// For how many days the page counts downloads, today among them.
const DAYS: i64 = 30;
const DAY: i64 = 86_400_000;

/// An app as a row.
#[derive(Clone, Debug, PartialEq)]
pub struct AppRow {
    /// The app.
    pub app: App,
    /// The icon of its newest release.
    pub icon: Option<Digest>,
    /// Its channels, by name.
    pub channels: Vec<ChannelStand>,
    /// Its newest published release.
    pub newest: Option<Release>,
    /// How often its artifacts were downloaded in the last 30 days, today among them.
    pub downloads: u64,
    /// The last event of the app, for those who may read its audit log.
    pub last_activity: Option<AuditLine>,
}

impl Service {
    /// The apps that the caller may read, by slug, with what is out of each.
    pub async fn apps_page(&self, caller: &Caller) -> Result<Vec<AppRow>, Error> {
        let now = self.now();
        self.read(|tx| {
            let mut names = Names::default();
            let apps = readable_apps(tx, caller)?.into_iter();
            apps.map(|app| Ok(app_row(tx, caller, app, now, &mut names)?)).collect()
        })
    }
}

/// The apps that the caller may read, by slug.
pub(super) fn readable_apps(tx: &dyn SqlRead, caller: &Caller) -> Result<Vec<App>, SqlError> {
    let mut apps = rows::apps(tx, rows::select_apps!(""), &[])?;
    apps.retain(|app| caller.may_read(app));
    Ok(apps)
}

fn app_row(tx: &dyn SqlRead, caller: &Caller, app: App, now: Timestamp, names: &mut Names) -> Result<AppRow, SqlError> {
    let sql =
        rows::select_releases!("WHERE app_id = ?1 AND status = 'published' ORDER BY listed_at DESC, id DESC LIMIT 1");
    let newest = tx.query_opt(sql, params![app.id.as_str()], rows::read_release)?;
    let sql = "SELECT icon_sha256 FROM artifacts WHERE release_id = ?1 AND icon_sha256 IS NOT NULL LIMIT 1";
    let icon = |release: &Release| tx.query_opt(sql, params![release.id.as_str()], |row| rows::parsed(row, 0));
    let since = now.plus_millis(-DAY * (DAYS - 1)).day();
    let sql = "SELECT COALESCE(SUM(count), 0) FROM app_downloads WHERE app_id = ?1 AND day >= ?2";
    let audited = caller.has(dist_model::Scope::Read, &app.slug);
    Ok(AppRow {
        icon: newest.as_ref().map_or(Ok(None), icon)?,
        channels: channel_stands(tx, &app)?,
        newest,
        downloads: tx.query_one(sql, params![app.id.as_str(), &since], |row| row.get(0))?,
        last_activity: if audited {
            last_of_app(tx, names, app.id.as_str())?
        } else {
            None
        },
        app,
    })
}
