//! What changes state, each under the command's idempotency key.

use std::path::Path;
use std::time::Duration;

use dist_api::manifest::{ArtifactEntry, Manifest};
use dist_api::{
    AppCreate, ChannelView, CleanupRequest, DraftPublish, LinkCreate, LinkCreated, MoveResult, Promote, PublishResult,
    TokenCreate, TokenCreated, Yank, YankResult,
};
use dist_model::decide::DraftIntent;
use dist_model::{
    App, AppChanges, BackupReport, Build, ChannelChanges, ChannelName, CleanupReport, ErrorCode, InstallLink, LinkId,
    Refusal, Release, Slug, Token, TokenId,
};
use dist_service::{ArtifactRequest, CleanupOptions, PromoteFrom, PublishRequest, Selector, YankIntent};

use super::local::refusal;
use super::reads::ReleaseName;
use super::{Target, local_only};

/// How old a mark must be before a cleanup removes its object, where nobody says.
const GRACE: Duration = Duration::from_hours(1);

impl Target {
    /// Publishes a release whose artifacts are named by digest.
    pub async fn publish(&self, manifest: &Manifest) -> Result<PublishResult, Refusal> {
        match self {
            Self::Remote { client, key } => client.publish(manifest, key).await,
            Self::Local(local) => {
                let once = local.once("publish", manifest)?;
                let request = publish_request(manifest)?;
                let published = local.service.publish(&local.caller, request, once).await;
                Ok(PublishResult::new(&published.map_err(refusal)?, &local.links))
            }
        }
    }

    /// Validates a draft and makes it immutable.
    pub async fn publish_draft(
        &self,
        slug: &Slug,
        release: &ReleaseName,
        request: &DraftPublish,
    ) -> Result<PublishResult, Refusal> {
        match self {
            Self::Remote { client, key } => {
                client
                    .publish_draft(slug, &release.text, release.build(), request, key)
                    .await
            }
            Self::Local(local) => {
                let once = local.once("publish_draft", &(slug, &release.text, release.build(), request))?;
                let intent = DraftIntent {
                    channel: request.channel.clone(),
                    require: request.require.clone(),
                    ..DraftIntent::default()
                };
                let selector = release.selector();
                let published = local
                    .service
                    .publish_draft(&local.caller, slug, &selector, intent, once);
                Ok(PublishResult::new(&published.await.map_err(refusal)?, &local.links))
            }
        }
    }

    /// Throws a draft away.
    pub async fn discard(&self, slug: &Slug, release: &ReleaseName) -> Result<Release, Refusal> {
        match self {
            Self::Remote { client, .. } => client.discard(slug, &release.text, release.build()).await,
            Self::Local(local) => {
                let selector = release.selector();
                let discarded = local.service.discard(&local.caller, slug, &selector).await;
                discarded.map_err(refusal)
            }
        }
    }

    /// Marks a release so that it is never offered again.
    pub async fn yank(&self, slug: &Slug, release: &ReleaseName, request: &Yank) -> Result<YankResult, Refusal> {
        match self {
            Self::Remote { client, key } => client.yank(slug, &release.text, release.build(), request, key).await,
            Self::Local(local) => {
                let once = local.once("yank", &(slug, &release.text, release.build(), request))?;
                let Yank { and_rollback, reason } = request.clone();
                let intent = YankIntent {
                    and_rollback,
                    reason,
                    ..YankIntent::default()
                };
                let selector = release.selector();
                let yanked = local.service.yank(&local.caller, slug, &selector, intent, once);
                Ok(YankResult::from(&yanked.await.map_err(refusal)?))
            }
        }
    }

    /// Points a channel at a release.
    pub async fn promote(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        request: &Promote,
        if_current: Option<u64>,
    ) -> Result<MoveResult, Refusal> {
        match self {
            Self::Remote { client, key } => client.promote(slug, channel, request, if_current, key).await,
            Self::Local(local) => {
                let once = local.once("promote", &(slug, channel, request, if_current))?;
                let from = promote_from(request)?;
                let moved = local
                    .service
                    .promote(&local.caller, slug, channel, from, if_current, once);
                Ok(MoveResult::new(&moved.await.map_err(refusal)?, &local.links))
            }
        }
    }

    /// Points a channel at what it pointed at before.
    pub async fn roll_back(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        if_current: Option<u64>,
    ) -> Result<MoveResult, Refusal> {
        match self {
            Self::Remote { client, key } => client.roll_back(slug, channel, if_current, key).await,
            Self::Local(local) => {
                let once = local.once("roll_back", &(slug, channel, if_current))?;
                let moved = local.service.roll_back(&local.caller, slug, channel, if_current, once);
                Ok(MoveResult::new(&moved.await.map_err(refusal)?, &local.links))
            }
        }
    }

    /// Changes a channel's settings.
    pub async fn update_channel(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        changes: &ChannelChanges,
    ) -> Result<ChannelView, Refusal> {
        match self {
            Self::Remote { client, .. } => client.update_channel(slug, channel, changes).await,
            Self::Local(local) => {
                let changed = local
                    .service
                    .update_channel(&local.caller, slug, channel, changes.clone());
                Ok(ChannelView::new(slug, &changed.await.map_err(refusal)?, &local.links))
            }
        }
    }

    /// Makes an app.
    pub async fn create_app(&self, request: &AppCreate) -> Result<App, Refusal> {
        match self {
            Self::Remote { client, key } => client.create_app(request, key).await,
            Self::Local(local) => {
                let once = local.once("create_app", request)?;
                let AppCreate { slug, settings } = request.clone();
                let made = local.service.create_app(&local.caller, slug, settings, once);
                made.await.map_err(refusal)
            }
        }
    }

    /// Changes an app's settings.
    pub async fn update_app(&self, slug: &Slug, changes: &AppChanges) -> Result<App, Refusal> {
        match self {
            Self::Remote { client, .. } => client.update_app(slug, changes).await,
            Self::Local(local) => {
                let changed = local.service.update_app(&local.caller, slug, changes.clone());
                changed.await.map_err(refusal)
            }
        }
    }

    /// Makes a tester link. A folder does not know where it is served, so that the address of one made
    /// there is a path.
    pub async fn create_link(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        request: &LinkCreate,
    ) -> Result<LinkCreated, Refusal> {
        match self {
            Self::Remote { client, key } => client.create_link(slug, channel, request, key).await,
            Self::Local(local) => {
                let once = local.once("create_link", &(slug, channel, request))?;
                let intent = request.clone().intent(channel.clone(), local.service.now())?;
                let made = local.service.create_link(&local.caller, slug, intent, once).await;
                let made = made.map_err(refusal)?;
                Ok(LinkCreated::new(made.link, made.secret.as_deref(), &local.links))
            }
        }
    }

    /// Ends a tester link.
    pub async fn revoke_link(&self, slug: &Slug, id: &LinkId) -> Result<InstallLink, Refusal> {
        match self {
            Self::Remote { client, .. } => client.revoke_link(slug, id).await,
            Self::Local(local) => {
                let revoked = local.service.revoke_link(&local.caller, slug, id).await;
                revoked.map_err(refusal)
            }
        }
    }

    /// Makes a token.
    pub async fn create_token(&self, request: &TokenCreate) -> Result<TokenCreated, Refusal> {
        match self {
            Self::Remote { client, key } => client.create_token(request, key).await,
            Self::Local(local) => {
                let once = local.once("create_token", request)?;
                let intent = request.clone().intent(local.service.now())?;
                let made = local.service.create_token(&local.caller, intent, once).await;
                let made = made.map_err(refusal)?;
                Ok(TokenCreated {
                    secret: made.secret,
                    token: made.token,
                })
            }
        }
    }

    /// Ends a token.
    pub async fn revoke_token(&self, id: &TokenId) -> Result<Token, Refusal> {
        match self {
            Self::Remote { client, .. } => client.revoke_token(id).await,
            Self::Local(local) => local.service.revoke_token(&local.caller, id).await.map_err(refusal),
        }
    }

    /// Lets go what retention does not keep and nothing refers to.
    pub async fn cleanup(&self, request: &CleanupRequest) -> Result<CleanupReport, Refusal> {
        match self {
            Self::Remote { client, key } => client.cleanup(request, key).await,
            Self::Local(local) => {
                let once = local.once("cleanup", request)?;
                let options = CleanupOptions {
                    dry_run: request.dry_run,
                    grace: request.grace_seconds.map_or(GRACE, Duration::from_secs),
                };
                let cleaned = local.service.cleanup(&local.caller, options, once);
                cleaned.await.map_err(refusal)
            }
        }
    }

    /// Copies database and objects; a server chooses the folder itself.
    pub async fn backup(&self, destination: Option<&Path>) -> Result<BackupReport, Refusal> {
        match self {
            Self::Remote { .. } if destination.is_some() => Err(local_only("store backup with a destination")),
            Self::Remote { client, key } => client.backup(key).await,
            Self::Local(local) => {
                let once = local.once("backup", &destination)?;
                let made = local.service.backup(&local.caller, destination, once);
                made.await.map_err(refusal)
            }
        }
    }
}

fn promote_from(request: &Promote) -> Result<PromoteFrom, Refusal> {
    match (&request.release, &request.from_channel) {
        (Some(release), None) => {
            let build = request.build.as_deref().map(str::parse::<Build>).transpose()?;
            Ok(PromoteFrom::Release(Selector::new(release, build)))
        }
        (None, Some(channel)) => Ok(PromoteFrom::Channel(channel.clone())),
        _ => Err(Refusal::new(
            ErrorCode::UsageError,
            "promote either a release or a channel's current one",
        )),
    }
}

fn publish_request(manifest: &Manifest) -> Result<PublishRequest, Refusal> {
    let Manifest {
        app,
        display_name,
        version,
        build,
        channel,
        notes,
        source,
        artifacts,
        draft,
        strict,
        ..
    } = manifest.clone();
    Ok(PublishRequest {
        slug: app,
        display_name,
        version,
        build,
        channel,
        notes: notes.unwrap_or_default(),
        source,
        draft,
        strict,
        artifacts: artifacts.into_iter().map(artifact_request).collect::<Result<_, _>>()?,
    })
}

fn artifact_request(entry: ArtifactEntry) -> Result<ArtifactRequest, Refusal> {
    Ok(ArtifactRequest {
        platform: entry.platform,
        arch: entry.arch,
        package_type: entry.package_type,
        filename: entry.filename,
        content_type: entry.content_type,
        sha256: entry.sha256.ok_or_else(|| {
            Refusal::new(
                ErrorCode::ManifestMissingField,
                "an artifact without sha256 cannot be published",
            )
        })?,
        size_bytes: entry.size_bytes,
        metadata: entry.metadata,
    })
}
