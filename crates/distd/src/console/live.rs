//! What happens, told to open pages as server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use dist_model::{Actor, ErrorCode, Part, sentence};
use dist_service::{AuditLine, News};
use futures_util::stream;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Visit;
use crate::error::{ApiError, Result, chain};
use crate::state::Site;
use crate::web::sentence::plain;

/// How many pages listen at once; each holds a connection.
const STREAMS: usize = 256;
/// How long nothing is said before a comment says that the connection is alive.
const QUIET: Duration = Duration::from_secs(15);
/// A stream reads the log no more often than this, however much is committed.
const PACE: Duration = Duration::from_millis(100);
/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(3);

/// Proxies that collect answers before they pass them on are told not to.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The streams that are open, all of which end when the server does.
pub(crate) struct Live {
    places: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(STREAMS)),
            stopping: watch::Sender::new(false),
        }
    }
}

impl Live {
    /// Ends all streams, and those that would still begin.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// How many are open.
    pub(crate) fn streams(&self) -> usize {
        STREAMS - self.places.available_permits()
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| ApiError::from_code(ErrorCode::ServerBusy))
    }
}

/// What a page is told of a commit.
#[derive(Serialize)]
struct Told {
    action: String,
    app: Option<String>,
    text: String,
    /// Where to see it, if there is a page for it.
    href: Option<String>,
    /// True where the reader did it.
    own: bool,
}

impl Told {
    fn new(line: &AuditLine, base: &str, reader: &Actor) -> Self {
        let parts = sentence(&line.event, &line.about);
        let mut pages = parts.iter().filter_map(|part| match part {
            Part::Release {
                app: Some(app),
                release,
            } => Some(format!("/apps/{app}/releases/{}", release.id)),
            Part::Token { id, .. } => Some(format!("/tokens/{id}")),
            _ => None,
        });
        let app = line.about.app.as_ref();
        let page = pages.next_back().or_else(|| app.map(|app| format!("/apps/{app}")));
        Self {
            action: line.event.action.clone(),
            app: app.map(ToString::to_string),
            text: plain(line),
            href: page.map(|page| format!("{base}/admin{page}")),
            own: line.event.actor == *reader,
        }
    }

    fn event(&self, id: u64) -> Result<Event> {
        let event = Event::default().id(id.to_string());
        event.json_data(self).map_err(ApiError::internal)
    }
}

/// One line for each commit: its last. The events of a commit share their time and their actor.
fn last_of_commits(lines: &[AuditLine]) -> impl Iterator<Item = &AuditLine> {
    let same = |a: &AuditLine, b: &AuditLine| {
        a.event.created_at == b.event.created_at && a.event.actor == b.event.actor && a.about.app == b.about.app
    };
    lines.chunk_by(same).filter_map(<[AuditLine]>::last)
}

/// A stream on its way.
struct Listener {
    news: News,
    base: String,
    reader: Actor,
    stopping: watch::Receiver<bool>,
    /// Before this the log is not read again.
    not_before: Instant,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next events, a comment where there are none for a while, or nothing at the end.
    async fn next(&mut self) -> Result<Option<Vec<Event>>> {
        let quiet = Instant::now() + QUIET;
        let news = async {
            sleep_until(self.not_before).await;
            timeout_at(quiet, self.news.next()).await
        };
        let found = tokio::select! {
            found = news => found,
            _ = self.stopping.wait_for(|stopping| *stopping) => return Ok(None),
        };
        self.not_before = Instant::now() + PACE;
        let Ok(lines) = found else {
            self.news.check()?;
            return Ok(Some(vec![Event::default().comment("still here")]));
        };
        let lines = lines?;
        let told = last_of_commits(&lines);
        let told = told.map(|line| Told::new(line, &self.base, &self.reader).event(line.event.id));
        let told = told.collect::<Result<Vec<_>>>()?;
        // Nothing new is what a closed store says.
        Ok(Some(told).filter(|told| !told.is_empty()))
    }
}

/// An event for each commit that the reader may see in the audit log: `{"action", "app", "text",
/// "href", "own"}`. It ends with the session, the role, or the server.
#[utoipa::path(get, path = "/admin/live", tag = "console",
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = 503)))]
pub(crate) async fn events(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response> {
    let listener = Listener {
        _place: site.live.enter()?,
        news: site.service.news(&visit.caller)?,
        base: site.links.path().to_owned(),
        reader: visit.caller.actor(),
        stopping: site.live.stopping.subscribe(),
        not_before: Instant::now(),
    };
    let hello = vec![Event::default().retry(RETRY).comment("hello")];
    let batches = stream::unfold((Some(hello), listener), |(hello, mut listener)| async {
        let batch = match hello {
            Some(hello) => Some(hello),
            None => listener.next().await.unwrap_or_else(|error| {
                tracing::debug!(error = chain(&error.refusal), "a page is told nothing more");
                None
            }),
        };
        batch.map(|batch| {
            (
                stream::iter(batch.into_iter().map(Ok::<_, Infallible>)),
                (None, listener),
            )
        })
    });
    let mut response = Sse::new(futures_util::StreamExt::flatten(batches)).into_response();
    let headers = response.headers_mut();
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use dist_model::{About, AuditEvent, Timestamp};

    use super::*;

    fn line(id: u64, action: &str, actor: &str, at: i64) -> AuditLine {
        AuditLine {
            event: AuditEvent {
                id,
                actor: actor.to_owned().try_into().unwrap(),
                action: action.to_owned(),
                target_type: "channel".to_owned(),
                target_id: "beta".to_owned(),
                metadata: serde_json::Map::new(),
                created_at: Timestamp::from_millis(at),
            },
            about: About {
                app: Some("acme".parse().unwrap()),
                release: None,
            },
        }
    }

    #[test]
    fn a_commit_is_told_by_its_last_event() {
        let lines = [
            line(1, "release.published", "token:ci", 5),
            line(2, "channel.published", "token:ci", 5),
            line(3, "channel.promoted", "token:other", 5),
            line(4, "channel.promoted", "token:other", 6),
        ];
        let told: Vec<_> = last_of_commits(&lines).map(|line| line.event.id).collect();
        assert_eq!(told, [2, 3, 4]);
    }

    #[test]
    fn the_reader_is_told_who_did_what_and_where_to_see_it() {
        let reader = "user:ann@example.org".to_owned().try_into().unwrap();
        let told = Told::new(&line(2, "channel.updated", "token:ci", 5), "/dist", &reader);
        assert_eq!(told.text, "token:ci changed beta of acme");
        assert_eq!(told.href.as_deref(), Some("/dist/admin/apps/acme"));
        assert!(!told.own);
        let own = Told::new(&line(2, "channel.updated", "user:ann@example.org", 5), "", &reader);
        assert!(own.own);
    }
}
