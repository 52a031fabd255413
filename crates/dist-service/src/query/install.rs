//! What an install page and an updater ask.

use dist_model::{
    App, Artifact, Build, ChannelDetail, ChannelName, ErrorCode, Platform, Refusal, Release, ReleaseDetail, Slug,
    Version,
};

use super::{channel_detail, release_detail};
use crate::access::no_such_app;
use crate::channel::no_such_channel;
use crate::{Caller, Error, Service, rows};

/// What a channel's install page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct InstallPage {
    /// The app.
    pub app: App,
    /// The channel.
    pub channel: ChannelDetail,
    /// The release that it points at, with its artifacts.
    pub release: Option<ReleaseDetail>,
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
    /// What a channel's install page shows to the caller, who may be anybody with the link unless
    /// the app is private.
    pub async fn install(&self, caller: &Caller, slug: &Slug, channel: &ChannelName) -> Result<InstallPage, Error> {
        caller.check_link(self.now())?;
        self.read(|tx| {
            let app = rows::app_by_slug(tx, slug)?
                .filter(|app| caller.may_install(app, channel))
                .ok_or_else(|| no_such_app(slug))?;
            let found = rows::channel(tx, &app.id, channel)?.ok_or_else(|| no_such_channel(slug, channel))?;
            let channel = channel_detail(tx, found)?;
            let release = channel
                .current
                .clone()
                .map(|release| release_detail(tx, release))
                .transpose()?;
            Ok(InstallPage { app, channel, release })
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
        let InstallPage { app, release, .. } = self.install(caller, slug, channel).await?;
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
        artifacts.retain(|artifact| {
            query.platform.is_none_or(|platform| platform == artifact.platform)
                && runs_on(artifact, query.arch.as_deref())
        });
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

/// An artifact without a processor, or for all of them, runs on each.
fn runs_on(artifact: &Artifact, arch: Option<&str>) -> bool {
    arch.is_none_or(|arch| ["", "any", "universal", arch].contains(&artifact.arch.as_str()))
}
