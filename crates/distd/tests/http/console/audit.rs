//! The audit log at the console, and as a file.

use dist_model::{AppChanges, Role};
use dist_service::{Caller, Principal};
use futures_util::future::join_all;
use serde_json::Value;

use crate::common::Site;

#[tokio::test]
async fn what_happened_is_told_in_sentences_with_links() {
    let site = Site::start().await;
    let release = site.publish("acme", "1.0.0", "beta").await;
    let manager = site.person("manager@example.org", Some(Role::Manager), &[]).await;
    let page = site
        .open(&manager, "/admin/audit?action=channel.")
        .await
        .expect(200)
        .text();
    let id = release["release"]["id"].as_str().unwrap();
    for part in [
        "<bdi> published </bdi><a href=\"/dist/admin/apps/acme\">acme</a>",
        &format!("<a href=\"/dist/admin/apps/acme/releases/{id}\"><bdi>1.0.0</bdi></a>"),
        "<a href=\"/dist/admin/apps/acme/channels/beta\">beta</a>",
        "<code>channel.published</code>",
        "<option value=\"channel.\" selected>channel.*</option>",
        "/dist/admin/audit.csv?action=channel.\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("<code>release.published</code>"), "{page}");
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("other", "1.0.0", "beta").await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let count = async |query: &str| {
        let page = site
            .open(&admin, &format!("/admin/audit?{query}"))
            .await
            .expect(200)
            .text();
        page.matches("<summary").count()
    };
    assert_eq!(count("action=release.published").await, 2);
    assert_eq!(count("action=release.published&app=acme").await, 1);
    assert_eq!(
        count("app=&actor=&action=release.published&target=&since=&until=").await,
        2
    );
    assert_eq!(count("actor=token:nobody").await, 0);
    assert_eq!(count("since=2020-01-01&action=release.published").await, 2);
    assert_eq!(count("until=2020-01-01").await, 0);
    assert_eq!(count("target=beta&action=channel.published").await, 2);
    for (query, status) in [
        ("since=yesterday", 422),
        ("app=A%20b", 422),
        ("before=x", 400),
        ("app=nope", 404),
    ] {
        let answer = site.open(&admin, &format!("/admin/audit?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
    }
}

#[tokio::test]
async fn pages_lead_both_ways_and_keep_the_filter() {
    let site = Site::start().await;
    let local = Caller::new(Principal::Local(0));
    let made = (0..60).map(|number| {
        let slug = format!("app-{number}").parse().unwrap();
        site.service.create_app(&local, slug, AppChanges::default(), None)
    });
    assert!(join_all(made).await.iter().all(Result::is_ok));
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let link = |page: &str, rel: &str| {
        let rest = page.split_once(&format!("rel=\"{rel}\" href=\"")).map(|(_, rest)| rest);
        rest.map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&"))
    };
    let open = async |query: &str| {
        site.open(&admin, &format!("/admin/audit{query}"))
            .await
            .expect(200)
            .text()
    };
    let first = open("?action=app.created").await;
    assert_eq!((first.matches("<summary").count(), link(&first, "prev")), (50, None));
    let second = open(&link(&first, "next").unwrap()).await;
    assert_eq!((second.matches("<summary").count(), link(&second, "next")), (10, None));
    assert!(!second.contains("hx-trigger=\"live"), "an old page is not refreshed");
    let back = open(&link(&second, "prev").unwrap()).await;
    let summaries = |page: &str| {
        page.split("Data of event ")
            .skip(1)
            .map(|part| part.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(summaries(&back), summaries(&first));
}

#[tokio::test]
async fn viewers_read_the_log_of_an_app() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let viewer = site.person("viewer@example.org", None, &[("acme", Role::Viewer)]).await;
    let choose = site.open(&viewer, "/admin/audit").await.expect(200).text();
    assert!(
        choose.contains("Choose an app") && !choose.contains("<summary"),
        "{choose}"
    );
    let log = site.open(&viewer, "/admin/audit?app=acme").await.expect(200).text();
    assert!(
        log.contains("release.published") && !log.contains("token.created"),
        "{log}"
    );
    site.open(&viewer, "/admin/audit?app=other").await.expect(403);
    site.open(&viewer, "/admin/audit.csv").await.expect(403);
    site.open(&viewer, "/admin/audit.csv?app=acme").await.expect(200);
}

#[tokio::test]
async fn exports_hold_every_event_once_however_many_there_are() {
    const APPS: usize = 1200;
    let site = Site::start().await;
    let local = Caller::new(Principal::Local(0));
    let made = (0..APPS).map(|number| {
        let changes = AppChanges {
            display_name: Some(format!("=1+{number}, \"quoted\"")),
            ..AppChanges::default()
        };
        let slug = format!("app-{number}").parse().unwrap();
        site.service.create_app(&local, slug, changes, None)
    });
    assert!(join_all(made).await.iter().all(Result::is_ok));
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;

    let answer = site
        .open(&admin, "/admin/audit.jsonl?action=app.created")
        .await
        .expect(200);
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"audit.jsonl\""
    );
    // Its length is not known before its end: it is sent as it is read.
    assert_eq!(
        (answer.header("transfer-encoding"), answer.header("content-length")),
        ("chunked", "")
    );
    let ids: Vec<u64> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), APPS);
    assert!(ids.is_sorted_by(|a, b| a > b), "newest first, each once");

    let answer = site
        .open(&admin, "/admin/audit.csv?action=app.created")
        .await
        .expect(200);
    assert!(answer.header("content-type").starts_with("text/csv"));
    let text = answer.text();
    let mut lines = text.split_terminator("\r\n");
    assert_eq!(
        lines.next(),
        Some("id,created_at,actor,action,target_type,target_id,metadata")
    );
    let line = lines.next().unwrap();
    assert!(
        line.contains(",local:0,app.created,app,") && line.contains(",\"{\"\"app\"\":{"),
        "{line}"
    );
    assert_eq!(lines.count(), APPS - 1);
}

#[tokio::test]
async fn an_export_of_nothing_has_its_head() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let csv = site
        .open(&admin, "/admin/audit.csv?actor=token:nobody")
        .await
        .expect(200);
    assert_eq!(
        csv.text(),
        "id,created_at,actor,action,target_type,target_id,metadata\r\n"
    );
    let jsonl = site
        .open(&admin, "/admin/audit.jsonl?actor=token:nobody")
        .await
        .expect(200);
    assert_eq!(jsonl.text(), "");
}
