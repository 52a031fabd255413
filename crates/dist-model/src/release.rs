//! Releases.

use crate::app::text_enum;
use crate::{Actor, AppId, Build, ChannelName, ReleaseId, Timestamp, Version};

/// Where a release stands. It only moves forward: draft, published, yanked or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    /// Being filled by CI jobs; seen only by those who may publish.
    Draft,
    /// Immutable, and offered by the channels that point at it.
    Published,
    /// Kept with its bytes and never offered again.
    Yanked,
    /// Cleaned up by a retention policy: the row stays, the bytes may be gone.
    Deleted,
}

text_enum!(ReleaseStatus, "release status", Draft "draft", Published "published", Yanked "yanked", Deleted "deleted");

/// Where a build came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The commit's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The branch or tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The page of the CI run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
}

/// One version and build of an app, with its artifacts; (app, version, build) is unique for ever.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Release {
    /// The id.
    pub id: ReleaseId,
    /// The app that it belongs to.
    pub app_id: AppId,
    /// The version.
    pub version: Version,
    /// The build, or the empty text.
    pub build: Build,
    /// The channel that it was first published to, or null; of a draft, the one that it is meant
    /// for.
    pub channel: Option<ChannelName>,
    /// Release notes, Markdown.
    pub notes: String,
    /// Who made it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub created_by: Actor,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was published, or null for a draft.
    pub published_at: Option<Timestamp>,
    /// Where it stands.
    pub status: ReleaseStatus,
    /// Where the build came from.
    pub source: Source,
}

impl Release {
    /// Version and build as people write them: `2.4.0 (812)`.
    pub fn label(&self) -> String {
        label(self.version.as_str(), self.build.as_str())
    }
}

/// Version and build as people write them; without a build, the version.
pub(crate) fn label(version: &str, build: &str) -> String {
    if build.is_empty() {
        version.to_owned()
    } else {
        format!("{version} ({build})")
    }
}
