//! Bytes coming in, in one request, and whether they are there.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dist_api::{ErrorBody, UploadResult};
use dist_blobs::Staging;
use dist_model::{Digest, ErrorCode, Refusal};
use dist_service::{Caller, Idempotency};
use http::{HeaderMap, StatusCode, header};

use crate::error::Result;
use crate::extract::{Identity, Query, Segments, idempotency_key, text};
use crate::state::{Site, blocking};

/// The size of an object that the caller uploaded or may read.
#[utoipa::path(head, path = "/api/objects/{sha256}", tag = "objects", params(("sha256" = Digest, Path)),
    responses((status = 200), (status = 404)))]
pub(crate) async fn head(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((digest,)): Segments<(Digest,)>,
) -> Result<[(header::HeaderName, String); 2]> {
    let size = site.service.object_size(&caller, &digest).await?;
    Ok([
        (header::CONTENT_LENGTH, size.to_string()),
        (header::ETAG, format!("\"{digest}\"")),
    ])
}

#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// The digest that the bytes must have; the headers `X-Checksum-SHA256` and `Repr-Digest` say
    /// the same.
    #[param(value_type = Option<String>)]
    sha256: Option<Digest>,
}

/// Stores the bytes of the body under their digest.
#[utoipa::path(post, path = "/api/upload", tag = "objects", params(UploadQuery),
    request_body(content = [u8], content_type = "application/octet-stream"),
    responses(
        (status = 201, body = UploadResult),
        (status = 200, description = "the store had them", body = UploadResult),
        (status = "default", body = ErrorBody),
    ))]
pub(crate) async fn upload(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<UploadResult>)> {
    site.service.check_upload(&caller).await?;
    let expected = expected_digest(query.sha256, &headers)?;
    let limit = site.limits.upload_bytes;
    if http_body::Body::size_hint(&body).lower() > limit {
        return Err(too_large(limit).into());
    }
    let store = site.service.objects().clone();
    let staging = blocking(move || Ok(store.begin(limit)?)).await?;
    let staging = dist_blobs::receive(staging, body.into_data_stream()).await?;
    let key = idempotency_key(&headers);
    let result = finish(&site, &caller, staging, expected, key.as_deref()).await?;
    let status = if result.deduplicated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(result)))
}

/// Makes an object of what was received, and its event. The bytes are the request that an
/// idempotency key is bound to.
pub(super) async fn finish(
    site: &Site,
    caller: &Caller,
    staging: Staging,
    expected: Option<Digest>,
    idempotency_key: Option<&str>,
) -> Result<UploadResult> {
    let stored = blocking(move || Ok(staging.finish(expected)?)).await?;
    let idempotency = idempotency_key
        .map(|key| Idempotency::new(key, &[b"upload", stored.digest.as_bytes()]))
        .transpose()?;
    let stored = site.service.record_upload(caller, stored, idempotency).await?;
    site.metrics.uploads.inc();
    site.metrics.uploaded_bytes.inc_by(stored.size);
    Ok(UploadResult {
        sha256: stored.digest,
        size_bytes: stored.size,
        deduplicated: stored.deduplicated,
    })
}

pub(super) fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        ErrorCode::UploadTooLarge,
        format!("the upload is over the server's limit of {limit} bytes"),
    )
    .with("limit_bytes", limit)
}

/// The digest that the client announces, in one of three ways.
fn expected_digest(query: Option<Digest>, headers: &HeaderMap) -> Result<Option<Digest>, Refusal> {
    if query.is_some() {
        return Ok(query);
    }
    if let Some(hex) = text(headers, "x-checksum-sha256") {
        return hex.parse().map(Some);
    }
    let Some(digests) = text(headers, "repr-digest") else {
        return Ok(None);
    };
    // RFC 9530: a list of algorithms, of which we know one.
    let Some(value) = digests.split(',').find_map(|item| item.trim().strip_prefix("sha-256=")) else {
        return Ok(None);
    };
    let bytes = value
        .strip_prefix(':')
        .and_then(|value| STANDARD.decode(value.strip_suffix(':')?).ok());
    bytes
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .map(|bytes| Some(Digest::from_bytes(bytes)))
        .ok_or_else(|| {
            Refusal::new(
                ErrorCode::InvalidDigest,
                "Repr-Digest takes sha-256=:BASE64: of 32 bytes",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_digests() {
        let digest = Digest::from_bytes([7; 32]);
        let repr = format!("sha-512=:AA==:, sha-256=:{}:", STANDARD.encode([7; 32]));
        let check = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            expected_digest(None, &headers).map_err(|refusal| refusal.code)
        };
        assert_eq!(check("x-checksum-sha256", &digest.to_string()), Ok(Some(digest)));
        assert_eq!(check("repr-digest", &repr), Ok(Some(digest)));
        assert_eq!(check("repr-digest", "md5=:AA==:"), Ok(None));
        for bad in ["sha-256=:AA==:", "sha-256=AA==", "sha-256=:%:"] {
            assert_eq!(check("repr-digest", bad), Err(ErrorCode::InvalidDigest), "{bad}");
        }
        assert_eq!(check("x-checksum-sha256", "no"), Err(ErrorCode::InvalidDigest));
    }
}
