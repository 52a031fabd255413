//! Tokens made, used and cut off at the console.

use dist_model::{Role, Scope};
use http::Method;

use crate::common::Site;

const FORM: [(&str, &str); 6] = [
    ("name", "ci-acme"),
    ("scope", "publish"),
    ("scope", "read"),
    ("app", "acme"),
    ("channels", "beta, nightly"),
    ("days", "90"),
];

/// The secret that stands in a page.
fn secret(page: &str) -> String {
    let (_, rest) = page.split_once("<code id=\"secret\">").unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_token_is_made_used_and_cut_off() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let made = site.submit(&admin, "/admin/tokens", &FORM).await.expect(200);
    assert_eq!(made.header("cache-control"), "no-store");
    let page = made.text();
    let secret = secret(&page);
    assert_eq!(secret.len(), "dist_".len() + 64);
    assert!(
        page.contains("dist ci publish --app acme --version &#34;$VERSION&#34; --channel beta FILE…"),
        "{page}"
    );

    // A reload sends the form again, which shows no secret, this one or another.
    let again = site.submit(&admin, "/admin/tokens", &FORM).await.expect(409).text();
    assert!(again.contains("names are never used twice") && !again.contains("id=\"secret\""));

    site.upload(&secret, "acme 1.0.0").await;
    let list = site.open(&admin, "/admin/tokens").await.expect(200).text();
    let id = list
        .split("/admin/tokens/")
        .find_map(|part| part.split_once("\"><bdi>ci-acme"))
        .unwrap()
        .0;
    let path = format!("/admin/tokens/{id}");
    let page = site.open(&admin, &path).await.expect(200).text();
    assert!(
        page.contains(" uploaded </bdi>10 B") && page.contains(">nightly</span>"),
        "{page}"
    );
    assert!(!page.contains(&secret) && !list.contains(&secret));

    let confirm = site.open(&admin, &format!("{path}/revoke")).await.expect(200).text();
    assert!(
        confirm.contains("<bdi>ci-acme</bdi></b> is refused from then on"),
        "{confirm}"
    );
    let revoked = site.submit(&admin, &format!("{path}/revoke"), &[]).await.expect(303);
    assert_eq!(revoked.header("location"), format!("/dist{path}"));
    let refused = site
        .call(Method::POST, "/api/upload")
        .token(&secret)
        .body("x")
        .send()
        .await;
    assert_eq!(refused.expect(403).code(), "auth.revoked");
    assert!(
        site.open(&admin, &path)
            .await
            .expect(200)
            .text()
            .contains("chip-revoked")
    );
    site.submit(&admin, &format!("{path}/revoke"), &[]).await.expect(409);
}

#[tokio::test]
async fn after_a_leak_the_page_tells_what_was_published() {
    let site = Site::start().await;
    let manager = site
        .person("manager@example.org", None, &[("acme", Role::Manager)])
        .await;
    let (ci, id) = site.new_token(&[Scope::Publish], Some("acme"), &[]).await;
    let digest = site.upload(&ci, "acme 1.0.0").await;
    let manifest = serde_json::json!({"app": "acme", "version": "1.0.0", "channel": "beta",
        "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
    let publish = site
        .call(Method::POST, "/api/apps/acme/releases")
        .token(&ci)
        .json(&manifest);
    publish.send().await.expect(201);
    let path = format!("/admin/tokens/{id}");
    site.submit(&manager, &format!("{path}/revoke"), &[]).await.expect(303);
    let page = site.open(&manager, &path).await.expect(200).text();
    let (_, published) = page.split_once("What it published last").unwrap();
    assert!(
        published.contains("<bdi>1.0.0</bdi></a>") && published.contains("Yank what is not yours"),
        "{page}"
    );
    // What belongs to no app is not for whoever manages one.
    assert!(!page.contains(" uploaded "), "{page}");
}

#[tokio::test]
async fn managers_see_their_apps_tokens_and_make_none() {
    let site = Site::start().await;
    let manager = site
        .person("manager@example.org", None, &[("acme", Role::Manager)])
        .await;
    let (_, own) = site.new_token(&[Scope::Publish], Some("acme"), &[]).await;
    let (_, other) = site.new_token(&[Scope::Publish], Some("other"), &[]).await;
    let list = site.open(&manager, "/admin/tokens").await.expect(200).text();
    assert!(list.contains(own.as_str()) && !list.contains(other.as_str()), "{list}");
    assert!(
        !list.contains("/admin/tokens/new") && !list.contains("/admin/storage"),
        "{list}"
    );
    site.open(&manager, &format!("/admin/tokens/{other}")).await.expect(404);
    site.submit(&manager, &format!("/admin/tokens/{other}/revoke"), &[])
        .await
        .expect(404);
    site.submit(&manager, "/admin/tokens", &FORM).await.expect(403);
}

#[tokio::test]
async fn a_wrong_form_comes_back_with_what_is_wrong() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    for (fields, part) in [
        (&[("name", "x"), ("days", "90")][..], "a token needs at least one scope"),
        (
            &[("name", ""), ("scope", "read"), ("days", "90")],
            "1 to 100 printable characters",
        ),
        (
            &[("name", "x"), ("scope", "read"), ("app", "A b"), ("days", "90")],
            "id=\"app-error\"",
        ),
        (
            &[("name", "x"), ("scope", "read"), ("channels", "a b C!"), ("days", "90")],
            "id=\"channels-error\"",
        ),
        (
            &[("name", "x"), ("scope", "read"), ("days", "36500")],
            "one of the times to choose from",
        ),
        (&[("name", "x"), ("scope", "root"), ("days", "90")], "flash-failed"),
    ] {
        let page = site.submit(&admin, "/admin/tokens", fields).await.text();
        assert!(
            page.contains(part) && page.contains("<form class=\"form\""),
            "{part} in {page}"
        );
    }
}

#[tokio::test]
async fn hostile_names_of_tokens_are_text() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let name = "\"><script>alert(1)</script>'";
    let fields = [("name", name), ("scope", "admin"), ("days", "")];
    let made = site.submit(&admin, "/admin/tokens", &fields).await.expect(200).text();
    site.upload(&secret(&made), "x").await;
    let list = site.open(&admin, "/admin/tokens").await.text();
    let id = list.split("/admin/tokens/").nth(2).unwrap().split('"').next().unwrap();
    let mut pages = vec![made, list.clone()];
    for path in [
        &format!("/admin/tokens/{id}"),
        &format!("/admin/tokens/{id}/revoke"),
        "/admin/audit",
        "/admin/search?q=script",
    ] {
        pages.push(site.open(&admin, path).await.expect(200).text());
    }
    for page in pages {
        assert!(
            !page.contains("<script>") && page.contains("&#60;script&#62;"),
            "{page}"
        );
    }
}
