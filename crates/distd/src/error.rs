//! From refusals and failures to answers, in one place.

use std::error::Error;
use std::fmt::Write as _;

use axum::response::{IntoResponse, Response};
use dist_api::{ErrorBody, ErrorDetail};
use dist_blobs::{BlobError, ReceiveError};
use dist_model::{ErrorCode, ErrorKind, Refusal};
use http::{HeaderValue, StatusCode, header};

use crate::body::BodyError;

/// What a handler answers instead: a refusal for the client, and the cause for the log.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub refusal: Refusal,
    cause: Option<String>,
    status: Option<StatusCode>,
}

/// Travels with an answer to whoever logs it and counts refusals.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub code: ErrorCode,
    /// What the client is told.
    pub message: String,
    pub cause: Option<String>,
}

pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// A refusal in the words of the reference.
    pub(crate) fn from_code(code: ErrorCode) -> Self {
        Refusal::new(code, code.help()).into()
    }

    /// A failure of our own: the client learns that there was one, the log what it was.
    pub(crate) fn internal(cause: impl Error) -> Self {
        Self {
            cause: Some(chain(&cause)),
            ..Self::from_code(ErrorCode::InternalError)
        }
    }

    /// The same under a status that another protocol wants.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).ok();
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| status_of(self.refusal.code))
    }
}

/// The status of an error code: its kind's, but for what HTTP has a word of its own for.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::from_u16(code.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The body of a refusal in the words of the reference.
pub(crate) fn refusal_body(code: ErrorCode) -> Vec<u8> {
    body(&ErrorBody::from(&Refusal::new(code, code.help())))
}

/// What the client is told. A 5xx says nothing of its cause: the text is the reference's, whatever
/// the refusal says.
fn told(refusal: &Refusal) -> ErrorBody {
    if refusal.code.kind().http_status() < 500 {
        return ErrorBody::from(refusal);
    }
    ErrorBody {
        error: ErrorDetail {
            code: refusal.code.as_str().to_owned(),
            message: refusal.code.help().to_owned(),
            details: serde_json::Map::new(),
        },
    }
}

fn body(told: &ErrorBody) -> Vec<u8> {
    // Text, numbers and maps with text keys always serialise.
    serde_json::to_vec(told).unwrap_or_default()
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            cause: None,
            status: None,
        }
    }
}

impl From<dist_service::Error> for ApiError {
    fn from(error: dist_service::Error) -> Self {
        let refusal = error.refusal();
        let ours = refusal.code.kind().http_status() >= 500;
        Self {
            cause: ours.then(|| chain(&error)),
            ..Self::from(refusal)
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        dist_service::Error::from(error).into()
    }
}

impl From<std::convert::Infallible> for ApiError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// Why a body could not be read to its end.
impl From<axum::Error> for ApiError {
    fn from(error: axum::Error) -> Self {
        match BodyError::find(&error) {
            Some(BodyError::TooSlow) => Self::from_code(ErrorCode::RequestTimeout),
            _ => Refusal::new(
                ErrorCode::UploadIncomplete,
                "the connection broke before the body was whole; send it again",
            )
            .into(),
        }
    }
}

impl From<ReceiveError<axum::Error>> for ApiError {
    fn from(error: ReceiveError<axum::Error>) -> Self {
        match error {
            ReceiveError::Body(error) => error.into(),
            ReceiveError::Blob(error) => error.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let told = told(&self.refusal);
        let mut response = (self.status(), [(header::CONTENT_TYPE, "application/json")], body(&told)).into_response();
        let headers = response.headers_mut();
        match self.refusal.code.kind() {
            ErrorKind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ErrorKind::Unavailable | ErrorKind::TooMany => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response.extensions_mut().insert(Refused {
            code: self.refusal.code,
            message: told.error.message,
            cause: self.cause,
        });
        response
    }
}
