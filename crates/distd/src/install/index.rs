//! The index of apps.

use askama::Template;
use dist_api::Links;
use dist_model::ChannelDetail;
use dist_service::{IndexEntry, Page};

use super::page::{Date, Preview, names};
use super::text::visible_or;
use super::urls::Urls;

/// The index of apps.
#[derive(Template)]
#[template(path = "index.html")]
pub(super) struct IndexPage {
    server: String,
    is_set_up: bool,
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

/// An app that offers something, or nothing yet.
struct Entry {
    name: String,
    initial: String,
    icon_url: Option<String>,
    platforms: String,
    first: Option<ChannelLink>,
    others: Vec<ChannelLink>,
}

struct ChannelLink {
    name: String,
    version: String,
    date: Option<Date>,
    url: String,
}

impl IndexPage {
    pub(super) fn new(apps: Page<IndexEntry>, is_set_up: bool, links: &Links) -> Self {
        Self {
            is_set_up,
            server: links.base().to_owned(),
            entries: apps.items.iter().map(|entry| Entry::new(entry, links)).collect(),
            next_cursor: apps.next_cursor,
        }
    }

    /// What others show of it.
    pub(super) fn preview(links: &Links) -> Preview {
        Preview {
            title: "Apps".to_owned(),
            description: "Apps to install, for phones, desktops and servers.".to_owned(),
            url: format!("{}/", links.base()),
            image: None,
            is_public: true,
        }
    }
}

impl Entry {
    fn new(entry: &IndexEntry, links: &Links) -> Self {
        let name = visible_or(&entry.app.display_name, entry.app.slug.as_str());
        let mut channels = entry.channels.iter();
        let first = channels.next();
        let icon = first.zip(entry.icon.as_ref());
        Self {
            initial: name
                .chars()
                .next()
                .map(|first| first.to_uppercase().collect())
                .unwrap_or_default(),
            name,
            icon_url: icon.map(|(detail, icon)| urls(entry, detail, links).icon(icon)),
            platforms: names(entry.platforms.iter().copied()),
            first: first.and_then(|first| ChannelLink::new(entry, first, links)),
            others: channels
                .filter_map(|other| ChannelLink::new(entry, other, links))
                .collect(),
        }
    }
}

impl ChannelLink {
    fn new(entry: &IndexEntry, detail: &ChannelDetail, links: &Links) -> Option<Self> {
        Some(Self {
            name: detail.channel.name.to_string(),
            version: detail.current.as_ref()?.label(),
            date: detail.moved_at.map(Date::new),
            url: urls(entry, detail, links).page(),
        })
    }
}

fn urls<'a>(entry: &'a IndexEntry, detail: &'a ChannelDetail, links: &'a Links) -> Urls<'a> {
    Urls {
        links,
        slug: &entry.app.slug,
        channel: &detail.channel.name,
        secret: None,
    }
}
