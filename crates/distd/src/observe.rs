//! What is seen of every request, at one place: its id, its log line, its counts, and the audit
//! of refusals.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use dist_model::{ErrorCode, ErrorKind};
use dist_service::{Caller, Principal};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tracing::Instrument as _;

use crate::connection::Peer;
use crate::download::cache_control;
use crate::error::{ApiError, Refused, chain};
use crate::extract::link_secret;
use crate::state::Site;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request beside what it says.
pub(crate) struct Facts {
    /// Its id: the client's where it sent a good one.
    pub request_id: Arc<str>,
    principal: OnceLock<Principal>,
}

impl Facts {
    /// Notes whose credential it was, for the audit of a refusal.
    pub(crate) fn recognise(&self, principal: Principal) {
        let _ = self.principal.set(principal);
    }

    /// Who asked, where a credential of ours said so.
    pub(crate) fn actor(&self) -> Option<String> {
        let known = self.principal.get()?;
        Some(Caller::new(known.clone()).actor().to_string())
    }
}

/// Makes ids of requests: a random beginning for this process, then a count.
pub(crate) struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self {
            process: rand::random(),
            next: AtomicU64::new(1),
        }
    }
}

impl RequestIds {
    fn next(&self) -> String {
        format!("{:08x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Surrounds every route.
pub(crate) async fn observe(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let header = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|value| is_good_id(value))
        .cloned();
    // The id is visible ASCII either way: generated so, or checked.
    let header = header.or_else(|| HeaderValue::from_maybe_shared(site.request_ids.next()).ok());
    let request_id = header
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let facts = Arc::new(Facts {
        request_id: Arc::from(request_id),
        principal: OnceLock::new(),
    });
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let source = site.proxies.source(peer, request.headers());
    let address = source.address;
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let uri = request.uri().clone();
    request.extensions_mut().insert(Arc::clone(&facts));
    request.extensions_mut().insert(source);

    // Whatever is logged on the way says which request it is about.
    let span = tracing::error_span!("request", request_id = &*facts.request_id);
    // A panic is a fault of ours in one request: it is answered like any other.
    let answered = AssertUnwindSafe(next.run(request).instrument(span))
        .catch_unwind()
        .await;
    let mut response = answered.unwrap_or_else(|_| ApiError::from_code(ErrorCode::InternalError).into_response());

    set_headers(response.headers_mut(), header);
    if link_secret(uri.query()).is_some() {
        keep_secret(response.headers_mut());
    }
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    // A secret in a path is not for the log.
    let path = if route.ends_with("/{secret}") {
        route
    } else {
        uri.path()
    };
    let status = response.status();
    let elapsed = began.elapsed();
    site.metrics.request(&method, route, status, elapsed);
    let refused = response.extensions().get::<Refused>();
    let seen = Seen {
        request_id: &facts.request_id,
        method: method.as_str(),
        route,
        path,
        status,
        ms: elapsed.as_secs_f64() * 1000.0,
    };
    seen.log(refused, &facts);
    if let Some(refused) = refused {
        site.metrics.refusal(refused.code);
        audit_refusal(&site, refused, &facts, address, &method, path).await;
    }
    response
}

/// What every answer carries: its request's id, and that it is of this moment and what it says that
/// it is, unless a handler said otherwise.
fn set_headers(headers: &mut HeaderMap, request_id: Option<HeaderValue>) {
    headers.extend(request_id.map(|id| (REQUEST_ID, id)));
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(no_sniff);
}

/// An address with a tester link's secret in it is named to no other site, and what it answers stays out
/// of caches that many share: they keep addresses too.
fn keep_secret(headers: &mut HeaderMap) {
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if headers.get(header::CACHE_CONTROL) == Some(&cache_control(true)) {
        headers.insert(header::CACHE_CONTROL, cache_control(false));
    }
}

/// Somebody else's id is taken over where it cannot break a log line or a header.
fn is_good_id(value: &HeaderValue) -> bool {
    let good = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:+/=@".contains(b);
    (1..=128).contains(&value.len()) && value.as_bytes().iter().all(good)
}

/// Refusals of recognised credentials are events; those of strangers are counted, by address.
async fn audit_refusal(
    site: &Site,
    refused: &Refused,
    facts: &Facts,
    address: IpAddr,
    method: &http::Method,
    path: &str,
) {
    match (refused.code.kind(), facts.principal.get()) {
        (ErrorKind::Forbidden | ErrorKind::Unauthenticated, Some(principal)) => {
            let request = format!("{method} {path}");
            let id = Some(Arc::clone(&facts.request_id));
            if let Err(error) = site.service.record_refusal(principal, refused.code, &request, id).await {
                tracing::warn!(error = chain(&error), "a refusal could not be recorded");
            }
        }
        // Whoever tried to sign in is an event already.
        (ErrorKind::Unauthenticated, None) if refused.code != ErrorCode::AuthWrongPassword => {
            site.service.count_stranger(address);
        }
        _ => {}
    }
}

struct Seen<'a> {
    request_id: &'a str,
    method: &'a str,
    route: &'a str,
    path: &'a str,
    status: StatusCode,
    ms: f64,
}

impl Seen<'_> {
    /// What changed something, was refused or failed is told at `info` or above; reads that went
    /// well only at `debug`: a line for each of them would cost more than they do.
    fn log(&self, refused: Option<&Refused>, facts: &Facts) {
        let Self {
            request_id,
            method,
            route,
            path,
            status,
            ms,
        } = self;
        let status = status.as_u16();
        let code = refused.map(|refused| refused.code.as_str());
        let cause = refused.and_then(|refused| refused.cause.as_deref());
        // What would not be told is not looked for.
        let actor = || facts.actor();
        if status >= 500 {
            tracing::error!(
                request_id,
                method,
                route,
                path,
                status,
                ms,
                code,
                cause,
                actor = actor(),
                "request"
            );
        } else if status >= 400 || !matches!(*method, "GET" | "HEAD" | "OPTIONS") {
            tracing::info!(
                request_id,
                method,
                route,
                path,
                status,
                ms,
                code,
                actor = actor(),
                "request"
            );
        } else {
            tracing::debug!(request_id, method, route, path, status, ms, actor = actor(), "request");
        }
    }
}
