//! One method a route.

use dist_model::{
    App, AppChanges, AuditEvent, BackupReport, ChannelChanges, ChannelName, CleanupReport, Digest, ErrorCode,
    HistoryEntry, InstallLink, LinkId, Refusal, Release, Slug, Token, TokenId, VerifyReport,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::CONTENT_LENGTH;

use super::{Call, Client, Fault};
use crate::manifest::Manifest;
use crate::{
    AppCreate, AppDetail, AuditQuery, BackupRequest, ChannelView, CleanupRequest, DraftPublish, LinkCreate,
    LinkCreated, MoveResult, Page, Paging, Promote, PublishResult, ReleaseQuery, ReleaseView, Rollback, TokenCreate,
    TokenCreated, Yank, YankResult,
};

/// Everything but what RFC 3986 calls unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn app_path(slug: &Slug) -> String {
    format!("/api/apps/{slug}")
}

fn release_path(slug: &Slug, release: &str) -> String {
    format!("/api/apps/{slug}/releases/{}", utf8_percent_encode(release, SEGMENT))
}

fn channel_path(slug: &Slug, channel: &ChannelName) -> String {
    format!("/api/apps/{slug}/channels/{channel}")
}

/// Every POST takes the idempotency key of its command.
impl Client {
    /// `GET /api/apps`.
    pub async fn apps(&self, paging: &Paging) -> Result<Page<App>, Refusal> {
        self.json(&Call::get("/api/apps".to_owned()).with_query(paging)?).await
    }

    /// `GET /api/apps/{slug}`.
    pub async fn app(&self, slug: &Slug) -> Result<AppDetail, Refusal> {
        self.json(&Call::get(app_path(slug))).await
    }

    /// `POST /api/apps`.
    pub async fn create_app(&self, app: &AppCreate, key: &str) -> Result<App, Refusal> {
        self.json(&Call::post("/api/apps".to_owned(), app, key)?).await
    }

    /// `PATCH /api/apps/{slug}`.
    pub async fn update_app(&self, slug: &Slug, changes: &AppChanges) -> Result<App, Refusal> {
        let call = Call::new(Method::PATCH, app_path(slug)).with_body(changes)?;
        self.json(&call).await
    }

    /// `GET …/releases`.
    pub async fn releases(
        &self,
        slug: &Slug,
        query: &ReleaseQuery,
        paging: &Paging,
    ) -> Result<Page<ReleaseView>, Refusal> {
        let call = Call::get(format!("{}/releases", app_path(slug)));
        self.json(&call.with_query(query)?.with_query(paging)?).await
    }

    /// `GET …/releases/{id}`; `release` is an id or a version, `build` tells builds of one version
    /// apart.
    pub async fn release(&self, slug: &Slug, release: &str, build: Option<&str>) -> Result<ReleaseView, Refusal> {
        self.json(&Call::get(release_path(slug, release)).with_build(build))
            .await
    }

    /// `POST …/releases`.
    pub async fn publish(&self, manifest: &Manifest, key: &str) -> Result<PublishResult, Refusal> {
        let path = format!("{}/releases", app_path(&manifest.app));
        self.json(&Call::post(path, manifest, key)?).await
    }

    /// `POST …/releases/{id}/publish`.
    pub async fn publish_draft(
        &self,
        slug: &Slug,
        release: &str,
        build: Option<&str>,
        request: &DraftPublish,
        key: &str,
    ) -> Result<PublishResult, Refusal> {
        let path = format!("{}/publish", release_path(slug, release));
        self.json(&Call::post(path, request, key)?.with_build(build)).await
    }

    /// `DELETE …/releases/{id}`: throws a draft away.
    pub async fn discard(&self, slug: &Slug, release: &str, build: Option<&str>) -> Result<Release, Refusal> {
        let call = Call::new(Method::DELETE, release_path(slug, release));
        self.json(&call.with_build(build)).await
    }

    /// `POST …/releases/{id}/yank`.
    pub async fn yank(
        &self,
        slug: &Slug,
        release: &str,
        build: Option<&str>,
        request: &Yank,
        key: &str,
    ) -> Result<YankResult, Refusal> {
        let path = format!("{}/yank", release_path(slug, release));
        self.json(&Call::post(path, request, key)?.with_build(build)).await
    }

    /// `GET …/channels`.
    pub async fn channels(&self, slug: &Slug) -> Result<Page<ChannelView>, Refusal> {
        self.json(&Call::get(format!("{}/channels", app_path(slug)))).await
    }

    /// `GET …/channels/{name}`.
    pub async fn channel(&self, slug: &Slug, channel: &ChannelName) -> Result<ChannelView, Refusal> {
        self.json(&Call::get(channel_path(slug, channel))).await
    }

    /// `GET …/channels/{name}/history`, the newest first.
    pub async fn history(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        paging: &Paging,
    ) -> Result<Page<HistoryEntry>, Refusal> {
        let call = Call::get(format!("{}/history", channel_path(slug, channel)));
        self.json(&call.with_query(paging)?).await
    }

    /// `PATCH …/channels/{name}`.
    pub async fn update_channel(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        changes: &ChannelChanges,
    ) -> Result<ChannelView, Refusal> {
        let call = Call::new(Method::PATCH, channel_path(slug, channel)).with_body(changes)?;
        self.json(&call).await
    }

    /// `POST …/channels/{name}/promote`; `if_current` refuses where the channel has another
    /// revision.
    pub async fn promote(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        request: &Promote,
        if_current: Option<u64>,
        key: &str,
    ) -> Result<MoveResult, Refusal> {
        let path = format!("{}/promote", channel_path(slug, channel));
        self.json(&Call::post(path, request, key)?.if_match(if_current)).await
    }

    /// `POST …/channels/{name}/rollback`.
    pub async fn roll_back(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        if_current: Option<u64>,
        key: &str,
    ) -> Result<MoveResult, Refusal> {
        let path = format!("{}/rollback", channel_path(slug, channel));
        self.json(&Call::post(path, &Rollback {}, key)?.if_match(if_current))
            .await
    }

    /// `GET …/links`, or with a channel `GET …/channels/{name}/links`, the newest first.
    pub async fn links(
        &self,
        slug: &Slug,
        channel: Option<&ChannelName>,
        paging: &Paging,
    ) -> Result<Page<InstallLink>, Refusal> {
        let of = channel.map_or_else(|| app_path(slug), |channel| channel_path(slug, channel));
        self.json(&Call::get(format!("{of}/links")).with_query(paging)?).await
    }

    /// `POST …/channels/{name}/links`.
    pub async fn create_link(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        request: &LinkCreate,
        key: &str,
    ) -> Result<LinkCreated, Refusal> {
        let path = format!("{}/links", channel_path(slug, channel));
        self.json(&Call::post(path, request, key)?).await
    }

    /// `DELETE …/links/{id}`.
    pub async fn revoke_link(&self, slug: &Slug, id: &LinkId) -> Result<InstallLink, Refusal> {
        let id = utf8_percent_encode(id.as_str(), SEGMENT);
        self.json(&Call::new(Method::DELETE, format!("{}/links/{id}", app_path(slug))))
            .await
    }

    /// `GET /api/tokens`.
    pub async fn tokens(&self, paging: &Paging) -> Result<Page<Token>, Refusal> {
        self.json(&Call::get("/api/tokens".to_owned()).with_query(paging)?)
            .await
    }

    /// `POST /api/tokens`.
    pub async fn create_token(&self, request: &TokenCreate, key: &str) -> Result<TokenCreated, Refusal> {
        self.json(&Call::post("/api/tokens".to_owned(), request, key)?).await
    }

    /// `DELETE /api/tokens/{id}`.
    pub async fn revoke_token(&self, id: &TokenId) -> Result<Token, Refusal> {
        let id = utf8_percent_encode(id.as_str(), SEGMENT);
        self.json(&Call::new(Method::DELETE, format!("/api/tokens/{id}"))).await
    }

    /// `GET /api/audit`, the newest first.
    pub async fn audit(&self, query: &AuditQuery, paging: &Paging) -> Result<Page<AuditEvent>, Refusal> {
        let call = Call::get("/api/audit".to_owned());
        self.json(&call.with_query(query)?.with_query(paging)?).await
    }

    /// `POST /api/store/cleanup`.
    pub async fn cleanup(&self, request: &CleanupRequest, key: &str) -> Result<CleanupReport, Refusal> {
        let call = Call::post("/api/store/cleanup".to_owned(), request, key)?;
        self.json(&call.maintenance()).await
    }

    /// `POST /api/store/verify`.
    pub async fn verify(&self) -> Result<VerifyReport, Refusal> {
        self.json(&Call::new(Method::POST, "/api/store/verify".to_owned()).maintenance())
            .await
    }

    /// `POST /api/store/backup`.
    pub async fn backup(&self, key: &str) -> Result<BackupReport, Refusal> {
        let call = Call::post("/api/store/backup".to_owned(), &BackupRequest {}, key)?;
        self.json(&call.maintenance()).await
    }

    /// `HEAD /api/objects/{sha256}`: the size in bytes, or `None` where this caller sees no such
    /// object.
    pub async fn object_size(&self, digest: &Digest) -> Result<Option<u64>, Refusal> {
        let call = Call::new(Method::HEAD, format!("/api/objects/{digest}"));
        self.retry
            .run(true, async || match self.attempt(&call).await {
                Ok(response) => response
                    .headers()
                    .get(CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .map(Some)
                    .ok_or_else(|| Fault::Final(super::bad_answer("the server did not say how large an object is"))),
                // A HEAD has no body, so the code can only be told from the status.
                Err(Fault::Final(refusal)) if refusal.details.get("status") == Some(&404.into()) => Ok(None),
                Err(Fault::Final(refusal)) if refusal.code == ErrorCode::RequestForbidden => {
                    Err(Fault::Final(Refusal::new(
                        ErrorCode::AuthMissingScope,
                        "the token may not ask for objects: it needs the scope publish",
                    )))
                }
                Err(fault) => Err(fault),
            })
            .await
    }
}

impl Call {
    fn with_build(mut self, build: Option<&str>) -> Self {
        self.query
            .extend(build.map(|build| ("build".to_owned(), build.to_owned())));
        self
    }
}
