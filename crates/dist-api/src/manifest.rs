//! The manifest, `dist.json`, and the body of a publish over HTTP, which is the same with digests
//! in place of paths.

mod json;
mod parse;

use dist_model::{Build, ChannelName, Digest, FileName, Platform, Refusal, Slug, Source, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The JSON Schema (2020-12) of a manifest's file, for editors. It takes what [`Manifest::parse`] takes,
/// where a schema can say it.
pub const SCHEMA: &str = include_str!("../../../schema/dist.schema.json");

/// Which of its two forms a manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A file beside the artifacts: each names a `path`; `notes_file` is allowed, `draft` is not.
    File,
    /// The body of a request: each artifact names its `sha256`; `draft` is allowed, paths are not.
    Request,
}

/// A release as a CI job describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// The app.
    pub app: Slug,
    /// Its name for people, used only when the publish creates the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The version.
    pub version: Version,
    /// The build; empty where there is none.
    #[serde(default = "Build::none")]
    pub build: Build,
    /// The channel to move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// Release notes, Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// A file with the release notes, beside the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes_file: Option<String>,
    /// Where the build came from.
    #[serde(default)]
    pub source: Source,
    /// The artifacts.
    pub artifacts: Vec<ArtifactEntry>,
    /// True to begin or fill a draft rather than to publish.
    #[serde(default)]
    pub draft: bool,
    /// True to refuse what would not install, or not as an update of the last release, rather than to
    /// note it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

/// One artifact of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactEntry {
    /// What it runs on; told from the file where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The file, relative to the manifest; a glob must match exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The name under which it is downloaded; the file's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<FileName>,
    /// The processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The kind of file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_type: Option<String>,
    /// The media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The digest of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// How many they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// What the build adds, shown with the artifact.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

/// What the command line says instead of a manifest's own fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// In place of `app`.
    pub app: Option<Slug>,
    /// In place of `version`.
    pub version: Option<Version>,
    /// In place of `build`.
    pub build: Option<Build>,
    /// In place of `channel`.
    pub channel: Option<ChannelName>,
}

impl Manifest {
    /// Reads a manifest and says precisely what is wrong with one: not JSON, an unknown key (with
    /// the nearest known one), a missing field, a field of the wrong type or value.
    ///
    /// `details.field` of the refusal is the JSON pointer of the fault.
    pub fn parse(bytes: &[u8], form: Form) -> Result<Self, Refusal> {
        Self::parse_with(bytes, form, &Overrides::default())
    }

    /// The same, with some fields set from elsewhere: those may be missing here, and are not read.
    pub fn parse_with(bytes: &[u8], form: Form, overrides: &Overrides) -> Result<Self, Refusal> {
        parse::manifest(bytes, form, overrides)
    }
}

impl crate::ArtifactsAdd {
    /// Reads the body of `POST …/releases/{id}/artifacts`, with the checks of a manifest's artifacts.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        parse::artifacts_add(bytes)
    }
}
