//! What all handlers share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dist_api::Links;
use dist_model::{ErrorCode, Timestamp};
use dist_service::{Caller, CleanupOptions, ObjectsOnDisk, Principal, Service};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::uploads::Uploads;
use crate::config::{Config, Limits};
use crate::connection::Connections;
use crate::console::live::Live;
use crate::error::{ApiError, chain};
use crate::install::Pages;
use crate::metrics::{Metrics, Now};
use crate::observe::RequestIds;
use crate::oidc::Provider;
use crate::session::Cookies;
use crate::setup::SetupLink;
use crate::source::Proxies;

/// How long an answer of `/readyz` is good for: asking writes to the disk.
const READY_FOR: Duration = Duration::from_secs(1);
/// How old a mark must be before the server's own cleanup removes what it marks.
const CLEANUP_GRACE: Duration = Duration::from_hours(1);

/// The one site that is served.
pub(crate) struct Site {
    pub service: Service,
    pub links: Links,
    pub cookies: Cookies,
    pub proxies: Proxies,
    pub setup: SetupLink,
    pub oidc: Option<Provider>,
    pub limits: Arc<Limits>,
    pub metrics: Metrics,
    pub uploads: Uploads,
    pub request_ids: RequestIds,
    pub live: Live,
    pub connections: Arc<Connections>,
    /// When the server began.
    pub started: Instant,
    started_at: Timestamp,
    pub pages: Pages,
    /// What the last count of the objects found.
    objects: std::sync::Mutex<Option<ObjectsOnDisk>>,
    ready: Mutex<Option<(Instant, Result<(), ErrorCode>)>>,
    stopping: AtomicBool,
}

impl Site {
    /// # Errors
    /// Where the sign-in provider could not be asked over TLS.
    pub(crate) fn new(
        config: &Config,
        address: SocketAddr,
        service: Service,
        setup: SetupLink,
        connections: Arc<Connections>,
    ) -> Result<Self, reqwest::Error> {
        let public_url = config.public_url.clone().unwrap_or_else(|| own_url(address));
        let links = Links::new(&public_url);
        let oidc = config.oidc.clone();
        Ok(Self {
            oidc: oidc
                .map(|oidc| Provider::new(oidc, links.oidc_callback()))
                .transpose()?,
            links,
            cookies: Cookies::new(config.public_url.as_deref()),
            proxies: Proxies::new(config.trusted_proxies.clone()),
            setup,
            limits: Arc::new(config.limits.clone()),
            metrics: Metrics::new(),
            uploads: Uploads::new(&config.data, service.objects().clone(), config.limits.upload_expiry),
            request_ids: RequestIds::default(),
            live: Live::default(),
            connections,
            started: Instant::now(),
            started_at: service.now(),
            pages: Pages::default(),
            objects: std::sync::Mutex::default(),
            ready: Mutex::new(None),
            stopping: AtomicBool::new(false),
            service,
        })
    }

    /// Why the store cannot be read and written, as of a second ago at most, if it cannot; or that the
    /// server is stopping.
    pub(crate) async fn readiness(&self) -> Result<(), ErrorCode> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(ErrorCode::ServerStopping);
        }
        let mut ready = self.ready.lock().await;
        if let Some((at, answer)) = *ready
            && at.elapsed() < READY_FOR
        {
            return answer;
        }
        let answer = self.service.check_ready().await.map_err(|error| {
            let code = error.refusal().code;
            tracing::warn!(code = code.as_str(), error = chain(&error), "not ready");
            code
        });
        *ready = Some((Instant::now(), answer));
        answer
    }

    /// Is not ready any more, and lets open pages go.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.live.stop();
    }

    /// What is so now, for the metrics.
    pub(crate) async fn now(&self) -> Now {
        let health = self.service.health(&Caller::new(Principal::System)).await;
        Now {
            is_ready: self.readiness().await.is_ok(),
            started: self.started_at,
            connections: self.connections.len(),
            turned_away: self.connections.turned_away(),
            streams: self.live.streams(),
            objects: *self.objects.lock().unwrap_or_else(PoisonError::into_inner),
            health: health
                .inspect_err(|error| tracing::warn!(error = chain(error), "the store cannot be asked how it does"))
                .ok(),
        }
    }

    /// Counts the objects, for the metrics: a scrape must not take longer the more there are.
    pub(crate) async fn count_objects(&self) {
        match self.service.objects_on_disk(&Caller::new(Principal::System)).await {
            Ok(found) => *self.objects.lock().unwrap_or_else(PoisonError::into_inner) = Some(found),
            Err(error) => tracing::warn!(error = chain(&error), "the objects cannot be counted"),
        }
    }

    /// The server's own round: what nothing refers to, and resumable uploads that nobody resumed.
    pub(crate) async fn clean_up(&self) {
        self.uploads.expire(self.service.now()).await;
        let options = CleanupOptions {
            dry_run: false,
            grace: CLEANUP_GRACE,
        };
        match self
            .service
            .cleanup(&Caller::new(Principal::System), options, None)
            .await
        {
            Ok(report) => tracing::info!(
                objects = report.objects.len(),
                releases = report.releases.len(),
                freed_bytes = report.freed_bytes,
                "cleaned up"
            ),
            Err(error) => tracing::warn!(error = chain(&error), "the cleanup did not succeed"),
        }
    }
}

/// The URL under which a client on this machine reaches `address`.
pub(crate) fn own_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// Runs what blocks on the disk where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    // What is logged there belongs to the same request.
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(error) => Err(ApiError::internal(error)),
    }
}
