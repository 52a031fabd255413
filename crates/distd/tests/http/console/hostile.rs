//! Text of others is text on every page of the console.

use dist_model::Role;
use serde_json::json;

use crate::common::Site;

const SCRIPT: &str = "\"><script>alert(1)</script>";
const FILE: &str = "\"><img src=x onerror=alert(1)>.bin";

#[tokio::test]
async fn names_notes_and_metadata_are_text_wherever_they_appear() {
    let site = Site::start().await;
    let admin = site.person("\"><b>@example.org", Some(Role::Admin), &[]).await;
    let digest = site.upload(&site.admin, "x").await;
    let mut ids = Vec::new();
    for version in ["1.0.0", "1.1.0"] {
        let manifest = json!({
            "app": "acme", "display_name": SCRIPT, "version": version, "channel": "beta", "notes": SCRIPT,
            "source": {"commit": SCRIPT, "branch": SCRIPT, "run_url": format!("https://ci/{SCRIPT}")},
            "artifacts": [{"platform": "linux", "arch": "x86_64", "filename": FILE, "sha256": digest,
                "metadata": {SCRIPT: SCRIPT, "list": [SCRIPT, SCRIPT, SCRIPT, SCRIPT, SCRIPT]}}],
        });
        let answer = site.post("/api/apps/acme/releases", &manifest).await.expect(201).json();
        ids.push(answer["release"]["id"].as_str().unwrap().to_owned());
    }
    site.patch("/api/apps/acme", &json!({"owner": SCRIPT}))
        .await
        .expect(200);
    let links = "/admin/apps/acme/channels/beta/links";
    let made = site
        .submit(&admin, links, &[("note", SCRIPT), ("expires", "7d")])
        .await
        .expect(200);
    let (older, newer) = (&ids[0], &ids[1]);
    let draft = json!({"app": "acme", "version": "2.0.0", "channel": "beta", "draft": true,
        "artifacts": [{"platform": "linux", "filename": FILE, "sha256": digest}]});
    let draft = site.post("/api/apps/acme/releases", &draft).await.json();
    let draft = draft["release"]["id"].as_str().unwrap();
    let mut pages = vec![("link".to_owned(), made.text())];
    for path in [
        String::new(),
        "?q=%22%3E%3Cscript%3E".to_owned(),
        "/apps/acme".to_owned(),
        "/apps/acme?q=%22%3E%3Cscript%3E&status=&platform=".to_owned(),
        "/apps/acme/settings".to_owned(),
        "/apps/acme/compare".to_owned(),
        "/apps/acme/promote?channel=stable".to_owned(),
        format!("/apps/acme/releases/{older}"),
        format!("/apps/acme/releases/{newer}/yank"),
        format!("/apps/acme/releases/{draft}/publish"),
        format!("/apps/acme/releases/{draft}/discard"),
        "/apps/acme/channels/beta".to_owned(),
        "/apps/acme/channels/beta/rollback".to_owned(),
    ] {
        let page = site.open(&admin, &format!("/admin{path}")).await.expect(200).text();
        pages.push((path, page));
    }
    let reason = [("channel", "beta"), ("revision", "2"), ("reason", SCRIPT)];
    site.submit(&admin, &format!("/admin/apps/acme/releases/{newer}/yank"), &reason)
        .await
        .expect(303);
    for path in [format!("/apps/acme/releases/{newer}"), String::new()] {
        let page = site.open(&admin, &format!("/admin{path}")).await.expect(200).text();
        assert!(page.contains("&#34;&#62;&#60;script&#62;"), "{path}: {page}");
        pages.push((path, page));
    }
    for (path, page) in pages {
        for breaking in ["<script>", "<img src=x", "<b>@", "\">\"", "href=\"javascript"] {
            assert!(!page.contains(breaking), "{breaking} on {path}: {page}");
        }
        assert!(
            !page.contains(" style=") && !page.contains(" onerror=alert(1)>"),
            "{path}: {page}"
        );
    }
}
