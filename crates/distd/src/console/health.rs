//! How the system does, and what of it needs somebody.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::Timestamp;
use dist_service::Health;

use super::Visit;
use crate::error::Result;
use crate::state::Site;
use crate::web::{Section, Shell, text};

const DAY_MS: i64 = 86_400_000;
/// A backup that is older is worth a word.
const BACKUP_DAYS: i64 = 7;
/// Less free space than this is.
const LITTLE_SPACE: u64 = 2 << 30;
/// A larger write-ahead log means that something keeps it from being written back.
const LARGE_WAL: u64 = 256 << 20;
/// So many waiting commands mean that the disk does not keep up.
const LONG_QUEUE: usize = 100;

/// How the system does.
#[derive(Template)]
#[template(path = "console/health.html")]
struct HealthPage {
    shell: Shell,
    health: Health,
    concerns: Vec<Concern>,
    ready: &'static str,
    uptime: String,
    connections: String,
    /// How many of them are open pages that listen.
    streams: String,
    server: String,
}

/// Something that needs somebody, and what to do.
#[derive(Debug, PartialEq, Eq)]
struct Concern {
    severity: &'static str,
    what: String,
    help: &'static str,
    code: &'static str,
}

/// What needs somebody, the worst first.
fn concerns(health: &Health, is_ready: bool, now: Timestamp) -> Vec<Concern> {
    let concern = |severity, code, what: &str, help| Concern {
        severity,
        what: what.to_owned(),
        help,
        code,
    };
    let mut concerns = Vec::new();
    if let Some(why) = &health.sequencer.poisoned {
        let what = format!("The writer of the database has stopped: {why}");
        let help = "Nothing can be written until the server is started again. Look at the disk first.";
        concerns.push(concern("error", "store.stopped", &what, help));
    } else if !is_ready {
        let help = "The log of the server says why; the usual reasons are a full disk and missing rights.";
        concerns.push(concern(
            "error",
            "store.not_ready",
            "The store cannot be written.",
            help,
        ));
    }
    if health.free_bytes < LITTLE_SPACE {
        let what = format!("Only {} are free on the disk.", text::human_size(health.free_bytes));
        let help = "Uploads are refused once it is full. Clean up, keep fewer releases, or give it more room.";
        concerns.push(concern("error", "disk.low", &what, help));
    }
    match &health.last_backup {
        None => {
            let help = "Take one on the page Storage, or let a timer run: dist store backup.";
            concerns.push(concern("warning", "backup.none", "No backup was ever taken.", help));
        }
        Some(line) if line.event.created_at < now.plus_millis(-BACKUP_DAYS * DAY_MS) => {
            let days = (now.as_millis() - line.event.created_at.as_millis()) / DAY_MS;
            let what = format!("The last backup is {days} days old.");
            let help = "Whatever was published since would be lost with the disk.";
            concerns.push(concern("warning", "backup.old", &what, help));
        }
        Some(_) => {}
    }
    if health.sequencer.wal_bytes > LARGE_WAL {
        let what = format!(
            "The write-ahead log has grown to {}.",
            text::human_size(health.sequencer.wal_bytes)
        );
        let help = "Something reads from the database without end, perhaps a copy or a shell that was left open.";
        concerns.push(concern("warning", "database.wal", &what, help));
    }
    if health.sequencer.queue_len > LONG_QUEUE {
        let what = format!(
            "{} writes wait for the disk.",
            text::grouped(health.sequencer.queue_len as u64)
        );
        let help = "The disk does not keep up with what is published.";
        concerns.push(concern("warning", "database.queue", &what, help));
    }
    concerns
}

/// How long the server has been up: the two largest units.
fn spell(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {} min", minutes % 60),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// How the system does.
#[utoipa::path(get, path = "/admin/health", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn show(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response> {
    let health = site.service.health(&visit.caller).await?;
    let is_ready = site.readiness().await.is_ok();
    visit.page("Health", Section::Health, |shell| HealthPage {
        concerns: concerns(&health, is_ready, shell.now),
        shell,
        health,
        ready: if is_ready { "yes" } else { "no" },
        uptime: spell(site.started.elapsed()),
        connections: text::grouped(site.connections.len() as u64),
        streams: format!("{} live", site.live.streams()),
        server: site.links.base().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use dist_model::{About, AuditEvent};
    use dist_service::{AuditLine, Cleaned, Stats, StoreIdentity};

    use super::*;

    fn healthy(backup: Option<Timestamp>) -> Health {
        let line = |created_at| AuditLine {
            event: AuditEvent {
                id: 1,
                actor: dist_model::Actor::System,
                action: "store.backed_up".to_owned(),
                target_type: "store".to_owned(),
                target_id: "store".to_owned(),
                metadata: serde_json::Map::new(),
                created_at,
            },
            about: About::default(),
        };
        Health {
            version: "1",
            store: StoreIdentity {
                store_id: "s".to_owned(),
                epoch: 1,
                schema_version: 1,
            },
            head: 1,
            database_bytes: 1,
            sequencer: Stats {
                queue_len: 0,
                batches: 1,
                commands: 1,
                batch_sizes: [0; 11],
                wal_bytes: 0,
                poisoned: None,
            },
            free_bytes: 100 << 30,
            inspectors: None,
            last_backup: backup.map(line),
            last_cleanup: None,
            cleaned: Cleaned::default(),
        }
    }

    #[test]
    fn what_needs_somebody_is_said() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let codes = |health: &Health, is_ready| -> Vec<_> {
            concerns(health, is_ready, now)
                .iter()
                .map(|concern| concern.code)
                .collect()
        };
        let good = healthy(Some(now.plus_millis(-DAY_MS)));
        assert_eq!(codes(&good, true), [""; 0]);
        assert_eq!(codes(&good, false), ["store.not_ready"]);
        assert_eq!(codes(&healthy(None), true), ["backup.none"]);
        let old = healthy(Some(now.plus_millis(-8 * DAY_MS)));
        assert_eq!(concerns(&old, true, now)[0].what, "The last backup is 8 days old.");
        let mut bad = healthy(None);
        bad.free_bytes = 1 << 20;
        bad.sequencer.wal_bytes = 1 << 30;
        bad.sequencer.queue_len = 1000;
        bad.sequencer.poisoned = Some("the disk is gone".to_owned());
        let all = [
            "store.stopped",
            "disk.low",
            "backup.none",
            "database.wal",
            "database.queue",
        ];
        assert_eq!(codes(&bad, false), all);
    }

    #[test]
    fn times_are_told_in_two_units() {
        for (minutes, words) in [(0, "0 min"), (59, "59 min"), (61, "1 h 1 min"), (1500, "1 d 1 h")] {
            assert_eq!(spell(Duration::from_secs(minutes * 60)), words);
        }
    }
}
