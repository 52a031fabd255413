//! One box for everything that has a name.

use dist_model::{Role, Scope};
use http::Method;

use crate::common::{Site, sha256};

#[tokio::test]
async fn names_versions_and_digests_are_found() {
    let site = Site::start().await;
    let release = site.publish("acme", "2.4.0", "beta").await;
    site.new_token(&[Scope::Read], Some("acme"), &[]).await;
    let id = release["release"]["id"].as_str().unwrap();
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let of_release = format!("href=\"/dist/admin/apps/acme/releases/{id}\"");
    for (text, part) in [
        ("acme", "href=\"/dist/admin/apps/acme\""),
        ("2.4", of_release.as_str()),
        (&sha256("acme 2.4.0")[..8], of_release.as_str()),
        ("beta", "href=\"/dist/admin/apps/acme/channels/beta\""),
        ("no-such-thing", "Nothing has <b><bdi>no-such-thing</bdi></b>"),
    ] {
        let page = site
            .open(&viewer, &format!("/admin/search?q={text}"))
            .await
            .expect(200)
            .text();
        assert!(page.contains(part), "{part} in {page}");
        assert!(!page.contains("aria-current"), "{page}");
    }
    let tokens = async |person| site.open(person, "/admin/search?q=token-").await.expect(200).text();
    assert!(tokens(&admin).await.contains("/dist/admin/tokens/") && !tokens(&viewer).await.contains("<h2>Tokens"));
}

#[tokio::test]
async fn results_come_without_the_frame_while_somebody_types() {
    let site = Site::start().await;
    site.publish("acme", "2.4.0", "beta").await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let call = site.call(Method::GET, "/admin/search?q=acm").person(&viewer);
    let part = call.header("hx-request", "true").send().await.expect(200).text();
    assert!(
        part.contains("<section id=\"hits\">") && !part.contains("<html"),
        "{part}"
    );
}

#[tokio::test]
async fn whatever_is_looked_for_is_text() {
    let site = Site::start().await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    for query in [
        "",
        "q=",
        "q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "q=%E2%80%AEx",
        "q=%25_!",
    ] {
        let page = site
            .open(&viewer, &format!("/admin/search?{query}"))
            .await
            .expect(200)
            .text();
        assert!(!page.contains("<script>"), "{page}");
    }
    let long = format!("/admin/search?q={}", "w".repeat(5000));
    site.open(&viewer, &long).await.expect(200);
}
