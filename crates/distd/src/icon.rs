//! What apps look like: the icons that inspections found.

use std::io::Read as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use dist_api::ErrorBody;
use dist_model::{ChannelName, Digest, Slug};
use dist_service::IconFile;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::download::{cache_control, names};
use crate::error::{ApiError, Result};
use crate::extract::{Identity, Segments, TesterQuery, text};
use crate::state::{Site, blocking};

/// An icon of a published release, as a PNG of at most 512 pixels.
#[utoipa::path(get, path = "/api/apps/{slug}/icons/{sha256}", tag = "icons",
    params(("slug" = Slug, Path), ("sha256" = Digest, Path)),
    responses(
        (status = 200, body = [u8], content_type = "image/png"), (status = 304),
        (status = "default", body = ErrorBody),
    ))]
pub(crate) async fn of_app(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, digest)): Segments<(Slug, Digest)>,
    headers: HeaderMap,
) -> Result<Response> {
    answer(site.service.icon(&caller, &slug, &digest).await?, &digest, &headers).await
}

/// An icon on a channel's install page.
#[utoipa::path(get, path = "/install/{slug}/{channel}/icon/{sha256}", tag = "icons",
    params(("slug" = Slug, Path), ("channel" = ChannelName, Path), ("sha256" = Digest, Path), TesterQuery),
    responses(
        (status = 200, body = [u8], content_type = "image/png"), (status = 304),
        (status = "default", body = ErrorBody),
    ))]
pub(crate) async fn of_page(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((slug, channel, digest)): Segments<(Slug, ChannelName, Digest)>,
    headers: HeaderMap,
) -> Result<Response> {
    let icon = site.service.install_icon(&caller, &slug, &channel, &digest).await?;
    answer(icon, &digest, &headers).await
}

/// An icon never changes, and is a picture and nothing else, whatever its bytes are.
async fn answer(icon: IconFile, digest: &Digest, request: &HeaderMap) -> Result<Response> {
    let etag = format!("\"{digest}\"");
    let known = text(request, header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut file = icon.object.into_file();
        let png = blocking(move || {
            let mut png = Vec::new();
            file.read_to_end(&mut png).map_err(ApiError::internal)?;
            Ok(png)
        })
        .await?;
        png.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, cache_control(icon.public));
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).map_err(ApiError::internal)?);
    Ok(response)
}
