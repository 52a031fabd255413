//! What the store takes, what a cleanup would free, and backups.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{CleanupReport, Timestamp};
use dist_service::{AppStorage, CleanupOptions, Health, ObjectsOnDisk, RetentionPlan, StorageDay, StorageUse};

use super::done::{Done, Note};
use super::{Visit, see_other};
use crate::error::{ApiError, Result};
use crate::extract::Query;
use crate::session::{Empty, Form};
use crate::state::Site;
use crate::web::plot::{Plot, Series};
use crate::web::{Section, Shell, text};

const DAY_MS: i64 = 86_400_000;
/// How many days the plot shows at most.
const DAYS: i64 = 365;

/// What each app takes, and how that grew.
#[derive(Template)]
#[template(path = "console/storage.html")]
struct StoragePage {
    shell: Shell,
    note: Option<Note>,
    storage: StorageUse,
    health: Health,
    plot: Plot,
}

/// What a cleanup would do now, before it does.
#[derive(Template)]
#[template(path = "console/cleanup.html")]
struct CleanupPage {
    shell: Shell,
    plans: Vec<RetentionPlan>,
    report: CleanupReport,
    disk: ObjectsOnDisk,
    /// How many objects nothing refers to, of how many.
    unreferenced: String,
}

/// Asks whether a backup is to be taken.
#[derive(Template)]
#[template(path = "console/backup.html")]
struct BackupPage {
    shell: Shell,
    storage: StorageUse,
    health: Health,
}

/// What was there at the end of each of some days.
fn levels(days: &[String], changes: &[StorageDay]) -> Vec<u64> {
    let changes: BTreeMap<&str, u64> = changes.iter().map(|day| (day.day.as_str(), day.bytes)).collect();
    let level = |day: &String| {
        changes
            .range(..=day.as_str())
            .next_back()
            .map_or(0, |(_, bytes)| *bytes)
    };
    days.iter().map(level).collect()
}

/// From the first change on, but no more than [`DAYS`].
fn days(storage: &StorageUse, now: Timestamp) -> Vec<String> {
    let first = storage.days.first().map(|day| day.day.clone()).unwrap_or_default();
    let all = (0..DAYS).rev().map(|ago| now.plus_millis(-DAY_MS * ago).day());
    let days: Vec<_> = all.skip_while(|day| *day < first).collect();
    if storage.days.is_empty() { Vec::new() } else { days }
}

fn plot(storage: &StorageUse, now: Timestamp) -> Plot {
    let days = days(storage, now);
    let series = storage.apps.iter().filter(|app| app.bytes > 0);
    let series = series.map(|app: &AppStorage| Series {
        name: app.slug.to_string(),
        values: levels(&days, &app.days),
    });
    Plot::levels("Storage by app", days.clone(), series.collect())
}

/// A part of a whole in percent, for a meter.
fn percent(part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(part) * 100 / u128::from(whole.max(1))).unwrap_or(100)
}

/// What the store takes.
#[utoipa::path(get, path = "/admin/storage", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn show(State(site): State<Arc<Site>>, visit: Visit, Query(done): Query<Done>) -> Result<Response> {
    let mut storage = site.service.storage(&visit.caller).await?;
    let health = site.service.health(&visit.caller).await?;
    let plot = plot(&storage, site.service.now());
    storage.apps.sort_by_key(|app| std::cmp::Reverse(app.bytes));
    visit.page("Storage", Section::Storage, |shell| StoragePage {
        shell,
        note: done.plain_note(),
        storage,
        health,
        plot,
    })
}

/// What a cleanup would remove now.
#[utoipa::path(get, path = "/admin/storage/cleanup", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn plan_cleanup(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response> {
    visit.require_admin()?;
    let (service, caller) = (&site.service, &visit.caller);
    let dry = CleanupOptions {
        dry_run: true,
        ..CleanupOptions::default()
    };
    let report = service.cleanup(caller, dry, None).await?;
    let disk = service.objects_on_disk(caller).await?;
    let mut plans = Vec::new();
    for app in service.storage(caller).await?.apps {
        let plan = service.retention_plan(caller, &app.slug).await?;
        plans.extend(Some(plan).filter(|plan| !plan.releases.is_empty()));
    }
    visit.page("Clean up", Section::Storage, |shell| CleanupPage {
        shell,
        plans,
        report,
        unreferenced: format!(
            "{} of {}",
            text::grouped(disk.unreferenced_objects),
            text::count(disk.objects, "object")
        ),
        disk,
    })
}

/// Cleans up.
#[utoipa::path(post, path = "/admin/storage/cleanup", tag = "console", request_body = String,
    responses((status = 303)))]
pub(crate) async fn clean_up(State(site): State<Arc<Site>>, Form { visit, .. }: Form<Empty>) -> Result<Response> {
    visit.require_admin()?;
    let service = site.service.clone();
    let cleanup = async move { service.cleanup(&visit.caller, CleanupOptions::default(), None).await };
    let report = to_its_end(cleanup).await?;
    let deed = report.held_off.map_or("cleaned", |_| "held-off");
    see_other(&site, &format!("/admin/storage?done={deed}"))
}

/// Asks whether a backup is to be taken.
#[utoipa::path(get, path = "/admin/storage/backup", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn confirm_backup(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response> {
    let storage = site.service.storage(&visit.caller).await?;
    let health = site.service.health(&visit.caller).await?;
    visit.page("Take a backup", Section::Storage, |shell| BackupPage {
        shell,
        storage,
        health,
    })
}

/// Takes a backup, and comes back when it is whole.
#[utoipa::path(post, path = "/admin/storage/backup", tag = "console", request_body = String,
    responses((status = 303)))]
pub(crate) async fn back_up(State(site): State<Arc<Site>>, Form { visit, .. }: Form<Empty>) -> Result<Response> {
    visit.require_admin()?;
    let service = site.service.clone();
    to_its_end(async move { service.backup(&visit.caller, None, None).await }).await?;
    see_other(&site, "/admin/storage?done=backed-up")
}

/// Does what takes a while, and records that it was done, even where the reader goes away meanwhile.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, dist_service::Error>> + Send + 'static,
) -> Result<T> {
    Ok(tokio::spawn(work).await.map_err(ApiError::internal)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: &str, bytes: u64) -> StorageDay {
        StorageDay {
            day: day.to_owned(),
            bytes,
        }
    }

    #[test]
    fn days_without_a_change_are_as_the_day_before() {
        let storage = StorageUse {
            bytes: 7,
            shared_bytes: 0,
            days: vec![day("2026-03-01", 5), day("2026-03-03", 7)],
            apps: Vec::new(),
        };
        let days = days(&storage, "2026-03-04T10:00:00Z".parse().unwrap());
        assert_eq!(days, ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]);
        assert_eq!(levels(&days, &storage.days), [5, 5, 7, 7]);
        assert_eq!(levels(&days, &[day("2026-03-02", 1)]), [0, 1, 1, 1]);
        assert_eq!(levels(&days, &[day("2020-01-01", 9)]), [9, 9, 9, 9]);
    }

    #[test]
    fn parts_of_a_whole() {
        for (part, whole, found) in [(0, 0, 0), (1, 3, 33), (3, 3, 100), (u64::MAX, u64::MAX, 100)] {
            assert_eq!(percent(part, whole), found);
        }
    }
}
