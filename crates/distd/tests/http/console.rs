//! The console's frame: what is true of every page of it.

mod app;
mod audit;
mod channel;
mod downloads;
mod hostile;
mod live;
mod moves;
mod release;
mod search;
mod storage;
mod tokens;

use dist_model::Role;
use http::Method;
use serde_json::json;

use crate::common::{Answer, Site};

/// The page as a viewer gets it.
async fn page(site: &Site, path: &str) -> Answer {
    let email = format!("viewer-{}@example.org", site.service.now().as_millis());
    let viewer = site.person(&email, Some(Role::Viewer), &[]).await;
    site.open(&viewer, path).await.expect(200)
}

#[tokio::test]
async fn apps_are_listed_with_what_is_out() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "1.1.0", "nightly").await;
    let text = page(&site, "/admin").await.text();
    for part in [
        "href=\"/dist/admin/apps/acme\"",
        "href=\"/dist/admin/apps/acme/channels/beta\"",
        ">1.0.0</a></b>",
        ">1.1.0</a></b>",
        "class=\"chip chip-passed\"",
        "<time datetime=\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_new_server_tells_how_to_publish() {
    let site = Site::start().await;
    let text = page(&site, "/admin").await.text();
    assert!(
        text.contains("dist ci publish --server https://get.example.org/dist "),
        "{text}"
    );
}

#[tokio::test]
async fn pages_run_nothing_but_their_own_scripts() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let answer = page(&site, "/admin").await;
    let text = answer.text();
    let policy = answer.header("content-security-policy");
    let nonce = policy.split("nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self' data:; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    );
    for (name, value) in [
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(text.matches(&format!("nonce=\"{nonce}\"")).count(), 3, "{text}");
    for forbidden in [" style=", " onclick=", "<style", "hx-on", "hx-vals=\"js:"] {
        assert!(!text.contains(forbidden), "{forbidden} in {text}");
    }
    let other = page(&site, "/admin").await;
    assert_ne!(policy, other.header("content-security-policy"));
}

#[tokio::test]
async fn what_pages_load_is_there_and_kept_for_ever() {
    let site = Site::start().await;
    let text = page(&site, "/admin").await.text();
    let paths: Vec<_> = text
        .split('"')
        .filter_map(|part| part.strip_prefix("/dist/assets/"))
        .collect();
    assert_eq!(paths.len(), 3, "{text}");
    for path in paths {
        let answer = site.get(&format!("/assets/{path}")).await.expect(200);
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        let of_another_version = path.split_once('/').unwrap().1;
        site.get(&format!("/assets/0123456789abcdef/{of_another_version}"))
            .await
            .expect(404);
    }
    site.get("/assets/0123456789abcdef/..%2f..%2fdist.db").await.expect(404);
}

#[tokio::test]
async fn htmx_gets_the_inside_of_a_page() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let ask = |header| {
        let call = site.call(Method::GET, "/admin").person(&viewer);
        call.header("hx-request", "true").header(header, "true").send()
    };
    let inside = ask("hx-current-url").await.expect(200).text();
    assert!(
        inside.contains(">1.0.0</a></b>") && inside.contains("<h1>") && !inside.contains("<html"),
        "{inside}"
    );
    let restored = ask("hx-history-restore-request").await.expect(200).text();
    assert!(restored.contains("<html"), "{restored}");
}

#[tokio::test]
async fn refusals_below_admin_are_pages() {
    let site = Site::start().await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let stranger = site.get("/admin/nothing/here").await.expect(404);
    let lost = site.open(&viewer, "/admin/nothing/here").await.expect(404);
    let refused = site.open(&viewer, "/admin/people").await.expect(403);
    assert!(!stranger.text().contains("Sign out") && lost.text().contains("Sign out"));
    for (answer, code) in [
        (stranger, "route.not_found"),
        (lost, "route.not_found"),
        (refused, "auth.role"),
    ] {
        assert!(answer.header("content-type").starts_with("text/html"), "{code}");
        assert!(answer.header("content-security-policy").contains("nonce-"), "{code}");
        assert!(answer.text().contains(code), "{}", answer.text());
    }
    assert_eq!(site.get("/administer").await.expect(404).code(), "route.not_found");
}

#[tokio::test]
async fn hostile_names_are_text_in_the_console() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "x").await;
    for name in [
        "\"><script>alert(1)</script>",
        "' onload='x",
        "\u{202e}gnp.exe",
        &"w".repeat(200),
    ] {
        let manifest = json!({"app": "acme", "display_name": name, "version": "1.0.0", "channel": "beta", "notes": name,
            "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
        let answer = site.post("/api/apps/acme/releases", &manifest).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        site.patch("/api/apps/acme", &json!({"display_name": name}))
            .await
            .expect(200);
        let text = page(&site, "/admin").await.text();
        let escaped = name
            .replace('"', "&#34;")
            .replace('\'', "&#39;")
            .replace('<', "&#60;")
            .replace('>', "&#62;")
            .replace('\u{202e}', "");
        assert!(text.contains(&format!("<bdi>{escaped}</bdi>")), "{text}");
        assert!(!text.contains("<script>"), "{text}");
    }
}

/// The headers without which a page of the console must not go out.
fn check_headers(answer: &Answer, path: &str) {
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("frame-ancestors 'none'")
            && policy.contains("'nonce-"),
        "{path}: {policy}"
    );
    assert!(!policy.contains("unsafe-"), "{path}: {policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
    assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
}

#[tokio::test]
async fn every_page_has_its_headers() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let mut pages = 0;
    for (method, path) in distd::router::list() {
        // What is live is no page, and has no end.
        if method != Method::GET || !path.starts_with("/admin") || path == "/admin/live" {
            continue;
        }
        let path = path
            .replace("{id}", admin.id.as_str())
            .replace("{slug}", "acme")
            .replace("{name}", "beta");
        for answer in [site.open(&admin, &path).await, site.get(&path).await] {
            if answer.header("content-type").starts_with("text/html") {
                check_headers(&answer, &path);
                pages += 1;
            }
        }
    }
    assert!(pages > 10, "{pages}");
}

#[tokio::test]
async fn hostile_people_are_text_everywhere() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let script = "\"'><script>alert(1)</script>";
    let email = format!("{script}@example.org");
    let hostile = site.person(&email, Some(Role::Viewer), &[]).await;
    let own = format!("/admin/people/{}", hostile.id);
    let named = site.submit(&admin, &own, &[("name", script), ("role", "viewer")]).await;
    named.expect(303);
    let reordered = site
        .submit(&admin, &own, &[("name", "\u{202e}nnA"), ("role", "viewer")])
        .await;
    assert!(reordered.expect(422).text().contains("id=\"name-error\""));
    site.submit(&admin, &own, &[("name", &"w".repeat(101)), ("role", "viewer")])
        .await
        .expect(422);
    let agent = "<script>alert(2)</script>";
    let typed = [("email", script), ("password", "x"), ("next", script)];
    let sign_in = site
        .call(Method::POST, "/admin/sign-in")
        .header("origin", "https://get.example.org");
    let elsewhere = site
        .call(Method::POST, "/admin/sign-in")
        .header("origin", "https://get.example.org");
    let elsewhere = elsewhere.header("user-agent", agent);
    let elsewhere = elsewhere
        .form(&[("email", &email), ("password", crate::common::PASSWORD)])
        .send()
        .await;
    elsewhere.expect(303);
    for answer in [
        site.open(&admin, "/admin/people").await,
        site.open(&admin, &own).await,
        site.open(&admin, &format!("{own}/disable")).await,
        site.submit(&admin, &format!("{own}/invite"), &[]).await,
        site.submit(
            &admin,
            "/admin/people",
            &[
                ("email", &email),
                ("name", script),
                ("role", ""),
                ("app", script),
                ("app_role", "viewer"),
            ],
        )
        .await,
        site.open(&hostile, "/admin/account").await,
        site.open(&hostile, "/admin/people").await,
        sign_in.form(&typed).send().await,
        site.get("/admin/sign-in?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
            .await,
    ] {
        let text = answer.text();
        assert!(text.contains("&#60;script&#62;alert("), "{text}");
        assert!(!text.contains("<script>"), "{text}");
    }
}
