//! Artifacts.

use serde_json::{Map, Value};

use crate::app::text_enum;
use crate::{AppId, ArtifactId, Digest, FileName, Platform, ReleaseId};

/// What the check of an artifact found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ValidationStatus {
    /// Not looked at yet.
    #[default]
    Pending,
    /// Nothing against it.
    Passed,
    /// Something to know before it is installed.
    Warning,
    /// It cannot be what it claims to be; a release with it is never published.
    Failed,
}

text_enum!(ValidationStatus, "validation status", Pending "pending", Passed "passed", Warning "warning", Failed "failed");

/// One file of a release.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Artifact {
    /// The id.
    pub id: ArtifactId,
    /// The app that it belongs to.
    pub app_id: AppId,
    /// The release that it belongs to.
    pub release_id: ReleaseId,
    /// What it runs on.
    pub platform: Platform,
    /// The processor: `arm64`, `x86_64`, `universal` …, or the empty text where it does not matter
    /// or is not known.
    pub arch: String,
    /// The kind of file: `ipa`, `apk`, `deb` …
    pub package_type: String,
    /// The name under which it is downloaded.
    pub filename: FileName,
    /// The media type.
    pub content_type: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Where the bytes are in the store: `objects/<sha256>`.
    pub storage_key: String,
    /// What was found inside and what the manifest adds; an object.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// What the check found.
    pub validation_status: ValidationStatus,
}

/// What tells the artifacts of one release apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactKey {
    /// See [`Artifact::platform`].
    pub platform: Platform,
    /// See [`Artifact::arch`].
    pub arch: String,
    /// See [`Artifact::package_type`].
    pub package_type: String,
    /// See [`Artifact::filename`].
    pub filename: FileName,
}

impl Artifact {
    /// The digest of its icon, a PNG among the store's objects, where the inspection found one.
    pub fn icon(&self) -> Option<Digest> {
        icon_in(&self.metadata)
    }

    /// Puts the artifacts of a release into the order in which they are always shown.
    pub fn sort(artifacts: &mut [Self]) {
        fn place(a: &Artifact) -> impl Ord + '_ {
            (a.platform.as_str(), &a.arch, &a.package_type, &a.filename)
        }
        artifacts.sort_by(|a, b| place(a).cmp(&place(b)));
    }

    /// What tells it apart in its release.
    pub fn key(&self) -> ArtifactKey {
        ArtifactKey {
            platform: self.platform,
            arch: self.arch.clone(),
            package_type: self.package_type.clone(),
            filename: self.filename.clone(),
        }
    }
}

/// See [`Artifact::icon`]: it stands in what the inspection found.
pub(crate) fn icon_in(metadata: &Map<String, Value>) -> Option<Digest> {
    let icon = metadata.get("inspection")?.pointer("/icon/sha256")?;
    icon.as_str()?.parse().ok()
}
