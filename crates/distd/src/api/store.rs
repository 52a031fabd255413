//! `/api/store`: maintenance of the whole store.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use dist_api::{BackupRequest, CleanupRequest, ErrorBody};
use dist_model::{BackupReport, CleanupReport, VerifyReport};
use dist_service::CleanupOptions;

use crate::error::Result;
use crate::extract::{Identity, Payload};
use crate::state::Site;

/// Removes what retention lets go and what nothing refers to.
#[utoipa::path(post, path = "/api/store/cleanup", tag = "store", request_body = CleanupRequest,
    responses((status = 200, body = CleanupReport), (status = "default", body = ErrorBody)))]
pub(crate) async fn cleanup(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    payload: Payload,
) -> Result<Json<CleanupReport>> {
    let CleanupRequest { dry_run, grace_seconds } = payload.json_or_default()?;
    let options = CleanupOptions {
        dry_run,
        grace: grace_seconds.map_or_else(|| CleanupOptions::default().grace, Duration::from_secs),
    };
    Ok(Json(
        site.service.cleanup(&caller, options, payload.idempotency()?).await?,
    ))
}

/// Re-hashes every object, resolves every reference, and compares the tables with the log.
#[utoipa::path(post, path = "/api/store/verify", tag = "store",
    responses((status = 200, body = VerifyReport), (status = "default", body = ErrorBody)))]
pub(crate) async fn verify(State(site): State<Arc<Site>>, Identity(caller): Identity) -> Result<Json<VerifyReport>> {
    Ok(Json(site.service.verify(&caller).await?))
}

/// Backs up database and objects while the server goes on.
#[utoipa::path(post, path = "/api/store/backup", tag = "store", request_body = BackupRequest,
    responses((status = 201, body = BackupReport), (status = "default", body = ErrorBody)))]
pub(crate) async fn backup(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    payload: Payload,
) -> Result<(http::StatusCode, Json<BackupReport>)> {
    let BackupRequest {} = payload.json_or_default()?;
    let report = site.service.backup(&caller, None, payload.idempotency()?).await?;
    Ok((http::StatusCode::CREATED, Json(report)))
}
