//! What handlers take from a request: who asks, what the path names, and a bounded body.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::{Bytes, BytesMut};
use dist_api::LINK_PARAMETER;
use dist_model::{ChannelName, Digest, ErrorCode, FileName, Platform, Refusal, Slug, Timestamp};
use dist_service::{Caller, Denied, Idempotency, Paging, Principal};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{ApiError, Result};
use crate::observe::Facts;
use crate::session;
use crate::state::Site;

/// Who asks. Nothing but reads is open to strangers, so that theirs end here, before any body of
/// theirs is read.
pub(crate) struct Identity(pub Caller);

impl FromRequestParts<Arc<Site>> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self> {
        let facts = parts.extensions.get::<Arc<Facts>>().cloned();
        let principal = match credential(parts, site).await {
            Ok(principal) => principal,
            Err(denied) => {
                if let (Some(facts), Some(token)) = (&facts, denied.token) {
                    facts.recognise(Principal::Token(token));
                }
                return Err(denied.refusal.into());
            }
        };
        match &principal {
            Principal::Token(_) | Principal::Person(_) => {
                if let Some(facts) = &facts {
                    facts.recognise(principal.clone());
                }
            }
            Principal::Anonymous if !parts.method.is_safe() => {
                return Err(ApiError::from_code(ErrorCode::AuthMissing));
            }
            _ => {}
        }
        Ok(Self(Caller {
            principal,
            request_id: facts.map(|facts| Arc::clone(&facts.request_id)),
        }))
    }
}

/// What a request proves: a token above all; else, where it only reads, a tester link or a session. A
/// cookie comes along whoever made the browser ask, so it changes nothing outside of the console, which
/// makes sure who asked (see [`crate::session`]).
async fn credential(parts: &Parts, site: &Site) -> Result<Principal, Denied> {
    // What is not even text is malformed, and the service knows how to say so.
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap_or_default());
    if authorization.is_some() || !parts.method.is_safe() {
        return site.service.authenticate(authorization).await;
    }
    let failed = |error: dist_service::Error| Denied {
        refusal: error.refusal(),
        token: None,
    };
    if let Some(secret) = link_secret(parts.uri.query())
        && let Some(link) = site.service.link_of(secret).await.map_err(failed)?
    {
        return Ok(link);
    }
    let person = session::of(&parts.headers, site).await.map_err(failed)?;
    Ok(person.unwrap_or(Principal::Anonymous))
}

/// What opens the install page of a private app, and what it leads to.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "Identity reads it; this is how it is documented")]
pub(crate) struct TesterQuery {
    /// The secret of a tester link to the channel.
    link: Option<String>,
}

/// The secret of the tester link with which `caller` came in, for the addresses that it opens.
pub(crate) fn tester_secret<'a>(caller: &Caller, uri: &'a Uri) -> Option<&'a str> {
    let came_with_link = matches!(caller.principal, Principal::Link(_));
    link_secret(uri.query()).filter(|_| came_with_link)
}

/// The secret of a tester link in a query.
pub(crate) fn link_secret(query: Option<&str>) -> Option<&str> {
    query?
        .split('&')
        .find_map(|pair| pair.strip_prefix(LINK_PARAMETER)?.strip_prefix('='))
}

/// The path's variable segments, each as what it must be.
pub(crate) struct Segments<T>(pub T);

macro_rules! segments {
    ($($name:ident),+) => {
        impl<State: Send + Sync, $($name),+> FromRequestParts<State> for Segments<($($name,)+)>
        where
            $($name: FromStr, ApiError: From<$name::Err>),+
        {
            type Rejection = ApiError;

            #[allow(non_snake_case, reason = "a type parameter names its own value")]
            async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self> {
                let params = RawPathParams::from_request_parts(parts, state)
                    .await
                    .map_err(|_| ApiError::from_code(ErrorCode::RouteNotFound))?;
                let mut values = params.iter().map(|(_, value)| value);
                $(let $name = values.next().unwrap_or_default().parse::<$name>()?;)+
                Ok(Self(($($name,)+)))
            }
        }
    };
}

segments!(A);
segments!(A, B);
segments!(A, B, C);
segments!(A, B, C, D);

/// The query, refused in our own words.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                // The rest names the field and what is wrong with it.
                let wrong = text.split_once(": ").map_or(text.as_str(), |(_, wrong)| wrong);
                Refusal::new(
                    ErrorCode::UsageError,
                    format!("the query is not what this route takes: {wrong}"),
                )
                .into()
            })
    }
}

/// A page of the size asked for, or of the usual one.
pub(crate) fn paging(query: dist_api::Paging) -> Paging {
    Paging {
        cursor: query.cursor,
        limit: query.limit.unwrap_or(Paging::default().limit),
    }
}

/// `If-Match`: the channel revision that must still be there, as `7` or `"7"`.
pub(crate) struct IfMatch(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default().trim();
        let number = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        number.parse().map(|revision| Self(Some(revision))).map_err(|_| {
            Refusal::new(
                ErrorCode::RequestMalformed,
                "If-Match takes a channel's revision, such as \"7\"",
            )
            .into()
        })
    }
}

/// A body of at most 1 MiB, with what makes its request safe to repeat.
pub(crate) struct Payload {
    bytes: Bytes,
    method: Method,
    target: String,
    if_match: Bytes,
    idempotency_key: Option<String>,
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Payload {
    /// The body as it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            let value = serde_json::from_slice(&self.bytes).unwrap_or_default();
            let message = format!("the body is not what this route takes: {error}");
            bad_name(&value, "")
                .unwrap_or_else(|| Refusal::new(ErrorCode::RequestMalformed, message))
                .into()
        })
    }

    /// The body as JSON, where an empty one asks for nothing special.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T> {
        if self.bytes.is_empty() {
            Ok(T::default())
        } else {
            self.json()
        }
    }

    /// The `Idempotency-Key`, bound to this request.
    pub(crate) fn idempotency(&self) -> Result<Option<Idempotency>> {
        let parts: [&[u8]; 4] = [
            self.method.as_str().as_bytes(),
            self.target.as_bytes(),
            &self.if_match,
            &self.bytes,
        ];
        Ok(self
            .idempotency_key
            .as_deref()
            .map(|key| Idempotency::new(key, &parts))
            .transpose()?)
    }
}

impl FromRequest<Arc<Site>> for Payload {
    type Rejection = ApiError;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let header = |name: &HeaderName| parts.headers.get(name).map(HeaderValue::as_bytes);
        Ok(Self {
            bytes: read_all(body, site.limits.json_bytes).await?,
            if_match: header(&header::IF_MATCH)
                .map(Bytes::copy_from_slice)
                .unwrap_or_default(),
            idempotency_key: idempotency_key(&parts.headers),
            target: parts.uri.to_string(),
            method: parts.method,
        })
    }
}

/// The `Idempotency-Key` as it came. One that is not text is not a key either, and is refused as one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(&IDEMPOTENCY_KEY)?;
    Some(String::from_utf8_lossy(key.as_bytes()).into_owned())
}

/// The refusal of the first value in a body that is a name with rules, and an error code, of its
/// own: the JSON reader knows only that something is wrong.
fn bad_name(value: &Value, pointer: &str) -> Option<Refusal> {
    let within = |key: &dyn std::fmt::Display| format!("{pointer}/{key}");
    match value {
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| bad_name(item, &within(&index)))
        }
        Value::Object(members) => members.iter().find_map(|(key, value)| {
            let refusal = value.as_str().and_then(|text| match key.as_str() {
                "slug" | "app_slug" => text.parse::<Slug>().err(),
                "channel" | "from_channel" => text.parse::<ChannelName>().err(),
                "platform" => text.parse::<Platform>().err(),
                "sha256" => text.parse::<Digest>().err(),
                "filename" => text.parse::<FileName>().err(),
                "expires_at" => text.parse::<Timestamp>().err(),
                _ => None,
            });
            let refusal = refusal.map(|refusal| refusal.with("field", within(key)));
            refusal.or_else(|| bad_name(value, &within(key)))
        }),
        _ => None,
    }
}

/// The whole body, where it is at most `limit` bytes.
pub(crate) async fn read_all(mut body: Body, limit: usize) -> Result<Bytes> {
    let too_large = || {
        Refusal::new(
            ErrorCode::RequestTooLarge,
            format!("the body is over {limit} bytes; files go to /api/upload"),
        )
    };
    let announced = http_body::Body::size_hint(&body).lower();
    if announced > limit as u64 {
        return Err(too_large().into());
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            if data.len() > limit - bytes.len() {
                return Err(too_large().into());
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes.freeze())
}

/// A header's value as text, trimmed; `None` where it is absent or not text.
pub(crate) fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
