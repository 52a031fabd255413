//! A channel: where it points, what it pointed at, and its tester links.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{
    Channel, ChannelName, ChannelPolicy, ErrorCode, HistoryEntry, InstallLink, Refusal, ReleaseName, Slug, Timestamp,
};
use dist_service::{ChannelPage as Found, Paging, Standing};
use serde::Deserialize;

use super::Visit;
use super::done::{Done, Note};
use super::links::LinkForm;
use super::rights::Rights;
use crate::error::Result;
use crate::extract::{Query, Segments};
use crate::state::Site;
use crate::web::{Section, Shell, text};

/// How many moves a page shows.
const MOVES: u32 = 50;
/// How many of the newest tester links it shows.
const LINKS: u32 = 100;
const DAY: i64 = 86_400_000;

/// A channel.
#[derive(Template)]
#[template(path = "console/channel.html")]
struct ChannelPage {
    shell: Shell,
    rights: Rights,
    note: Option<Note>,
    found: Found,
    /// The day that was asked about, and what the channel offered on it.
    day: Option<Day>,
    links: Vec<InstallLink>,
    form: LinkForm,
    install: String,
}

/// What a channel offered on a UTC day.
struct Day {
    /// Which, as `2026-01-31`.
    date: String,
    /// As the day began.
    first: Option<Standing>,
    /// As it ended, or now.
    last: Option<Standing>,
}

impl ChannelPage {
    fn channel(&self) -> &Channel {
        &self.found.stand.channel
    }

    /// Until when it was so, where it is no more.
    fn ended(standing: &Standing) -> Option<String> {
        standing.until.map(text::exact)
    }

    /// A release of the history by name.
    fn label(entry: &HistoryEntry) -> String {
        ReleaseName::new(entry.release_id.clone(), &entry.version, &entry.build).label
    }
}

impl Day {
    /// What it offered, in the order in which it did; of a day with several moves, the first and the
    /// last.
    fn offered(&self) -> Vec<&Standing> {
        let mut offered: Vec<&Standing> = self.first.iter().chain(&self.last).collect();
        offered.dedup_by_key(|standing| standing.entry.revision);
        offered
    }
}

/// The day to tell about, and where in the history to stand.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ChannelQuery {
    on: String,
    cursor: String,
}

async fn day(site: &Site, visit: &Visit, slug: &Slug, name: &ChannelName, on: &str) -> Result<Option<Day>> {
    if on.is_empty() {
        return Ok(None);
    }
    let begin: Timestamp = format!("{on}T00:00:00Z").parse().map_err(|_| {
        let message = format!("{on:?} is no day: write it as 2026-01-31");
        Refusal::new(ErrorCode::InvalidTime, message)
    })?;
    let at = |time| site.service.channel_at(&visit.caller, slug, name, time);
    Ok(Some(Day {
        date: begin.day(),
        first: at(begin).await?,
        last: at(begin.plus_millis(DAY - 1)).await?,
    }))
}

/// A channel with its history.
#[utoipa::path(get, path = "/admin/apps/{slug}/channels/{name}", tag = "console",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path), ("on" = Option<String>, Query),
    ("cursor" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    Query(query): Query<ChannelQuery>,
    Query(done): Query<Done>,
) -> Result<Response> {
    let paging = Paging {
        cursor: (!query.cursor.is_empty()).then(|| query.cursor.clone()),
        limit: MOVES,
    };
    let found = site.service.channel_page(&visit.caller, &slug, &name, &paging).await?;
    let day = day(&site, &visit, &slug, &name, query.on.trim()).await?;
    let note = done.note(&site, &visit, &slug).await?;
    let rights = visit.rights(&slug);
    let newest = Paging {
        cursor: None,
        limit: LINKS,
    };
    let links = if rights.read {
        site.service
            .links(&visit.caller, &slug, Some(&name), &newest)
            .await?
            .items
    } else {
        Vec::new()
    };
    visit.page(format!("{slug} {name}"), Section::Apps, |shell| ChannelPage {
        shell,
        rights,
        note,
        day,
        links,
        form: LinkForm::default(),
        install: site.links.install(slug.as_str(), name.as_str()),
        found,
    })
}
