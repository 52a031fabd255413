//! Whether the server lives, whether it can work, and what it counts.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::error::{ApiError, Result};
use crate::state::Site;

/// Alive: the process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready: the store can be read and written. Where it cannot, the second line is the code of the reason.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, description = "the store cannot be written, or the server is stopping", body = String, content_type = "text/plain"),
))]
pub(crate) async fn readyz(State(site): State<Arc<Site>>) -> (StatusCode, String) {
    match site.readiness().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(code) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready\n{}\n", code.as_str()),
        ),
    }
}

/// Counters for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(site): State<Arc<Site>>) -> Result<Response> {
    let text = site.metrics.encode(&site.now().await).map_err(ApiError::internal)?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
