//! The log: a line for each request that changes something, is refused or fails, and no secret in any.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use dist_inspect::{Inspection, Inspector};
use dist_model::{Role, Scope, Timestamp};
use distd::{OidcConfig, Server};
use http::Method;
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;

use crate::common::{PASSWORD, Signed, Site};
use crate::oidc::{self, Provider};

/// A log of everything that anybody says in this process from now on, as the program writes it.
fn log_of_everything() -> File {
    let log = tempfile::tempfile().unwrap();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(Arc::new(log.try_clone().unwrap()))
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .init();
    log
}

fn lines_of(mut log: File) -> Vec<Value> {
    let mut text = String::new();
    log.rewind().unwrap();
    log.read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Signs in by the one-time link, by an invitation, with a password, and through a provider, uses
/// tokens and tester links, and answers every secret that was used on the way.
async fn a_whole_run() -> Vec<String> {
    let provider = Provider::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = distd::Config::new(folder.path(), "127.0.0.1:0".parse().unwrap());
    config.public_url = Some("https://get.example.org/dist".to_owned());
    config.oidc = Some(OidcConfig {
        issuer: provider.issuer.clone(),
        client_id: "dist".to_owned(),
        client_secret: Some(oidc::SECRET.to_owned()),
        name: "Acme ID".to_owned(),
        admission: None,
    });
    let server = Server::bind(config).await.unwrap();
    let setup = server.setup_url().unwrap().rsplit_once('/').unwrap().1.to_owned();
    let site = Site::serve(server, folder).await;
    let root = "root of all passwords";
    let form = [("email", "root@example.org"), ("name", "Root"), ("password", root)];
    let set_up = site.call(Method::POST, &format!("/admin/setup/{setup}")).form(&form);
    let set_up = set_up.header("sec-fetch-site", "same-origin").send().await;
    let mut secrets = vec![setup, root.to_owned(), PASSWORD.to_owned(), oidc::SECRET.to_owned()];
    secrets.push(cookie_of(set_up.expect(303).header("set-cookie")));

    let person = site.person("ann@example.org", Some(Role::Admin), &[]).await;
    secrets.extend([cookie_of(&person.cookie), person.csrf.clone()]);
    let wrong = "a wrong password, perhaps of another account";
    for password in [wrong, PASSWORD] {
        let form = [("email", "ann@example.org"), ("password", password)];
        let call = site.call(Method::POST, "/admin/sign-in").form(&form);
        let answer = call.header("sec-fetch-site", "same-origin").send().await;
        let signed_in = answer.status == 303;
        secrets.extend(signed_in.then(|| cookie_of(answer.header("set-cookie"))));
    }
    secrets.push(wrong.to_owned());
    let (cookie, back) = oidc::go(&site, &provider).await;
    secrets.push(cookie_of(&cookie));
    secrets.extend(back.split(['=', '&']).skip(1).step_by(2).map(str::to_owned));
    let signed_in = oidc::come_back(&site, &(cookie, back)).await.expect(303);
    secrets.push(cookie_of(signed_in.header("set-cookie")));

    secrets.extend(use_tokens_and_links(&site, &person).await);
    secrets.push(site.admin.clone());
    site.stop().await;
    secrets
}

/// Good and bad ones of each; answers their secrets.
async fn use_tokens_and_links(site: &Site, person: &Signed) -> [String; 4] {
    let (reader, _) = site.new_token(&[Scope::Read], None, &[]).await;
    let stranger = format!("dist_{}", "5".repeat(64));
    site.publish("acme", "1.0.0", "beta").await;
    site.patch("/api/apps/acme", &json!({"visibility": "private"}))
        .await
        .expect(200);
    let request = json!({"note": "for Bob", "expires_in": "7d"});
    let made = site
        .post("/api/apps/acme/channels/beta/links", &request)
        .await
        .expect(201)
        .json();
    let link = made["url"].as_str().unwrap().rsplit_once('=').unwrap().1.to_owned();
    site.get(&format!("/install/acme/beta?link={link}")).await.expect(200);
    site.get("/install/acme/beta?link=not-a-link").await;
    for token in [&reader, &stranger] {
        let call = site.call(Method::POST, "/api/apps").token(token);
        let answer = call.json(&json!({"slug": "more"})).send().await;
        assert!([401, 403].contains(&answer.status.as_u16()), "{}", answer.text());
    }
    let bob = [
        ("email", "bob@example.org"),
        ("name", ""),
        ("role", "viewer"),
        ("app", ""),
        ("app_role", ""),
    ];
    let page = site.submit(person, "/admin/people", &bob).await.expect(200).text();
    let invitation = page.split_once("/admin/invitation/").unwrap().1[..64].to_owned();
    site.get(&format!("/admin/invitation/{invitation}")).await.expect(200);
    [reader, stranger, link, invitation]
}

/// The secret of a cookie, without its name and its attributes.
fn cookie_of(set: &str) -> String {
    let (_, value) = set.split(';').next().unwrap().split_once('=').unwrap();
    value.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_whole_run_is_logged() {
    let log = log_of_everything();
    let secrets = a_whole_run().await;
    let lines = lines_of(log);
    assert!(secrets.len() >= 15, "{secrets:?}");
    for secret in &secrets {
        assert!(secret.len() >= 8, "{secret:?} is no secret");
        let telling = lines.iter().find(|line| line.to_string().contains(secret.as_str()));
        assert!(telling.is_none(), "{telling:?}");
    }
    let requests: Vec<_> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert!(requests.len() >= 15, "{requests:?}");
    for line in requests {
        for field in ["request_id", "method", "route", "path", "status", "ms"] {
            assert!(!line[field].is_null(), "{field} in {line}");
        }
    }
}

/// Falls over every file.
#[derive(Debug)]
struct Clumsy;

impl Inspector for Clumsy {
    fn inspect(&self, _: &File, name: &str, _: Timestamp) -> std::io::Result<Inspection> {
        tracing::warn!(name, "about to fall");
        panic!("fell over {name}")
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_logged_with_its_request() {
    let log = log_of_everything();
    let site = Site::start_with(|config| config.inspector = Arc::new(Clumsy)).await;
    let digest = site.upload(&site.admin, "bytes").await;
    let manifest = json!({"app": "acme", "version": "1.0.0",
        "artifacts": [{"platform": "linux", "filename": "acme.bin", "sha256": digest}]});
    let call = site.call(Method::POST, "/api/apps/acme/releases").token(&site.admin);
    let answer = call.header("x-request-id", "ci-42").json(&manifest).send().await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "internal"));
    site.get("/healthz").await.expect(200);
    site.stop().await;
    let lines = lines_of(log);
    let of_request = |line: &&Value| line["span"]["request_id"] == "ci-42";
    let said = lines.iter().find(of_request).unwrap();
    assert_eq!(said["message"], "about to fall");
    let answered = lines.iter().find(|line| line["request_id"] == "ci-42").unwrap();
    assert_eq!(
        (&answered["level"], &answered["status"], &answered["code"]),
        (&json!("ERROR"), &json!(500), &json!("internal"))
    );
}
