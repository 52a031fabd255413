//! The page of a channel: its history, and what was current at some time.

use dist_model::{App, ChannelName, HistoryEntry, Slug, Timestamp};
use persist::{SqlReadExt as _, params};

use super::{ChannelStand, channel_stand};
use crate::channel::known_channel;
use crate::query::{app_to_read, history};
use crate::{Caller, Error, Page, Paging, Service, rows};

/// What the page of a channel shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelPage {
    /// The app.
    pub app: App,
    /// The channel.
    pub stand: ChannelStand,
    /// Its moves, newest first.
    pub history: Page<HistoryEntry>,
}

/// What a channel pointed at for some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The move that made it so.
    pub entry: HistoryEntry,
    /// Until when; `None` where it lasts.
    pub until: Option<Timestamp>,
}

impl Service {
    /// A channel with a page of its history.
    pub async fn channel_page(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
        paging: &Paging,
    ) -> Result<ChannelPage, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let found = known_channel(tx, &app, channel)?;
            Ok(ChannelPage {
                stand: channel_stand(tx, found)?,
                history: history(tx, &app, channel, paging)?,
                app,
            })
        })
    }

    /// What a channel pointed at at some time; `None` before its first move.
    pub async fn channel_at(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
        at: Timestamp,
    ) -> Result<Option<Standing>, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            known_channel(tx, &app, channel)?;
            let sql = rows::select_history!(
                "WHERE h.app_id = ?1 AND h.channel = ?2 AND h.created_at <= ?3 \
                 ORDER BY h.created_at DESC, h.revision DESC LIMIT 1"
            );
            let at = at.to_string();
            let key = params![app.id.as_str(), channel.as_str(), &at];
            let Some(entry) = tx.query_opt(sql, key, rows::read_history)? else {
                return Ok(None);
            };
            let sql = "SELECT created_at FROM channel_history WHERE app_id = ?1 AND channel = ?2 AND revision = ?3";
            let next = rows::number(entry.revision + 1)?;
            let key = params![app.id.as_str(), channel.as_str(), next];
            let until = tx.query_opt(sql, key, |row| rows::parsed(row, 0))?;
            Ok(Some(Standing { entry, until }))
        })
    }
}
