//! The page of a release, and two releases side by side.

use dist_model::{
    Actor, App, Artifact, ChannelName, Comparison, MoveCause, Release, ReleaseName, Scope, Slug, Timestamp, compare,
};
use persist::{SqlError, SqlRead, SqlReadExt as _, params};

use crate::query::app_to_read;
use crate::query::audit::Names;
use crate::{Caller, Error, Selector, Service, rows};

/// What the page of a release shows, but for its timeline: see [`Service::release_timeline`].
#[derive(Clone, Debug, PartialEq)]
pub struct ReleasePage {
    /// The app.
    pub app: App,
    /// The release.
    pub release: Release,
    /// Its artifacts, in the order in which they are always shown.
    pub artifacts: Vec<ArtifactRow>,
    /// Where it stands and stood, newest first.
    pub stays: Vec<Stay>,
}

/// An artifact with how often it was downloaded. Its facts and findings are in its metadata: see
/// [`facts`](crate::facts) and [`findings`](crate::findings).
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactRow {
    /// The artifact.
    pub artifact: Artifact,
    /// How often it was downloaded.
    pub downloads: u64,
}

/// A time during which a channel pointed at a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The channel.
    pub channel: ChannelName,
    /// The channel's revision from then on.
    pub revision: u64,
    /// Since when.
    pub since: Timestamp,
    /// Who moved it there.
    pub by: Actor,
    /// Why.
    pub cause: MoveCause,
    /// How it ended; `None` where it lasts.
    pub ended: Option<StayEnd>,
}

/// How a channel went from a release to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StayEnd {
    /// When.
    pub at: Timestamp,
    /// To which release.
    pub to: Option<ReleaseName>,
}

/// Two releases of an app side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparePage {
    /// The app.
    pub app: App,
    /// The first.
    pub before: Release,
    /// The second.
    pub after: Release,
    /// What differs.
    pub comparison: Comparison,
}

impl Service {
    /// A release with its artifacts and where it stood. Drafts are there for those who may publish.
    pub async fn release_page(&self, caller: &Caller, slug: &Slug, release: &Selector) -> Result<ReleasePage, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let release = release.find(tx, &app, caller.has(Scope::Publish, slug))?;
            let artifacts = rows::artifacts(tx, &release.id)?.into_iter();
            let artifacts = artifacts.map(|artifact| artifact_row(tx, artifact));
            Ok(ReleasePage {
                artifacts: artifacts.collect::<Result<_, _>>()?,
                stays: stays(tx, &release)?,
                app,
                release,
            })
        })
    }

    /// Compares two releases of an app. Drafts are there for those who may publish.
    pub async fn compare_releases(
        &self,
        caller: &Caller,
        slug: &Slug,
        before: &Selector,
        after: &Selector,
    ) -> Result<ComparePage, Error> {
        self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let drafts = caller.has(Scope::Publish, slug);
            let (before, after) = (before.find(tx, &app, drafts)?, after.find(tx, &app, drafts)?);
            let comparison = compare(&rows::artifacts(tx, &before.id)?, &rows::artifacts(tx, &after.id)?);
            Ok(ComparePage {
                app,
                before,
                after,
                comparison,
            })
        })
    }
}

fn artifact_row(tx: &dyn SqlRead, artifact: Artifact) -> Result<ArtifactRow, SqlError> {
    let sql = "SELECT COALESCE(SUM(count), 0) FROM artifact_downloads WHERE artifact_id = ?1";
    let downloads = tx.query_one(sql, params![artifact.id.as_str()], |row| row.get(0))?;
    Ok(ArtifactRow { artifact, downloads })
}

fn stays(tx: &dyn SqlRead, release: &Release) -> Result<Vec<Stay>, SqlError> {
    // A move's end is the channel's next one.
    let sql = "SELECT h.channel, h.revision, h.created_at, h.actor, h.cause, n.created_at, n.release_id \
         FROM channel_history h LEFT JOIN channel_history n \
         ON n.app_id = h.app_id AND n.channel = h.channel AND n.revision = h.revision + 1 \
         WHERE h.release_id = ?1 ORDER BY h.created_at DESC, h.channel, h.revision DESC";
    let found = tx.query_all(sql, params![release.id.as_str()], |row| {
        let stay = Stay {
            channel: rows::parsed(row, 0)?,
            revision: row.get(1)?,
            since: rows::parsed(row, 2)?,
            by: rows::actor(row, 3)?,
            cause: rows::parsed(row, 4)?,
            ended: None,
        };
        Ok((stay, rows::parsed_opt(row, 5)?, row.get::<Option<String>>(6)?))
    })?;
    let mut names = Names::default();
    let mut stays = Vec::new();
    for (mut stay, at, to) in found {
        if let (Some(at), Some(to)) = (at, to) {
            let to = names.release(tx, to)?;
            stay.ended = Some(StayEnd { at, to });
        }
        stays.push(stay);
    }
    Ok(stays)
}
