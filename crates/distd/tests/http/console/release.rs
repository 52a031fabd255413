//! The page of a release, and two releases side by side.

use dist_model::Role;
use serde_json::{Value, json};

use crate::common::{Site, example, sha256};

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Publishes an example for iOS with a source, and answers the release's id.
async fn publish(site: &Site, version: &str, source: &Value) -> String {
    let file = format!("hello-{version}.ipa");
    let digest = site.upload(&site.admin, example(&file)).await;
    let manifest = json!({"app": "hello", "version": version, "channel": "beta", "notes": "Fixes *login*.",
        "source": source,
        "artifacts": [{"platform": "ios", "filename": file, "sha256": digest, "metadata": {"flavor": "prod"}}]});
    let answer = site.post("/api/apps/hello/releases", &manifest).await.expect(201);
    answer.json()["release"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_release_shows_what_was_found_first_and_where_it_came_from() {
    let site = Site::start().await;
    let source = json!({"commit": "0123456789abcdef", "branch": "main", "run_url": "https://ci.example.org/7"});
    let id = publish(&site, "1.0.0", &source).await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let path = format!("/admin/apps/hello/releases/{id}");
    let page = site.open(&viewer, &path).await.expect(200).text();
    let (findings, rest) = page.split_once("<h2>Files</h2>").unwrap();
    assert_has(
        findings,
        &[
            "chip-published",
            "signature.missing",
            "The app is not signed",
            "hello-1.0.0.ipa",
        ],
    );
    assert_has(
        findings,
        &[
            "<b>now</b>",
            "https://get.example.org/dist/install/hello/beta",
            "<svg viewBox",
        ],
    );
    let digest = sha256(example("hello-1.0.0.ipa"));
    assert_has(
        rest,
        &[
            &format!("data-copy=\"{digest}\""),
            &format!("https://get.example.org/dist/download/{digest}?artifact="),
            "<dt>App id</dt>",
            "<bdi>dev.dist.hello</bdi>",
            "<dt>Signed</dt>",
            "<dt>flavor</dt>",
            "<bdi>prod</bdi>",
            "href=\"https://ci.example.org/7\"",
            "0123456789abcdef",
            "<p>Fixes <em>login</em>.</p>",
            " published ",
            "</a><bdi> to </bdi><a href=\"/dist/admin/apps/hello/channels/beta\">beta</a>",
        ],
    );
    assert_has(&page, &["0 downloads"]);
}

#[tokio::test]
async fn two_releases_are_told_apart() {
    let site = Site::start().await;
    let first = publish(&site, "1.0.0", &json!({})).await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let alone = site.open(&viewer, "/admin/apps/hello/compare").await.expect(404);
    assert!(alone.text().contains("publish another one first"), "{}", alone.text());
    let second = publish(&site, "1.1.0", &json!({})).await;
    for query in [
        String::new(),
        format!("?to={second}"),
        format!("?from={first}&to=1.1.0"),
    ] {
        let page = site
            .open(&viewer, &format!("/admin/apps/hello/compare{query}"))
            .await
            .expect(200)
            .text();
        assert_has(
            &page,
            &[
                "1.0.0 and 1.1.0",
                "<bdi>hello-1.0.0.ipa</bdi>",
                "<bdi>hello-1.1.0.ipa</bdi>",
                "chip-info\">changed</span>",
                "<th scope=\"row\" class=\"wide\">Version</th><td><bdi>1.0.0</bdi></td><td><bdi>1.1.0</bdi></td>",
            ],
        );
    }
    let same = site
        .open(&viewer, &format!("/admin/apps/hello/compare?from={first}&to={first}"))
        .await;
    assert_has(&same.expect(200).text(), &["same file"]);
}

#[tokio::test]
async fn the_timeline_is_for_who_may_read_the_app() {
    let site = Site::start().await;
    let id = publish(&site, "1.0.0", &json!({})).await;
    let other = site
        .person("other@example.org", None, &[("other", Role::Manager)])
        .await;
    let page = site
        .open(&other, &format!("/admin/apps/hello/releases/{id}"))
        .await
        .expect(200)
        .text();
    assert!(!page.contains("id=\"timeline\""), "{page}");
}
