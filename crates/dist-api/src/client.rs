//! The HTTP client of the server's API: one method a route, every failure a [`Refusal`].
//!
//! What the network breaks is tried again with growing pauses, under one idempotency key, so that
//! a command does its work once however often it is sent. Answers are read up to a limit.

mod retry;
mod routes;
mod upload;

use std::time::Duration;

use dist_model::{ErrorCode, Refusal};
use reqwest::header::{AUTHORIZATION, HeaderValue, IF_MATCH, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::ErrorBody;

pub use retry::{Notice, Retry};
pub use upload::{FileStamp, Progress, Upload};

/// How much of a JSON answer is read: 200 releases with long notes fit.
const ANSWER_LIMIT: usize = 64 << 20;
/// How long an ordinary answer may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long maintenance may take: a verification reads every object. TCP keep-alive notices a
/// server that is gone.
const MAINTENANCE_PATIENCE: Duration = Duration::from_hours(24);

/// Where the server is and who asks.
#[derive(Clone, Default)]
pub struct Options {
    /// The server's public URL, `http` or `https`; it may carry a path.
    pub server: String,
    /// The token's secret.
    pub token: Option<String>,
    /// More root certificates, PEM, beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// How failures of the network are tried again.
    pub retry: Retry,
}

/// A connection to a server. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<HeaderValue>,
    retry: Retry,
}

/// One request, ready to be sent as often as needed.
struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    idempotency_key: Option<String>,
    if_match: Option<u64>,
    patience: Duration,
}

/// Why one attempt failed.
enum Fault {
    /// Trying again would not help.
    Final(Refusal),
    /// The network, or a server that is busy.
    Passing {
        refusal: Refusal,
        /// When the server asks to be tried again.
        after: Option<Duration>,
        /// False where the request surely had no effect.
        maybe_done: bool,
    },
}

impl Client {
    /// A client for a server; nothing is sent yet.
    ///
    /// # Errors
    /// `usage.error` where the URL, the token's form or the certificates are unusable.
    pub fn new(options: Options) -> Result<Self, Refusal> {
        let base = base_url(&options.server)?;
        let roots = options.ca_pem.as_deref().map(roots).transpose()?;
        let http = match sender().tls_certs_merge(roots.unwrap_or_default()).build() {
            // A machine without certificates, as minimal containers are, reaches servers by plain HTTP.
            Err(_) if base.starts_with("http:") => sender().tls_certs_only([]).build(),
            built => built,
        };
        let http = http.map_err(|error| {
            usage(format!(
                "no HTTPS client can be made: install the system's root certificates (ca-certificates), or name some \
                 with --ca-file: {}",
                chain(&error)
            ))
        })?;
        Ok(Self {
            http,
            base,
            authorization: options.token.as_deref().map(bearer).transpose()?,
            retry: options.retry,
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Sends `call` until it is answered, and reads the answer.
    async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Refusal> {
        self.retry
            .run(call.method != Method::DELETE, async || {
                let response = self.attempt(call).await?;
                let bytes = read_bounded(response).await?;
                serde_json::from_slice(&bytes).map_err(|error| {
                    Fault::Final(Refusal::new(
                        ErrorCode::NetworkBadAnswer,
                        format!(
                            "what answered at {}{} is not a dist server of this version: {error}",
                            self.base, call.path
                        ),
                    ))
                })
            })
            .await
    }

    async fn attempt(&self, call: &Call) -> Result<Response, Fault> {
        let mut request = self.request(call.method.clone(), &call.path).query(&call.query);
        if let Some(body) = &call.body {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(revision) = call.if_match {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        let response = request
            .timeout(call.patience)
            .send()
            .await
            .map_err(|error| self.network_fault(&error))?;
        self.accept(response).await
    }

    /// The response where it is a success, else what it refuses.
    async fn accept(&self, response: Response) -> Result<Response, Fault> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            return Err(Fault::Final(Refusal::new(
                ErrorCode::NetworkBadAnswer,
                format!(
                    "{} redirects to {}: use the server's own URL",
                    self.base,
                    target.unwrap_or("nowhere")
                ),
            )));
        }
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = read_bounded(response).await?;
        let refusal = refused(status, &body);
        Err(if is_passing(status) {
            Fault::Passing {
                refusal,
                after,
                maybe_done: !matches!(status.as_u16(), 429 | 503),
            }
        } else {
            Fault::Final(refusal)
        })
    }

    fn network_fault(&self, error: &reqwest::Error) -> Fault {
        if error.is_builder() {
            return Fault::Final(usage(format!("the request cannot be made: {}", chain(error))));
        }
        let base = &self.base;
        let refusal = if error.is_connect() {
            Refusal::new(
                ErrorCode::NetworkError,
                format!("{base} cannot be reached: {}", chain(error)),
            )
        } else if error.is_timeout() {
            Refusal::new(
                ErrorCode::TimedOut,
                format!("{base} did not answer in time; the command can be run again at any time"),
            )
        } else {
            Refusal::new(
                ErrorCode::NetworkError,
                format!("the connection to {base} broke: {}", chain(error)),
            )
        };
        Fault::Passing {
            refusal,
            after: None,
            maybe_done: !error.is_connect(),
        }
    }
}

impl Call {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
            idempotency_key: None,
            if_match: None,
            patience: PATIENCE,
        }
    }

    fn get(path: String) -> Self {
        Self::new(Method::GET, path)
    }

    /// A POST with its body and the key under which it is done once.
    fn post(path: String, body: &impl Serialize, key: &str) -> Result<Self, Refusal> {
        let mut call = Self::new(Method::POST, path).with_body(body)?;
        call.idempotency_key = Some(key.to_owned());
        Ok(call)
    }

    fn with_body(mut self, body: &impl Serialize) -> Result<Self, Refusal> {
        self.body = Some(serde_json::to_vec(body).map_err(|error| internal(&error))?);
        Ok(self)
    }

    /// The fields of `query` that are set, as the URL's query.
    fn with_query(mut self, query: &impl Serialize) -> Result<Self, Refusal> {
        let fields = serde_json::to_value(query).map_err(|error| internal(&error))?;
        for (name, value) in fields.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.query.push((name.clone(), text));
        }
        Ok(self)
    }

    fn if_match(mut self, revision: Option<u64>) -> Self {
        self.if_match = revision;
        self
    }

    fn maintenance(mut self) -> Self {
        self.patience = MAINTENANCE_PATIENCE;
        self
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

async fn read_bounded(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_LIMIT => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                return Err(Fault::Final(Refusal::new(
                    ErrorCode::NetworkBadAnswer,
                    format!("the answer is longer than {ANSWER_LIMIT} bytes; ask for less with --limit"),
                )));
            }
            Ok(None) => return Ok(bytes),
            Err(error) => {
                return Err(Fault::Passing {
                    refusal: Refusal::new(
                        ErrorCode::NetworkError,
                        format!("the connection broke in the middle of the answer: {}", chain(&error)),
                    ),
                    after: None,
                    maybe_done: true,
                });
            }
        }
    }
}

/// What an error answer says. A proxy's page, or a code of a newer server, becomes the most general
/// refusal of its status; the server's own code is then in `details.server_code`.
fn refused(status: StatusCode, body: &[u8]) -> Refusal {
    let body: Option<ErrorBody> = serde_json::from_slice(body).ok();
    if let Some(refusal) = body.as_ref().and_then(ErrorBody::to_refusal) {
        return refusal;
    }
    let server_code = body.as_ref().map_or("", |body| body.error.code.as_str());
    let code = match status.as_u16() {
        401 => ErrorCode::AuthUnknownToken,
        403 if server_code.starts_with("policy.") => ErrorCode::PolicyRefused,
        403 => ErrorCode::RequestForbidden,
        404 | 410 => ErrorCode::RouteNotFound,
        409 => ErrorCode::RequestConflict,
        412 => ErrorCode::ChannelMoved,
        413 => ErrorCode::RequestTooLarge,
        400..=499 if status.as_u16() != 429 => ErrorCode::RequestMalformed,
        429 | 503 => ErrorCode::ServerBusy,
        502 | 504 => ErrorCode::NetworkError,
        507 => ErrorCode::StoreFull,
        _ => ErrorCode::InternalError,
    };
    match body {
        Some(body) => Refusal {
            code,
            message: body.error.message,
            details: body.error.details,
        }
        .with("server_code", body.error.code),
        None => Refusal::new(code, format!("the server, or a proxy before it, answered {status}")),
    }
    .with("status", status.as_u16())
}

/// Checks a server's URL and drops the slash at its end.
/// What sends, but for whom it trusts.
fn sender() -> reqwest::ClientBuilder {
    // The process's provider is set once; a second client finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("dist/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true)
        // A redirect would take the token to a place that nobody named.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
}

/// The certificates of a PEM file.
fn roots(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, Refusal> {
    let roots = reqwest::Certificate::from_pem_bundle(pem).ok();
    let roots = roots.filter(|roots| !roots.is_empty());
    roots.ok_or_else(|| usage("the CA file holds no PEM certificates"))
}

fn base_url(text: &str) -> Result<String, Refusal> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| usage("the server's URL must start with http:// or https://"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(usage("a server's URL carries no user name or password: use DIST_TOKEN"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(usage("a server's URL carries no query or fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn bearer(secret: &str) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| {
        Refusal::new(
            ErrorCode::AuthMalformed,
            "the token has characters that no token has: it is dist_ and 64 hexadecimal characters",
        )
    })?;
    // Keeps the secret out of every debug print of the request.
    value.set_sensitive(true);
    Ok(value)
}

fn usage(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::UsageError, message)
}

fn bad_answer(message: &str) -> Refusal {
    Refusal::new(ErrorCode::NetworkBadAnswer, message)
}

fn internal(error: &serde_json::Error) -> Refusal {
    Refusal::new(
        ErrorCode::InternalError,
        format!("the request cannot be written: {error}"),
    )
}

/// The innermost cause says what happened; the layers above it only repeat "error sending request".
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
