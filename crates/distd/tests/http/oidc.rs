//! Signing in through a provider, against one of our own that can be told to misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dist_model::Role;
use dist_service::{Admission, Caller, Clock as _, Principal, SystemClock};
use distd::OidcConfig;
use http::{HeaderMap, Method, StatusCode};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{self, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::common::{Answer, Site};

pub const SECRET: &str = "a secret: with signs";

/// What the provider does with the next token.
type Twist = Box<dyn Fn(&mut Value, &mut Value) + Send>;

/// Who is at the provider, and how it signs.
pub struct Provider {
    pub issuer: String,
    /// Codes that were handed out and not yet used: the challenge and the nonce of each.
    codes: Mutex<HashMap<String, (String, String)>>,
    email: Mutex<&'static str>,
    twist: Mutex<Twist>,
    signer: Mutex<Signer>,
    asked_for_keys: Mutex<u32>,
    /// What it answers of who holds an access token; it refuses where there is nothing.
    user_info: Mutex<Option<Value>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Signer {
    Own,
    /// Another key under the name of its own.
    Other,
    /// Another key under its own name, which the provider publishes from then on.
    Rotated,
    /// An elliptic one that it publishes.
    Elliptic,
    /// Nobody.
    None,
    /// Whoever knows the public key, taking it for a shared secret.
    Shared,
}

fn rsa(name: &str) -> KeyPair {
    let bytes = match name {
        "provider" => &include_bytes!("keys/provider.pk8")[..],
        _ => &include_bytes!("keys/other.pk8")[..],
    };
    KeyPair::from_pkcs8(bytes).unwrap()
}

fn elliptic() -> &'static EcdsaKeyPair {
    static KEY: std::sync::LazyLock<EcdsaKeyPair> = std::sync::LazyLock::new(|| {
        let (algorithm, random) = (&signature::ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
    });
    &KEY
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    pub async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            codes: Mutex::default(),
            email: Mutex::new("ann@example.org"),
            twist: Mutex::new(Box::new(|_, _| {})),
            signer: Mutex::new(Signer::Own),
            asked_for_keys: Mutex::new(0),
            user_info: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/user-info", get(user_info))
            .with_state(Arc::clone(&provider));
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn twist(&self, twist: impl Fn(&mut Value, &mut Value) + Send + 'static) {
        *self.twist.lock().unwrap() = Box::new(twist);
    }

    fn claim(&self, name: &'static str, value: Value) {
        self.twist(move |_, claims| claims[name] = value.clone());
    }

    /// What its page does once somebody has said who they are: sends them back with a code.
    fn authorize(&self, url: &str) -> (String, String) {
        let url = Url::parse(url).unwrap();
        assert!(
            url.as_str().starts_with(&format!("{}/authorize?", self.issuer)),
            "{url}"
        );
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], "dist");
        assert_eq!(
            query["redirect_uri"],
            "https://get.example.org/dist/admin/oidc/callback"
        );
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
        let code = format!("code-{}", query["state"]);
        let asked = (query["code_challenge"].clone(), query["nonce"].clone());
        self.codes.lock().unwrap().insert(code.clone(), asked);
        (code, query["state"].clone())
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let rs256 = |key: &KeyPair| {
            let mut signed = vec![0; key.public().modulus_len()];
            key.sign(
                &signature::RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signed,
            )
            .unwrap();
            signed
        };
        let signed = match *self.signer.lock().unwrap() {
            Signer::Own => rs256(&rsa("provider")),
            Signer::Other | Signer::Rotated => rs256(&rsa("other")),
            Signer::Elliptic => elliptic()
                .sign(&SystemRandom::new(), message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Signer::None => Vec::new(),
            Signer::Shared => {
                let public = rsa("provider").public().as_ref().to_vec();
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
                ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{message}.{}", encode(signed))
    }
}

async fn metadata(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", provider.issuer);
    Json(json!({
        "issuer": provider.issuer, "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"), "jwks_uri": at("/keys"), "userinfo_endpoint": at("/user-info"),
    }))
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<Value> {
    *provider.asked_for_keys.lock().unwrap() += 1;
    let published = |name: &str| {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(rsa(name).public());
        json!({"kty": "RSA", "kid": name, "use": "sig", "alg": "RS256", "n": encode(n), "e": encode(e)})
    };
    let point = elliptic().public_key().as_ref();
    let elliptic = json!({"kty": "EC", "crv": "P-256", "kid": "elliptic",
        "x": encode(&point[1..33]), "y": encode(&point[33..])});
    let mut keys = vec![
        published("provider"),
        elliptic,
        json!({"kty": "OKP", "kid": "of another kind"}),
    ];
    if *provider.signer.lock().unwrap() == Signer::Rotated {
        keys.push(published("other"));
    }
    Json(json!({ "keys": keys }))
}

async fn token(State(provider): State<Arc<Provider>>, headers: HeaderMap, body: String) -> Response {
    let form: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let credentials = format!(
        "dist:{}",
        url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>()
    );
    assert_eq!(
        headers["authorization"],
        format!("Basic {}", STANDARD.encode(credentials))
    );
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["redirect_uri"], "https://get.example.org/dist/admin/oidc/callback");
    let asked = provider.codes.lock().unwrap().remove(&form["code"]);
    let challenge = encode(Sha256::digest(&form["code_verifier"]));
    let Some((_, nonce)) = asked.filter(|(asked, _)| *asked == challenge) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    let signer = *provider.signer.lock().unwrap();
    let (alg, kid) = match signer {
        Signer::Own | Signer::Other => ("RS256", "provider"),
        Signer::Rotated => ("RS256", "other"),
        Signer::Elliptic => ("ES256", "elliptic"),
        Signer::None => ("none", "provider"),
        Signer::Shared => ("HS256", "provider"),
    };
    let now = SystemClock.now_ms() / 1000;
    let mut header = json!({"alg": alg, "kid": kid, "typ": "JWT"});
    let mut claims = json!({
        "iss": provider.issuer, "aud": "dist", "sub": "subject-1", "nonce": nonce, "iat": now, "exp": now + 300,
        "email": *provider.email.lock().unwrap(), "email_verified": true, "name": "Ann",
    });
    (provider.twist.lock().unwrap())(&mut header, &mut claims);
    Json(json!({"id_token": provider.sign(&header, &claims), "access_token": "x", "token_type": "Bearer"}))
        .into_response()
}

async fn user_info(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    assert_eq!(headers["authorization"], "Bearer x");
    match &*provider.user_info.lock().unwrap() {
        Some(said) => Json(said).into_response(),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn site(provider: &Provider, admission: Option<Admission>) -> Site {
    let oidc = OidcConfig {
        issuer: provider.issuer.clone(),
        client_id: "dist".to_owned(),
        client_secret: Some(SECRET.to_owned()),
        name: "Acme ID".to_owned(),
        admission,
    };
    Site::start_with(|config| config.oidc = Some(oidc)).await
}

/// A browser at the provider: its cookie, and where it is to be sent back to.
pub async fn go(site: &Site, provider: &Provider) -> (String, String) {
    let answer = site.get("/admin/oidc?next=/admin/people").await.expect(303);
    let set = answer.header("set-cookie");
    assert!(
        set.starts_with("__Secure-dist_sign_in=") && set.ends_with("; HttpOnly; SameSite=Lax; Secure"),
        "{set}"
    );
    let (code, state) = provider.authorize(answer.header("location"));
    let back = format!("/admin/oidc/callback?code={code}&state={state}");
    (set.split(';').next().unwrap().to_owned(), back)
}

pub async fn come_back(site: &Site, (cookie, back): &(String, String)) -> Answer {
    site.call(Method::GET, back).header("cookie", cookie).send().await
}

async fn sign_in(site: &Site, provider: &Provider) -> Answer {
    come_back(site, &go(site, provider).await).await
}

#[tokio::test]
async fn a_provider_signs_in_who_was_let_in() {
    let provider = Provider::start().await;
    let site = site(&provider, None).await;
    site.person("ann@example.org", Some(Role::Admin), &[]).await;
    let page = site.get("/admin/sign-in?next=/admin/people").await.expect(200).text();
    assert!(
        page.contains("/dist/admin/oidc?next=/admin/people") && page.contains("Acme ID"),
        "{page}"
    );
    for signer in [Signer::Own, Signer::Elliptic] {
        *provider.signer.lock().unwrap() = signer;
        let answer = sign_in(&site, &provider).await.expect(303);
        assert_eq!(answer.header("location"), "/dist/admin/people");
        let cookies: Vec<_> = answer
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert!(
            cookies[0].starts_with("__Secure-dist_session=") && cookies[1].contains("dist_sign_in=; "),
            "{cookies:?}"
        );
        let session = cookies[0].split(';').next().unwrap();
        site.call(Method::GET, "/admin/people")
            .header("cookie", session)
            .send()
            .await
            .expect(200);
    }
    let actions = site.actions().await;
    assert_eq!(actions.iter().filter(|action| *action == "user.identified").count(), 1);
}

#[tokio::test]
async fn nobody_else_is_let_in() {
    let provider = Provider::start().await;
    let site = site(&provider, None).await;
    site.person("ann@example.org", Some(Role::Admin), &[]).await;
    *provider.email.lock().unwrap() = "eve@example.org";
    let refused = sign_in(&site, &provider).await.expect(403);
    assert!(
        refused.text().contains("nobody has let you in") && refused.text().contains("<form"),
        "{}",
        refused.text()
    );
    let audit = site.admin_get("/api/audit?action=session.refused").await.json();
    assert_eq!(audit["items"][0]["metadata"]["code"], "auth.not_let_in");

    *provider.email.lock().unwrap() = "ann@example.org";
    provider.claim("email_verified", json!(false));
    sign_in(&site, &provider).await.expect(403);
    provider.twist(|_, claims| drop(claims.as_object_mut().unwrap().remove("email_verified")));
    sign_in(&site, &provider).await.expect(403);
    provider.claim("email_verified", json!("true"));
    sign_in(&site, &provider).await.expect(303);
    provider.claim("sub", json!("subject-2"));
    sign_in(&site, &provider).await.expect(403);
}

#[tokio::test]
async fn an_address_that_is_not_in_the_token_is_asked_for() {
    let provider = Provider::start().await;
    let site = site(&provider, None).await;
    site.person("ann@example.org", Some(Role::Admin), &[]).await;
    provider.twist(|_, claims| drop(claims.as_object_mut().unwrap().remove("email")));
    sign_in(&site, &provider).await.expect(401);
    for (sub, verified, status) in [
        ("subject-2", true, 401),
        ("subject-1", false, 403),
        ("subject-1", true, 303),
    ] {
        let said = json!({"sub": sub, "email": "ann@example.org", "email_verified": verified});
        *provider.user_info.lock().unwrap() = Some(said);
        sign_in(&site, &provider).await.expect(status);
    }
}

#[tokio::test]
async fn people_of_a_domain_are_let_in_with_its_role() {
    let provider = Provider::start().await;
    let admission = Admission {
        domain: "example.org".to_owned(),
        role: Role::Viewer,
    };
    let site = site(&provider, Some(admission)).await;
    site.person("root@example.org", Some(Role::Admin), &[]).await;
    *provider.email.lock().unwrap() = "eve@example.org.evil.example";
    sign_in(&site, &provider).await.expect(403);
    *provider.email.lock().unwrap() = "Ann@Example.org";
    sign_in(&site, &provider).await.expect(303);
    let local = Caller::new(Principal::Local(0));
    let ann = site
        .service
        .user_by_email(&local, &"ann@example.org".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(ann.role, Some(Role::Viewer));
}

#[tokio::test]
async fn tokens_that_are_not_the_providers_or_not_for_us_are_refused() {
    let provider = Provider::start().await;
    let site = site(&provider, None).await;
    site.person("ann@example.org", Some(Role::Admin), &[]).await;
    let past = json!(1_000_000_000);
    let future = json!(99_000_000_000_u64);
    for (claim, value) in [
        ("nonce", json!("another")),
        ("nonce", json!(null)),
        ("aud", json!("another")),
        ("aud", json!(["dist", "another"])),
        ("aud", json!([])),
        ("azp", json!("another")),
        ("iss", json!("https://id.example.org")),
        ("exp", past),
        ("nbf", future.clone()),
        ("iat", future),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
    ] {
        provider.claim(claim, value.clone());
        let answer = sign_in(&site, &provider).await;
        assert_eq!(answer.status, 401, "{claim} {value}");
        assert!(!answer.text().contains("dist_session"), "{claim}");
    }
    provider.twist(|header, _| header["crit"] = json!(["b64"]));
    sign_in(&site, &provider).await.expect(401);
    provider.twist(|_, _| {});
    for signer in [Signer::None, Signer::Other, Signer::Shared] {
        *provider.signer.lock().unwrap() = signer;
        sign_in(&site, &provider).await.expect(401);
    }
    assert_eq!(*provider.asked_for_keys.lock().unwrap(), 1);
    *provider.signer.lock().unwrap() = Signer::Own;
    provider.twist(|_, claims| (claims["aud"], claims["azp"]) = (json!(["dist", "another"]), json!("dist")));
    sign_in(&site, &provider).await.expect(303);
}

#[tokio::test]
async fn new_keys_are_fetched_when_they_are_used_and_not_too_often() {
    let provider = Provider::start().await;
    let site = site(&provider, None).await;
    site.person("ann@example.org", Some(Role::Admin), &[]).await;
    sign_in(&site, &provider).await.expect(303);
    *provider.signer.lock().unwrap() = Signer::Rotated;
    sign_in(&site, &provider).await.expect(303);
    assert_eq!(*provider.asked_for_keys.lock().unwrap(), 2);
    provider.twist(|header, _| header["kid"] = json!("made up"));
    sign_in(&site, &provider).await.expect(401);
    sign_in(&site, &provider).await.expect(401);
    assert_eq!(*provider.asked_for_keys.lock().unwrap(), 2);
}

#[tokio::test]
async fn an_answer_belongs_to_the_browser_that_asked_and_is_good_once() {
    let provider = Provider::start().await;
    let site = site(&provider, None).await;
    site.person("ann@example.org", Some(Role::Admin), &[]).await;
    let (mine, theirs) = (go(&site, &provider).await, go(&site, &provider).await);
    site.get(&mine.1).await.expect(401);
    come_back(&site, &(theirs.0.clone(), mine.1.clone())).await.expect(401);
    come_back(
        &site,
        &(mine.0.clone(), "/admin/oidc/callback?error=access_denied".to_owned()),
    )
    .await
    .expect(401);
    come_back(&site, &mine).await.expect(303);
    come_back(&site, &mine).await.expect(401);
    // The code of another attempt: the provider knows who asked for it by the verifier.
    let code = theirs.1.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let state = mine.1.split("state=").nth(1).unwrap();
    let mixed = format!("/admin/oidc/callback?code={code}&state={state}");
    come_back(&site, &(mine.0, mixed)).await.expect(401);
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_to_be() {
    let provider = Provider::start().await;
    let nowhere = OidcConfig {
        issuer: "http://127.0.0.1:9".to_owned(),
        client_id: "dist".to_owned(),
        client_secret: None,
        name: "Nowhere".to_owned(),
        admission: None,
    };
    let site = Site::start_with(|config| config.oidc = Some(nowhere)).await;
    let answer = site.get("/admin/oidc").await.expect(503).text();
    assert!(answer.contains("auth.provider_unavailable"), "{answer}");
    // One that says it is somebody else is not the one that was configured.
    let impostor = OidcConfig {
        issuer: format!("{}/", provider.issuer),
        client_id: "dist".to_owned(),
        client_secret: None,
        name: "Nowhere".to_owned(),
        admission: None,
    };
    let site = Site::start_with(|config| config.oidc = Some(impostor)).await;
    site.get("/admin/oidc").await.expect(503);
}
