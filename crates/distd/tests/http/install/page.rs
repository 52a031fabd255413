//! What stands on a channel's page beside its actions.

use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::{ANDROID, IPHONE, LINUX, MAC, WINDOWS, has, lacks, page, publish, with_reports};
use crate::common::{ICON, Site, WithIcon, sha256};

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
    let order = |text: &str| (text.find(">Android").unwrap(), text.find(">Linux").unwrap());
    let text = page(&site, LINUX).await.text();
    let (android, linux) = order(&text);
    assert!(linux < android, "{text}");
    has(
        &text,
        &[&apk, "acme.apk", "1.0.0", "KiB", "9 B", "<svg", "(this device)"],
    );
    lacks(&text, &["<login>"]);
    let text = page(&site, ANDROID).await.text();
    let (android, linux) = order(&text);
    assert!(android < linux, "{text}");
    lacks(&text, &["<svg"]);
    let text = page(&site, WINDOWS).await.text();
    has(
        &text,
        &[
            "There is nothing for Windows in this version",
            "<details class=\"platform\" open>",
        ],
    );
}

/// An iPad says that it is a Mac.
#[tokio::test]
async fn an_ipad_does_not_read_that_there_is_nothing_for_it() {
    let site = with_reports(|_, _| {}).await;
    publish(&site, "1.0.0", &[("ios", "acme.ipa")]).await;
    let text = page(&site, MAC).await.text();
    has(&text, &["<details class=\"platform\" open>", "iPhone and iPad"]);
    lacks(&text, &["There is nothing for"]);
}

#[tokio::test]
async fn where_nothing_is_seen_one_may_sign_in() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let visibility = json!({"visibility": "private"});
    site.patch("/api/apps/acme", &visibility).await.expect(200);
    let text = site.get("/install/acme/beta").await.expect(404).text();
    has(&text, &["href=\"/dist/admin/sign-in?next=%2Finstall%2Facme%2Fbeta\""]);
    let text = site.admin_get("/install/acme/nope").await.expect(404).text();
    lacks(&text, &["sign-in"]);
}

#[tokio::test]
async fn only_phones_have_use_for_a_code() {
    let site = Site::start().await;
    publish(&site, "1.0.0", &[("linux", "acme.bin")]).await;
    lacks(&page(&site, MAC).await.text(), &["<svg", "On a phone"]);
}

#[tokio::test]
async fn notes_are_markdown_without_html() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "x").await;
    let notes = "# New\n\n- **fast** [run](https://ci.example.org/1)\n- <b onclick=x>bold</b> ![p](https://x/y.png)";
    let manifest = json!({"app": "acme", "version": "1.0.0", "channel": "beta", "notes": notes,
        "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    // Made once, and answered again.
    for _ in 0..2 {
        let text = page(&site, LINUX).await.text();
        let link = "<a rel=\"nofollow noopener noreferrer\" href=\"https://ci.example.org/1\">run</a>";
        has(
            &text,
            &["<h3>New</h3>", "<strong>fast</strong>", link, "&#60;b onclick=x&#62;"],
        );
        lacks(&text, &["<b onclick", "y.png"]);
    }
}

#[tokio::test]
async fn the_channels_last_moves_are_told_and_not_who_moved_it() {
    let site = Site::start().await;
    for number in 1..=12 {
        let files: &[_] = if number == 12 {
            &[("linux", "acme.bin"), ("windows", "acme.exe.txt")]
        } else {
            &[("linux", "acme.bin")]
        };
        publish(&site, &format!("1.{number}.0"), files).await;
    }
    site.call(Method::POST, "/api/apps/acme/channels/beta/rollback")
        .token(&site.admin)
        .body("{}")
        .send()
        .await
        .expect(200);
    site.call(Method::POST, "/api/apps/acme/releases/1.12.0/yank")
        .token(&site.admin)
        .body("{}")
        .send()
        .await
        .expect(200);
    let text = page(&site, LINUX).await.text();
    let history = text.split("class=\"history\"").nth(1).unwrap();
    assert_eq!(history.matches("<tr><td>").count(), 10, "{history}");
    has(
        history,
        &[
            "1.11.0 <b class=\"good\">now</b>",
            "1.12.0 <b class=\"bad\">withdrawn</b>",
            "rolled back",
            "Linux, Windows",
        ],
    );
    lacks(history, &["token", ">1.3.0<"]);
}

#[tokio::test]
async fn other_sites_can_show_a_preview() {
    let site = Site::start_with(|config| config.inspector = Arc::new(WithIcon)).await;
    publish(&site, "1.0.0", &[("linux", "acme.bin")]).await;
    let text = page(&site, LINUX).await.text();
    let url = "https://get.example.org/dist/install/acme/beta";
    let icon = format!("{url}/icon/{}", sha256(ICON));
    has(
        &text,
        &[
            "<title>Acme 1.0.0</title>",
            "<meta property=\"og:title\" content=\"Acme 1.0.0\">",
            "<meta property=\"og:description\" content=\"Acme 1.0.0 for Linux.\">",
            &format!("<meta property=\"og:url\" content=\"{url}\">"),
            &format!("<meta property=\"og:image\" content=\"{icon}\">"),
            &format!("<link rel=\"icon\" href=\"{icon}\">"),
        ],
    );
    lacks(&text, &["noindex"]);
    let visibility = json!({"visibility": "unlisted"});
    site.patch("/api/apps/acme", &visibility).await.expect(200);
    let text = page(&site, LINUX).await.text();
    has(&text, &["<meta name=\"robots\" content=\"noindex\">"]);
    lacks(&text, &["All apps"]);
}

#[tokio::test]
async fn an_icon_is_shown_and_is_nothing_but_a_picture() {
    let site = Site::start_with(|config| config.inspector = Arc::new(WithIcon)).await;
    site.publish("acme", "1.0.0", "beta").await;
    let icon = sha256(ICON);
    let path = format!("/install/acme/beta/icon/{icon}");
    let text = page(&site, LINUX).await.text();
    has(
        &text,
        &[&format!(
            "src=\"https://get.example.org/dist{path}\" alt=\"\" width=\"72\" height=\"72\""
        )],
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
async fn what_may_keep_it_from_working_is_said() {
    let site = with_reports(|_, report| report.warning("test.old", "It is <old>.", "Make it new.")).await;
    site.publish("acme", "1.0.0", "beta").await;
    has(&page(&site, LINUX).await.text(), &["<b>Note:</b> It is &#60;old&#62;."]);
}

/// Style and script are in the page, so that there is nothing else to load.
#[tokio::test]
async fn a_page_with_all_platforms_is_under_30_kilobytes() {
    let site = with_reports(|_, report| {
        report.warning("test.warning", "Something that is told in a sentence.", "Help.");
    })
    .await;
    let files: Vec<(&str, String)> = [
        ("android_apk", "arm64.apk"),
        ("android_aab", "acme.aab"),
        ("ios", "acme.ipa"),
        ("macos", "macos-arm64.dmg"),
        ("macos", "macos-x86_64.dmg"),
        ("macos", "acme.pkg"),
        ("linux", "linux-x86_64.AppImage"),
        ("linux", "amd64.deb"),
        ("linux", "arm64.deb"),
        ("linux", "x86_64.rpm"),
        ("linux", "linux-x86_64.tar.gz"),
        ("windows", "windows-x86_64.exe"),
        ("windows", "windows-arm64.exe"),
        ("windows", "acme.msi"),
    ]
    .into_iter()
    .map(|(platform, name)| (platform, format!("acme-desktop-2.4.0-rc.1-{name}")))
    .collect();
    for number in 1..10 {
        publish(&site, &format!("0.{number}.0"), &[("linux", "acme.bin")]).await;
    }
    let mut artifacts = Vec::new();
    for (platform, filename) in &files {
        let sha256 = site.upload(&site.admin, filename.clone()).await;
        artifacts.push(json!({"platform": platform, "filename": filename, "sha256": sha256}));
    }
    let notes =
        "- A change that is told in a line of some length, with a [link](https://example.org/1).\n".repeat(2000);
    let manifest =
        json!({"app": "acme", "version": "1.0.0", "channel": "beta", "notes": notes, "artifacts": artifacts});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    for agent in [ANDROID, IPHONE, MAC, LINUX, WINDOWS] {
        let answer = page(&site, agent).await;
        let text = answer.text();
        assert!(answer.body.len() < 30_000, "{}", answer.body.len());
        lacks(&text, &["<script src", "stylesheet", "@import", "url("]);
        has(&text, &["The notes are longer than what is shown here."]);
    }
}

#[tokio::test]
async fn a_shell_has_none_of_the_visitors_rights() {
    let site = with_reports(|_, _| {}).await;
    publish(&site, "1.0.0", &[("linux", "acme.deb")]).await;
    has(
        &page(&site, LINUX).await.text(),
        &["curl -fLo acme.deb", "sudo apt install ./acme.deb"],
    );
    let visibility = json!({"visibility": "private"});
    site.patch("/api/apps/acme", &visibility).await.expect(200);
    let text = site.admin_get("/install/acme/beta").await.expect(200).text();
    has(&text, &["/download/", "sudo apt install ./acme.deb"]);
    lacks(&text, &["curl "]);
}
