//! What all handlers share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dist_api::Links;
use dist_service::{Caller, CleanupOptions, Principal, Service};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::uploads::Uploads;
use crate::config::{Config, Limits};
use crate::connection::Connections;
use crate::console::live::Live;
use crate::error::{ApiError, chain};
use crate::install::Pages;
use crate::metrics::Metrics;
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
    pub pages: Pages,
    ready: Mutex<Option<(Instant, bool)>>,
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
            metrics: Metrics::new(service.clone(), Arc::clone(&connections)),
            uploads: Uploads::new(&config.data, service.objects().clone(), config.limits.upload_expiry),
            request_ids: RequestIds::default(),
            live: Live::default(),
            connections,
            started: Instant::now(),
            pages: Pages::default(),
            ready: Mutex::new(None),
            service,
        })
    }

    /// Whether the store can be read and written, as of a second ago at most.
    pub(crate) async fn is_ready(&self) -> bool {
        let mut ready = self.ready.lock().await;
        if let Some((at, answer)) = *ready
            && at.elapsed() < READY_FOR
        {
            return answer;
        }
        let answer = match self.service.check_ready().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = chain(&error), "not ready");
                false
            }
        };
        *ready = Some((Instant::now(), answer));
        answer
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
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ApiError::internal(error)),
    }
}
