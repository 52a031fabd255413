//! The answers as they are, whole: ids and times aside.

use http::Method;
use insta::{Settings, assert_json_snapshot};
use serde_json::json;

use crate::common::Site;

fn settings() -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_sort_maps(true);
    settings.add_filter("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>");
    settings.add_filter("dist_[0-9a-f]{64}", "<secret>");
    settings.add_filter(r"token-\d+-\d+", "<token>");
    settings
}

#[tokio::test]
async fn releases_and_channels() {
    let site = Site::start().await;
    let published = site.publish("acme", "1.0.0", "beta").await;
    let promote = json!({"from_channel": "beta"});
    let promoted = site
        .post("/api/apps/acme/channels/stable/promote", &promote)
        .await
        .expect(200)
        .json();
    let _guard = settings().bind_to_scope();
    assert_json_snapshot!("published", published);
    assert_json_snapshot!("promoted", promoted);
    for (name, path) in [
        ("apps", "/api/apps"),
        ("app", "/api/apps/acme"),
        ("releases", "/api/apps/acme/releases"),
        ("release", "/api/apps/acme/releases/1.0.0"),
        ("channels", "/api/apps/acme/channels"),
        ("history", "/api/apps/acme/channels/stable/history"),
        (
            "latest",
            "/api/apps/acme/channels/stable/latest?version=0.9.0&platform=linux",
        ),
        ("audit", "/api/audit?app=acme"),
    ] {
        assert_json_snapshot!(name, site.admin_get(path).await.expect(200).json());
    }
}

#[tokio::test]
async fn tokens_and_refusals() {
    let site = Site::start().await;
    let request = json!({"name": "ci", "scopes": ["publish"], "app_slug": "acme", "channels": ["beta"]});
    let made = site.post("/api/tokens", &request).await.expect(201).json();
    let _guard = settings().bind_to_scope();
    assert_json_snapshot!("token_made", made);
    let secret = made["secret"].as_str().unwrap();
    let refused = site
        .call(Method::POST, "/api/tokens")
        .token(secret)
        .json(&request)
        .send()
        .await;
    assert_json_snapshot!("refused", refused.expect(403).json());
    let invalid = site.post("/api/apps", &json!({"slug": "Acme App"})).await;
    assert_json_snapshot!("invalid_slug", invalid.expect(422).json());
}
