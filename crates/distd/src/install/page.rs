//! What stands on a channel's page, and the frame around every page here.

use std::fmt::Display;

use askama::Template;
use axum::response::Response;
use dist_model::{Artifact, Platform, Release, ReleaseStatus, Timestamp, Visibility};
use dist_service::PastOffer;

use super::section::{Scene, Section};
use super::text::{cause, day, platform_name, visible_or};
use super::{notes, qr};
use crate::error::Result;
use crate::web::{self, Nonce, Referrer};

/// A page inside the common frame.
#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a, P: Display> {
    title: &'a str,
    preview: Option<&'a Preview>,
    nonce: &'a Nonce,
    page: &'a P,
}

/// What stands for a page that has no icon of its own.
const NO_ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Crect width='16' height='16' rx='4' fill='%233b5bdb'/%3E\
    %3Cpath d='M8 3v7M5 7l3 3 3-3M4 13h8' stroke='%23fff' stroke-width='1.5' fill='none'/%3E%3C/svg%3E";

impl<P: Display> Frame<'_, P> {
    fn icon(&self) -> &str {
        let image = self.preview.and_then(|preview| preview.image.as_deref());
        image.unwrap_or(NO_ICON)
    }
}

/// What other sites and chats show of a page that they link to.
pub(super) struct Preview {
    pub title: String,
    pub description: String,
    pub url: String,
    pub image: Option<String>,
    /// False for what is on no list, and is not meant to get on one.
    pub is_public: bool,
}

/// A page in its frame as an answer. Its address may be a secret, and is told to nobody.
pub(super) fn html(title: &str, page: &impl Display) -> Result<Response> {
    framed(title, None, page)
}

/// The same, with what others may show of it.
pub(super) fn html_with_preview(preview: &Preview, page: &impl Display) -> Result<Response> {
    framed(&preview.title, Some(preview), page)
}

fn framed(title: &str, preview: Option<&Preview>, page: &impl Display) -> Result<Response> {
    let nonce = Nonce::new();
    let frame = Frame {
        title,
        preview,
        nonce: &nonce,
        page,
    };
    web::page(&frame, &nonce, Referrer::Nobody)
}

/// A channel's page.
#[derive(Template)]
#[template(path = "install.html")]
pub(super) struct InstallPage {
    name: String,
    initial: String,
    channel: String,
    icon_url: Option<String>,
    index_url: Option<String>,
    offer: Option<Offer>,
    history: Vec<Move>,
    qr_svg: Option<String>,
}

/// The release that a channel offers.
struct Offer {
    label: String,
    date: Option<Date>,
    notes_html: String,
    /// The visitor's platform, or nothing where there is nothing for it.
    own: Vec<Section>,
    /// What it is, where there is nothing for it.
    missing: Option<&'static str>,
    others: Vec<Section>,
}

/// A day for people, and its time for programs.
pub(super) struct Date {
    pub day: String,
    pub time: String,
}

impl Date {
    pub(super) fn new(time: Timestamp) -> Self {
        Self {
            day: day(time),
            time: time.to_string(),
        }
    }
}

/// A move of the channel.
struct Move {
    label: String,
    date: Date,
    cause: &'static str,
    platforms: String,
    is_current: bool,
    is_withdrawn: bool,
}

impl InstallPage {
    /// The page, and what others may show of it.
    pub(super) fn new(shown: &dist_service::InstallPage, scene: &Scene<'_>) -> (Self, Preview) {
        let offer = &shown.offer;
        let (slug, channel) = (offer.app.slug.as_str(), &offer.channel.channel);
        let name = visible_or(&offer.app.display_name, slug);
        let artifacts = offer.release.iter().flat_map(|detail| &detail.artifacts);
        let icon = icon(artifacts.clone(), scene).map(|icon| scene.urls.icon(&icon));
        let for_phones = artifacts
            .clone()
            .any(|artifact| matches!(artifact.platform, Platform::Ios | Platform::AndroidApk));
        let url = scene.urls.page();
        let qr_svg = (for_phones && !scene.visitor.is_mobile() && scene.opens_elsewhere())
            .then(|| qr::svg(&url))
            .filter(|svg| !svg.is_empty());
        let is_public = offer.app.visibility == Visibility::Public;
        let release = offer.release.as_ref().map(|detail| &detail.release);
        let preview = preview(&name, release, artifacts.clone(), icon.clone(), url, is_public);
        let page = Self {
            initial: name
                .chars()
                .next()
                .map(|first| first.to_uppercase().collect())
                .unwrap_or_default(),
            channel: channel.name.to_string(),
            icon_url: icon,
            index_url: is_public.then(|| scene.urls.index()),
            offer: release.map(|release| Offer::new(release, &artifacts.collect::<Vec<_>>(), scene)),
            history: shown
                .history
                .iter()
                .map(|past| Move::new(past, channel.revision))
                .collect(),
            qr_svg,
            name,
        };
        (page, preview)
    }
}

/// The icon for the visitor's platform, or else any.
fn icon<'a>(artifacts: impl Iterator<Item = &'a Artifact>, scene: &Scene<'_>) -> Option<dist_model::Digest> {
    let is_others = |artifact: &&Artifact| Some(artifact.platform) != scene.visitor.platform();
    let found = artifacts.filter(|artifact| artifact.icon().is_some());
    found.min_by_key(is_others).and_then(Artifact::icon)
}

fn preview<'a>(
    name: &str,
    release: Option<&Release>,
    artifacts: impl Iterator<Item = &'a Artifact>,
    image: Option<String>,
    url: String,
    is_public: bool,
) -> Preview {
    let (title, description) = match release {
        Some(release) => {
            let label = release.label();
            let names = names(artifacts.map(|artifact| artifact.platform));
            // Not that it can be installed there: of an iPhone that is seldom true.
            (format!("{name} {label}"), format!("{name} {label} for {names}."))
        }
        None => (name.to_owned(), format!("{name} offers nothing here yet.")),
    };
    Preview {
        title,
        description,
        url,
        image,
        is_public,
    }
}

/// The names of platforms in a sentence, each once.
pub(super) fn names(platforms: impl IntoIterator<Item = Platform>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for platform in platforms {
        let name = match platform {
            Platform::AndroidAab => platform_name(Platform::AndroidApk),
            platform => platform_name(platform),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

impl Offer {
    fn new(release: &Release, artifacts: &[&Artifact], scene: &Scene<'_>) -> Self {
        let section = |platform: Platform| {
            let own = artifacts.iter().filter(|artifact| artifact.platform == platform);
            Section::new(platform, &own.copied().collect::<Vec<_>>(), scene)
        };
        let sections = Platform::ALL.into_iter().filter_map(section);
        let (own, others): (Vec<_>, Vec<_>) = sections.partition(|section| section.is_visitors);
        // An iPad says that it is a Mac, and must not read that there is nothing for it.
        let is_ipads = |section: &Section| section.id == Platform::Ios.as_str();
        let may_be_ipad = |platform: &Platform| *platform == Platform::Macos && others.iter().any(is_ipads);
        let own_platform = scene.visitor.platform().filter(|_| own.is_empty());
        let own_platform = own_platform.filter(|platform| !may_be_ipad(platform));
        Self {
            label: release.label(),
            date: release.published_at.map(Date::new),
            notes_html: notes::render(&release.notes),
            missing: own_platform.map(platform_name),
            own,
            others,
        }
    }
}

impl Move {
    fn new(past: &PastOffer, revision: u64) -> Self {
        let label = if past.build.is_none() {
            past.version.to_string()
        } else {
            format!("{} ({})", past.version, past.build)
        };
        Self {
            label,
            date: Date::new(past.moved_at),
            cause: cause(past.cause),
            platforms: names(past.platforms.iter().copied()),
            is_current: past.revision == revision,
            is_withdrawn: past.status == ReleaseStatus::Yanked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_in_a_sentence() {
        let all = names(Platform::ALL);
        assert_eq!(all, "iPhone and iPad, Android, macOS, Linux, Windows");
    }
}
