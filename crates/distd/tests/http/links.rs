//! Tester links: what opens a channel of a private app to whoever holds the address.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::Duration;

use dist_inspect::{Inspection, Inspector};
use dist_model::Timestamp;
use dist_model::decide::LinkIntent;
use dist_service::{Caller, Principal};
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::common::{Answer, ICON, Site, WithIcon, sha256, without_nonce};

const BASE: &str = "https://get.example.org/dist";
const LINKS: &str = "/api/apps/acme/channels/beta/links";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)";

/// Makes a link to `acme` and `beta`.
async fn new_link(site: &Site) -> Value {
    let request = json!({"note": "for Bob", "expires_in": "7d"});
    site.post(LINKS, &request).await.expect(201).json()
}

fn secret(made: &Value) -> &str {
    made["url"].as_str().unwrap().split("?link=").nth(1).unwrap()
}

/// The path of an address of the site.
#[track_caller]
fn path(url: &str) -> &str {
    url.strip_prefix(BASE)
        .unwrap_or_else(|| panic!("{url} is not the site's"))
}

/// What stands in a text between two others, without the escapes of HTML and XML.
#[track_caller]
fn between(text: &str, before: &str, after: &str) -> String {
    let found = text.split(before).nth(1).and_then(|rest| rest.split(after).next());
    let found = found.unwrap_or_else(|| panic!("no {before} in {text}"));
    found.replace("&#38;", "&").replace("&amp;", "&")
}

/// An answer that neither a shared cache nor another site gets to know the address of.
#[track_caller]
fn is_kept(answer: Answer, status: u16) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let cache = answer.header("cache-control");
    assert!(cache == "no-store" || cache.starts_with("private"), "{cache}");
    answer
}

/// Finds nothing wrong, not even that the example is signed by nobody.
#[derive(Debug)]
struct Flawless;

impl Inspector for Flawless {
    fn inspect(&self, file: &File, name: &str, now: Timestamp) -> std::io::Result<Inspection> {
        let mut inspection = WithIcon.inspect(file, name, now)?;
        inspection.report.findings.clear();
        Ok(inspection)
    }
}

async fn publish_privately(site: &Site) {
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "2.0.0", "stable").await;
    site.publish("other", "1.0.0", "beta").await;
    for app in ["acme", "other"] {
        let changes = json!({"visibility": "private"});
        site.patch(&format!("/api/apps/{app}"), &changes).await.expect(200);
    }
}

#[tokio::test]
async fn an_iphone_installs_a_private_app_with_nothing_but_the_link() {
    let site = Site::start_with(|config| config.inspector = Arc::new(Flawless)).await;
    let digest = site.publish_example("acme", "hello-1.0.0.ipa", "ios").await;
    let changes = json!({"ios_mode": "enterprise", "bundle_ids": {"ios": "dev.dist.hello"}, "visibility": "private"});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    let made = new_link(&site).await;

    let page = site
        .call(Method::GET, path(made["url"].as_str().unwrap()))
        .header("user-agent", IPHONE);
    let page = is_kept(page.send().await, 200).text();
    let icon = between(&page, "<img class=\"icon\" src=\"", "\"");
    assert_eq!(is_kept(site.get(path(&icon)).await, 200).body, ICON);
    let manifest = between(&page, "itms-services://?action=download-manifest&#38;url=", "\"");
    assert!(!manifest.contains(['?', '&', '=']), "{manifest}");
    let manifest = percent_decode_str(&manifest).decode_utf8().unwrap();
    let manifest = is_kept(site.get(path(&manifest)).await, 200).text();
    let ipa = between(&manifest, "<string>https://get.example.org/dist/download", "</string>");
    let ipa = format!("/download{ipa}");

    let head = is_kept(site.call(Method::HEAD, &ipa).send().await, 200);
    let whole = is_kept(site.get(&ipa).await, 200);
    assert_eq!(sha256(&whole.body), digest);
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    let part = site.call(Method::GET, &ipa).header("range", "bytes=100-199");
    assert_eq!(is_kept(part.send().await, 206).body, whole.body[100..200]);
}

#[tokio::test]
async fn an_ipa_that_is_kept_back_is_there_for_testers() {
    let site = Site::start().await;
    site.publish_example("acme", "hello-1.0.0.ipa", "ios").await;
    let made = new_link(&site).await;
    let page = is_kept(site.get(path(made["url"].as_str().unwrap())).await, 200).text();
    let ipa = between(&page, "https://get.example.org/dist/download", "\"");
    is_kept(site.get(&format!("/download{ipa}")).await, 200);
    assert!(
        !site
            .get("/install/acme/beta")
            .await
            .expect(200)
            .text()
            .contains("/download/")
    );
}

#[tokio::test]
async fn a_link_opens_its_channel_and_nothing_else() {
    let site = Site::start().await;
    publish_privately(&site).await;
    let made = new_link(&site).await;
    let secret = secret(&made);
    is_kept(site.get(&format!("/install/acme/beta?link={secret}")).await, 200);
    let own = format!("/download/{}?link={secret}", sha256("acme 1.0.0"));
    is_kept(site.get(&own).await, 200);
    for path in [
        "/".to_owned(),
        "/install/acme/stable".to_owned(),
        "/install/other/beta".to_owned(),
        "/latest/acme/beta/linux".to_owned(),
        "/api/apps".to_owned(),
        "/api/apps/acme".to_owned(),
        "/api/apps/acme/releases".to_owned(),
        "/api/apps/acme/channels/beta".to_owned(),
        "/api/apps/acme/channels/beta/latest".to_owned(),
        "/api/audit".to_owned(),
        LINKS.to_owned(),
        format!("/download/{}", sha256("acme 2.0.0")),
        format!("/download/{}", sha256("other 1.0.0")),
    ] {
        let stranger = site.get(&path).await;
        let tester = site.get(&format!("{path}?link={secret}")).await;
        assert_eq!(tester.status, stranger.status, "{path}");
        assert_eq!(without_nonce(&tester), without_nonce(&stranger), "{path}");
    }
    let call = site.call(Method::POST, &format!("{LINKS}?link={secret}")).body("{}");
    assert_eq!(call.send().await.expect(401).code(), "auth.missing");

    // A channel that moves on takes what it offered before along.
    site.publish("acme", "1.1.0", "beta").await;
    assert_eq!(site.get(&own).await.expect(404).code(), "object.not_found");
}

#[tokio::test]
async fn a_link_that_has_ended_is_told_so() {
    let site = Site::start_with(|config| config.inspector = Arc::new(WithIcon)).await;
    publish_privately(&site).await;
    let revoked = new_link(&site).await;
    let id = revoked["link"]["id"].as_str().unwrap();
    let revoke = format!("/api/apps/acme/links/{id}");
    site.call(Method::DELETE, &revoke)
        .token(&site.admin)
        .send()
        .await
        .expect(200);
    let intent = LinkIntent {
        channel: "beta".parse().unwrap(),
        note: String::new(),
        expires_at: site.service.now().plus_millis(100),
    };
    let local = Caller::new(Principal::Local(0));
    let slug = "acme".parse().unwrap();
    let expired = site.service.create_link(&local, &slug, intent, None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    for secret in [secret(&revoked), &expired.secret.unwrap()] {
        let page = is_kept(site.get(&format!("/install/acme/beta?link={secret}")).await, 410);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.text().contains("expired or was revoked"), "{}", page.text());
        for path in [
            "/install/acme/beta/manifest.plist".to_owned(),
            format!("/install/acme/beta/icon/{}", sha256(ICON)),
            format!("/download/{}", sha256("acme 1.0.0")),
        ] {
            let answer = is_kept(site.get(&format!("{path}?link={secret}")).await, 410);
            assert_eq!(answer.code(), "link.ended", "{path}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_answered_once() {
    let site = Site::start().await;
    publish_privately(&site).await;
    let make = async || {
        let call = site.call(Method::POST, LINKS).token(&site.admin);
        let call = call.header("idempotency-key", "k").json(&json!({"expires_in": "30d"}));
        call.send().await.expect(201).json()
    };
    let (first, again) = (make().await, make().await);
    assert_eq!((&first["link"], &again["url"]), (&again["link"], &Value::Null));
    let secret = secret(&first);
    assert_eq!(
        first["url"],
        format!("{BASE}/install/acme/beta?link={secret}"),
        "{first}"
    );
    for path in [LINKS, "/api/apps/acme/links", "/api/audit"] {
        let listed = site.admin_get(path).await.expect(200).text();
        assert!(listed.contains(first["link"]["id"].as_str().unwrap()), "{listed}");
        assert!(!listed.contains(secret) && !listed.contains("hash"), "{listed}");
    }
    let stable = site.admin_get("/api/apps/acme/channels/stable/links").await;
    assert_eq!(stable.expect(200).json()["items"], json!([]));
}

#[tokio::test]
async fn a_link_is_made_for_a_while_and_revoked_once() {
    let site = Site::start().await;
    publish_privately(&site).await;
    for (body, code) in [
        (json!({"expires_in": "soon"}), "link.invalid"),
        (json!({"expires_in": "0"}), "link.invalid"),
        (json!({"expires_in": "400d"}), "link.invalid"),
        (
            json!({"expires_in": "7d", "expires_at": "2099-01-01T00:00:00Z"}),
            "link.invalid",
        ),
        (json!({"note": "\u{202e}"}), "link.invalid"),
        (json!({"expires_at": "tomorrow"}), "time.invalid"),
    ] {
        assert_eq!(site.post(LINKS, &body).await.expect(422).code(), code, "{body}");
    }
    let nowhere = site.post("/api/apps/acme/channels/nope/links", &json!({})).await;
    assert_eq!(nowhere.expect(404).code(), "channel.not_found");
    let made = site.post(LINKS, &json!({})).await.expect(201).json();
    let id = made["link"]["id"].as_str().unwrap();
    let revoke = async |app: &str| {
        let call = site.call(Method::DELETE, &format!("/api/apps/{app}/links/{id}"));
        call.token(&site.admin).send().await
    };
    assert_eq!(revoke("other").await.expect(404).code(), "link.not_found");
    assert!(revoke("acme").await.expect(200).json()["revoked_at"].is_string());
    assert_eq!(revoke("acme").await.expect(409).code(), "link.already_revoked");
    let actions = site.actions().await;
    assert_eq!(actions[..2], ["link.revoked", "link.created"], "{actions:?}");
}

#[tokio::test]
async fn a_secret_is_in_no_log_and_no_count() {
    let log = tempfile::tempfile().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(Arc::new(log.try_clone().unwrap()))
        .with_ansi(false)
        .finish();
    let site = Site::start().await;
    publish_privately(&site).await;
    let made = new_link(&site).await;
    let secret = secret(&made);
    let path = format!("/install/acme/beta?link={secret}");
    {
        // Everything runs on this thread.
        let _logs = tracing::subscriber::set_default(subscriber);
        site.get(&path).await.expect(200);
        let revoke = format!(
            "/api/apps/acme/links/{}?link={secret}",
            made["link"]["id"].as_str().unwrap()
        );
        let call = site.call(Method::DELETE, &revoke).token(&site.admin);
        call.send().await.expect(200);
        site.get(&path).await.expect(410);
        let forbidden = site.new_token(&[dist_model::Scope::Read], None, &[]).await.0;
        let call = site.call(Method::DELETE, &revoke).token(&forbidden);
        call.send().await.expect(403);
    }
    let text = text_of(log);
    assert!(
        text.contains("path=\"/install/acme/beta\"") && text.contains("link.ended"),
        "{text}"
    );
    assert!(!text.contains(secret), "{text}");
    let counts = site.get("/metrics").await.expect(200).text();
    assert!(
        counts.contains("/install/{slug}/{channel}") && !counts.contains(secret),
        "{counts}"
    );
    let audit = site.admin_get("/api/audit").await.expect(200).text();
    assert!(
        audit.contains("auth.missing_scope") && !audit.contains(secret),
        "{audit}"
    );
}

fn text_of(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
