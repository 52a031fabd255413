//! `/api/uploads`: resumable uploads, by the protocol tus 1.0.0.

mod headers;
mod record;
mod turns;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dist_api::{ErrorBody, UploadResult};
use dist_blobs::{BlobError, ReceiveError, Staging, StagingName};
use dist_model::{ErrorCode, Refusal, Timestamp, TokenId};
use dist_service::{Caller, Principal};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use self::headers::{Checksum, Metadata};
use self::record::Record;
use self::turns::Turn;
use super::objects::{finish, too_large};
use crate::error::{ApiError, Result};
use crate::extract::{Identity, Segments, text};
use crate::state::{Site, blocking};

pub(crate) use self::record::Uploads;

/// What this server speaks.
#[utoipa::path(options, path = "/api/uploads", tag = "uploads", responses((status = 204)))]
pub(crate) async fn options(State(site): State<Arc<Site>>) -> Response {
    let answer = [
        ("tus-version", headers::VERSION.to_owned()),
        ("tus-extension", headers::EXTENSIONS.to_owned()),
        ("tus-checksum-algorithm", headers::ALGORITHMS.to_owned()),
        ("tus-max-size", site.limits.upload_bytes.to_string()),
    ];
    (StatusCode::NO_CONTENT, answer).into_response()
}

/// Begins an upload; a body is its first part.
#[utoipa::path(post, path = "/api/uploads", tag = "uploads",
    params(
        ("tus-resumable" = String, Header), ("upload-length" = u64, Header),
        ("upload-metadata" = Option<String>, Header, description = "`sha256` is the digest that the whole must have"),
    ),
    responses((status = 201), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    request_headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    headers::check_version(&request_headers)?;
    site.service.check_upload(&caller).await?;
    let length = headers::number(&request_headers, "upload-length")?;
    if length > site.limits.upload_bytes {
        return Err(too_large(site.limits.upload_bytes).into());
    }
    let Metadata { raw, sha256 } = headers::metadata(&request_headers)?;
    let record = Record {
        owner: owner(&caller)?,
        length,
        sha256,
        metadata: raw,
        finished: None,
    };
    let name = site.uploads.begin(record).await?;
    let mut upload = Upload::find(&site, &caller, name).await?;
    let mut offset = 0;
    if headers::has_part(&request_headers) {
        offset = upload.append(0, &request_headers, body).await?;
    } else if length == 0 {
        upload.complete(None).await?;
    }
    // Relative to this request's own URL, which the client knows better than we do.
    let location = format!("uploads/{}", upload.name);
    let answer = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, answer, upload.progress(offset)?).into_response())
}

/// How far an upload is.
#[utoipa::path(head, path = "/api/uploads/{id}", tag = "uploads",
    params(("id" = String, Path), ("tus-resumable" = String, Header)),
    responses((status = 200), (status = 404), (status = 410)))]
pub(crate) async fn head(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((name,)): Segments<(StagingName,)>,
    request_headers: HeaderMap,
) -> Result<Response> {
    headers::check_version(&request_headers)?;
    site.service.check_upload(&caller).await?;
    let mut upload = Upload::find(&site, &caller, name).await?;
    let mut offset = upload.record.length;
    if upload.record.finished.is_none() {
        offset = site.uploads.offset(&upload.name)?;
        if offset == upload.record.length {
            // The server stopped between the last byte and the object: the client has no more to
            // send, so this is the time to go on.
            upload.complete(None).await?;
        }
    }
    let mut answer = upload.progress(offset)?;
    answer.insert("upload-length", HeaderValue::from(upload.record.length));
    if !upload.record.metadata.is_empty() {
        let metadata = HeaderValue::from_str(&upload.record.metadata).map_err(ApiError::internal)?;
        answer.insert("upload-metadata", metadata);
    }
    Ok((StatusCode::OK, answer).into_response())
}

/// Adds a part to an upload. The last one makes the object.
#[utoipa::path(patch, path = "/api/uploads/{id}", tag = "uploads",
    params(
        ("id" = String, Path), ("tus-resumable" = String, Header), ("upload-offset" = u64, Header),
        ("upload-checksum" = Option<String>, Header, description = "`sha256` or `sha1`, and the part's checksum in base64"),
    ),
    request_body(content = [u8], content_type = "application/offset+octet-stream"),
    responses((status = 204), (status = 409), (status = 460), (status = "default", body = ErrorBody)))]
pub(crate) async fn append(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((name,)): Segments<(StagingName,)>,
    request_headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    headers::check_version(&request_headers)?;
    site.service.check_upload(&caller).await?;
    if !headers::has_part(&request_headers) {
        return Err(ApiError::from(headers::invalid(
            "Content-Type",
            "must be application/offset+octet-stream",
        ))
        .with_status(415));
    }
    let offset = headers::number(&request_headers, "upload-offset")?;
    let mut upload = Upload::find(&site, &caller, name).await?;
    let reached = upload.append(offset, &request_headers, body).await?;
    Ok((StatusCode::NO_CONTENT, upload.progress(reached)?).into_response())
}

/// Ends an upload. An object that it became stays.
#[utoipa::path(delete, path = "/api/uploads/{id}", tag = "uploads",
    params(("id" = String, Path), ("tus-resumable" = String, Header)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn terminate(
    State(site): State<Arc<Site>>,
    Identity(caller): Identity,
    Segments((name,)): Segments<(StagingName,)>,
    request_headers: HeaderMap,
) -> Result<StatusCode> {
    headers::check_version(&request_headers)?;
    site.service.check_upload(&caller).await?;
    let upload = Upload::find(&site, &caller, name).await?;
    site.uploads.remove(&upload.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What `X-HTTP-Method-Override` names, for clients whose proxy lets only GET and POST through.
#[utoipa::path(post, path = "/api/uploads/{id}", tag = "uploads",
    params(
        ("id" = String, Path), ("tus-resumable" = String, Header),
        ("x-http-method-override" = String, Header, description = "`PATCH`, `DELETE` or `HEAD`"),
    ),
    request_body(content = [u8], content_type = "application/offset+octet-stream"),
    responses((status = 200), (status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn as_named(
    site: State<Arc<Site>>,
    identity: Identity,
    segments: Segments<(StagingName,)>,
    request_headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    match text(&request_headers, "x-http-method-override") {
        Some("PATCH") => append(site, identity, segments, request_headers, body).await,
        Some("DELETE") => Ok(terminate(site, identity, segments, request_headers)
            .await?
            .into_response()),
        Some("HEAD") => head(site, identity, segments, request_headers).await,
        _ => {
            site.service.check_upload(&identity.0).await?;
            let message = "POST to an upload takes X-HTTP-Method-Override with PATCH, DELETE or HEAD";
            Err(Refusal::new(ErrorCode::MethodNotAllowed, message).into())
        }
    }
}

/// Marks every answer as one of this protocol, and tells whoever speaks another version of it which one
/// this is.
pub(crate) async fn mark(mut response: Response) -> Response {
    let version = HeaderValue::from_static(headers::VERSION);
    if response.status() == StatusCode::PRECONDITION_FAILED {
        response.headers_mut().insert("tus-version", version.clone());
    }
    response.headers_mut().insert("tus-resumable", version);
    response
}

/// Uploads belong to tokens: nobody else may know of them.
fn owner(caller: &Caller) -> Result<TokenId> {
    match &caller.principal {
        Principal::Token(token) => Ok(token.id.clone()),
        _ => Err(ApiError::from_code(ErrorCode::AuthMissing)),
    }
}

/// An upload in a request.
struct Upload<'a> {
    site: &'a Site,
    caller: &'a Caller,
    name: StagingName,
    record: Record,
    turn: Turn,
}

impl<'a> Upload<'a> {
    /// The caller's upload, once nobody else is at work on it.
    async fn find(site: &'a Site, caller: &'a Caller, name: StagingName) -> Result<Self> {
        let find = || site.uploads.find(&name, &owner(caller)?, site.service.now());
        // Only its owner may interrupt whoever is at work on it, who in turn may change it.
        find()?;
        let turn = site.uploads.turns.take(&name).await?;
        let record = find()?;
        Ok(Self {
            site,
            caller,
            name,
            record,
            turn,
        })
    }

    /// Writes a part and makes it durable; answers how far the upload is then.
    async fn append(&mut self, offset: u64, request_headers: &HeaderMap, body: Body) -> Result<u64> {
        let mut checksum = Checksum::announced(request_headers)?;
        if self.record.finished.is_some() {
            return self.check_offset(offset, self.record.length).map(|()| offset);
        }
        let staging = self.site.uploads.take(&self.name, self.record.length).await?;
        let start = staging.len();
        if let Err(error) = self.check_offset(offset, start) {
            self.site.uploads.put_back(staging);
            return Err(error);
        }
        let before = staging.checkpoint();
        let body = body.into_data_stream().take_until(self.turn.wanted());
        let body = body.inspect_ok(|bytes| {
            if let Some(checksum) = &mut checksum {
                checksum.update(bytes);
            }
        });
        let mut staging = dist_blobs::receive(staging, body).await.map_err(|error| match error {
            ReceiveError::Blob(BlobError::TooLarge { .. }) => Refusal::new(
                ErrorCode::UploadTooLong,
                format!("more than the announced {} bytes came", self.record.length),
            )
            .into(),
            error => ApiError::from(error),
        })?;
        let verdict = checksum.map_or(Ok(()), Checksum::check);
        let good = verdict.is_ok();
        let staging = blocking(move || {
            if good {
                staging.sync()?;
            } else {
                staging.roll_back(before)?;
            }
            Ok(staging)
        })
        .await?;
        let reached = staging.len();
        if good && reached == self.record.length {
            self.complete(Some(staging)).await?;
        } else {
            self.site.uploads.put_back(staging);
        }
        verdict.map(|()| reached)
    }

    /// Makes an object of an upload that is whole.
    async fn complete(&mut self, staging: Option<Staging>) -> Result<()> {
        let staging = match staging {
            Some(staging) => staging,
            None => self.site.uploads.take(&self.name, self.record.length).await?,
        };
        let result = finish(self.site, self.caller, staging, self.record.sha256, None).await;
        if let Err(error) = &result
            && error.refusal.code == ErrorCode::DigestMismatch
        {
            // The bytes are gone, and with them the upload.
            self.site.uploads.remove(&self.name).await?;
        }
        self.record.finished = Some(result?);
        self.site.uploads.finished(&self.name, self.record.clone()).await
    }

    fn check_offset(&self, offset: u64, reached: u64) -> Result<()> {
        if offset == reached {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::UploadOffset,
            format!(
                "the upload {} stands at {reached}, and the part starts at {offset}",
                self.name
            ),
        )
        .with("offset", reached)
        .into())
    }

    /// The headers that say how far the upload is, when it expires, and what it became.
    fn progress(&self, offset: u64) -> Result<HeaderMap> {
        let mut answer = HeaderMap::new();
        answer.insert("upload-offset", HeaderValue::from(offset));
        if let Ok(at) = self.site.uploads.expires_at(&self.name) {
            let date = HeaderValue::from_str(&http_date(at)).map_err(ApiError::internal)?;
            answer.insert("upload-expires", date);
        }
        if let Some(UploadResult { sha256, .. }) = &self.record.finished {
            let digest = HeaderValue::from_str(&sha256.to_string()).map_err(ApiError::internal)?;
            answer.insert("x-checksum-sha256", digest);
        }
        Ok(answer)
    }
}

/// A time as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(time: Timestamp) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(0);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis))
}
