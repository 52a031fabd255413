//! What stands on the pages: each struct holds what its template shows, and nothing else.

use askama::Template;
use axum::response::Response;
use dist_api::Links;
use dist_inspect::Severity;
use dist_model::{App, Artifact, ChannelDetail, IosMode, Platform, Release, Timestamp};
use dist_service::{facts, findings};
use fast_qr::QRBuilder;
use fast_qr::convert::svg::SvgBuilder;
use serde_json::Value;

use super::visitor::Visitor;
use crate::error::Result;
use crate::web::text::human_size;
use crate::web::{self, Nonce, Referrer};

/// A page inside the common frame.
#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a, P: Template> {
    title: &'a str,
    nonce: &'a Nonce,
    page: &'a P,
}

/// A page in its frame as an answer. Its address may be a secret, and is told to nobody.
pub(super) fn html(title: &str, page: &impl Template) -> Result<Response> {
    let nonce = Nonce::new();
    let frame = Frame {
        title,
        nonce: &nonce,
        page,
    };
    web::page(&frame, &nonce, Referrer::Nobody)
}

/// Says what went wrong.
#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorPage {
    pub message: String,
}

/// The index of apps.
#[derive(Template)]
#[template(path = "index.html")]
pub(super) struct IndexPage {
    pub entries: Vec<AppEntry>,
    pub next_cursor: Option<String>,
}

/// An app on the index, with the channels that offer something.
pub(super) struct AppEntry {
    name: String,
    slug: String,
    channels: Vec<ChannelLink>,
}

struct ChannelLink {
    name: String,
    version: String,
    url: String,
}

impl AppEntry {
    pub(super) fn new(app: App, channels: &[ChannelDetail], links: &Links) -> Self {
        let link = |detail: &ChannelDetail| {
            Some(ChannelLink {
                name: detail.channel.name.to_string(),
                version: detail.current.as_ref()?.label(),
                url: links.install(app.slug.as_str(), detail.channel.name.as_str()),
            })
        };
        Self {
            channels: channels.iter().filter_map(link).collect(),
            slug: app.slug.into(),
            name: app.display_name,
        }
    }
}

/// A channel's page.
#[derive(Template)]
#[template(path = "install.html")]
pub(super) struct InstallPage {
    name: String,
    channel: String,
    icon_url: Option<String>,
    release: Option<Offer>,
    qr_svg: Option<String>,
}

/// The release that a channel offers.
struct Offer {
    label: String,
    date: String,
    notes: String,
    sections: Vec<Section>,
}

/// What is there for one platform.
struct Section {
    title: &'static str,
    is_visitors: bool,
    action: Action,
    files: Vec<FileRow>,
}

/// What a person can truly do with a platform's files from this page.
enum Action {
    Download,
    /// Android asks before it installs what no store brought.
    Sideload,
    /// A bundle is for stores.
    StoreOnly,
    /// An IPA that this page cannot install.
    NotInstallable,
    /// `TestFlight`, and nothing else.
    TestFlight {
        url: String,
    },
    /// Over the air, for devices that the profile admits.
    Enterprise {
        manifest_url: String,
        profile: Option<String>,
    },
}

struct FileRow {
    filename: String,
    kind: String,
    size: String,
    /// The oldest system that takes it.
    needs: Option<String>,
    sha256: String,
    /// Why installing it may not go as expected.
    warnings: Vec<String>,
    /// Absent where the visitor may not have the file, or is not meant to.
    url: Option<String>,
}

impl InstallPage {
    /// The page, given which artifacts the visitor may download.
    pub(super) fn new(
        shown: &dist_service::InstallPage,
        offered: &[(&Artifact, bool)],
        visitor: Visitor,
        links: &Links,
    ) -> Self {
        let channel = &shown.channel.channel.name;
        let slug = shown.app.slug.as_str();
        let url = links.install(slug, channel.as_str());
        let mut sorted: Vec<&Artifact> = offered.iter().map(|(artifact, _)| *artifact).collect();
        sorted.sort_by_key(|artifact| Some(artifact.platform) != visitor.platform());
        let icon = sorted.into_iter().find_map(Artifact::icon);
        let release = shown.release.as_ref().map(|detail| Offer {
            label: detail.release.label(),
            date: date(&detail.release),
            notes: detail.release.notes.clone(),
            sections: sections(shown, offered, visitor, links),
        });
        Self {
            name: shown.app.display_name.clone(),
            channel: channel.to_string(),
            icon_url: icon.map(|icon| links.install_icon(slug, channel.as_str(), &icon)),
            release,
            qr_svg: (!visitor.is_mobile()).then(|| qr_svg(&url)).flatten(),
        }
    }
}

/// A section for each platform that there is something for, the visitor's first.
fn sections(
    shown: &dist_service::InstallPage,
    offered: &[(&Artifact, bool)],
    visitor: Visitor,
    links: &Links,
) -> Vec<Section> {
    let mut platforms = Platform::ALL;
    platforms.sort_by_key(|platform| Some(*platform) != visitor.platform());
    let section = |platform: Platform| {
        let files: Vec<_> = offered
            .iter()
            .filter(|(artifact, _)| artifact.platform == platform)
            .collect();
        let first = files.first()?.0;
        let action = action(platform, shown, first, links);
        let linked = !matches!(action, Action::TestFlight { .. });
        Some(Section {
            title: title(platform),
            is_visitors: visitor.platform() == Some(platform),
            files: files
                .iter()
                .map(|(artifact, allowed)| FileRow::new(artifact, *allowed && linked, links))
                .collect(),
            action,
        })
    };
    platforms.into_iter().filter_map(section).collect()
}

fn title(platform: Platform) -> &'static str {
    match platform {
        Platform::Ios => "iPhone and iPad",
        Platform::AndroidApk => "Android",
        Platform::AndroidAab => "Android, for stores",
        Platform::Macos => "macOS",
        Platform::Linux => "Linux",
        Platform::Windows => "Windows",
    }
}

fn action(platform: Platform, shown: &dist_service::InstallPage, artifact: &Artifact, links: &Links) -> Action {
    let app = &shown.app;
    match (platform, app.ios_mode, &app.testflight_url) {
        (Platform::AndroidApk, ..) => Action::Sideload,
        (Platform::AndroidAab, ..) => Action::StoreOnly,
        (Platform::Ios, IosMode::Testflight, Some(url)) => Action::TestFlight { url: url.clone() },
        (Platform::Ios, IosMode::Enterprise, _) => {
            let manifest = links.ios_manifest(app.slug.as_str(), shown.channel.channel.name.as_str());
            Action::Enterprise {
                manifest_url: over_https(&manifest),
                profile: profile(artifact),
            }
        }
        (Platform::Ios, ..) => Action::NotInstallable,
        _ => Action::Download,
    }
}

/// iOS takes nothing over plain HTTP, so that a link that says otherwise could never work.
fn over_https(url: &str) -> String {
    match url.strip_prefix("http://") {
        Some(rest) => format!("https://{rest}"),
        None => url.to_owned(),
    }
}

/// What the provisioning profile inside the IPA allows, and until when, where that is known.
fn profile(artifact: &Artifact) -> Option<String> {
    let profile = facts(&artifact.metadata)?.get("provisioning")?;
    let kind = match profile.get("kind").and_then(Value::as_str)? {
        "enterprise" => "devices of the organisation that signed it".to_owned(),
        "ad-hoc" => match profile.get("devices").and_then(Value::as_array) {
            Some(devices) => format!("the {} devices that it lists", devices.len()),
            None => "the devices that it lists".to_owned(),
        },
        "development" => "registered development devices".to_owned(),
        _ => "no device outside the App Store".to_owned(),
    };
    let until = profile.get("expires").and_then(Value::as_str);
    Some(match until {
        Some(until) => format!("Its profile allows {kind}, until {until}."),
        None => format!("Its profile allows {kind}."),
    })
}

impl FileRow {
    fn new(artifact: &Artifact, linked: bool, links: &Links) -> Self {
        let kind = match artifact.arch.as_str() {
            "" => artifact.package_type.clone(),
            arch => format!("{}, {arch}", artifact.package_type),
        };
        Self {
            filename: artifact.filename.to_string(),
            kind,
            size: human_size(artifact.size_bytes),
            needs: needs(artifact),
            sha256: artifact.sha256.to_string(),
            warnings: warnings(artifact),
            url: linked.then(|| links.artifact(artifact)),
        }
    }
}

fn needs(artifact: &Artifact) -> Option<String> {
    let system = match artifact.platform {
        Platform::Ios => "iOS",
        Platform::AndroidApk | Platform::AndroidAab => "Android API level",
        Platform::Macos => "macOS",
        Platform::Linux => return None,
        Platform::Windows => "Windows",
    };
    let version = facts(&artifact.metadata)?.get("min_os")?;
    let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    Some(format!("{system} {version} or later"))
}

fn warnings(artifact: &Artifact) -> Vec<String> {
    let warns = findings(&artifact.metadata)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Warning);
    warns.map(|finding| finding.message).collect()
}

/// The list that `itms-services:` takes.
#[derive(Template)]
#[template(path = "manifest.plist.xml")]
pub(super) struct PlistPage<'a> {
    ipa_url: String,
    bundle_id: &'a str,
    version: &'a str,
    title: &'a str,
}

impl<'a> PlistPage<'a> {
    pub(super) fn new(
        artifact: &Artifact,
        bundle_id: &'a str,
        release: &'a Release,
        app: &'a App,
        links: &Links,
    ) -> Self {
        Self {
            ipa_url: over_https(&links.artifact(artifact)),
            bundle_id,
            version: release.version.as_str(),
            title: &app.display_name,
        }
    }
}

fn date(release: &Release) -> String {
    release.published_at.map(Timestamp::day).unwrap_or_default()
}

fn qr_svg(url: &str) -> Option<String> {
    let qr = QRBuilder::new(url).build().ok()?;
    Some(SvgBuilder::default().to_str(&qr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_for_iphones_are_https() {
        assert_eq!(over_https("http://example.org/x"), "https://example.org/x");
        assert_eq!(over_https("https://example.org/x"), "https://example.org/x");
    }
}
