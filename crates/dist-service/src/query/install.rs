//! What install pages and updaters ask.

use std::collections::BTreeSet;

use dist_inspect::arch::spelled;
use dist_model::{
    App, Artifact, ArtifactId, Build, Channel, ChannelDetail, ChannelName, Digest, ErrorCode, MoveCause, Platform,
    Refusal, Release, ReleaseDetail, ReleaseStatus, Scope, Slug, Timestamp, Version,
};
use persist::{SqlRead, params};

use super::{channel_detail, channel_details, release_detail};
use crate::access::no_such_app;
use crate::channel::no_such_channel;
use crate::object::is_offered;
use crate::{Caller, Error, Page, Paging, Service, rows};

/// How many of its latest moves a channel's install page shows.
const MOVES: i64 = 10;

/// What a channel offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The app.
    pub app: App,
    /// The channel.
    pub channel: ChannelDetail,
    /// The release that it points at, with its artifacts.
    pub release: Option<ReleaseDetail>,
}

/// What a channel's install page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct InstallPage {
    /// What the channel offers.
    pub offer: Offer,
    /// The artifacts of it that the caller may download.
    pub downloads: BTreeSet<ArtifactId>,
    /// The channel's latest moves, the newest first, 10 at most.
    pub history: Vec<PastOffer>,
}

/// What an install page depends on: as long as it stays the same, so does what the page offers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstallStamp {
    /// When a setting of the app last changed.
    pub app_updated_at: Timestamp,
    /// How often the channel was moved.
    pub revision: u64,
    /// Whether the caller may read the app, whoever else may.
    pub is_reader: bool,
}

/// One move of a channel, as everybody may know of it who may install from the channel: not who
/// moved it.
#[derive(Clone, Debug, PartialEq)]
pub struct PastOffer {
    /// The channel's revision after the move.
    pub revision: u64,
    /// When it moved.
    pub moved_at: Timestamp,
    /// Why it moved.
    pub cause: MoveCause,
    /// The version that it offered from then on.
    pub version: Version,
    /// The build of it.
    pub build: Build,
    /// Where that release stands now.
    pub status: ReleaseStatus,
    /// What it has artifacts for.
    pub platforms: BTreeSet<Platform>,
}

/// A public app on the index of install pages.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEntry {
    /// The app.
    pub app: App,
    /// The channels that offer something: `stable` first where there is one, then by their last
    /// move, the newest first.
    pub channels: Vec<ChannelDetail>,
    /// What the first of them has artifacts for.
    pub platforms: BTreeSet<Platform>,
    /// An icon of the first of them.
    pub icon: Option<Digest>,
}

/// What an updater has and wants.
#[derive(Clone, Debug, Default)]
pub struct LatestQuery {
    /// The version that it runs.
    pub version: Option<Version>,
    /// The build that it runs.
    pub build: Option<Build>,
    /// What it runs on.
    pub platform: Option<Platform>,
    /// The processor that it runs on.
    pub arch: Option<String>,
}

/// What a channel offers to an updater.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// The app.
    pub app: App,
    /// The channel's release.
    pub release: Release,
    /// Its artifacts for the platform and processor asked about.
    pub artifacts: Vec<Artifact>,
    /// True where the release is another than what the updater runs, and has something for it.
    pub update_available: bool,
}

impl Service {
    /// The public apps, by slug, whoever asks.
    pub async fn install_index(&self, paging: &Paging) -> Result<Page<IndexEntry>, Error> {
        let after = paging.after::<1>("apps")?.map_or_else(String::new, |[slug]| slug);
        let entries = self.read(|tx| {
            let sql = rows::select_apps!("WHERE slug > ?1 AND visibility = 'public' ORDER BY slug LIMIT ?2");
            let apps = rows::apps(tx, sql, params![&after, paging.sql_limit()])?;
            apps.into_iter().map(|app| index_entry(tx, app)).collect()
        })?;
        Ok(Page::cut(entries, paging, "apps", |entry: &IndexEntry| {
            [entry.app.slug.to_string()]
        }))
    }

    /// What a channel offers, to whoever may see its install page. Neither an app that the caller may not
    /// install nor its channels exist.
    ///
    /// # Errors
    /// `link.ended` for whoever comes with a tester link that has ended.
    pub async fn offer(&self, caller: &Caller, slug: &Slug, channel: &ChannelName) -> Result<Offer, Error> {
        caller.check_link(self.now())?;
        self.read(|tx| offer(tx, may_install(caller, slug, channel), slug, channel))
    }

    /// What the channel's install page depends on, refused like the page itself.
    pub async fn install_stamp(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
    ) -> Result<InstallStamp, Error> {
        caller.check_link(self.now())?;
        self.read(|tx| {
            let (app, channel) = installable(tx, may_install(caller, slug, channel), slug, channel)?;
            Ok(InstallStamp {
                app_updated_at: app.updated_at,
                revision: channel.revision,
                is_reader: caller.has(Scope::Read, &app.slug),
            })
        })
    }

    /// All that a channel's install page shows.
    ///
    /// # Errors
    /// `link.ended`, as for [`Service::offer`].
    pub async fn install(&self, caller: &Caller, slug: &Slug, channel: &ChannelName) -> Result<InstallPage, Error> {
        caller.check_link(self.now())?;
        self.read(|tx| {
            let offer = offer(tx, may_install(caller, slug, channel), slug, channel)?;
            let mut downloads = BTreeSet::new();
            if let Some(ReleaseDetail { release, artifacts, .. }) = &offer.release {
                for artifact in artifacts {
                    if is_offered(tx, caller, &offer.app, release, artifact)?.is_some() {
                        downloads.insert(artifact.id.clone());
                    }
                }
            }
            let history = past_offers(tx, &offer.channel)?;
            Ok(InstallPage {
                offer,
                downloads,
                history,
            })
        })
    }

    /// What a channel offers to an updater.
    ///
    /// "Another" and not "newer": after a rollback the right version to run is the older one.
    pub async fn latest(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
        query: &LatestQuery,
    ) -> Result<Latest, Error> {
        let may_read = caller.has(Scope::Read, slug);
        let Offer { app, release, .. } = self.read(|tx| offer(tx, may_read, slug, channel))?;
        let Some(ReleaseDetail {
            release, mut artifacts, ..
        }) = release
        else {
            return Err(Refusal::new(
                ErrorCode::ReleaseNotFound,
                format!("the channel {channel} of {slug} points at no release yet"),
            )
            .into());
        };
        artifacts.retain(|artifact| query.platform.is_none_or(|platform| platform == artifact.platform));
        if let Some(arch) = &query.arch {
            keep_what_runs_on(arch, &mut artifacts);
        }
        let same_version = query.version.as_ref() == Some(&release.version);
        let same = same_version && query.build.as_ref().is_none_or(|build| *build == release.build);
        Ok(Latest {
            app,
            update_available: !same && !artifacts.is_empty(),
            release,
            artifacts,
        })
    }
}

/// Whether the caller may see the channel's pages even where the app is private.
fn may_install(caller: &Caller, slug: &Slug, channel: &ChannelName) -> bool {
    caller.has(Scope::Read, slug) || caller.opens(slug, channel)
}

/// An app and its channel. To who may not see private apps, a private one does not exist, and takes no
/// longer to look for: it is not even read.
fn installable(tx: &dyn SqlRead, may_see: bool, slug: &Slug, channel: &ChannelName) -> Result<(App, Channel), Error> {
    let sql = rows::select_apps!("WHERE slug = ?1 AND (visibility <> 'private' OR ?2 = 1)");
    let app = rows::apps(tx, sql, params![slug.as_str(), may_see])?.pop();
    let app = app.ok_or_else(|| no_such_app(slug))?;
    let found = rows::channel(tx, &app.id, channel)?.ok_or_else(|| no_such_channel(slug, channel))?;
    Ok((app, found))
}

/// What such a channel offers.
fn offer(tx: &dyn SqlRead, may_see: bool, slug: &Slug, channel: &ChannelName) -> Result<Offer, Error> {
    let (app, found) = installable(tx, may_see, slug, channel)?;
    let channel = channel_detail(tx, found)?;
    let release = channel
        .current
        .clone()
        .map(|release| release_detail(tx, release))
        .transpose()?;
    Ok(Offer { app, channel, release })
}

fn past_offers(tx: &dyn SqlRead, channel: &ChannelDetail) -> Result<Vec<PastOffer>, Error> {
    let sql = "SELECT DISTINCT h.revision, h.created_at, h.cause, r.version, r.build, r.status, a.platform FROM \
         (SELECT revision, created_at, cause, release_id FROM channel_history WHERE app_id = ?1 AND channel = ?2 \
         ORDER BY revision DESC LIMIT ?3) h JOIN releases r ON r.id = h.release_id \
         LEFT JOIN artifacts a ON a.release_id = h.release_id ORDER BY h.revision DESC";
    let channel = &channel.channel;
    let mut moves: Vec<PastOffer> = Vec::new();
    tx.query(
        sql,
        params![channel.app_id.as_str(), channel.name.as_str(), MOVES],
        &mut |row| {
            let revision = row.get(0)?;
            if moves.last().is_none_or(|last| last.revision != revision) {
                moves.push(PastOffer {
                    revision,
                    moved_at: rows::parsed(row, 1)?,
                    cause: rows::parsed(row, 2)?,
                    version: rows::parsed(row, 3)?,
                    build: rows::parsed(row, 4)?,
                    status: rows::parsed(row, 5)?,
                    platforms: BTreeSet::new(),
                });
            }
            let platform: Option<Platform> = rows::parsed_opt(row, 6)?;
            if let Some(last) = moves.last_mut() {
                last.platforms.extend(platform);
            }
            Ok(())
        },
    )?;
    Ok(moves)
}

fn index_entry(tx: &dyn SqlRead, app: App) -> Result<IndexEntry, Error> {
    let mut channels = channel_details(tx, &app)?;
    channels.retain(|channel| channel.current.is_some());
    channels.sort_by_key(|channel| {
        let is_stable = channel.channel.name.as_str() == "stable";
        std::cmp::Reverse((is_stable, channel.moved_at))
    });
    let mut entry = IndexEntry {
        app,
        channels,
        platforms: BTreeSet::new(),
        icon: None,
    };
    if let Some(release) = entry.channels.first().and_then(|first| first.current.as_ref()) {
        let sql = "SELECT DISTINCT platform, icon_sha256 FROM artifacts WHERE release_id = ?1 ORDER BY platform";
        tx.query(sql, params![release.id.as_str()], &mut |row| {
            entry.platforms.insert(rows::parsed(row, 0)?);
            if entry.icon.is_none() {
                entry.icon = rows::parsed_opt(row, 1)?;
            }
            Ok(())
        })?;
    }
    Ok(entry)
}

/// Keeps the artifacts for a processor; one without a processor, or for all of them, runs on each. What
/// programs call their processor is seldom our word for it, nor always that of the manifest, so that
/// another spelling is as good where there is nothing under the same.
fn keep_what_runs_on(arch: &str, artifacts: &mut Vec<Artifact>) {
    let is_known = artifacts.iter().any(|artifact| artifact.arch == arch);
    artifacts.retain(|artifact| {
        let own = spelled(&artifact.arch);
        let is_own = artifact.arch == arch || (!is_known && own == spelled(arch));
        is_own || matches!(own, "" | "any" | "universal")
    });
}
