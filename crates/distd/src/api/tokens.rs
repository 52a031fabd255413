//! `/api/tokens`: credentials for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dist_api::{ErrorBody, Page, Paging, TokenCreate, TokenCreated};
use dist_model::{Token, TokenId};
use http::StatusCode;

use super::page;
use crate::error::Result;
use crate::extract::{Identity, Payload, Query, Segments, paging};
use crate::state::Site;

/// The tokens, without their secrets.
#[utoipa::path(get, path = "/api/tokens", tag = "tokens", params(Paging),
    responses((status = 200, body = Page<Token>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Query(query): Query<Paging>,
) -> Result<Json<Page<Token>>> {
    Ok(page(site.service.tokens(&caller, &paging(query)).await?))
}

/// Makes a token; its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/tokens", tag = "tokens", request_body = TokenCreate,
    responses((status = 201, body = TokenCreated), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    payload: Payload,
) -> Result<(StatusCode, Json<TokenCreated>)> {
    let request: TokenCreate = payload.json()?;
    let intent = request.intent(site.service.now())?;
    let made = site
        .service
        .create_token(&caller, intent, payload.idempotency()?)
        .await?;
    let answer = TokenCreated {
        secret: made.secret,
        token: made.token,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Revokes a token, at once and for ever.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "tokens", params(("id" = TokenId, Path)),
    responses((status = 200, body = Token), (status = "default", body = ErrorBody)))]
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((id,)): Segments<(TokenId,)>,
) -> Result<Json<Token>> {
    Ok(Json(site.service.revoke_token(&caller, &id).await?))
}
