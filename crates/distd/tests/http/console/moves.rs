//! Moving channels, yanking releases and publishing drafts from the console.

use dist_model::Role;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Answer, Signed, Site, field};

async fn manager(site: &Site) -> Signed {
    site.person("manager@example.org", Some(Role::Manager), &[]).await
}

/// 1.0.0 and 1.1.0, of which stable offers the first.
async fn two_releases(site: &Site) -> [String; 2] {
    let id = |published: Value| published["release"]["id"].as_str().unwrap().to_owned();
    let first = id(site.publish("acme", "1.0.0", "stable").await);
    [first, id(site.publish("acme", "1.1.0", "beta").await)]
}

/// Begins a draft for a channel, and answers its id.
async fn draft(site: &Site, version: &str, channel: &str) -> String {
    let digest = site.upload(&site.admin, format!("acme {version}")).await;
    let manifest = json!({"app": "acme", "version": version, "channel": channel, "draft": true,
        "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
    let answer = site.post("/api/apps/acme/releases", &manifest).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    answer.json()["release"]["id"].as_str().unwrap().to_owned()
}

/// The version that a channel offers.
async fn offered(site: &Site, channel: &str) -> String {
    let path = format!("/api/apps/acme/channels/{channel}");
    let channel = site.admin_get(&path).await.expect(200).json();
    let version = channel.pointer("/current/version").and_then(Value::as_str);
    version.unwrap_or_default().to_owned()
}

/// Follows a redirect of the console.
async fn follow(site: &Site, person: &Signed, answer: Answer) -> String {
    let answer = answer.expect(303);
    let path = answer.header("location").strip_prefix("/dist").unwrap().to_owned();
    site.open(person, &path).await.expect(200).text()
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_promotion_names_what_changes_and_can_be_undone() {
    let site = Site::start().await;
    let [_, newer] = two_releases(&site).await;
    let manager = manager(&site).await;
    let page = site.open(&manager, "/admin/apps/acme/promote?channel=stable").await;
    let page = page.expect(200).text();
    assert_has(
        &page,
        &[
            "<b>1.0.0</b>",
            "<b>1.1.0</b>",
            "Whoever has 1.0.0 keeps it",
            "Promote 1.1.0 to stable</button>",
        ],
    );
    assert_eq!(
        (field(&page, "revision"), field(&page, "release")),
        ("1".into(), newer.clone())
    );
    let fields = [("release", &*newer), ("channel", "stable"), ("revision", "1")];
    let moved = site.submit(&manager, "/admin/apps/acme/promote", &fields).await;
    let page = follow(&site, &manager, moved).await;
    assert_has(
        &page,
        &[
            "stable now offers 1.1.0; before, it was 1.0.0.",
            "data-dialog href=\"/dist/admin/apps/acme/channels/stable/rollback\">Undo…",
        ],
    );
    assert_eq!(offered(&site, "stable").await, "1.1.0");
    let audit = site.admin_get("/api/audit?action=channel.promoted").await.json();
    assert_eq!(audit["items"][0]["actor"], "user:manager@example.org");
}

#[tokio::test]
async fn nothing_is_promoted_to_where_it_stands() {
    let site = Site::start().await;
    two_releases(&site).await;
    let manager = manager(&site).await;
    let path = "/admin/apps/acme/promote";
    let page = site
        .open(&manager, &format!("{path}?channel=beta"))
        .await
        .expect(200)
        .text();
    assert_has(&page, &["beta offers 1.1.0 already", "<details class=\"fold\" open>"]);
    assert!(!page.contains("button-primary"), "{page}");
    let usual = site.open(&manager, path).await.expect(200).text();
    assert_has(&usual, &["Promote 1.1.0 to stable</button>"]);
}

#[tokio::test]
async fn the_first_promotion_to_a_channel_makes_it() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "x").await;
    let manifest = json!({"app": "acme", "version": "1.0.0",
        "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
    let release = site.post("/api/apps/acme/releases", &manifest).await.expect(201).json();
    let release = release["release"]["id"].as_str().unwrap();
    let manager = manager(&site).await;
    let path = format!("/admin/apps/acme/promote?release={release}");
    let page = site.open(&manager, &path).await.expect(200).text();
    assert_has(
        &page,
        &[
            "name a channel",
            &format!("<option value=\"{release}\" selected>"),
            "name=\"channel\"",
        ],
    );
    let page = site
        .open(&manager, &format!("{path}&channel=stable"))
        .await
        .expect(200)
        .text();
    assert_has(&page, &["stable offers nothing yet; from now on it offers 1.0.0."]);
    let fields = [("release", release), ("channel", "stable"), ("revision", "0")];
    let moved = site.submit(&manager, "/admin/apps/acme/promote", &fields).await;
    assert_has(&follow(&site, &manager, moved).await, &["stable now offers 1.0.0.</p>"]);
}

#[tokio::test]
async fn a_rollback_says_where_it_leads_and_can_be_undone() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "1.1.0", "beta").await;
    let manager = manager(&site).await;
    let path = "/admin/apps/acme/channels/beta/rollback";
    let page = site.open(&manager, path).await.expect(200).text();
    assert_has(
        &page,
        &[
            "Roll beta back to 1.0.0</button>",
            "1.0.0 is older",
            "Whoever has 1.1.0 keeps it",
        ],
    );
    let moved = site.submit(&manager, path, &[("revision", "2")]).await;
    let page = follow(&site, &manager, moved).await;
    assert_has(
        &page,
        &[
            "beta now offers 1.0.0; before, it was 1.1.0.",
            "/promote?channel=beta&#38;release=",
        ],
    );
    assert_eq!(offered(&site, "beta").await, "1.0.0");
    let nowhere = site.open(&manager, path).await.expect(409);
    assert!(nowhere.text().contains("channel.no_previous"), "{}", nowhere.text());
}

#[tokio::test]
async fn a_channel_that_somebody_moved_meanwhile_is_shown_anew_and_stays() {
    let site = Site::start().await;
    let [older, newer] = two_releases(&site).await;
    let manager = manager(&site).await;
    site.publish("acme", "1.2.0", "stable").await;
    let fields = [("release", &*newer), ("channel", "stable"), ("revision", "1")];
    let refused = site
        .submit(&manager, "/admin/apps/acme/promote", &fields)
        .await
        .expect(412);
    assert_has(
        &refused.text(),
        &["somebody moved it", "<b>1.2.0</b>", "name=\"revision\" value=\"2\""],
    );
    let path = "/admin/apps/acme/channels/stable/rollback";
    let refused = site.submit(&manager, path, &[("revision", "1")]).await.expect(412);
    assert_has(&refused.text(), &["somebody moved it", "Roll stable back to 1.0.0"]);
    let path = format!("/admin/apps/acme/releases/{older}/yank");
    let fields = [("channel", "stable"), ("revision", "1")];
    let refused = site.submit(&manager, &path, &fields).await.expect(412);
    assert_has(&refused.text(), &["somebody moved one", "No channel points at it now"]);
    assert_eq!(offered(&site, "stable").await, "1.2.0");
}

#[tokio::test]
async fn who_only_looks_moves_nothing() {
    let site = Site::start().await;
    let [_, newer] = two_releases(&site).await;
    let draft = draft(&site, "2.0.0", "beta").await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let before = site.actions().await;
    let release = format!("/admin/apps/acme/releases/{newer}");
    let draft = format!("/admin/apps/acme/releases/{draft}");
    let channel = "/admin/apps/acme/channels/stable";
    let fields = [("release", &*newer), ("channel", "stable"), ("revision", "1")];
    for path in [
        "/admin/apps/acme/promote".to_owned(),
        format!("{channel}/rollback"),
        format!("{release}/yank"),
        format!("{draft}/publish"),
        format!("{draft}/discard"),
    ] {
        site.open(&viewer, &path).await.expect(403);
        site.submit(&viewer, &path, &fields).await.expect(403);
    }
    for path in ["/admin/apps/acme".to_owned(), channel.to_owned(), release] {
        let page = site.open(&viewer, &path).await.expect(200).text();
        for action in ["Promote…", "Roll back…", "Yank…", "Settings", "Make a link"] {
            assert!(!page.contains(action), "{action} on {path}");
        }
    }
    let refusals_aside = |actions: Vec<String>| {
        let others = actions.into_iter().filter(|action| action != "access.refused");
        others.collect::<Vec<_>>()
    };
    assert_eq!(refusals_aside(site.actions().await), refusals_aside(before));
}

#[tokio::test]
async fn forms_of_other_sites_move_nothing() {
    let site = Site::start().await;
    let [_, newer] = two_releases(&site).await;
    let manager = manager(&site).await;
    let fields = [("release", &*newer), ("channel", "stable"), ("revision", "1")];
    let path = "/admin/apps/acme/promote";
    let without_token = site
        .call(Method::POST, path)
        .person(&manager)
        .form(&fields)
        .send()
        .await;
    without_token.expect(403);
    let with_token = [&fields[..], &[("csrf", &*manager.csrf)]].concat();
    let elsewhere = site.call(Method::POST, path).header("cookie", &manager.cookie);
    let elsewhere = elsewhere
        .header("sec-fetch-site", "cross-site")
        .form(&with_token)
        .send()
        .await;
    elsewhere.expect(403);
    assert_eq!(offered(&site, "stable").await, "1.0.0");
}

#[tokio::test]
async fn a_yank_takes_its_channels_back() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let second = site.publish("acme", "1.1.0", "beta").await;
    let manager = manager(&site).await;
    let release = format!(
        "/admin/apps/acme/releases/{}",
        second["release"]["id"].as_str().unwrap()
    );
    let path = format!("{release}/yank");
    let page = site.open(&manager, &path).await.expect(200).text();
    assert_has(
        &page,
        &[
            "beta offers",
            "<b>1.0.0</b>",
            "Yank 1.1.0 and roll back</button>",
            "cannot be undone",
        ],
    );
    let fields = [("channel", "beta"), ("revision", "2"), ("reason", "it <b>burns</b>")];
    let yanked = site.submit(&manager, &path, &fields).await;
    let page = follow(&site, &manager, yanked).await;
    assert_has(
        &page,
        &[
            "The release is yanked",
            "chip-yanked",
            "it &#60;b&#62;burns&#60;/b&#62;",
            "until <time",
        ],
    );
    assert_eq!(offered(&site, "beta").await, "1.0.0");

    let first = site.admin_get("/api/apps/acme/releases/1.0.0").await.json();
    let path = format!("/admin/apps/acme/releases/{}/yank", first["id"].as_str().unwrap());
    let page = site.open(&manager, &path).await.expect(200).text();
    assert_has(&page, &["no earlier release", "Promote another release"]);
    assert!(!page.contains("button-danger"), "{page}");
}

#[tokio::test]
async fn a_draft_is_published_or_thrown_away() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let manager = manager(&site).await;
    let path = format!(
        "/admin/apps/acme/releases/{}/publish",
        draft(&site, "1.1.0", "beta").await
    );
    let page = site.open(&manager, &path).await.expect(200).text();
    assert_has(
        &page,
        &[
            "Publish 1.1.0 to beta</button>",
            "1 file: Linux",
            "Whoever has 1.0.0 keeps it",
        ],
    );
    let stale = site
        .submit(&manager, &path, &[("channel", "beta"), ("revision", "0")])
        .await
        .expect(412);
    assert_has(&stale.text(), &["somebody moved it"]);
    let published = site
        .submit(&manager, &path, &[("channel", "beta"), ("revision", "1")])
        .await;
    let page = follow(&site, &manager, published).await;
    assert_has(&page, &["beta now offers 1.1.0; before, it was 1.0.0."]);

    let draft = draft(&site, "1.2.0", "beta").await;
    let path = format!("/admin/apps/acme/releases/{draft}/discard");
    assert_has(
        &site.open(&manager, &path).await.expect(200).text(),
        &["1.2.0", "Discard the draft</button>"],
    );
    let discarded = site.submit(&manager, &path, &[]).await;
    assert_has(&follow(&site, &manager, discarded).await, &["The draft is gone"]);
    site.open(&manager, &format!("/admin/apps/acme/releases/{draft}"))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_draft_for_a_channel_that_takes_none_says_why() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "stable").await;
    site.patch("/api/apps/acme/channels/stable", &json!({"policy": "promote_only"}))
        .await
        .expect(200);
    let manager = manager(&site).await;
    let path = format!(
        "/admin/apps/acme/releases/{}/publish",
        draft(&site, "1.1.0", "stable").await
    );
    let page = site.open(&manager, &path).await.expect(200).text();
    assert!(
        page.contains("flash-failed") && !page.contains("button-primary"),
        "{page}"
    );
    let other = site
        .open(&manager, &format!("{path}?channel=beta"))
        .await
        .expect(200)
        .text();
    assert_has(&other, &["Publish 1.1.0 to beta</button>", "offers nothing yet"]);
}

#[tokio::test]
async fn an_address_puts_no_words_into_a_page() {
    let site = Site::start().await;
    two_releases(&site).await;
    let manager = manager(&site).await;
    for query in [
        "done=moved&channel=stable&revision=99",
        "done=moved&channel=%3Cb%3E&revision=1",
        "done=Call+0800+now",
    ] {
        let page = site
            .open(&manager, &format!("/admin/apps/acme?{query}"))
            .await
            .expect(200)
            .text();
        assert!(!page.contains("class=\"flash"), "{query}: {page}");
    }
    site.publish("acme", "1.2.0", "stable").await;
    let late = site
        .open(&manager, "/admin/apps/acme?done=moved&channel=stable&revision=1")
        .await;
    assert_has(&late.text(), &["stable was moved again since."]);
}

#[tokio::test]
async fn a_promotion_of_nothing_says_why() {
    let site = Site::start().await;
    draft(&site, "1.0.0", "beta").await;
    let manager = manager(&site).await;
    let page = site.open(&manager, "/admin/apps/acme/promote").await.expect(200).text();
    assert_has(&page, &["no release is published"]);
    site.publish("acme", "1.1.0", "beta").await;
    let page = site.open(&manager, "/admin/apps/acme/promote").await.expect(200).text();
    assert_has(&page, &["every channel that is there offers it already"]);
}
