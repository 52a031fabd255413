//! Apps and their settings.

use std::collections::{BTreeMap, BTreeSet};

use crate::{AppId, ErrorCode, Platform, Refusal, Slug, Timestamp};

/// Who may see an app and what it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// On no list; who has the link may install.
    Unlisted,
    /// Who signed in, holds a token, or has a signed link.
    Private,
}

/// What an iPhone is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IosMode {
    /// A file to download, labelled as not installable from the page.
    #[default]
    ArtifactOnly,
    /// A link to `TestFlight` and nothing else.
    Testflight,
    /// Installation over `itms-services:` for enrolled or registered devices.
    Enterprise,
}

macro_rules! text_enum {
    ($name:ident, $what:literal, $($variant:ident $text:literal),+) => {
        impl $name {
            /// The name in JSON, SQL and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Refusal;
            fn from_str(text: &str) -> Result<Self, $crate::Refusal> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::Refusal::new(
                        $crate::ErrorCode::UsageError,
                        format!("{text:?} is no {}: use one of {}", $what, [$($text),+].join(", ")),
                    )),
                }
            }
        }
    };
}
pub(crate) use text_enum;

text_enum!(Visibility, "visibility", Public "public", Unlisted "unlisted", Private "private");
text_enum!(IosMode, "iOS mode", ArtifactOnly "artifact_only", Testflight "testflight", Enterprise "enterprise");

/// An app: the thing that has releases and channels.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct App {
    /// The id.
    pub id: AppId,
    /// The name in URLs and commands; unique, never changed.
    pub slug: Slug,
    /// The name for people.
    pub display_name: String,
    /// The id inside the artifacts (bundle id, package name), by platform.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, String>))]
    pub bundle_ids: BTreeMap<Platform, String>,
    /// The platforms that may be published; all of them where empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Platform>))]
    pub allowed_platforms: BTreeSet<Platform>,
    /// Who answers for the app; free text, by default who created it.
    pub owner: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// What an iPhone is offered.
    pub ios_mode: IosMode,
    /// Whether strangers may download the IPA of an `artifact_only` app.
    pub ios_public_download: bool,
    /// The public `TestFlight` link, or null.
    pub testflight_url: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a setting last changed.
    pub updated_at: Timestamp,
}

/// The settings of an app that change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AppChanges {
    /// The name for people, 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Ids by platform to set; an empty text removes one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, String>))]
    pub bundle_ids: BTreeMap<Platform, String>,
    /// The platforms that may be published; an empty list allows all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<Platform>>))]
    pub allowed_platforms: Option<BTreeSet<Platform>>,
    /// Who answers for the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// What an iPhone is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ios_mode: Option<IosMode>,
    /// Whether strangers may download the IPA of an `artifact_only` app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ios_public_download: Option<bool>,
    /// The public `TestFlight` link; an empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub testflight_url: Option<String>,
}

impl App {
    /// True where the app allows artifacts of `platform`.
    pub fn allows(&self, platform: Platform) -> bool {
        self.allowed_platforms.is_empty() || self.allowed_platforms.contains(&platform)
    }

    /// Sets what `changes` names. The one place that knows what each of them means; used when a
    /// change is decided and when its event is applied to the tables.
    pub fn apply(&mut self, changes: &AppChanges, at: Timestamp) {
        let changes = changes.clone();
        for (platform, id) in changes.bundle_ids {
            if id.is_empty() {
                self.bundle_ids.remove(&platform);
            } else {
                self.bundle_ids.insert(platform, id);
            }
        }
        if let Some(value) = changes.display_name {
            self.display_name = value;
        }
        if let Some(value) = changes.allowed_platforms {
            self.allowed_platforms = value;
        }
        if let Some(value) = changes.owner {
            self.owner = value;
        }
        if let Some(value) = changes.visibility {
            self.visibility = value;
        }
        if let Some(value) = changes.ios_mode {
            self.ios_mode = value;
        }
        if let Some(value) = changes.ios_public_download {
            self.ios_public_download = value;
        }
        if let Some(value) = changes.testflight_url {
            self.testflight_url = (!value.is_empty()).then_some(value);
        }
        self.updated_at = at;
    }

    /// Checks that the settings go together.
    pub fn validate(&self) -> Result<(), Refusal> {
        check_text("display_name", &self.display_name, 200)?;
        check_text("owner", &self.owner, 200)?;
        for (platform, id) in &self.bundle_ids {
            let good = id.len() <= 255 && id.bytes().all(|b| b.is_ascii_graphic());
            if !good {
                return Err(Refusal::new(
                    ErrorCode::AppInvalid,
                    format!("the bundle id for {platform} is not one: use printable ASCII without spaces, at most 255"),
                ));
            }
        }
        if let Some(url) = &self.testflight_url {
            check_testflight(url)?;
        }
        match self.ios_mode {
            IosMode::Testflight if self.testflight_url.is_none() => Err(Refusal::new(
                ErrorCode::TestflightUrlRequired,
                "mode testflight needs the app's public link: set --testflight-url https://testflight.apple.com/join/…",
            )),
            IosMode::Enterprise if !self.bundle_ids.contains_key(&Platform::Ios) => Err(Refusal::new(
                ErrorCode::BundleIdRequired,
                "mode enterprise needs the iOS bundle id: set --ios-bundle-id, or publish an IPA first",
            )),
            _ => Ok(()),
        }
    }
}

fn check_text(field: &str, text: &str, most: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length == 0 || length > most || text.chars().any(char::is_control) {
        return Err(Refusal::new(
            ErrorCode::AppInvalid,
            format!("{field} must have 1 to {most} characters and no control characters"),
        )
        .with("field", field));
    }
    Ok(())
}

/// Only the real host, over https, on the default port: anything else could be a lookalike that
/// the install page would vouch for.
fn check_testflight(url: &str) -> Result<(), Refusal> {
    let path = url.strip_prefix("https://testflight.apple.com/");
    if path.is_some_and(|path| {
        !path.is_empty()
            && path
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/-_?=&".contains(&b))
    }) {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::TestflightUrlRequired,
        "the TestFlight link must start with https://testflight.apple.com/, such as https://testflight.apple.com/join/AbCdEf",
    ))
}
