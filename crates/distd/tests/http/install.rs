//! The pages through which people install.

use std::fs::File;
use std::sync::Arc;

use dist_inspect::{Inspection, Inspector};
use dist_model::Timestamp;
use http::Method;
use serde_json::json;

use crate::common::{Answer, ICON, Site, WithIcon, sha256};

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 15; Pixel 9)";
const DESKTOP: &str = "Mozilla/5.0 (X11; Linux x86_64)";

async fn page(site: &Site, agent: &str) -> Answer {
    site.call(Method::GET, "/install/acme/beta")
        .header("user-agent", agent)
        .send()
        .await
        .expect(200)
}

async fn with_ipa() -> Site {
    let site = Site::start().await;
    site.publish_example("acme", "hello-1.0.0.ipa", "ios").await;
    site
}

#[tokio::test]
async fn an_ipa_is_not_installable_by_itself() {
    let site = with_ipa().await;
    let text = page(&site, IPHONE).await.text();
    assert!(text.contains("cannot be installed from this page"), "{text}");
    assert!(
        !text.contains("itms-services") && !text.contains("/download/"),
        "{text}"
    );
    site.patch("/api/apps/acme", &json!({"ios_public_download": true}))
        .await
        .expect(200);
    let text = page(&site, IPHONE).await.text();
    assert!(
        text.contains("cannot be installed from this page") && text.contains("/download/"),
        "{text}"
    );
    let plist = site.get("/install/acme/beta/manifest.plist").await.expect(404);
    assert_eq!(plist.code(), "route.not_found");
}

#[tokio::test]
async fn testflight_is_the_only_action_of_its_mode() {
    let site = with_ipa().await;
    let url = "https://testflight.apple.com/join/AbCdEf";
    let changes = json!({"ios_mode": "testflight", "testflight_url": url, "ios_public_download": true});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    let text = page(&site, IPHONE).await.text();
    assert!(text.contains(&format!("href=\"{url}\"")), "{text}");
    assert!(
        !text.contains("itms-services") && !text.contains("/download/"),
        "{text}"
    );
    site.get("/install/acme/beta/manifest.plist").await.expect(404);
}

#[tokio::test]
async fn enterprise_apps_install_over_the_air() {
    let site = Site::start_with(|config| config.public_url = Some("http://get.example.org".to_owned())).await;
    let digest = site.publish_example("acme", "hello-1.0.0.ipa", "ios").await;
    let changes =
        json!({"ios_mode": "enterprise", "bundle_ids": {"ios": "dev.dist.hello"}, "display_name": "A <b> & \"c\""});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    let text = page(&site, IPHONE).await.text();
    let link =
        "itms-services://?action=download-manifest&amp;url=https://get.example.org/install/acme/beta/manifest.plist";
    assert!(text.contains(link), "{text}");
    assert!(text.contains("Only devices that are enrolled"), "{text}");
    let plist = site.get("/install/acme/beta/manifest.plist").await.expect(200);
    assert!(plist.header("content-type").starts_with("text/xml"));
    let plist = plist.text();
    for part in [
        "<string>software-package</string>".to_owned(),
        format!("<string>https://get.example.org/download/{digest}?artifact="),
        "<string>dev.dist.hello</string>".to_owned(),
        "<string>1.0.0</string>".to_owned(),
    ] {
        assert!(plist.contains(&part), "{part} in {plist}");
    }
    assert!(!plist.contains("<b>"), "{plist}");
}

#[tokio::test]
async fn the_visitors_platform_comes_first() {
    let site = Site::start().await;
    let apk = site
        .upload(&site.admin, crate::common::example("hello-1.0.0.apk"))
        .await;
    let bin = site.upload(&site.admin, "for linux").await;
    let manifest = json!({"app": "acme", "version": "1.0.0", "channel": "beta", "notes": "Fixes <login>.", "artifacts": [
        {"platform": "android_apk", "filename": "acme.apk", "sha256": apk},
        {"platform": "linux", "filename": "acme.bin", "sha256": bin},
    ]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    let order = |text: &str| (text.find("<h2>Android").unwrap(), text.find("<h2>Linux").unwrap());
    let desktop = page(&site, DESKTOP).await;
    let text = desktop.text();
    let (android, linux) = order(&text);
    assert!(linux < android, "{text}");
    for part in [apk.as_str(), "acme.apk", "1.0.0", "KiB", "9 B", "<svg", "(this device)"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("<login>"), "{text}");
    let text = page(&site, ANDROID).await.text();
    let (android, linux) = order(&text);
    assert!(android < linux && !text.contains("<svg"), "{text}");
}

#[tokio::test]
async fn hostile_names_are_text() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "x").await;
    let name = "\"><script>alert(1)<&.bin";
    let manifest = json!({"app": "acme", "display_name": name, "version": "1.0.0", "channel": "beta", "notes": name,
        "artifacts": [{"platform": "linux", "filename": name, "sha256": digest}]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    for path in ["/", "/install/acme/beta"] {
        let answer = site.get(path).await.expect(200);
        assert!(!answer.text().contains("<script"), "{}", answer.text());
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
        let nonce = policy.split("nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert!(
            answer.text().contains(&format!("<style nonce=\"{nonce}\">")),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn the_index_lists_public_apps() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("secret", "1.0.0", "beta").await;
    site.patch("/api/apps/secret", &json!({"visibility": "unlisted"}))
        .await
        .expect(200);
    let text = site.get("/").await.expect(200).text();
    assert!(
        text.contains("https://get.example.org/dist/install/acme/beta") && !text.contains("secret"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_on_a_page() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    for path in ["/install/nope/beta", "/install/acme/nope"] {
        let answer = site.get(path).await.expect(404);
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
    }
}

#[tokio::test]
async fn an_icon_is_shown_and_is_nothing_but_a_picture() {
    let site = Site::start_with(|config| config.inspector = Arc::new(WithIcon)).await;
    site.publish("acme", "1.0.0", "beta").await;
    let icon = sha256(ICON);
    let path = format!("/install/acme/beta/icon/{icon}");
    let text = page(&site, DESKTOP).await.text();
    assert!(
        text.contains(&format!("src=\"https://get.example.org/dist{path}\"")),
        "{text}"
    );
    for path in [path.clone(), format!("/api/apps/acme/icons/{icon}")] {
        let answer = site.get(&path).await.expect(200);
        assert_eq!(answer.body, ICON);
        for (name, value) in [
            ("content-type", "image/png"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cache-control", "public, max-age=31536000, immutable"),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
        let etag = answer.header("etag");
        let again = site.call(Method::GET, &path).header("if-none-match", etag).send().await;
        assert!(again.expect(304).body.is_empty());
    }
    let other = sha256("acme 1.0.0");
    for path in [
        format!("/install/acme/beta/icon/{other}"),
        format!("/api/apps/acme/icons/{other}"),
    ] {
        assert_eq!(site.get(&path).await.expect(404).code(), "object.not_found");
    }
    assert_eq!(
        site.get(&format!("/download/{icon}")).await.expect(404).code(),
        "object.not_found"
    );
}

#[tokio::test]
async fn what_may_keep_it_from_installing_is_said() {
    let site = Site::start_with(|config| config.inspector = Arc::new(Warned)).await;
    site.publish("acme", "1.0.0", "beta").await;
    let text = page(&site, DESKTOP).await.text();
    assert!(text.contains("<dt>Note</dt><dd>It is &#60;old&#62;.</dd>"), "{text}");
}

/// Warns of every file.
#[derive(Debug)]
struct Warned;

impl Inspector for Warned {
    fn inspect(&self, _: &File, name: &str, _: Timestamp) -> std::io::Result<Inspection> {
        let mut report = dist_inspect::claim(name);
        report.warning("test.old", "It is <old>.", "Make it new.");
        Ok(Inspection { report, icon: None })
    }
}
