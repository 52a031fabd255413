//! What open pages are told as it happens.

use std::time::Duration;

use dist_model::{AppChanges, Role, Visibility};
use dist_service::{Caller, OpenMode, Principal, Service, Setup};
use http::Method;
use serde_json::Value;
use tokio::time::timeout;

use crate::common::{Raw, Signed, Site};

/// Listens as somebody who is signed in, from now on.
fn listen(site: &Site, person: &Signed) -> Raw {
    let mut raw = site.raw();
    let request = format!(
        "GET /admin/live HTTP/1.1\r\nhost: test\r\ncookie: {}\r\n\r\n",
        person.cookie
    );
    let head = raw.write(request).read_until("\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"),
        "{head}"
    );
    assert!(raw.read_until("\n\n").contains("retry: 3000"));
    raw
}

/// The next event.
fn told(raw: &mut Raw) -> Value {
    let text = raw.read_until("\n\n");
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(data.unwrap_or_else(|| panic!("no event: {text:?}"))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_is_told_once() {
    let site = Site::start().await;
    let viewer = site.person("viewer@example.org", None, &[("acme", Role::Viewer)]).await;
    let mut raw = listen(&site, &viewer);
    let release = site.publish("acme", "2.4.0", "beta").await;
    let first = told(&mut raw);
    let made = first["action"] == "app.created";
    let event = if made { told(&mut raw) } else { first };
    assert_eq!(
        (&event["action"], &event["app"]),
        (&"channel.published".into(), &"acme".into())
    );
    assert!(
        event["text"]
            .as_str()
            .unwrap()
            .ends_with(" published acme 2.4.0 to beta"),
        "{event}"
    );
    let id = release["release"]["id"].as_str().unwrap();
    assert_eq!(event["href"], format!("/dist/admin/apps/acme/releases/{id}"));
    assert_eq!(event["own"], false);
    site.publish("acme", "2.5.0", "beta").await;
    assert!(
        told(&mut raw)["text"].as_str().unwrap().contains("2.5.0"),
        "one event a commit"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_hear_of_what_they_may_read() {
    let site = Site::start().await;
    let other = site
        .person("other@example.org", None, &[("other", Role::Manager)])
        .await;
    let manager = site.person("manager@example.org", Some(Role::Manager), &[]).await;
    let (mut few, mut all) = (listen(&site, &other), listen(&site, &manager));
    site.new_token(&[dist_model::Scope::Read], None, &[]).await;
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("other", "1.0.0", "beta").await;
    assert_eq!(told(&mut few)["app"], "other");
    assert_eq!(told(&mut all)["action"], "token.created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_session() {
    let site = Site::start().await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let mut raw = listen(&site, &viewer);
    site.submit(&viewer, "/admin/sign-out", &[]).await.expect(303);
    let rest = tokio::task::spawn_blocking(move || raw.read_until("0\r\n\r\n"))
        .await
        .unwrap();
    assert!(rest.ends_with("0\r\n\r\n") && !rest.contains("data:"), "{rest}");
    // The page that asks again would take the form to sign in for events.
    let again = site.call(Method::GET, "/admin/live").person(&viewer);
    again.header("accept", "text/event-stream").send().await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_taken_ends_what_one_hears() {
    let site = Site::start().await;
    let person = site
        .person(
            "person@example.org",
            None,
            &[("acme", Role::Viewer), ("other", Role::Viewer)],
        )
        .await;
    let mut raw = listen(&site, &person);
    let roles = dist_model::Roles {
        role: None,
        app_roles: [("other".parse().unwrap(), Role::Viewer)].into(),
    };
    let changes = dist_model::UserChanges {
        roles: Some(roles),
        ..dist_model::UserChanges::default()
    };
    let local = Caller::new(Principal::Local(0));
    site.service.update_user(&local, &person.id, changes).await.unwrap();
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("other", "1.0.0", "beta").await;
    assert_eq!(told(&mut raw)["app"], "other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_stops_while_pages_listen() {
    let site = Site::start_with(|config| config.limits.shutdown_grace = Duration::from_hours(1)).await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let _raw = listen(&site, &viewer);
    timeout(Duration::from_mins(1), site.stop())
        .await
        .expect("the stream held the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_does_is_told_too() {
    let site = Site::start().await;
    let viewer = site.person("viewer@example.org", None, &[("acme", Role::Viewer)]).await;
    let mut raw = listen(&site, &viewer);
    let shell = Service::open(site.data(), OpenMode::Existing, Setup::default()).unwrap();
    let local = Caller::new(Principal::Local(1000));
    let changes = AppChanges {
        visibility: Some(Visibility::Private),
        ..AppChanges::default()
    };
    shell
        .create_app(&local, "acme".parse().unwrap(), changes, None)
        .await
        .unwrap();
    assert_eq!(told(&mut raw)["text"], "local:1000 made the app acme");
    tokio::task::spawn_blocking(move || shell.shutdown()).await.unwrap();
}
