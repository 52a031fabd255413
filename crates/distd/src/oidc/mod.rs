//! Signing in through an `OpenID` Connect provider: the authorization code flow with PKCE (`OpenID`
//! Connect Core 1.0, section 3.1; RFC 7636).
//!
//! What the provider says is taken over an authenticated connection and checked all the same: the
//! signature, whom it is for, until when, and that it answers the question that this browser asked.

mod attempt;
mod id_token;
mod keys;

use std::sync::Arc;
use std::time::Duration;

use dist_model::{Email, ErrorCode, Timestamp};
use dist_service::{Admission, Identity};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

pub(crate) use self::attempt::Attempt;
use self::id_token::{Expected, IdTokenError, Person};
use self::keys::{KeySet, RawKeySet};
use crate::config::OidcConfig;
use crate::error::{ApiError, Result, chain};

/// How long the provider may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const ANSWER_BYTES: usize = 1 << 20;
/// How long what the provider says of itself is believed.
const KEEP: Duration = Duration::from_hours(1);
/// A key that is not known makes its keys be fetched anew, but no more often than this: anybody can
/// make up the name of a key.
const REFETCH: Duration = Duration::from_mins(1);

/// The provider that people may sign in with.
pub(crate) struct Provider {
    config: OidcConfig,
    /// Where it sends people back to.
    redirect_uri: String,
    http: reqwest::Client,
    memory: Mutex<Memory>,
}

/// What is remembered of the provider.
#[derive(Default)]
struct Memory {
    known: Option<Arc<Known>>,
    /// When it was last asked again before its time.
    hurried: Option<Instant>,
}

/// What the provider says of itself.
struct Known {
    metadata: Metadata,
    keys: KeySet,
    since: Instant,
}

/// What is used of a provider's metadata (`OpenID` Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
    access_token: Option<String>,
}

/// What a provider answers of who holds an access token (Core, section 5.3.2).
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    person: Person,
}

impl Provider {
    /// What the server was told of it.
    pub(crate) fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// A provider that sends people back to `redirect_uri`; nothing is asked of it yet.
    pub(crate) fn new(config: OidcConfig, redirect_uri: String) -> Result<Self, reqwest::Error> {
        // The process's provider of TLS is set once; whoever was first has set the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("distd/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            // A redirect would take the code and the secret to a place that nobody named.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            config,
            redirect_uri,
            http,
            memory: Mutex::default(),
        })
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// Who is let in without an admin's doing.
    pub(crate) fn admission(&self) -> Option<Admission> {
        self.config.admission.clone()
    }

    /// The address at the provider that a browser goes to for an attempt.
    ///
    /// # Errors
    /// `auth.provider_unavailable`.
    pub(crate) async fn authorization_url(&self, attempt: &Attempt) -> Result<String> {
        let known = self.known().await?;
        let mut url = Url::parse(&known.metadata.authorization_endpoint).map_err(|error| down(&error))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid email profile")
            .append_pair("state", &attempt.state())
            .append_pair("nonce", &attempt.nonce())
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Who came back with `code` from an attempt.
    ///
    /// # Errors
    /// `auth.not_vouched` where the provider's answer does not prove it, `auth.provider_unavailable`.
    pub(crate) async fn identify(&self, attempt: &Attempt, code: &str, now: Timestamp) -> Result<Identity> {
        let known = self.known().await?;
        let request = self.token_request(&known.metadata, attempt, code);
        let TokenAnswer { id_token, access_token } = answer(request).await?;
        let nonce = attempt.nonce();
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: &nonce,
            now,
        };
        let mut claims = id_token::verify(&id_token, &known.keys, &expected);
        if claims.as_ref().is_err_and(|error| *error == IdTokenError::UnknownKey) {
            let known = self.known_anew(&known).await?;
            claims = id_token::verify(&id_token, &known.keys, &expected);
        }
        let claims = claims.map_err(|error| not_vouched(&error))?;
        let mut person = claims.person;
        if let (None, Some(endpoint), Some(token)) = (&person.email, &known.metadata.userinfo_endpoint, access_token) {
            person = self.user_info(endpoint, &token, &claims.sub).await?;
        }
        Ok(Identity {
            issuer: self.config.issuer.clone(),
            email: person.verified_email().and_then(|email| Email::typed(email).ok()),
            subject: claims.sub,
            name: person.name.unwrap_or_default(),
        })
    }

    /// What the provider says of `subject` where the ID token leaves out the address, as it may in the
    /// code flow (Core, section 5.4).
    async fn user_info(&self, endpoint: &str, access_token: &str, subject: &str) -> Result<Person> {
        let UserInfo { sub, person } = answer(self.http.get(endpoint).bearer_auth(access_token)).await?;
        // The token may have been somebody else's (Core, section 5.3.2).
        if sub != subject {
            return Err(not_vouched(&IdTokenError::Claim("sub")));
        }
        Ok(person)
    }

    /// Asks for the tokens that a code stands for. How this server proves itself is the provider's
    /// choice; without a word of it, as RFC 6749 prefers.
    fn token_request(&self, metadata: &Metadata, attempt: &Attempt, code: &str) -> RequestBuilder {
        let verifier = attempt.verifier();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &verifier),
        ];
        let request = self.http.post(&metadata.token_endpoint);
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let takes_basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let OidcConfig {
            client_id,
            client_secret,
            ..
        } = &self.config;
        match client_secret {
            // Both are form-encoded before they are joined (RFC 6749, section 2.3.1).
            Some(secret) if takes_basic => request.basic_auth(encode(client_id), Some(encode(secret))).form(&form),
            Some(secret) => {
                form.extend([("client_id", client_id.as_str()), ("client_secret", secret)]);
                request.form(&form)
            }
            None => {
                form.push(("client_id", client_id));
                request.form(&form)
            }
        }
    }

    /// What the provider says of itself. Whoever comes while it is asked waits for the same answer.
    async fn known(&self) -> Result<Arc<Known>> {
        let mut memory = self.memory.lock().await;
        match &memory.known {
            Some(known) if known.since.elapsed() < KEEP => Ok(Arc::clone(known)),
            _ => self.ask(&mut memory).await,
        }
    }

    /// The same, asked again where nobody has just done so, since the provider may have new keys.
    async fn known_anew(&self, old: &Arc<Known>) -> Result<Arc<Known>> {
        let mut memory = self.memory.lock().await;
        let is_too_soon = memory.hurried.is_some_and(|at| at.elapsed() < REFETCH);
        match &memory.known {
            Some(known) if is_too_soon || !Arc::ptr_eq(known, old) => Ok(Arc::clone(known)),
            _ => {
                memory.hurried = Some(Instant::now());
                self.ask(&mut memory).await
            }
        }
    }

    async fn ask(&self, memory: &mut Memory) -> Result<Arc<Known>> {
        let issuer = self.config.issuer.trim_end_matches('/');
        let metadata: Metadata = answer(self.http.get(format!("{issuer}/.well-known/openid-configuration"))).await?;
        if metadata.issuer != self.config.issuer {
            tracing::error!(
                configured = self.config.issuer,
                found = metadata.issuer,
                "the sign-in provider is another one than configured"
            );
            return Err(ApiError::from_code(ErrorCode::AuthProviderDown));
        }
        let keys: RawKeySet = answer(self.http.get(&metadata.jwks_uri)).await?;
        let known = Arc::new(Known {
            metadata,
            keys: KeySet::from(keys),
            since: Instant::now(),
        });
        memory.known = Some(Arc::clone(&known));
        Ok(known)
    }
}

/// What the provider answers, as JSON. A refusal of its means that somebody has not proved who they
/// are; all else, that it cannot be asked.
async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T> {
    let mut response = request.send().await.map_err(|error| down(&error.without_url()))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| down(&error.without_url()))? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(down(&std::io::Error::other("its answer is too large")));
        }
        body.extend_from_slice(&chunk);
    }
    let status = response.status();
    if status.is_client_error() {
        tracing::warn!(status = status.as_u16(), "the sign-in provider refused a request");
        return Err(ApiError::from_code(ErrorCode::AuthNotVouched));
    }
    if !status.is_success() {
        return Err(down(&std::io::Error::other(format!("its status is {status}"))));
    }
    serde_json::from_slice(&body).map_err(|error| down(&error))
}

fn down(cause: &dyn std::error::Error) -> ApiError {
    tracing::warn!(error = chain(cause), "the sign-in provider cannot be asked");
    ApiError::from_code(ErrorCode::AuthProviderDown)
}

/// Why somebody was not believed is for the log, not for them.
fn not_vouched(error: &IdTokenError) -> ApiError {
    tracing::warn!(%error, "the sign-in provider's answer was not believed");
    ApiError::from_code(ErrorCode::AuthNotVouched)
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
