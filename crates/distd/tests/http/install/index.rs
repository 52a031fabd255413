//! The index, what is not shown to strangers, and refusals as pages.

use http::Method;
use serde_json::json;

use super::{has, lacks, publish};
use crate::common::{Answer, Site};

#[tokio::test]
async fn the_index_lists_public_apps() {
    let site = Site::start().await;
    publish(&site, "1.0.0", &[("linux", "acme.bin"), ("windows", "acme.txt")]).await;
    for (slug, visibility) in [("veiled", "unlisted"), ("secret", "private")] {
        site.publish(slug, "1.0.0", "beta").await;
        site.patch(&format!("/api/apps/{slug}"), &json!({"visibility": visibility}))
            .await
            .expect(200);
    }
    let text = site.get("/").await.expect(200).text();
    has(
        &text,
        &[
            "https://get.example.org/dist/install/acme/beta",
            "Linux, Windows",
            "1.0.0",
        ],
    );
    lacks(&text, &["secret", "veiled"]);
    // It is of the public apps, whoever asks.
    let text = site.admin_get("/").await.expect(200).text();
    lacks(&text, &["secret", "veiled"]);
}

#[tokio::test]
async fn the_index_shows_the_stable_version_first() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "stable").await;
    site.publish("acme", "1.1.0", "beta").await;
    let text = site.get("/").await.expect(200).text();
    let cover = text.find("class=\"cover\" href=\"https://get.example.org/dist/install/acme/stable\"");
    assert!(cover < text.find("/install/acme/beta"), "{text}");
    has(&text, &["1.0.0 <span class=\"channel\">stable</span>"]);
}

#[tokio::test]
async fn an_empty_server_tells_the_next_step() {
    let site = Site::start().await;
    let text = site.get("/").await.expect(200).text();
    has(&text, &["dist ci publish --server https://get.example.org/dist --app"]);
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
async fn browsers_get_refusals_as_pages_and_programs_as_json() {
    let site = Site::start().await;
    let nothing = "0".repeat(64);
    let visit = async |path: &str| {
        let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
        site.call(Method::GET, path).header("accept", accept).send().await
    };
    for path in [
        "/nope".to_owned(),
        format!("/download/{nothing}"),
        "/latest/nope/beta/linux".to_owned(),
    ] {
        let answer = visit(&path).await.expect(404);
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        has(&answer.text(), &["<h1>Not here</h1>"]);
        has(answer.header("content-security-policy"), &["default-src 'none'"]);
        let answer = site.get(&path).await.expect(404);
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
    }
    assert_eq!(visit("/api/apps/nope").await.expect(404).code(), "app.not_found");
    let denied = site
        .call(Method::GET, "/")
        .header("accept", "text/html")
        .header("authorization", "Bearer nonsense")
        .send()
        .await
        .expect(401);
    has(&denied.text(), &["<h1>Who are you?</h1>"]);
    assert_eq!(denied.header("www-authenticate"), "Bearer");
}

/// An answer without what is different each time: the nonces, the request's id and the date.
fn told(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let policy = answer.header("content-security-policy");
    let nonce = policy
        .split("nonce-")
        .nth(1)
        .map_or("-", |rest| rest.split('\'').next().unwrap());
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().replace(nonce, "-")))
        .collect();
    (answer.status.as_u16(), answer.text().replace(nonce, "-"), headers)
}

#[tokio::test]
async fn a_private_app_is_no_app_to_strangers() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    site.patch("/api/apps/acme", &json!({"visibility": "private"}))
        .await
        .expect(200);
    for path in [
        "/install/{}/beta",
        "/install/{}/nope",
        "/install/{}/beta/manifest.plist",
    ] {
        for accept in ["text/html", "*/*"] {
            let ask = async |slug: &str| {
                let call = site.call(Method::GET, &path.replace("{}", slug));
                told(&call.header("accept", accept).send().await.expect(404))
            };
            let (there, not_there) = (ask("acme").await, ask("nope").await);
            assert_eq!((there.0, there.1.replace("acme", "nope"), there.2), not_there, "{path}");
        }
    }
}
