//! `/api/audit`: what was done, by whom.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dist_api::{AuditQuery, ErrorBody, Page, Paging};
use dist_model::AuditEvent;
use dist_service::AuditFilter;

use super::page;
use crate::error::Result;
use crate::extract::{Identity, Query, paging};
use crate::state::Site;

/// Audit events, the newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(AuditQuery, Paging),
    responses((status = 200, body = Page<AuditEvent>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Query(query): Query<AuditQuery>,
    Query(part): Query<Paging>,
) -> Result<Json<Page<AuditEvent>>> {
    let filter = AuditFilter {
        app: query.app,
        actor: query.actor,
        action: query.action,
        since: query.since,
        until: query.until,
        ..AuditFilter::default()
    };
    Ok(page(site.service.audit(&caller, &filter, &paging(part)).await?))
}
