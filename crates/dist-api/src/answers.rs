//! The JSON bodies of answers.

use dist_model::decide::{PublishStatus, Published};
use dist_model::{
    App, Artifact, ArtifactId, Build, Channel, ChannelDetail, ChannelMove, ChannelName, Digest, ErrorCode, FileName,
    InstallLink, Moved, Platform, Refusal, Release, ReleaseDetail, ReleaseId, Slug, Timestamp, Token, ValidationStatus,
    Version, Warning, Yanked,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Links;

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable code, `area.reason`.
    pub code: String,
    /// What to do next, for a person.
    pub message: String,
    /// Facts for programs.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

impl From<&Refusal> for ErrorBody {
    fn from(refusal: &Refusal) -> Self {
        Self {
            error: ErrorDetail {
                code: refusal.code.as_str().to_owned(),
                message: refusal.message.clone(),
                details: refusal.details.clone(),
            },
        }
    }
}

impl ErrorBody {
    /// The refusal that this body tells of; `None` for a code that this version does not know.
    pub fn to_refusal(&self) -> Option<Refusal> {
        let code = ErrorCode::from_code(&self.error.code)?;
        Some(Refusal {
            code,
            message: self.error.message.clone(),
            details: self.error.details.clone(),
        })
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts, or null at the end.
    pub next_cursor: Option<String>,
}

/// An app, named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppRef {
    /// Its id.
    pub id: dist_model::AppId,
    /// Its slug.
    pub slug: Slug,
}

impl From<&App> for AppRef {
    fn from(app: &App) -> Self {
        Self {
            id: app.id.clone(),
            slug: app.slug.clone(),
        }
    }
}

/// A release, named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseRef {
    /// Its id.
    pub id: ReleaseId,
    /// Its version.
    pub version: Version,
    /// Its build.
    pub build: Build,
}

impl From<&Release> for ReleaseRef {
    fn from(release: &Release) -> Self {
        Self {
            id: release.id.clone(),
            version: release.version.clone(),
            build: release.build.clone(),
        }
    }
}

/// Where a channel points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChannelRef {
    /// Its name.
    pub name: ChannelName,
    /// Its revision.
    pub revision: u64,
    /// What it points at.
    pub release_id: ReleaseId,
    /// What it pointed at before.
    pub previous_release_id: Option<ReleaseId>,
}

impl From<&ChannelMove> for ChannelRef {
    fn from(moved: &ChannelMove) -> Self {
        Self {
            name: moved.channel.clone(),
            revision: moved.revision,
            release_id: moved.release_id.clone(),
            previous_release_id: moved.previous_release_id.clone(),
        }
    }
}

/// An artifact with the link to its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// The id.
    pub id: ArtifactId,
    /// What it runs on.
    pub platform: Platform,
    /// The processor, or the empty text.
    pub arch: String,
    /// The kind of file.
    pub package_type: String,
    /// The name under which it is downloaded.
    pub filename: FileName,
    /// The media type.
    pub content_type: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// What was found inside and what the manifest added.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What the check found.
    pub validation_status: ValidationStatus,
    /// Where its bytes are.
    pub url: String,
}

impl ArtifactView {
    /// `artifact` with its link.
    pub fn new(artifact: &Artifact, links: &Links) -> Self {
        Self {
            id: artifact.id.clone(),
            platform: artifact.platform,
            arch: artifact.arch.clone(),
            package_type: artifact.package_type.clone(),
            filename: artifact.filename.clone(),
            content_type: artifact.content_type.clone(),
            size_bytes: artifact.size_bytes,
            sha256: artifact.sha256,
            metadata: artifact.metadata.clone(),
            validation_status: artifact.validation_status,
            url: links.download(&artifact.sha256),
        }
    }
}

/// The answer to a publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublishResult {
    /// What it came to.
    pub status: PublishStatus,
    /// The app.
    pub app: AppRef,
    /// The release.
    pub release: ReleaseRef,
    /// All its artifacts.
    pub artifacts: Vec<ArtifactView>,
    /// Where the channel that was named stands now: at this release, or, where it had this one
    /// before, perhaps at another; null where none was named, and for a draft.
    pub channel: Option<ChannelRef>,
    /// The install page, where the release has a channel.
    pub install_url: Option<String>,
}

impl PublishResult {
    /// What `published` says, with links.
    pub fn new(published: &Published, links: &Links) -> Self {
        let named = published.channel.as_ref().map(|moved| &moved.channel);
        let channel = named.or(published.release.channel.as_ref());
        Self {
            status: published.status,
            app: AppRef::from(&published.app),
            release: ReleaseRef::from(&published.release),
            artifacts: published
                .artifacts
                .iter()
                .map(|artifact| ArtifactView::new(artifact, links))
                .collect(),
            channel: published.channel.as_ref().map(ChannelRef::from),
            install_url: channel.map(|channel| links.install(published.app.slug.as_str(), channel.as_str())),
        }
    }
}

/// A release with its artifacts and the channels that point at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseView {
    /// The release.
    #[serde(flatten)]
    pub release: Release,
    /// Its artifacts.
    pub artifacts: Vec<ArtifactView>,
    /// The channels that point at it.
    pub channels: Vec<ChannelName>,
}

impl ReleaseView {
    /// What `detail` says, with links.
    pub fn new(detail: &ReleaseDetail, links: &Links) -> Self {
        Self {
            release: detail.release.clone(),
            artifacts: detail
                .artifacts
                .iter()
                .map(|artifact| ArtifactView::new(artifact, links))
                .collect(),
            channels: detail.channels.clone(),
        }
    }
}

/// A channel with the release that it points at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChannelView {
    /// The channel.
    #[serde(flatten)]
    pub channel: Channel,
    /// What it points at.
    pub current: Option<ReleaseRef>,
    /// When it was last moved.
    pub moved_at: Option<Timestamp>,
    /// Whether `rollout_percent` holds anybody back: not yet.
    pub rollout_enforced: bool,
    /// The install page.
    pub install_url: String,
}

impl ChannelView {
    /// What `detail` says of a channel of the app `slug`, with links.
    pub fn new(slug: &Slug, detail: &ChannelDetail, links: &Links) -> Self {
        Self {
            channel: detail.channel.clone(),
            current: detail.current.as_ref().map(ReleaseRef::from),
            moved_at: detail.moved_at,
            rollout_enforced: false,
            install_url: links.install(slug.as_str(), detail.channel.name.as_str()),
        }
    }
}

/// An app with its channels and newest releases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppDetail {
    /// The app.
    #[serde(flatten)]
    pub app: App,
    /// Its channels, by name.
    pub channels: Vec<ChannelView>,
    /// Its 20 newest releases.
    pub releases: Vec<Release>,
}

/// Whether a move changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveStatus {
    /// The channel was moved.
    Moved,
    /// It pointed there already.
    Unchanged,
}

/// The answer to a promotion or rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MoveResult {
    /// Whether it changed anything.
    pub status: MoveStatus,
    /// The app.
    pub app: AppRef,
    /// The release that the channel points at now.
    pub release: ReleaseRef,
    /// The channel.
    pub channel: ChannelRef,
    /// The install page.
    pub install_url: String,
    /// What those who install from the channel would run into.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

impl MoveResult {
    /// What `moved` says, with links.
    pub fn new(moved: &Moved, links: &Links) -> Self {
        Self {
            status: if moved.changed {
                MoveStatus::Moved
            } else {
                MoveStatus::Unchanged
            },
            app: AppRef::from(&moved.app),
            release: ReleaseRef::from(&moved.release),
            channel: ChannelRef {
                name: moved.channel.clone(),
                revision: moved.revision,
                release_id: moved.release.id.clone(),
                previous_release_id: moved.previous_release_id.clone(),
            },
            install_url: links.install(moved.app.slug.as_str(), moved.channel.as_str()),
            warnings: moved.warnings.clone(),
        }
    }
}

/// Whether a yank changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum YankStatus {
    /// The release was yanked.
    Yanked,
    /// It was yanked before.
    Unchanged,
}

/// The answer to a yank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct YankResult {
    /// Whether it changed anything.
    pub status: YankStatus,
    /// The release.
    pub release: ReleaseRef,
    /// The channels that were rolled back in the same transaction.
    pub rolled_back: Vec<ChannelRef>,
}

impl From<&Yanked> for YankResult {
    fn from(yanked: &Yanked) -> Self {
        Self {
            status: if yanked.changed {
                YankStatus::Yanked
            } else {
                YankStatus::Unchanged
            },
            release: ReleaseRef::from(&yanked.release),
            rolled_back: yanked.rolled_back.iter().map(ChannelRef::from).collect(),
        }
    }
}

/// The answer to `…/latest`: what the channel offers, and whether it is newer than what was asked
/// about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LatestView {
    /// True where the channel's release is another than the version asked about (and has an
    /// artifact for the platform and processor asked about).
    pub update_available: bool,
    /// The channel's release.
    pub release: ReleaseRef,
    /// Its notes.
    pub notes: String,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// Its artifacts for the platform and processor asked about.
    pub artifacts: Vec<ArtifactView>,
}

/// The answer to an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UploadResult {
    /// The digest of the bytes that arrived.
    pub sha256: Digest,
    /// How many arrived.
    pub size_bytes: u64,
    /// True where the store had them already.
    pub deduplicated: bool,
}

/// A token that was just made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenCreated {
    /// The secret, shown this once; null where the same request was answered before.
    pub secret: Option<String>,
    /// The token.
    pub token: Token,
}

/// A tester link that was just made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkCreated {
    /// Where it leads, with its secret, shown this once; null where the same request was answered
    /// before.
    pub url: Option<String>,
    /// The link.
    pub link: InstallLink,
}

impl LinkCreated {
    /// A link and the address that its secret makes.
    pub fn new(link: InstallLink, secret: Option<&str>, links: &Links) -> Self {
        Self {
            url: secret.map(|secret| links.tester(&link, secret)),
            link,
        }
    }
}
