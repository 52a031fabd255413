//! Who may what: every route against every kind of caller.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dist_model::decide::TokenIntent;
use dist_model::{Scope, Scopes};
use dist_service::{Caller, Principal};
use http::Method;
use serde_json::json;

use crate::common::{Answer, ICON, Site, WithIcon, sha256};

/// For a private app, by caller: nobody, a token that may read, publish, promote, administer, one
/// that may administer another app only, a revoked one, an expired one.
///
/// `y` may; `u` is asked for a credential; `f` is forbidden; `h` is told that it is not there.
const MATRIX: &[(&str, &str, &str)] = &[
    ("GET", "/", "yyyyyyff"),
    ("GET", "/admin", "uyyyyyff"),
    ("GET", "/assets/{hash}/{name}", "yyyyyyyy"),
    ("GET", "/healthz", "yyyyyyyy"),
    ("GET", "/readyz", "yyyyyyyy"),
    ("GET", "/metrics", "yyyyyyyy"),
    ("GET", "/api/openapi.json", "yyyyyyyy"),
    ("GET", "/install/{slug}/{channel}", "hyyyyhff"),
    ("GET", "/install/{slug}/{channel}/manifest.plist", "hyyyyhff"),
    ("GET", "/install/{slug}/{channel}/icon/{sha256}", "hyyyyhff"),
    ("GET", "/download/{sha256}", "hyyyyhff"),
    ("GET", "/latest/{slug}/{channel}/{platform}", "hyyyyhff"),
    ("GET", "/latest/{slug}/{channel}/{platform}/{arch}", "hyyyyhff"),
    ("GET", "/api/apps", "yyyyyyff"),
    ("POST", "/api/apps", "ufffyfff"),
    ("GET", "/api/apps/{slug}", "hyyyyhff"),
    ("PATCH", "/api/apps/{slug}", "ufffyfff"),
    ("GET", "/api/apps/{slug}/icons/{sha256}", "hyyyyhff"),
    ("GET", "/api/apps/{slug}/releases", "hyyyyhff"),
    ("POST", "/api/apps/{slug}/releases", "ufyfyfff"),
    ("GET", "/api/apps/{slug}/releases/{id}", "hyyyyhff"),
    ("DELETE", "/api/apps/{slug}/releases/{id}", "ufyfyfff"),
    ("POST", "/api/apps/{slug}/releases/{id}/artifacts", "ufyfyfff"),
    ("POST", "/api/apps/{slug}/releases/{id}/publish", "ufyfyfff"),
    ("POST", "/api/apps/{slug}/releases/{id}/yank", "uffyyfff"),
    ("GET", "/api/apps/{slug}/channels", "hyyyyhff"),
    ("GET", "/api/apps/{slug}/channels/{name}", "hyyyyhff"),
    ("PATCH", "/api/apps/{slug}/channels/{name}", "ufffyfff"),
    ("GET", "/api/apps/{slug}/channels/{name}/history", "hyyyyhff"),
    ("GET", "/api/apps/{slug}/channels/{name}/latest", "hyyyyhff"),
    ("POST", "/api/apps/{slug}/channels/{name}/promote", "ufyyyfff"),
    ("POST", "/api/apps/{slug}/channels/{name}/rollback", "ufyyyfff"),
    ("GET", "/api/apps/{slug}/links", "uyyyyfff"),
    ("GET", "/api/apps/{slug}/channels/{name}/links", "uyyyyfff"),
    ("POST", "/api/apps/{slug}/channels/{name}/links", "ufyyyfff"),
    ("DELETE", "/api/apps/{slug}/links/{id}", "ufyyyfff"),
    ("HEAD", "/api/objects/{sha256}", "ufyfyhff"),
    ("POST", "/api/upload", "ufyfyyff"),
    ("OPTIONS", "/api/uploads", "yyyyyyyy"),
    ("POST", "/api/uploads", "ufyfyyff"),
    ("HEAD", "/api/uploads/{id}", "ufyfyyff"),
    ("PATCH", "/api/uploads/{id}", "ufyfyyff"),
    ("DELETE", "/api/uploads/{id}", "ufyfyyff"),
    ("GET", "/api/tokens", "ufffyyff"),
    ("POST", "/api/tokens", "ufffyfff"),
    ("DELETE", "/api/tokens/{id}", "ufffyyff"),
    ("GET", "/api/audit", "ufffyfff"),
    ("POST", "/api/store/cleanup", "ufffyfff"),
    ("POST", "/api/store/verify", "ufffyfff"),
    ("POST", "/api/store/backup", "ufffyfff"),
];

#[test]
fn every_route_has_a_row() {
    let routes: BTreeSet<_> = distd::router::list()
        .into_iter()
        .map(|(method, path)| (method.to_string(), path))
        .collect();
    let rows: BTreeSet<_> = MATRIX
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(routes, rows);
}

#[tokio::test]
async fn every_route_admits_whom_it_should() {
    let site = Site::start_with(|config| config.inspector = Arc::new(WithIcon)).await;
    let (digest, icon) = (site.upload(&site.admin, "acme 1.0.0").await, sha256(ICON));
    let manifest = json!({
        "app": "acme", "version": "1.0.0", "channel": "beta",
        "artifacts": [{"platform": "linux", "arch": "x86_64", "filename": "acme.bin", "sha256": digest}],
    });
    let release = site.post("/api/apps/acme/releases", &manifest).await.expect(201).json();
    site.patch("/api/apps/acme", &json!({"visibility": "private"}))
        .await
        .expect(200);
    let callers = callers(&site).await;
    let mut wrong = Vec::new();
    for (method, path, expected) in MATRIX {
        let id = if path.contains("releases") {
            release["release"]["id"].as_str().unwrap()
        } else {
            "0123456789abcdef0123456789abcdef"
        };
        let concrete = path
            .replace("{slug}", "acme")
            .replace("{channel}", "beta")
            .replace("{name}", "beta")
            .replace("{platform}", "linux")
            .replace("{arch}", "x86_64")
            .replace("{sha256}", if path.contains("icon") { &icon } else { &digest })
            .replace("{id}", id);
        let mut found = String::new();
        for caller in &callers {
            let mut call = site
                .call(method.parse().unwrap(), &concrete)
                .body(body(method, path, &digest));
            if path.contains("uploads") {
                call = call
                    .header("tus-resumable", "1.0.0")
                    .header("upload-length", "1")
                    .header("upload-offset", "0")
                    .header("content-type", "application/offset+octet-stream");
            }
            if let Some(secret) = caller {
                call = call.token(secret);
            }
            found.push(outcome(&call.send().await));
        }
        if found != *expected {
            wrong.push(format!("{method} {path}: {found}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A body with which the request gets as far as the access rules.
fn body(method: &str, path: &str, digest: &str) -> String {
    let artifact = json!({"platform": "linux", "filename": "acme.bin", "sha256": digest});
    let body = match (method, path) {
        ("POST", "/api/apps") => json!({"slug": "made"}),
        ("POST", "/api/apps/{slug}/releases") => json!({"app": "acme", "version": "2.0.0", "artifacts": [artifact]}),
        ("POST", "/api/apps/{slug}/releases/{id}/artifacts") => json!({"artifacts": [artifact]}),
        ("POST", "/api/apps/{slug}/channels/{name}/promote") => json!({"release": "1.0.0"}),
        ("POST", "/api/tokens") => json!({"name": "made", "scopes": ["read"]}),
        ("GET" | "HEAD" | "DELETE" | "OPTIONS", _) => return String::new(),
        _ => json!({}),
    };
    body.to_string()
}

fn outcome(answer: &Answer) -> char {
    let hidden = ["app.not_found", "object.not_found"].contains(&answer.code().as_str())
        || answer.text().contains("or none that you may read");
    match answer.status.as_u16() {
        401 => 'u',
        403 => 'f',
        404 if hidden
            || answer.body.is_empty()
                && answer.header("upload-offset").is_empty()
                && answer.header("tus-resumable").is_empty() =>
        {
            'h'
        }
        500.. => '!',
        _ => 'y',
    }
}

async fn callers(site: &Site) -> [Option<String>; 8] {
    let token = async |scope| Some(site.new_token(&[scope], None, &[]).await.0);
    let (revoked, id) = site.new_token(&[Scope::Admin], None, &[]).await;
    site.call(Method::DELETE, &format!("/api/tokens/{id}"))
        .token(&site.admin)
        .send()
        .await
        .expect(200);
    let intent = TokenIntent {
        name: "short".to_owned(),
        scopes: Scopes([Scope::Admin].into()),
        app_slug: None,
        channels: BTreeSet::new(),
        expires_at: Some(site.service.now().plus_millis(100)),
    };
    let expired = site
        .service
        .create_token(&Caller::new(Principal::Local(0)), intent, None)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    [
        None,
        token(Scope::Read).await,
        token(Scope::Publish).await,
        token(Scope::Promote).await,
        Some(site.admin.clone()),
        Some(site.new_token(&[Scope::Admin], Some("other"), &[]).await.0),
        Some(revoked),
        expired.secret,
    ]
}

#[tokio::test]
async fn a_private_app_looks_like_none_to_strangers() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.patch("/api/apps/acme", &json!({"visibility": "private"}))
        .await
        .expect(200);
    let digest = sha256("acme 1.0.0");
    for path in [
        "/api/apps/{}",
        "/api/apps/{}/releases",
        "/api/apps/{}/releases/1.0.0",
        "/api/apps/{}/channels",
        "/api/apps/{}/channels/beta",
        "/api/apps/{}/channels/beta/history",
        "/api/apps/{}/channels/beta/latest",
        "/install/{}/beta",
        "/latest/{}/beta/linux",
    ] {
        let there = site.get(&path.replace("{}", "acme")).await.expect(404).text();
        let not_there = site.get(&path.replace("{}", "nope")).await.expect(404).text();
        let nonce = |text: String| text.lines().filter(|line| !line.contains("nonce")).collect::<String>();
        assert_eq!(nonce(there.replace("acme", "nope")), nonce(not_there), "{path}");
    }
    let there = site.get(&format!("/download/{digest}")).await.expect(404).text();
    assert_eq!(
        there,
        site.get(&format!("/download/{}", sha256("nothing")))
            .await
            .expect(404)
            .text()
    );
}

#[tokio::test]
async fn a_token_moves_only_its_channels() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let (promoter, _) = site.new_token(&[Scope::Promote], Some("acme"), &["stable"]).await;
    let promote = async |channel: &str| {
        let path = format!("/api/apps/acme/channels/{channel}/promote");
        site.call(Method::POST, &path)
            .token(&promoter)
            .json(&json!({"from_channel": "beta"}))
            .send()
            .await
    };
    promote("stable").await.expect(200);
    assert_eq!(promote("beta").await.expect(403).code(), "auth.channel_forbidden");
}

#[tokio::test]
async fn unlisted_apps_install_by_link_and_read_by_token() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.patch("/api/apps/acme", &json!({"visibility": "unlisted"}))
        .await
        .expect(200);
    assert_eq!(site.get("/api/apps").await.expect(200).json()["items"], json!([]));
    site.get("/api/apps/acme").await.expect(404);
    site.get("/install/acme/beta").await.expect(200);
    let download = site
        .get(&format!("/download/{}", sha256("acme 1.0.0")))
        .await
        .expect(200);
    assert!(
        download.header("cache-control").starts_with("private"),
        "{}",
        download.header("cache-control")
    );
}
