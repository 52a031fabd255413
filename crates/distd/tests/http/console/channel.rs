//! The page of a channel: its history, and its tester links.

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
async fn a_channel_tells_what_it_offered_and_who_moved_it() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "1.1.0", "beta").await;
    site.post("/api/apps/acme/channels/beta/rollback", &json!({}))
        .await
        .expect(200);
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let path = "/admin/apps/acme/channels/beta";
    let page = site.open(&viewer, path).await.expect(200).text();
    let (standing, history) = page.split_once("<h2>History</h2>").unwrap();
    assert_has(
        standing,
        &["<dd>3</dd>", ">1.0.0</a>", "rolled back by", "keeps all releases"],
    );
    let (now, earlier) = history.split_once("revision 2").unwrap();
    assert_has(
        now,
        &[
            "<li class=\"now\">",
            ">1.0.0</a>",
            "rolled back",
            "revision 3",
            "what changed",
        ],
    );
    assert_has(earlier, &[">1.0.0</a>", "published", "revision 1"]);
}

#[tokio::test]
async fn a_channel_tells_what_it_was_on_a_day() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "1.1.0", "beta").await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let path = "/admin/apps/acme/channels/beta";
    let today = site.service.now().day();
    let page = site
        .open(&viewer, &format!("{path}?on={today}"))
        .await
        .expect(200)
        .text();
    assert_has(
        &page,
        &[
            &format!("On {today} beta offered <b>"),
            ">1.1.0</a></b>: published by",
            "and it still does.",
        ],
    );
    let before = site
        .open(&viewer, &format!("{path}?on=2001-01-31"))
        .await
        .expect(200)
        .text();
    assert_has(&before, &["On 2001-01-31 beta offered nothing yet."]);
    let wrong = site.open(&viewer, &format!("{path}?on=tuesday")).await;
    assert!(
        wrong.status.is_client_error() && wrong.text().contains("2026-01-31"),
        "{}",
        wrong.text()
    );
}

#[tokio::test]
async fn a_tester_link_is_shown_once_opens_the_channel_and_is_cut_off() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.patch("/api/apps/acme", &json!({"visibility": "private"}))
        .await
        .expect(200);
    let manager = site.person("manager@example.org", Some(Role::Manager), &[]).await;
    let path = "/admin/apps/acme/channels/beta";
    let wrong = [("note", "Ann"), ("expires", "soon")];
    site.submit(&manager, &format!("{path}/links"), &wrong)
        .await
        .expect(422);
    let fields = [("note", "Ann <ann@example.org>"), ("expires", "7d")];
    let made = site
        .submit(&manager, &format!("{path}/links"), &fields)
        .await
        .expect(200);
    assert_eq!(made.header("cache-control"), "no-store");
    let text = made.text();
    assert_has(
        &text,
        &[
            "data-copy=\"https://get.example.org/dist/install/acme/beta?link=",
            "<svg viewBox",
            "Ann &#60;ann",
        ],
    );
    let secret = text.split_once("?link=").unwrap().1[..64].to_owned();
    let install = format!("/install/acme/beta?link={secret}");
    site.get(&install).await.expect(200);

    let page = site.open(&manager, path).await.expect(200).text();
    assert_has(&page, &["Ann &#60;ann", "chip-active"]);
    assert!(!page.contains(&secret), "the secret is shown once");
    let revoke = page
        .split("href=\"/dist")
        .find(|link| link.contains("/revoke\""))
        .unwrap();
    let revoke = revoke.split_once('"').unwrap().0.to_owned();
    assert_has(
        &site.open(&manager, &revoke).await.expect(200).text(),
        &["Ann &#60;ann", "Revoke</button>"],
    );
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    site.submit(&viewer, &revoke, &[]).await.expect(403);
    site.get(&install).await.expect(200);
    let revoked = site.submit(&manager, &revoke, &[]).await.expect(303);
    assert_eq!(
        revoked.header("location"),
        "/dist/admin/apps/acme/channels/beta?done=revoked#links"
    );
    assert_has(&site.open(&manager, path).await.text(), &["chip-revoked"]);
    let ended = site.get(&install).await;
    assert!(ended.status.is_client_error(), "{}", ended.text());
    site.submit(&manager, &revoke, &[]).await.expect(409);
}
