//! The pages of apps, and their settings.

use dist_model::Role;
use serde_json::json;

use crate::common::Site;

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn an_app_shows_its_channels_side_by_side_and_its_releases() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "1.1.0", "beta").await;
    let promotion = json!({"release": "1.0.0"});
    site.post("/api/apps/acme/channels/stable/promote", &promotion)
        .await
        .expect(200);
    let settings = json!({"policy": "promote_only", "rollout_percent": 25, "retention_keep": 7});
    site.patch("/api/apps/acme/channels/stable", &settings)
        .await
        .expect(200);
    let manager = site.person("manager@example.org", Some(Role::Manager), &[]).await;
    let page = site.open(&manager, "/admin/apps/acme").await.expect(200).text();
    let (beta, stable) = page.split_once("id=\"channel-stable\"").unwrap();
    assert_has(
        beta,
        &[
            "id=\"channel-beta\"",
            "revision 2",
            ">1.1.0</a>",
            "keeps all",
            "Roll back…",
        ],
    );
    let (stable, releases) = stable.split_once("id=\"releases\"").unwrap();
    assert_has(
        stable,
        &[
            "promote only",
            "revision 1",
            ">1.0.0</a>",
            "Rollout 25 %",
            "(not enforced)",
            "keeps 7 releases",
        ],
    );
    assert!(
        !stable.contains("Roll back…"),
        "there is nothing to go back to: {stable}"
    );
    let (newest, older) = releases.split_once(">1.0.0</a>").unwrap();
    assert_has(newest, &[">1.1.0</a>", "chip-passed", ">beta</a>", "Linux"]);
    assert_has(older, &[">stable</a>", "aria-label=\"Yank 1.0.0\""]);
    assert!(
        !page.contains("/admin/apps/acme/settings"),
        "a manager changes no settings"
    );
}

#[tokio::test]
async fn releases_are_found_by_status_platform_and_text() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "x").await;
    for version in ["1.0.0", "1.1.0"] {
        let manifest = json!({"app": "acme", "version": version,
            "source": {"branch": format!("release/{version}"), "commit": "0123456789abcdef"},
            "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
        site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    }
    site.post("/api/apps/acme/releases/1.0.0/yank", &json!({}))
        .await
        .expect(200);
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    for (query, first, second) in [
        ("", true, true),
        ("status=yanked", true, false),
        ("status=&platform=linux&q=", true, true),
        ("platform=ios", false, false),
        ("q=RELEASE%2F1.1", false, true),
    ] {
        let page = site
            .open(&viewer, &format!("/admin/apps/acme?{query}"))
            .await
            .expect(200)
            .text();
        let has = |version: &str| page.contains(&format!(">{version}</a>"));
        assert_eq!((has("1.0.0"), has("1.1.0")), (first, second), "{query}: {page}");
    }
    site.open(&viewer, "/admin/apps/acme?status=lost").await.expect(400);
}

#[tokio::test]
async fn apps_are_filtered_by_name() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("other", "1.0.0", "beta").await;
    site.patch("/api/apps/other", &json!({"display_name": "Übung"}))
        .await
        .expect(200);
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    for (query, acme, other) in [
        ("", true, true),
        ("ACM", true, false),
        ("%C3%BCb", false, true),
        ("x", false, false),
    ] {
        let page = site
            .open(&viewer, &format!("/admin?q={query}"))
            .await
            .expect(200)
            .text();
        let has = |slug: &str| page.contains(&format!("id=\"app-{slug}\""));
        assert_eq!((has("acme"), has("other")), (acme, other), "{query}");
    }
}

#[tokio::test]
async fn an_app_is_made_and_changed_by_its_form() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    site.open(&admin, "/admin/new-app").await.expect(200);
    let wrong = [("slug", "-bad-"), ("display_name", "Acme"), ("visibility", "private")];
    let refused = site.submit(&admin, "/admin/apps", &wrong).await.expect(422).text();
    assert_has(&refused, &["id=\"slug-error\"", "value=\"-bad-\"", "value=\"Acme\""]);
    let fields = [("slug", "acme"), ("display_name", "Acme"), ("visibility", "private")];
    let made = site.submit(&admin, "/admin/apps", &fields).await.expect(303);
    assert_eq!(made.header("location"), "/dist/admin/apps/acme?done=made");
    let page = site.open(&admin, "/admin/apps/acme?done=made").await.expect(200).text();
    assert_has(
        &page,
        &[
            "CI can publish to it",
            "dist ci publish --server https://get.example.org/dist --app acme",
        ],
    );
    site.submit(&admin, "/admin/apps", &fields).await.expect(409);

    let settings = "/admin/apps/acme/settings";
    let mut fields = vec![
        ("display_name", "Acme 2"),
        ("owner", "the mobile team"),
        ("visibility", "unlisted"),
        ("ios_mode", "testflight"),
        ("testflight_url", "https://evil.example.org/join"),
        ("allowed", "ios"),
        ("allowed", "linux"),
        ("platform", "ios"),
        ("bundle_id", "org.example.acme"),
        ("ios_public_download", "yes"),
    ];
    let refused = site.submit(&admin, settings, &fields).await.expect(422).text();
    assert_has(
        &refused,
        &["flash-failed", "https://evil.example.org/join", "value=\"Acme 2\""],
    );
    fields[4].1 = "https://testflight.apple.com/join/AbC";
    site.submit(&admin, settings, &fields).await.expect(303);
    let app = site.admin_get("/api/apps/acme").await.expect(200).json();
    for (field, value) in [
        ("display_name", json!("Acme 2")),
        ("owner", json!("the mobile team")),
        ("visibility", json!("unlisted")),
        ("ios_mode", json!("testflight")),
        ("testflight_url", json!("https://testflight.apple.com/join/AbC")),
        ("allowed_platforms", json!(["ios", "linux"])),
        ("bundle_ids", json!({"ios": "org.example.acme"})),
        ("ios_public_download", json!(true)),
    ] {
        assert_eq!(app[field], value, "{field} of {app}");
    }
    let page = site.open(&admin, settings).await.expect(200).text();
    assert_has(
        &page,
        &[
            "value=\"org.example.acme\"",
            "value=\"unlisted\" selected",
            "value=\"linux\" checked",
        ],
    );
}

#[tokio::test]
async fn a_channels_settings_are_changed_by_their_form() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let admin = site.person("admin@example.org", None, &[("acme", Role::Admin)]).await;
    let path = "/admin/apps/acme/channels/beta/settings";
    let page = site.open(&admin, path).await.expect(200).text();
    assert_has(&page, &["value=\"open\" selected", "value=\"100\"", "value=\"0\""]);
    let fields = |rollout| {
        [
            ("policy", "promote_only"),
            ("rollout_percent", rollout),
            ("retention_keep", "9"),
        ]
    };
    let refused = site.submit(&admin, path, &fields("101")).await.expect(422).text();
    assert_has(
        &refused,
        &["flash-failed", "value=\"101\"", "value=\"promote_only\" selected"],
    );
    site.submit(&admin, path, &fields("10")).await.expect(303);
    let channel = site.admin_get("/api/apps/acme/channels/beta").await.json();
    assert_eq!(
        (
            &channel["policy"],
            &channel["rollout_percent"],
            &channel["retention_keep"]
        ),
        (&json!("promote_only"), &json!(10), &json!(9))
    );
}
