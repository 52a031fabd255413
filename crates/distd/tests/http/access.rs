//! Who may what: every route against every kind of caller.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dist_model::decide::TokenIntent;
use dist_model::{Role, Scope, Scopes};
use dist_service::{Caller, Principal};
use http::Method;
use serde_json::json;

use crate::common::{Answer, ICON, PASSWORD, Signed, Site, WithIcon, sha256, without_nonce};

/// For a private app, by caller. First programs: nobody, a token that may read, publish, promote,
/// administer, one that may administer another app only, a revoked one, an expired one. Then people at
/// browsers: a viewer, a manager, an admin, a manager of another app.
///
/// `y` may; `u` is asked for a credential; `s` is sent to sign in; `f` is forbidden; `h` is told that
/// it is not there.
const MATRIX: &[(&str, &str, &str, &str)] = &[
    ("GET", "/", "yyyyyyff", "yyyy"),
    ("GET", "/admin", "ssssssss", "yyyy"),
    ("GET", "/admin/sign-in", "yyyyyyyy", "yyyy"),
    ("POST", "/admin/sign-in", "ffffffff", "uuuu"),
    ("GET", "/admin/oidc", "hhhhhhhh", "hhhh"),
    ("GET", "/admin/oidc/callback", "hhhhhhhh", "hhhh"),
    ("GET", "/admin/setup/{secret}", "hhhhhhhh", "hhhh"),
    ("POST", "/admin/setup/{secret}", "ffffffff", "hhhh"),
    ("GET", "/admin/invitation/{secret}", "yyyyyyyy", "yyyy"),
    ("POST", "/admin/invitation/{secret}", "ffffffff", "yyyy"),
    ("GET", "/admin/account", "ssssssss", "yyyy"),
    ("POST", "/admin/account/password", "ssssssss", "yyyy"),
    ("POST", "/admin/account/sessions/{id}/end", "ssssssss", "yyyy"),
    ("GET", "/admin/people", "ssssssss", "ffyf"),
    ("POST", "/admin/people", "ssssssss", "ffyf"),
    ("GET", "/admin/people/new", "ssssssss", "ffyf"),
    ("GET", "/admin/people/{id}", "ssssssss", "ffyf"),
    ("POST", "/admin/people/{id}", "ssssssss", "ffyf"),
    ("POST", "/admin/people/{id}/invite", "ssssssss", "ffyf"),
    ("GET", "/admin/people/{id}/disable", "ssssssss", "ffyf"),
    ("POST", "/admin/people/{id}/disable", "ssssssss", "ffyf"),
    ("POST", "/admin/people/{id}/enable", "ssssssss", "ffyf"),
    ("GET", "/admin/tokens", "ssssssss", "fyyy"),
    ("POST", "/admin/tokens", "ssssssss", "ffyf"),
    ("GET", "/admin/tokens/new", "ssssssss", "ffyf"),
    ("GET", "/admin/tokens/{id}", "ssssssss", "fyyy"),
    ("GET", "/admin/tokens/{id}/revoke", "ssssssss", "fyyy"),
    ("POST", "/admin/tokens/{id}/revoke", "ssssssss", "fyyy"),
    ("GET", "/admin/audit", "ssssssss", "yyyy"),
    ("GET", "/admin/audit.jsonl", "ssssssss", "fyyf"),
    ("GET", "/admin/audit.csv", "ssssssss", "fyyf"),
    ("GET", "/admin/downloads", "ssssssss", "yyyy"),
    ("GET", "/admin/downloads/{slug}", "ssssssss", "yyyf"),
    ("GET", "/admin/storage", "ssssssss", "ffyf"),
    ("GET", "/admin/storage/cleanup", "ssssssss", "ffyf"),
    ("POST", "/admin/storage/cleanup", "ssssssss", "ffyf"),
    ("GET", "/admin/storage/backup", "ssssssss", "ffyf"),
    ("POST", "/admin/storage/backup", "ssssssss", "ffyf"),
    ("GET", "/admin/health", "ssssssss", "ffyf"),
    ("GET", "/admin/sign-in-settings", "ssssssss", "ffyf"),
    ("GET", "/admin/search", "ssssssss", "yyyy"),
    ("GET", "/admin/live", "ssssssss", "yyyy"),
    ("GET", "/assets/{hash}/{name}", "yyyyyyyy", "yyyy"),
    ("GET", "/healthz", "yyyyyyyy", "yyyy"),
    ("GET", "/readyz", "yyyyyyyy", "yyyy"),
    ("GET", "/metrics", "yyyyyyyy", "yyyy"),
    ("GET", "/api/openapi.json", "yyyyyyyy", "yyyy"),
    ("GET", "/api/manifest.schema.json", "yyyyyyyy", "yyyy"),
    ("GET", "/install/{slug}/{channel}", "hyyyyhff", "yyyh"),
    ("GET", "/install/{slug}/{channel}/manifest.plist", "hyyyyhff", "yyyh"),
    ("GET", "/install/{slug}/{channel}/icon/{sha256}", "hyyyyhff", "yyyh"),
    ("GET", "/download/{sha256}", "hyyyyhff", "yyyh"),
    ("GET", "/latest/{slug}/{channel}/{platform}", "hyyyyhff", "yyyh"),
    ("GET", "/latest/{slug}/{channel}/{platform}/{arch}", "hyyyyhff", "yyyh"),
    ("GET", "/api/apps", "yyyyyyff", "yyyy"),
    ("POST", "/api/apps", "ufffyfff", "uuuu"),
    ("GET", "/api/apps/{slug}", "hyyyyhff", "yyyh"),
    ("PATCH", "/api/apps/{slug}", "ufffyfff", "uuuu"),
    ("GET", "/api/apps/{slug}/icons/{sha256}", "hyyyyhff", "yyyh"),
    ("GET", "/api/apps/{slug}/releases", "hyyyyhff", "yyyh"),
    ("POST", "/api/apps/{slug}/releases", "ufyfyfff", "uuuu"),
    ("GET", "/api/apps/{slug}/releases/{id}", "hyyyyhff", "yyyh"),
    ("DELETE", "/api/apps/{slug}/releases/{id}", "ufyfyfff", "uuuu"),
    ("POST", "/api/apps/{slug}/releases/{id}/artifacts", "ufyfyfff", "uuuu"),
    ("POST", "/api/apps/{slug}/releases/{id}/publish", "ufyfyfff", "uuuu"),
    ("POST", "/api/apps/{slug}/releases/{id}/yank", "uffyyfff", "uuuu"),
    ("GET", "/api/apps/{slug}/channels", "hyyyyhff", "yyyh"),
    ("GET", "/api/apps/{slug}/channels/{name}", "hyyyyhff", "yyyh"),
    ("PATCH", "/api/apps/{slug}/channels/{name}", "ufffyfff", "uuuu"),
    ("GET", "/api/apps/{slug}/channels/{name}/history", "hyyyyhff", "yyyh"),
    ("GET", "/api/apps/{slug}/channels/{name}/latest", "hyyyyhff", "yyyh"),
    ("POST", "/api/apps/{slug}/channels/{name}/promote", "ufyyyfff", "uuuu"),
    ("POST", "/api/apps/{slug}/channels/{name}/rollback", "ufyyyfff", "uuuu"),
    ("GET", "/api/apps/{slug}/links", "uyyyyfff", "yyyf"),
    ("GET", "/api/apps/{slug}/channels/{name}/links", "uyyyyfff", "yyyf"),
    ("POST", "/api/apps/{slug}/channels/{name}/links", "ufyyyfff", "uuuu"),
    ("DELETE", "/api/apps/{slug}/links/{id}", "ufyyyfff", "uuuu"),
    ("HEAD", "/api/objects/{sha256}", "ufyfyhff", "fyyf"),
    ("POST", "/api/upload", "ufyfyyff", "uuuu"),
    ("OPTIONS", "/api/uploads", "yyyyyyyy", "yyyy"),
    ("POST", "/api/uploads", "ufyfyyff", "uuuu"),
    ("HEAD", "/api/uploads/{id}", "ufyfyyff", "fuuf"),
    ("PATCH", "/api/uploads/{id}", "ufyfyyff", "uuuu"),
    ("DELETE", "/api/uploads/{id}", "ufyfyyff", "uuuu"),
    ("POST", "/api/uploads/{id}", "ufyfyyff", "uuuu"),
    ("GET", "/api/tokens", "ufffyyff", "fyyy"),
    ("POST", "/api/tokens", "ufffyfff", "uuuu"),
    ("DELETE", "/api/tokens/{id}", "ufffyyff", "uuuu"),
    ("GET", "/api/audit", "ufffyfff", "fyyf"),
    ("POST", "/api/store/cleanup", "ufffyfff", "uuuu"),
    ("POST", "/api/store/verify", "ufffyfff", "uuuu"),
    ("POST", "/api/store/backup", "ufffyfff", "uuuu"),
    ("GET", "/admin/new-app", "ssssssss", "ffyf"),
    ("POST", "/admin/apps", "ssssssss", "ffyf"),
    ("GET", "/admin/apps/{slug}", "ssssssss", "yyyh"),
    ("GET", "/admin/apps/{slug}/settings", "ssssssss", "ffyf"),
    ("POST", "/admin/apps/{slug}/settings", "ssssssss", "ffyf"),
    ("GET", "/admin/apps/{slug}/compare", "ssssssss", "yyyh"),
    ("GET", "/admin/apps/{slug}/promote", "ssssssss", "fyyf"),
    ("POST", "/admin/apps/{slug}/promote", "ssssssss", "fyyf"),
    ("GET", "/admin/apps/{slug}/releases/{id}", "ssssssss", "yyyh"),
    ("GET", "/admin/apps/{slug}/releases/{id}/publish", "ssssssss", "fyyf"),
    ("POST", "/admin/apps/{slug}/releases/{id}/publish", "ssssssss", "fyyf"),
    ("GET", "/admin/apps/{slug}/releases/{id}/discard", "ssssssss", "fyyf"),
    ("POST", "/admin/apps/{slug}/releases/{id}/discard", "ssssssss", "fyyf"),
    ("GET", "/admin/apps/{slug}/releases/{id}/yank", "ssssssss", "fyyf"),
    ("POST", "/admin/apps/{slug}/releases/{id}/yank", "ssssssss", "fyyf"),
    ("GET", "/admin/apps/{slug}/channels/{name}", "ssssssss", "yyyh"),
    ("GET", "/admin/apps/{slug}/channels/{name}/settings", "ssssssss", "ffyf"),
    (
        "POST",
        "/admin/apps/{slug}/channels/{name}/settings",
        "ssssssss",
        "ffyf",
    ),
    ("GET", "/admin/apps/{slug}/channels/{name}/rollback", "ssssssss", "fyyf"),
    (
        "POST",
        "/admin/apps/{slug}/channels/{name}/rollback",
        "ssssssss",
        "fyyf",
    ),
    ("POST", "/admin/apps/{slug}/channels/{name}/links", "ssssssss", "fyyf"),
    ("GET", "/admin/apps/{slug}/links/{id}/revoke", "ssssssss", "fyyf"),
    ("POST", "/admin/apps/{slug}/links/{id}/revoke", "ssssssss", "fyyf"),
    // Last, since nobody is signed in afterwards.
    ("POST", "/admin/sign-out", "ssssssss", "yyyy"),
];

#[test]
fn every_route_has_a_row() {
    let routes: BTreeSet<_> = distd::router::list()
        .into_iter()
        .map(|(method, path)| (method.to_string(), path))
        .collect();
    let rows: BTreeSet<_> = MATRIX
        .iter()
        .map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()))
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
    let (programs, people) = (programs(&site).await, people(&site).await);
    let mut wrong = Vec::new();
    for (method, path, by_programs, by_people) in MATRIX {
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
        // A stream has no end; its head tells who may have it.
        let method = if *path == "/admin/live" { "HEAD" } else { *method };
        let call = || {
            let call = site.call(method.parse().unwrap(), &concrete);
            if path.contains("uploads") {
                call.header("tus-resumable", "1.0.0")
                    .header("upload-length", "1")
                    .header("upload-offset", "0")
                    .header("content-type", "application/offset+octet-stream")
            } else {
                call
            }
        };
        let (mut found, mut found_people) = (String::new(), String::new());
        for token in &programs {
            let call = call().body(body(method, path, &digest));
            let call = token.iter().fold(call, |call, secret| call.token(secret));
            found.push(outcome(&call.send().await));
        }
        for person in &people {
            let call = call().person(person);
            let call = if path.starts_with("/admin") && method == "POST" {
                call.form(&form(person))
            } else {
                call.body(body(method, path, &digest))
            };
            found_people.push(outcome(&call.send().await));
        }
        if found != *by_programs || found_people != *by_people {
            wrong.push(format!(
                "{method} {path}: {found} {found_people}, expected {by_programs} {by_people}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What any form of the console takes.
fn form(person: &Signed) -> Vec<(&str, &str)> {
    let fields = [
        ("email", "made@example.org"),
        ("name", ""),
        ("role", ""),
        ("old", PASSWORD),
        ("slug", "made-by-form"),
        ("display_name", "Acme"),
        ("owner", "somebody"),
        ("visibility", "private"),
        ("ios_mode", "artifact_only"),
        ("policy", "open"),
        ("rollout_percent", "100"),
        ("retention_keep", "0"),
        ("release", "1.0.0"),
        ("channel", "stable"),
        ("revision", "0"),
        ("note", ""),
        ("expires", "7d"),
    ];
    [&fields[..], &[("csrf", person.csrf.as_str()), ("password", PASSWORD)]].concat()
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
        || answer.text().contains("or none that you may read")
        || answer.text().contains("<code>route.not_found");
    match answer.status.as_u16() {
        303 if answer.header("location").contains("/admin/sign-in") && answer.header("set-cookie").is_empty() => 's',
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

async fn programs(site: &Site) -> [Option<String>; 8] {
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

async fn people(site: &Site) -> [Signed; 4] {
    [
        site.person("viewer@example.org", Some(Role::Viewer), &[]).await,
        site.person("manager@example.org", Some(Role::Manager), &[]).await,
        site.person("admin@example.org", Some(Role::Admin), &[]).await,
        site.person("other@example.org", None, &[("other", Role::Manager)])
            .await,
    ]
}

#[tokio::test]
async fn a_private_app_looks_like_none_to_strangers() {
    let site = Site::start_with(|config| config.inspector = Arc::new(WithIcon)).await;
    site.publish("acme", "1.0.0", "beta").await;
    let changes = json!({"visibility": "private", "ios_mode": "enterprise", "bundle_ids": {"ios": "dev.acme"}});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    let (bytes, icon, nothing) = (sha256("acme 1.0.0"), sha256(ICON), sha256("nothing"));
    let mut pairs: Vec<(String, String)> = [
        "/api/apps/{}",
        "/api/apps/{}/releases",
        "/api/apps/{}/releases/1.0.0",
        "/api/apps/{}/channels",
        "/api/apps/{}/channels/beta",
        "/api/apps/{}/channels/beta/history",
        "/api/apps/{}/channels/beta/latest",
        "/api/apps/{}/channels/beta/links",
        "/install/{}/beta",
        "/install/{}/beta/manifest.plist",
        "/latest/{}/beta/linux",
    ]
    .map(|path| (path.replace("{}", "acme"), path.replace("{}", "nope")))
    .into();
    for path in ["/install/{}/beta/icon/", "/api/apps/{}/icons/"] {
        let path = format!("{path}{icon}");
        pairs.push((path.replace("{}", "acme"), path.replace("{}", "nope")));
    }
    pairs.push((format!("/download/{bytes}"), format!("/download/{nothing}")));
    for (there, not_there) in pairs {
        for (method, accept) in [("GET", "*/*"), ("GET", "text/html"), ("HEAD", "*/*")] {
            let seen = async |path: &str| {
                let call = site.call(method.parse().unwrap(), path).header("accept", accept);
                seen(&call.send().await)
            };
            assert_eq!(
                seen(&there).await.replace("acme", "nope"),
                seen(&not_there).await,
                "{method} {there}"
            );
        }
    }
}

/// All of an answer but what is drawn anew for each.
fn seen(answer: &Answer) -> String {
    let mut headers = answer.headers.clone();
    for name in ["date", "x-request-id", "content-security-policy"] {
        headers.remove(name);
    }
    format!("{} {headers:?} {}", answer.status, without_nonce(answer))
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
