//! Apps, releases, drafts, channels, tokens and maintenance through the API.

use dist_model::Scope;
use http::Method;
use serde_json::json;

use crate::common::{Site, sha256};

/// Whoever may read an app's channels is told which one was meant; whoever holds a link only is not.
#[tokio::test]
async fn a_channel_that_is_not_there_is_answered_with_the_nearest_one() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let unlisted = json!({"visibility": "unlisted"});
    site.patch("/api/apps/acme", &unlisted).await.expect(200);
    let near = site.admin_get("/api/apps/acme/channels/bata").await.expect(404).json();
    assert_eq!(near["error"]["code"], "channel.not_found");
    assert_eq!(near["error"]["details"]["nearest"], "beta");
    let message = near["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("did you mean beta?"), "{message}");
    let far = site
        .admin_get("/api/apps/acme/channels/nightly")
        .await
        .expect(404)
        .json();
    assert_eq!(far["error"]["details"], json!({}));
    let stranger = site.get("/install/acme/bata").await.expect(404).text();
    assert!(!stranger.contains("beta"), "{stranger}");
}

#[tokio::test]
async fn a_release_goes_from_upload_to_rollback() {
    let site = Site::start().await;
    let first = site.publish("acme", "1.0.0", "beta").await;
    assert_eq!(first["status"], "published");
    assert_eq!(first["install_url"], "https://get.example.org/dist/install/acme/beta");
    let artifact = &first["artifacts"][0];
    assert_eq!(
        artifact["url"],
        format!("https://get.example.org/dist/download/{}", sha256("acme 1.0.0"))
    );
    assert_eq!(first["channel"]["revision"], 1);

    let moved = site
        .post("/api/apps/acme/channels/stable/promote", &json!({"release": "1.0.0"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&moved["status"], &moved["channel"]["name"]),
        (&json!("moved"), &json!("stable"))
    );
    site.publish("acme", "2.0.0", "beta").await;
    site.post(
        "/api/apps/acme/channels/stable/promote",
        &json!({"from_channel": "beta"}),
    )
    .await
    .expect(200);
    let back = site
        .post("/api/apps/acme/channels/stable/rollback", &json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&back["release"]["version"], &back["channel"]["revision"]),
        (&json!("1.0.0"), &json!(3))
    );
    let nothing = site
        .call(Method::POST, "/api/apps/acme/channels/stable/rollback")
        .token(&site.admin)
        .send()
        .await;
    assert_eq!(nothing.expect(409).code(), "channel.no_previous");

    let app = site.get("/api/apps/acme").await.expect(200).json();
    assert_eq!(app["display_name"], "Acme");
    assert_eq!(app["channels"].as_array().unwrap().len(), 2);
    assert_eq!(app["releases"][0]["version"], "2.0.0");
    let channel = site.get("/api/apps/acme/channels/stable").await.expect(200).json();
    assert_eq!(
        (&channel["current"]["version"], &channel["rollout_enforced"]),
        (&json!("1.0.0"), &json!(false))
    );
    let history = site
        .get("/api/apps/acme/channels/stable/history")
        .await
        .expect(200)
        .json();
    assert_eq!(history["items"].as_array().unwrap().len(), 3);
    let latest = site
        .get("/api/apps/acme/channels/beta/latest?version=1.0.0&platform=linux")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&latest["update_available"], &latest["release"]["version"]),
        (&json!(true), &json!("2.0.0"))
    );

    let follow = site.get("/latest/acme/beta/linux").await.expect(302);
    assert!(
        follow
            .header("location")
            .starts_with("https://get.example.org/dist/download/"),
        "{}",
        follow.header("location")
    );
    assert_eq!(follow.header("cache-control"), "no-store");
    assert_eq!(
        site.get("/latest/acme/beta/windows").await.expect(404).code(),
        "object.not_found"
    );
}

#[tokio::test]
async fn publishing_again_is_unchanged_and_other_bytes_conflict() {
    let site = Site::start().await;
    let first = site.publish("acme", "1.0.0", "beta").await;
    let manifest = |digest: &str| {
        json!({"app": "acme", "version": "1.0.0", "channel": "beta",
            "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]})
    };
    let same = site
        .post("/api/apps/acme/releases", &manifest(&sha256("acme 1.0.0")))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&same["status"], &same["channel"]),
        (&json!("unchanged"), &first["channel"])
    );
    let other = site.upload(&site.admin, "other").await;
    let conflict = site
        .post("/api/apps/acme/releases", &manifest(&other))
        .await
        .expect(409);
    assert_eq!(conflict.code(), "release.conflict");
    let missing = json!({"app": "acme", "version": "2.0.0",
        "artifacts": [{"platform": "linux", "filename": "a", "sha256": sha256("never sent")}]});
    assert_eq!(
        site.post("/api/apps/acme/releases", &missing).await.code(),
        "object.missing"
    );
    let elsewhere = site
        .post("/api/apps/other/releases", &manifest(&other))
        .await
        .expect(422);
    assert_eq!(elsewhere.code(), "manifest.invalid_field");
}

#[tokio::test]
async fn a_draft_is_filled_by_several_jobs_and_published_whole() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "linux build").await;
    let draft = json!({"app": "acme", "version": "1.0.0", "channel": "beta", "draft": true,
        "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
    let made = site.post("/api/apps/acme/releases", &draft).await.expect(201).json();
    assert_eq!(made["status"], "draft");
    let path = format!("/api/apps/acme/releases/{}", made["release"]["id"].as_str().unwrap());
    site.get(&path).await.expect(404);

    let more = site.upload(&site.admin, "another build").await;
    let add =
        json!({"artifacts": [{"platform": "linux", "filename": "acme-arm64.bin", "arch": "arm64", "sha256": more}]});
    let added = site.post(&format!("{path}/artifacts"), &add).await.expect(201).json();
    assert_eq!(added["artifacts"].as_array().unwrap().len(), 2);
    let incomplete = site
        .post(&format!("{path}/publish"), &json!({"require": ["ios"]}))
        .await
        .expect(422);
    assert_eq!(incomplete.code(), "release.incomplete");
    let published = site
        .call(Method::POST, &format!("{path}/publish"))
        .token(&site.admin)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&published["status"], &published["channel"]["name"]),
        (&json!("published"), &json!("beta"))
    );
    site.get(&path).await.expect(200);
    let discard = site
        .call(Method::DELETE, &path)
        .token(&site.admin)
        .send()
        .await
        .expect(409);
    assert_eq!(discard.code(), "release.not_draft");
}

#[tokio::test]
async fn a_draft_is_discarded() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "x").await;
    let draft = json!({"app": "acme", "version": "1.0.0", "draft": true,
        "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
    site.post("/api/apps/acme/releases", &draft).await.expect(201);
    site.call(Method::DELETE, "/api/apps/acme/releases/1.0.0")
        .token(&site.admin)
        .send()
        .await
        .expect(200);
    site.admin_get("/api/apps/acme/releases/1.0.0").await.expect(404);
}

#[tokio::test]
async fn a_release_in_use_is_yanked_only_with_a_rollback() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "2.0.0", "beta").await;
    let path = "/api/apps/acme/releases/2.0.0/yank";
    assert_eq!(site.post(path, &json!({})).await.expect(409).code(), "release.in_use");
    let yanked = site
        .post(path, &json!({"and_rollback": true, "reason": "broken"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&yanked["status"], &yanked["rolled_back"][0]["name"]),
        (&json!("yanked"), &json!("beta"))
    );
    assert_eq!(
        site.get("/api/apps/acme/channels/beta").await.json()["current"]["version"],
        "1.0.0"
    );
    let promote = site
        .post("/api/apps/acme/channels/stable/promote", &json!({"release": "2.0.0"}))
        .await;
    assert_eq!(promote.expect(409).code(), "release.yanked");
}

#[tokio::test]
async fn a_version_with_several_builds_is_named_with_its_build() {
    let site = Site::start().await;
    for build in ["1", "2"] {
        let digest = site.upload(&site.admin, format!("build {build}")).await;
        let manifest = json!({"app": "acme", "version": "1.0.0", "build": build,
            "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
        site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    }
    assert_eq!(
        site.get("/api/apps/acme/releases/1.0.0").await.expect(400).code(),
        "release.ambiguous"
    );
    let release = site
        .get("/api/apps/acme/releases/1.0.0?build=2")
        .await
        .expect(200)
        .json();
    assert_eq!(release["build"], "2");
    let promote = json!({"release": "1.0.0", "build": "1"});
    let moved = site
        .post("/api/apps/acme/channels/beta/promote", &promote)
        .await
        .expect(200)
        .json();
    assert_eq!(moved["release"]["build"], "1");
}

#[tokio::test]
async fn if_match_guards_a_channel() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "2.0.0", "beta").await;
    let promote = async |value: &str, release: &str| {
        let call = site
            .call(Method::POST, "/api/apps/acme/channels/beta/promote")
            .token(&site.admin);
        call.header("if-match", value)
            .json(&json!({"release": release}))
            .send()
            .await
    };
    assert_eq!(promote("1", "1.0.0").await.expect(412).code(), "channel.moved");
    promote("\"2\"", "1.0.0").await.expect(200);
    promote("3", "2.0.0").await.expect(200);
    assert_eq!(promote("x", "1.0.0").await.expect(400).code(), "request.malformed");
}

#[tokio::test]
async fn a_key_makes_a_request_safe_to_repeat() {
    let site = Site::start().await;
    let create = async |body: serde_json::Value| {
        let call = site
            .call(Method::POST, "/api/tokens")
            .token(&site.admin)
            .header("idempotency-key", "k-1");
        call.json(&body).send().await
    };
    let first = create(json!({"name": "ci", "scopes": ["publish"]}))
        .await
        .expect(201)
        .json();
    assert!(first["secret"].as_str().unwrap().starts_with("dist_"));
    let again = create(json!({"name": "ci", "scopes": ["publish"]}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&again["secret"], &again["token"]["id"]),
        (&json!(null), &first["token"]["id"])
    );
    assert_eq!(
        create(json!({"name": "ci2", "scopes": ["publish"]}))
            .await
            .expect(409)
            .code(),
        "idempotency.mismatch"
    );
    let bad = site
        .call(Method::POST, "/api/apps")
        .token(&site.admin)
        .header("idempotency-key", &"k".repeat(201));
    assert_eq!(
        bad.json(&json!({"slug": "a"})).send().await.expect(400).code(),
        "idempotency.invalid_key"
    );
    let others = site
        .call(Method::POST, "/api/apps")
        .token(&site.new_token(&[Scope::Admin], None, &[]).await.0);
    others
        .header("idempotency-key", "k-1")
        .json(&json!({"slug": "a"}))
        .send()
        .await
        .expect(201);
}

#[tokio::test]
async fn apps_and_channels_are_set() {
    let site = Site::start().await;
    let made = site
        .post("/api/apps", &json!({"slug": "acme", "display_name": "Acme"}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&made["slug"], &made["ios_mode"]),
        (&json!("acme"), &json!("artifact_only"))
    );
    assert_eq!(
        site.post("/api/apps", &json!({"slug": "acme"}))
            .await
            .expect(409)
            .code(),
        "app.exists"
    );
    let testflight = site
        .patch("/api/apps/acme", &json!({"ios_mode": "testflight"}))
        .await
        .expect(422);
    assert_eq!(testflight.code(), "app.testflight_url_required");
    let set = json!({"retention_keep": 3, "policy": "promote_only"});
    let channel = site
        .patch("/api/apps/acme/channels/stable", &set)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&channel["retention_keep"], &channel["policy"]),
        (&json!(3), &json!("promote_only"))
    );
    let digest = site.upload(&site.admin, "x").await;
    let manifest = json!({"app": "acme", "version": "1", "channel": "stable",
        "artifacts": [{"platform": "linux", "filename": "a.bin", "sha256": digest}]});
    assert_eq!(
        site.post("/api/apps/acme/releases", &manifest).await.expect(403).code(),
        "policy.promote_only"
    );
}

#[tokio::test]
async fn lists_come_in_pages() {
    let site = Site::start().await;
    for slug in ["a", "b", "c"] {
        site.post("/api/apps", &json!({"slug": slug})).await.expect(201);
    }
    let first = site.get("/api/apps?limit=2").await.expect(200).json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = site
        .get(&format!("/api/apps?limit=2&cursor={cursor}"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&second["items"][0]["slug"], &second["next_cursor"]),
        (&json!("c"), &json!(null))
    );
    assert_eq!(
        site.get(&format!("/api/apps/a/releases?cursor={cursor}"))
            .await
            .expect(400)
            .code(),
        "cursor.invalid"
    );
}

#[tokio::test]
async fn tokens_are_listed_without_secrets_and_revoked_once() {
    let site = Site::start().await;
    let made = site
        .post("/api/tokens", &json!({"name": "ci", "scopes": ["read"]}))
        .await
        .expect(201)
        .json();
    let (secret, id) = (made["secret"].as_str().unwrap(), made["token"]["id"].as_str().unwrap());
    let list = site.admin_get("/api/tokens").await.expect(200).text();
    assert!(
        list.contains("\"ci\"") && !list.contains(secret) && !list.contains("hash"),
        "{list}"
    );
    let revoke = async || {
        site.call(Method::DELETE, &format!("/api/tokens/{id}"))
            .token(&site.admin)
            .send()
            .await
    };
    revoke().await.expect(200);
    assert_eq!(revoke().await.expect(409).code(), "token.already_revoked");
    let refused = site
        .call(Method::GET, "/api/apps")
        .token(secret)
        .send()
        .await
        .expect(403);
    assert_eq!(refused.code(), "auth.revoked");
}

#[tokio::test]
async fn the_store_is_verified_cleaned_and_backed_up() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.upload(&site.admin, "nobody refers to this").await;
    let verified = site
        .call(Method::POST, "/api/store/verify")
        .token(&site.admin)
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!((&verified["ok"], &verified["objects"]), (&json!(true), &json!(2)));
    let plan = site
        .post("/api/store/cleanup", &json!({"dry_run": true, "grace_seconds": 0}))
        .await
        .expect(200)
        .json();
    assert_eq!(plan["dry_run"], true);
    site.post("/api/store/cleanup", &json!({"grace_seconds": 0}))
        .await
        .expect(200);
    site.post("/api/store/cleanup", &json!({"grace_seconds": 0}))
        .await
        .expect(200);
    assert_eq!(site.names_in("objects"), [sha256("acme 1.0.0")]);
    let backup = site
        .call(Method::POST, "/api/store/backup")
        .token(&site.admin)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(backup["objects"], 1);
    assert!(
        std::path::Path::new(backup["path"].as_str().unwrap())
            .join("dist.db")
            .exists()
    );
    let actions = site.actions().await;
    assert!(actions.contains(&"store.backed_up".to_owned()), "{actions:?}");
}
