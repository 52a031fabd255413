//! To the provider that vouches for people, and back from it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use dist_model::{ErrorCode, Refusal};
use dist_service::NewSession;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::form::Problem;
use super::sign_in::{self, Next};
use crate::error::{ApiError, Result};
use crate::extract::Query;
use crate::oidc::{Attempt, Provider};
use crate::session::{Arrival, SIGN_IN};
use crate::state::Site;

/// How long somebody may take at the provider, in seconds.
const ATTEMPT_S: i64 = 600;

/// With what the provider sends somebody back.
#[derive(Deserialize)]
pub(crate) struct Answer {
    state: Option<String>,
    code: Option<String>,
}

/// Goes to the provider.
#[utoipa::path(get, path = "/admin/oidc", tag = "console", params(("next" = Option<String>, Query)),
    responses((status = 303), (status = 404), (status = 503)))]
pub(crate) async fn start(
    State(site): State<Arc<Site>>,
    arrival: Arrival,
    Query(Next { next }): Query<Next>,
) -> Result<Response> {
    let attempt = Attempt::new(sign_in::page_of_ours(&next));
    let location = provider(&site)?.authorization_url(&attempt).await?;
    let location = HeaderValue::from_str(&location).map_err(ApiError::internal)?;
    let cookie = site
        .cookies
        .set(SIGN_IN, &attempt.to_cookie(), ATTEMPT_S, arrival.is_https)?;
    let headers = [(header::LOCATION, location), (header::SET_COOKIE, cookie)];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// Comes back from the provider, and begins a session.
#[utoipa::path(get, path = "/admin/oidc/callback", tag = "console",
    params(("state" = Option<String>, Query), ("code" = Option<String>, Query)),
    responses((status = 303), (status = 401), (status = 403), (status = 404), (status = 503)))]
pub(crate) async fn finish(
    State(site): State<Arc<Site>>,
    arrival: Arrival,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response> {
    let provider = provider(&site)?;
    let is_https = arrival.is_https;
    let attempt = site.cookies.get(SIGN_IN, &headers).and_then(Attempt::from_cookie);
    let next = attempt.as_ref().map_or("", |attempt| &attempt.next).to_owned();
    let mut response = match come_in(&site, provider, arrival, attempt, answer).await {
        Ok(session) => sign_in::begin(&site, &session, is_https, &next)?,
        Err(error) => sign_in::page(&site, "", &next, Problem::of(error)?).await?,
    };
    // An attempt is one attempt.
    let forget = site.cookies.set(SIGN_IN, "", 0, is_https)?;
    response.headers_mut().append(header::SET_COOKIE, forget);
    Ok(response)
}

async fn come_in(
    site: &Site,
    provider: &Provider,
    arrival: Arrival,
    attempt: Option<Attempt>,
    answer: Answer,
) -> Result<NewSession> {
    let attempt = attempt.filter(|attempt| Some(attempt.state()) == answer.state);
    let attempt = attempt.ok_or_else(|| {
        let message = "this browser did not ask the provider, or too long ago; sign in again";
        ApiError::from(Refusal::new(ErrorCode::AuthNotVouched, message))
    })?;
    let code = answer.code.ok_or_else(|| {
        let message = "the provider did not let you sign in; try again, or ask who runs it";
        ApiError::from(Refusal::new(ErrorCode::AuthNotVouched, message))
    })?;
    site.service.try_sign_in(arrival.visit.address)?;
    let identity = provider.identify(&attempt, &code, site.service.now()).await?;
    let session = site.service.sign_in_as(identity, provider.admission(), arrival.visit);
    Ok(session.await?)
}

/// Where no provider is configured, there is no such page.
fn provider(site: &Site) -> Result<&Provider> {
    site.oidc
        .as_ref()
        .ok_or_else(|| ApiError::from_code(ErrorCode::RouteNotFound))
}
