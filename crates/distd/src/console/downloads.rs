//! How often what was fetched: of all apps, and of one by release, which is how a version is adopted.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{ReleaseName, Slug, Timestamp};
use dist_service::{AppDownloads, Downloads, ReleaseDownloads};
use serde::Deserialize;

use super::Visit;
use crate::error::Result;
use crate::extract::{Query, Segments};
use crate::state::Site;
use crate::web::plot::{Plot, Series};
use crate::web::{Section, Shell, text};

const DAY_MS: i64 = 86_400_000;
/// The last days of a period, which a row tells by themselves.
const LATELY: usize = 7;

/// The apps, by how often they were downloaded.
#[derive(Template)]
#[template(path = "console/downloads.html")]
struct AllPage {
    shell: Shell,
    period: Period,
    plot: Plot,
    rows: Vec<Row<Slug>>,
}

/// An app's releases, the newest first.
#[derive(Template)]
#[template(path = "console/app_downloads.html")]
struct AppPage {
    shell: Shell,
    app: Slug,
    period: Period,
    plot: Plot,
    adoption: Plot,
    rows: Vec<Row<ReleaseName>>,
}

/// How often something was downloaded.
struct Row<T> {
    of: T,
    total: u64,
    lately: u64,
    /// Its part of all, in whole percent.
    share: u64,
}

/// For how many days.
#[derive(Deserialize)]
pub(crate) struct PeriodQuery {
    #[serde(default)]
    days: Option<u32>,
}

/// The days that a page is about, the last of which is today.
struct Period {
    length: u32,
    since: Timestamp,
    until: Timestamp,
    days: Vec<String>,
}

impl Period {
    const LENGTHS: [u32; 3] = [30, 90, 365];

    fn new(query: &PeriodQuery, now: Timestamp) -> Self {
        let length = query.days.filter(|days| Self::LENGTHS.contains(days)).unwrap_or(30);
        let day = |ago: u32| now.plus_millis(-DAY_MS * i64::from(ago));
        Self {
            length,
            since: day(length - 1),
            until: now,
            days: (0..length).rev().map(|ago| day(ago).day()).collect(),
        }
    }

    /// The numbers of each day.
    fn values(&self, days: &BTreeMap<String, u64>) -> Vec<u64> {
        let value = |day: &String| days.get(day).copied().unwrap_or(0);
        self.days.iter().map(value).collect()
    }

    /// Downloads a day, of everything together.
    fn bars<T>(&self, found: &[Downloads<T>]) -> Plot {
        let mut together: BTreeMap<String, u64> = BTreeMap::new();
        for (day, count) in found.iter().flat_map(|one| &one.days) {
            *together.entry(day.clone()).or_default() += count;
        }
        Plot::bars("Downloads a day", self.days.clone(), self.values(&together))
    }

    fn series<T>(&self, found: &[Downloads<T>], name: impl Fn(&T) -> String) -> Vec<Series> {
        let series = found.iter().map(|one| Series {
            name: name(&one.of),
            values: self.values(&one.days),
        });
        series.collect()
    }

    fn rows<T>(&self, found: Vec<Downloads<T>>) -> Vec<Row<T>> {
        let all: u64 = found.iter().map(Downloads::total).sum();
        let row = |one: Downloads<T>| {
            let total = one.total();
            let lately = self.values(&one.days).iter().rev().take(LATELY).sum();
            Row {
                of: one.of,
                total,
                lately,
                share: total * 100 / all.max(1),
            }
        };
        found.into_iter().map(row).collect()
    }
}

/// The downloads of all apps that the reader may see.
#[utoipa::path(get, path = "/admin/downloads", tag = "console", params(("days" = Option<u32>, Query)),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn all(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(query): Query<PeriodQuery>,
) -> Result<Response> {
    let period = Period::new(&query, site.service.now());
    let found: Vec<AppDownloads> = site
        .service
        .downloads_by_app(&visit.caller, period.since, period.until)
        .await?;
    let plot = if found.len() > 1 {
        let series = period.series(&found, Slug::to_string);
        Plot::stacked("Downloads a day, by app", period.days.clone(), series)
    } else {
        period.bars(&found)
    };
    let mut rows = period.rows(found);
    rows.sort_by_key(|row| std::cmp::Reverse(row.total));
    visit.page("Downloads", Section::Downloads, |shell| AllPage {
        shell,
        period,
        plot,
        rows,
    })
}

/// The downloads of an app, by release.
#[utoipa::path(get, path = "/admin/downloads/{slug}", tag = "console",
    params(("slug" = Slug, Path), ("days" = Option<u32>, Query)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404)))]
pub(crate) async fn of_app(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((app,)): Segments<(Slug,)>,
    Query(query): Query<PeriodQuery>,
) -> Result<Response> {
    let period = Period::new(&query, site.service.now());
    let found: Vec<ReleaseDownloads> = site
        .service
        .downloads_by_release(&visit.caller, &app, period.since, period.until)
        .await?;
    let series = period.series(&found, |release| release.label.clone());
    let adoption = Plot::stacked("Adoption by version", period.days.clone(), series);
    let plot = period.bars(&found);
    let title = format!("Downloads of {app}");
    visit.page(title, Section::Downloads, |shell| AppPage {
        shell,
        app,
        plot,
        adoption,
        rows: period.rows(found),
        period,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_end_today_and_have_the_lengths_that_there_are() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (asked, length) in [(None, 30), (Some(90), 90), (Some(365), 365), (Some(7_000_000), 30)] {
            let period = Period::new(&PeriodQuery { days: asked }, now);
            assert_eq!((period.length, period.days.len()), (length, length as usize));
            assert_eq!(period.days.last().unwrap(), "2026-03-01");
            assert_eq!(period.days[0], period.since.day());
        }
    }

    #[test]
    fn rows_tell_totals_shares_and_the_last_week() {
        let period = Period::new(&PeriodQuery { days: None }, "2026-03-30T00:00:00Z".parse().unwrap());
        let days = |pairs: &[(&str, u64)]| pairs.iter().map(|(day, count)| ((*day).to_owned(), *count)).collect();
        let found = vec![
            Downloads {
                of: "a",
                days: days(&[("2026-03-30", 2), ("2026-03-24", 1), ("2026-03-23", 3)]),
            },
            Downloads {
                of: "b",
                days: days(&[("2026-03-02", 2)]),
            },
        ];
        let rows = period.rows(found);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.of, row.total, row.lately, row.share))
            .collect();
        assert_eq!(told, [("a", 6, 3, 75), ("b", 2, 0, 25)]);
        assert!(period.rows(Vec::<Downloads<&str>>::new()).is_empty());
    }
}
