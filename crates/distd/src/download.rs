//! `/download/{sha256}`: the bytes of an object.

mod file;
mod range;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dist_api::ErrorBody;
use dist_model::{ArtifactId, Digest, ErrorCode};
use dist_service::Download;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{ApiError, Result};
use crate::extract::{Identity, Query, Segments, TesterQuery, text};
use crate::state::Site;

use self::file::FileBody;
use self::range::{Range, Requested};

/// RFC 8187: what stands for itself in `filename*`.
const EXTENDED_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DownloadQuery {
    /// The artifact whose file name it gets, where several have these bytes.
    #[param(value_type = Option<String>)]
    artifact: Option<ArtifactId>,
}

/// The bytes of an object, whole or one range of them.
#[utoipa::path(get, path = "/download/{sha256}", tag = "download",
    params(("sha256" = Digest, Path), DownloadQuery, TesterQuery, ("range" = Option<String>, Header)),
    responses(
        (status = 200, body = [u8], content_type = "application/octet-stream"),
        (status = 206, body = [u8], content_type = "application/octet-stream"),
        (status = 304), (status = 416),
        (status = "default", body = ErrorBody),
    ))]
pub(crate) async fn download(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((digest,)): Segments<(Digest,)>,
    Query(query): Query<DownloadQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let found = site.service.download(&caller, &digest, query.artifact.as_ref()).await?;
    let etag = format!("\"{digest}\"");
    let mut answer = describe(&found, &digest, &etag)?;
    if let Some(tags) = text(&headers, header::IF_NONE_MATCH)
        && names(tags, &etag)
    {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(answer);
    }
    // Opening is a look-up in one folder; handing it to another thread would cost more.
    let object = site
        .service
        .objects()
        .open_object(&digest)?
        .ok_or_else(|| ApiError::from_code(ErrorCode::StoreCorrupt))?;
    let size = object.size();
    // Ranges are defined for GET alone.
    let wanted = text(&headers, header::RANGE).filter(|_| method == Method::GET && if_range(&headers, &etag));
    let range = match range::requested(wanted, size) {
        Requested::Whole => Range { start: 0, length: size },
        Requested::Part(range) => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(answer.headers_mut(), header::CONTENT_RANGE, &range.content_range(size))?;
            range
        }
        Requested::Unsatisfiable => {
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            for described in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION, header::CACHE_CONTROL] {
                answer.headers_mut().remove(described);
            }
            set(answer.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"))?;
            return Ok(answer);
        }
    };
    set(answer.headers_mut(), header::CONTENT_LENGTH, &range.length.to_string())?;
    if method == Method::HEAD {
        return Ok(answer);
    }
    let artifact = found.artifact.filter(|_| range.length == size);
    let counted = artifact.map(|artifact| {
        let site = Arc::clone(&site);
        move || {
            site.service.count_download(&artifact.id);
            site.metrics.downloads.inc();
        }
    });
    let body = FileBody::new(object, range, site.metrics.downloaded_bytes.clone(), counted);
    *answer.body_mut() = Body::new(body);
    Ok(answer)
}

/// The answer's head, but for what depends on a range.
fn describe(found: &Download, digest: &Digest, etag: &str) -> Result<Response> {
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    // What a manifest says goes into a header only where it can stand in one.
    let content_type = found.artifact.as_ref().map(|artifact| artifact.content_type.as_str());
    let content_type = content_type
        .and_then(|text| HeaderValue::from_str(text).ok())
        .unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, content_type);
    set(headers, header::ETAG, etag)?;
    set(headers, "x-checksum-sha256", &digest.to_string())?;
    set(
        headers,
        "repr-digest",
        &format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes())),
    )?;
    let disposition = match &found.artifact {
        Some(artifact) => disposition(artifact.filename.as_str()),
        None => disposition(&digest.to_string()),
    };
    set(headers, header::CONTENT_DISPOSITION, &disposition)?;
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Whatever a browser makes of an uploaded file, it must not run as this site.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, cache_control(found.public));
    Ok(answer)
}

/// Bytes that a digest names never change; caches that many share may keep them where all may have
/// them.
pub(crate) fn cache_control(public: bool) -> HeaderValue {
    HeaderValue::from_static(if public {
        "public, max-age=31536000, immutable"
    } else {
        "private, max-age=31536000, immutable"
    })
}

fn set(headers: &mut HeaderMap, name: impl header::IntoHeaderName, value: &str) -> Result<()> {
    headers.insert(name, HeaderValue::from_str(value).map_err(ApiError::internal)?);
    Ok(())
}

/// RFC 6266: a plain name for every client, and the real one for those that read it.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '_',
        })
        .collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    let real = utf8_percent_encode(name, EXTENDED_VALUE);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{real}")
}

/// True where `tags`, as in `If-None-Match`, name `etag`; the comparison is weak.
pub(crate) fn names(tags: &str, etag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// Whether a range may be answered as one: `If-Range` must name these very bytes. A date there
/// never does, since an object has none.
fn if_range(headers: &HeaderMap, etag: &str) -> bool {
    !headers.contains_key(header::IF_RANGE) || text(headers, header::IF_RANGE) == Some(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_in_headers() {
        for (name, expected) in [
            ("Acme 1.0.ipa", "attachment; filename=\"Acme 1.0.ipa\""),
            (
                "Größe.apk",
                "attachment; filename=\"Gr__e.apk\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.apk",
            ),
            (
                "a\"b%41.zip",
                "attachment; filename=\"a_b_41.zip\"; filename*=UTF-8''a%22b%2541.zip",
            ),
        ] {
            assert_eq!(disposition(name), expected);
        }
    }

    #[test]
    fn entity_tags() {
        for (tags, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            assert_eq!(names(tags, "\"a\""), expected, "{tags}");
        }
    }
}
