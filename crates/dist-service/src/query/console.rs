//! What the console's pages show: each page is one question, answered in one transaction.

mod app;
mod apps;
mod channel;
mod downloads;
mod health;
mod plan;
mod release;
mod retention;
mod search;
mod storage;

use dist_model::{Actor, App, Channel, MoveCause, Platform, Release, ReleaseId, Timestamp, ValidationStatus};
use persist::{SqlError, SqlRead, SqlReadExt as _, params};

pub use app::{AppPage, ReleaseRow, ReleaseSearch};
pub use apps::AppRow;
pub use channel::{ChannelPage, Standing};
pub use downloads::{AppDownloads, Downloads, ReleaseDownloads};
pub use health::{Health, ObjectsOnDisk};
pub use plan::{Leaving, PlannedMove, PlannedPublish, PlannedYank};
pub use release::{ArtifactRow, ComparePage, ReleasePage, Stay, StayEnd};
pub use retention::{PlannedRelease, RetentionPlan};
pub use search::{Found, SearchHit};
pub use storage::{AppStorage, StorageDay, StorageUse};

use crate::rows;

/// A channel as the console shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStand {
    /// The channel with its settings.
    pub channel: Channel,
    /// What it points at.
    pub release: Option<Release>,
    /// What that is made of.
    pub contents: Option<Contents>,
    /// How it came to point there.
    pub moved: Option<LastMove>,
}

/// The last move of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastMove {
    /// When.
    pub at: Timestamp,
    /// Who moved it.
    pub by: Actor,
    /// Why.
    pub cause: MoveCause,
}

/// What a release is made of, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its platforms, in the order of its artifacts, with how many files and bytes each has.
    pub platforms: Vec<PlatformContents>,
    /// The worst that the checks of its artifacts found; `None` without artifacts.
    pub validation: Option<ValidationStatus>,
}

/// A platform's part of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformContents {
    /// The platform.
    pub platform: Platform,
    /// How many artifacts it has.
    pub artifacts: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

impl Contents {
    /// The bytes of all its artifacts.
    pub fn size_bytes(&self) -> u64 {
        self.platforms.iter().map(|platform| platform.size_bytes).sum()
    }

    fn add(&mut self, platform: Platform, size_bytes: u64, validation: ValidationStatus) {
        match self.platforms.last_mut() {
            Some(last) if last.platform == platform => {
                last.artifacts += 1;
                last.size_bytes += size_bytes;
            }
            _ => self.platforms.push(PlatformContents {
                platform,
                artifacts: 1,
                size_bytes,
            }),
        }
        let worst = self.validation.filter(|known| severity(*known) >= severity(validation));
        self.validation = Some(worst.unwrap_or(validation));
    }
}

/// How much a status matters to who looks at the whole.
fn severity(status: ValidationStatus) -> u8 {
    match status {
        ValidationStatus::Passed => 0,
        ValidationStatus::Pending => 1,
        ValidationStatus::Warning => 2,
        ValidationStatus::Failed => 3,
    }
}

/// What a release is made of, without its artifacts' metadata.
fn contents(tx: &dyn SqlRead, release: &ReleaseId) -> Result<Contents, SqlError> {
    let sql = "SELECT platform, size_bytes, validation_status FROM artifacts WHERE release_id = ?1 ORDER BY platform";
    let mut contents = Contents::default();
    tx.query(sql, params![release.as_str()], &mut |row| {
        contents.add(rows::parsed(row, 0)?, row.get(1)?, rows::parsed(row, 2)?);
        Ok(())
    })?;
    Ok(contents)
}

/// An app's channels, by name.
fn channel_stands(tx: &dyn SqlRead, app: &App) -> Result<Vec<ChannelStand>, SqlError> {
    let sql = rows::select_channels!("WHERE app_id = ?1 ORDER BY name");
    let channels = tx.query_all(sql, params![app.id.as_str()], rows::read_channel)?;
    channels.into_iter().map(|channel| channel_stand(tx, channel)).collect()
}

fn channel_stand(tx: &dyn SqlRead, channel: Channel) -> Result<ChannelStand, SqlError> {
    let current = channel.current_release_id.as_ref();
    let release = current.map(|id| rows::known_release(tx, id)).transpose()?;
    let contents = current.map(|id| contents(tx, id)).transpose()?;
    let sql =
        "SELECT created_at, actor, cause FROM channel_history WHERE app_id = ?1 AND channel = ?2 AND revision = ?3";
    let revision = rows::number(channel.revision)?;
    let key = params![channel.app_id.as_str(), channel.name.as_str(), revision];
    let moved = tx.query_opt(sql, key, |row| {
        Ok(LastMove {
            at: rows::parsed(row, 0)?,
            by: rows::actor(row, 1)?,
            cause: rows::parsed(row, 2)?,
        })
    })?;
    Ok(ChannelStand {
        channel,
        release,
        contents,
        moved,
    })
}

/// How often a release's artifacts were downloaded in all.
fn downloads_of(tx: &dyn SqlRead, release: &ReleaseId) -> Result<u64, SqlError> {
    let sql = "SELECT COALESCE(SUM(count), 0) FROM release_downloads WHERE release_id = ?1";
    tx.query_one(sql, params![release.as_str()], |row| row.get(0))
}
