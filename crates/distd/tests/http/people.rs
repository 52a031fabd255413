//! Who may come in, and how they are kept apart from whoever may not.

use dist_model::{Role, UserChanges};
use dist_service::{Caller, Principal};
use distd::{Config, Server};
use http::Method;
use serde_json::Value;

use crate::common::{Answer, PASSWORD, Site, field};

const OWN: &str = "https://get.example.org";

/// A form that a stranger's browser sends from one of our pages.
async fn send(site: &Site, path: &str, fields: &[(&str, &str)]) -> Answer {
    let call = site.call(Method::POST, path).header("origin", OWN);
    call.form(fields).send().await
}

async fn sign_in(site: &Site, email: &str, password: &str) -> Answer {
    send(site, "/admin/sign-in", &[("email", email), ("password", password)]).await
}

/// The cookie that an answer sets, as the browser sends it back.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    set.split(';').next().unwrap().to_owned()
}

async fn is_signed_in(site: &Site, cookie: &str) -> bool {
    let page = site.call(Method::GET, "/admin/account").header("cookie", cookie).send();
    page.await.status == 200
}

fn local() -> Caller {
    Caller::new(Principal::Local(0))
}

/// The events of an action, the newest first.
async fn events(site: &Site, action: &str) -> Vec<Value> {
    let audit = site.admin_get(&format!("/api/audit?action={action}")).await.expect(200);
    audit.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_first_admin_is_made_by_whoever_reads_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let bind = async || {
        let mut config = Config::new(folder.path(), "127.0.0.1:0".parse().unwrap());
        config.public_url = Some(format!("{OWN}/dist"));
        Server::bind(config).await.unwrap()
    };
    let first = bind().await;
    let path = first.setup_url().unwrap().strip_prefix(OWN).unwrap().to_owned();
    assert!(path.starts_with("/dist/admin/setup/"), "{path}");
    drop(first);

    let second = bind().await;
    let path_now = second.setup_url().unwrap().strip_prefix("https://get.example.org/dist");
    let path_now = path_now.unwrap().to_owned();
    assert_ne!(path, format!("/dist{path_now}"), "each start makes another one");
    let site = Site::serve(second, folder).await;
    site.get(path.strip_prefix("/dist").unwrap()).await.expect(404);
    let index = site.get("/").await.expect(200).text();
    assert!(index.contains("in its log"), "{index}");
    let told = site.get("/admin/sign-in").await.expect(200).text();
    assert!(
        told.contains("in its log") && !told.contains("type=\"password\""),
        "{told}"
    );
    let page = site.get(&path_now).await.expect(200);
    // With `no-referrer` a browser would send the form with `Origin: null`, which is refused.
    assert_eq!(page.header("referrer-policy"), "same-origin");

    let fields = |email, password| [("name", "Ann"), ("email", email), ("password", password)];
    let weak = send(&site, &path_now, &fields("ann@example.org", "short"))
        .await
        .expect(422);
    assert!(
        weak.text().contains("value=\"ann@example.org\"") && !weak.text().contains("short"),
        "{}",
        weak.text()
    );
    assert!(weak.text().contains("id=\"password-error\""), "{}", weak.text());
    let wrong = send(&site, &path_now, &fields("nobody", PASSWORD)).await.expect(422);
    assert!(wrong.text().contains("id=\"email-error\""), "{}", wrong.text());
    let made = send(&site, &path_now, &fields("Ann@example.org", PASSWORD))
        .await
        .expect(303);
    assert_eq!(made.header("location"), "/dist/admin");
    let people = site
        .call(Method::GET, "/admin/people")
        .header("cookie", &cookie(&made))
        .send()
        .await;
    assert!(people.expect(200).text().contains("ann@example.org"));

    assert!(!site.get("/").await.text().contains("in its log"));
    site.get(&path_now).await.expect(404);
    send(&site, &path_now, &fields("eve@example.org", PASSWORD))
        .await
        .expect(404);
    let folder = site.stop().await;
    let mut config = Config::new(folder.path(), "127.0.0.1:0".parse().unwrap());
    config.public_url = None;
    assert_eq!(Server::bind(config).await.unwrap().setup_url(), None);
}

#[tokio::test]
async fn signing_in_makes_a_new_session_and_ends_the_one_before() {
    let site = Site::start().await;
    site.person("ann@example.org", Some(Role::Viewer), &[]).await;
    let answer = sign_in(&site, " Ann@example.org", PASSWORD).await.expect(303);
    assert_eq!(answer.header("location"), "/dist/admin");
    let flags = answer.header("set-cookie").split_once(';').unwrap().1.to_owned();
    assert_eq!(flags, " Path=/dist/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure");
    let first = cookie(&answer);
    assert!(is_signed_in(&site, &first).await);

    let again = site
        .call(Method::POST, "/admin/sign-in")
        .header("origin", OWN)
        .header("cookie", &first);
    let again = again.form(&[
        ("email", "ann@example.org"),
        ("password", PASSWORD),
        ("next", "/admin/audit?x=1"),
    ]);
    let again = again.send().await.expect(303);
    assert_eq!(again.header("location"), "/dist/admin/audit?x=1");
    assert_ne!(first, cookie(&again));
    assert!(!is_signed_in(&site, &first).await && is_signed_in(&site, &cookie(&again)).await);

    let astray = [
        ("email", "ann@example.org"),
        ("password", PASSWORD),
        ("next", "//evil.example.org"),
    ];
    let answer = send(&site, "/admin/sign-in", &astray).await.expect(303);
    assert_eq!(answer.header("location"), "/dist/admin");
    // A secret that somebody planted is never taken over.
    let planted = format!("__Secure-dist_session={}", "a".repeat(64));
    let answer = site
        .call(Method::POST, "/admin/sign-in")
        .header("origin", OWN)
        .header("cookie", &planted);
    let answer = answer
        .form(&[("email", "ann@example.org"), ("password", PASSWORD)])
        .send()
        .await
        .expect(303);
    assert_ne!(cookie(&answer), planted);
}

#[tokio::test]
async fn a_wrong_password_says_no_more_than_an_unknown_address() {
    let site = Site::start().await;
    site.person("ann@example.org", Some(Role::Viewer), &[]).await;
    let known = sign_in(&site, "ann@example.org", "wrong password").await.expect(401);
    let unknown = sign_in(&site, "eve@example.org", "wrong password").await.expect(401);
    let shown = |answer: &Answer, email: &str| {
        let text = answer.text().replace(email, "…");
        text.lines()
            .filter(|line| !line.contains("nonce") && !line.contains("data-now"))
            .collect::<String>()
    };
    assert_eq!(shown(&known, "ann@example.org"), shown(&unknown, "eve@example.org"));
    assert!(!known.text().contains("wrong password"), "{}", known.text());
    assert!(known.header("set-cookie").is_empty());
    let events = events(&site, "session.refused").await;
    let emails: Vec<_> = events.iter().map(|event| event["metadata"]["email"].as_str()).collect();
    assert_eq!(emails, [None, Some("ann@example.org")]);
}

#[tokio::test]
async fn too_many_attempts_are_told_when_to_come_back() {
    let site = Site::start().await;
    site.person("ann@example.org", Some(Role::Viewer), &[]).await;
    for _ in 0..5 {
        sign_in(&site, "ann@example.org", "wrong password").await.expect(401);
    }
    let answer = sign_in(&site, "ann@example.org", PASSWORD).await.expect(429);
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!((800..=901).contains(&seconds), "{seconds}");
    assert!(answer.text().contains("<form") && answer.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn proxies_that_are_trusted_tell_who_tries() {
    let site = Site::start_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    site.person("ann@example.org", Some(Role::Viewer), &[]).await;
    let attempt = async |address: &str, password: &str| {
        let call = site.call(Method::POST, "/admin/sign-in").header("origin", OWN);
        let call = call.header("x-forwarded-for", address);
        call.form(&[("email", "ann@example.org"), ("password", password)])
            .send()
            .await
    };
    for _ in 0..5 {
        attempt("203.0.113.9", "wrong password").await.expect(401);
    }
    attempt("203.0.113.9", PASSWORD).await.expect(429);
    attempt("198.51.100.7", PASSWORD).await.expect(303);
    let refused = events(&site, "session.refused").await;
    assert_eq!(refused[0]["metadata"]["address"], "203.0.113.9");
    let started = events(&site, "session.started").await;
    assert_eq!(started[0]["metadata"]["session"]["address"], "198.51.100.7");
}

#[tokio::test]
async fn nobody_else_is_believed_about_addresses() {
    let site = Site::start().await;
    site.person("ann@example.org", Some(Role::Viewer), &[]).await;
    let call = site.call(Method::POST, "/admin/sign-in").header("origin", OWN);
    let call = call
        .header("x-forwarded-for", "203.0.113.9")
        .header("forwarded", "for=203.0.113.9");
    call.form(&[("email", "ann@example.org"), ("password", PASSWORD)])
        .send()
        .await
        .expect(303);
    let started = events(&site, "session.started").await;
    assert_eq!(started[0]["metadata"]["session"]["address"], "127.0.0.1");
}

#[tokio::test]
async fn forms_come_from_our_own_pages() {
    let site = Site::start().await;
    let admin = site.person("ann@example.org", Some(Role::Admin), &[]).await;
    let bob = site.person("bob@example.org", None, &[]).await;
    let path = format!("/admin/people/{}/disable", bob.id);
    let send = async |headers: &[(&str, &str)], csrf: &str| {
        let call = site.call(Method::POST, &path).header("cookie", &admin.cookie);
        let call = headers
            .iter()
            .fold(call, |call, (name, value)| call.header(name, value));
        call.form(&[("csrf", csrf)]).send().await
    };
    for headers in [
        &[][..],
        &[("origin", "https://evil.example.org")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("origin", OWN)],
        &[("sec-fetch-site", "same-site")],
    ] {
        send(headers, &admin.csrf).await.expect(403);
    }
    for csrf in ["", &bob.csrf, &"0".repeat(32)] {
        send(&[("origin", OWN)], csrf).await.expect(403);
    }
    site.open(&admin, &path).await.expect(200);
    site.call(Method::DELETE, &path).person(&admin).send().await.expect(405);
    assert!(is_signed_in(&site, &bob.cookie).await, "nothing has changed");
    let refusals = events(&site, "access.refused").await;
    assert_eq!(refusals.len(), 8);
    assert_eq!(refusals[0]["actor"], "user:ann@example.org");
    assert_eq!(refusals[0]["metadata"]["code"], "request.cross_origin");

    send(&[("origin", OWN)], &admin.csrf).await.expect(303);
    assert!(
        !is_signed_in(&site, &bob.cookie).await,
        "who is disabled is out at once"
    );
    sign_in(&site, "bob@example.org", PASSWORD).await.expect(401);
}

#[tokio::test]
async fn a_cookie_changes_nothing_outside_of_the_console() {
    let site = Site::start().await;
    let admin = site.person("ann@example.org", Some(Role::Admin), &[]).await;
    let call = site
        .call(Method::POST, "/api/apps")
        .person(&admin)
        .header("origin", OWN);
    let answer = call.json(&serde_json::json!({"slug": "acme"})).send().await.expect(401);
    assert_eq!(answer.code(), "auth.missing");
    site.open(&admin, "/api/tokens").await.expect(200);
}

#[tokio::test]
async fn strangers_are_sent_to_sign_in_and_back() {
    let site = Site::start().await;
    let answer = site.get("/admin/people?cursor=a%26b").await.expect(303);
    let location = answer.header("location");
    assert_eq!(
        location,
        "/dist/admin/sign-in?next=%2Fadmin%2Fpeople%3Fcursor%3Da%2526b"
    );
    site.person("ann@example.org", Some(Role::Admin), &[]).await;
    let form = site
        .get(location.strip_prefix("/dist").unwrap())
        .await
        .expect(200)
        .text();
    assert_eq!(field(&form, "next"), "/admin/people?cursor=a%26b");

    let htmx = site
        .call(Method::GET, "/admin")
        .header("hx-request", "true")
        .send()
        .await
        .expect(401);
    assert_eq!(htmx.header("hx-redirect"), "/dist/admin/sign-in?next=%2Fadmin");
    let posted = send(&site, "/admin/people", &[]).await.expect(303);
    assert_eq!(posted.header("location"), "/dist/admin/sign-in");
    let program = site.admin_get("/admin").await.expect(303);
    assert!(
        program.header("location").contains("sign-in"),
        "tokens are for programs"
    );
    assert_eq!(events(&site, "access.strangers_refused").await, [] as [Value; 0]);
}

#[tokio::test]
async fn whoever_has_no_role_is_told_so_and_can_leave() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let bob = site.person("bob@example.org", None, &[]).await;
    let answer = site.open(&bob, "/admin").await.expect(403).text();
    assert!(
        answer.contains("nobody has given you a role yet") && !answer.contains("acme"),
        "{answer}"
    );
    assert_eq!(field(&answer, "csrf"), bob.csrf);
    site.open(&bob, "/admin/account").await.expect(200);
    let out = site.submit(&bob, "/admin/sign-out", &[]).await.expect(303);
    assert!(
        out.header("set-cookie")
            .starts_with("__Secure-dist_session=; Path=/dist/; Max-Age=0;")
    );
    assert!(!is_signed_in(&site, &bob.cookie).await);
}

#[tokio::test]
async fn people_are_let_in_changed_and_kept_out() {
    let site = Site::start().await;
    let admin = site.person("ann@example.org", Some(Role::Admin), &[]).await;
    let fields = [
        ("name", "Bob"),
        ("role", "viewer"),
        ("app", "acme"),
        ("app_role", "manager"),
        ("app", ""),
        ("app_role", ""),
    ];
    let wrong = [&[("email", "bob")], &fields[..]].concat();
    let wrong = site.submit(&admin, "/admin/people", &wrong).await.expect(422).text();
    assert!(
        wrong.contains("id=\"email-error\"") && wrong.contains("value=\"acme\""),
        "{wrong}"
    );
    let no_app = [
        ("email", "bob@example.org"),
        ("name", ""),
        ("role", ""),
        ("app", "No App"),
        ("app_role", "viewer"),
    ];
    site.submit(&admin, "/admin/people", &no_app).await.expect(422);

    let fields = [&[("email", "bob@example.org")], &fields[..]].concat();
    let shown = site.submit(&admin, "/admin/people", &fields).await.expect(200).text();
    let (_, link) = shown
        .split_once("https://get.example.org/dist/admin/invitation/")
        .unwrap();
    let path = format!("/admin/invitation/{}", &link[..64]);
    site.submit(&admin, "/admin/people", &fields).await.expect(409);
    site.get(&path).await.expect(200);
    send(&site, &path, &[("password", "short")]).await.expect(422);
    let bob = cookie(&send(&site, &path, &[("password", PASSWORD)]).await.expect(303));
    let gone = site.get(&path).await.expect(410).text();
    assert!(gone.contains("user.invitation_invalid"), "{gone}");

    let people = site.open(&admin, "/admin/people").await.expect(200).text();
    assert!(people.contains("acme · manager"), "{people}");
    let id = site
        .service
        .user_by_email(&local(), &"bob@example.org".parse().unwrap())
        .await
        .unwrap()
        .id;
    let page = site
        .open(&admin, &format!("/admin/people/{id}"))
        .await
        .expect(200)
        .text();
    assert!(
        page.contains("<option selected>viewer</option>") && page.contains("value=\"acme\""),
        "{page}"
    );
    let changes = [("name", "Robert"), ("role", ""), ("app", "acme"), ("app_role", "")];
    site.submit(&admin, &format!("/admin/people/{id}"), &changes)
        .await
        .expect(303);
    let user = site.service.user(&local(), &id).await.unwrap().user;
    assert_eq!(
        (user.name.as_str(), user.role, user.app_roles.len()),
        ("Robert", None, 0)
    );

    site.submit(&admin, &format!("/admin/people/{id}/disable"), &[])
        .await
        .expect(303);
    assert!(!is_signed_in(&site, &bob).await);
    site.submit(&admin, &format!("/admin/people/{id}/invite"), &[])
        .await
        .expect(409);
    site.submit(&admin, &format!("/admin/people/{id}/enable"), &[])
        .await
        .expect(303);
    site.submit(&admin, &format!("/admin/people/{id}/invite"), &[])
        .await
        .expect(200);

    let last = format!("/admin/people/{}", admin.id);
    let demoted = site
        .submit(&admin, &last, &[("name", ""), ("role", "viewer")])
        .await
        .expect(409)
        .text();
    assert!(demoted.contains("Somebody must be left"), "{demoted}");
    let site_actions = site.actions().await;
    for action in [
        "user.created",
        "user.invited",
        "user.password_set",
        "user.updated",
        "session.started",
        "session.ended",
    ] {
        assert!(
            site_actions.iter().any(|found| found == action),
            "{action}: {site_actions:?}"
        );
    }
}

#[tokio::test]
async fn ones_own_sessions_and_password_are_ones_own() {
    let site = Site::start().await;
    let ann = site.person("ann@example.org", Some(Role::Viewer), &[]).await;
    let bob = site.person("bob@example.org", Some(Role::Admin), &[]).await;
    let other = cookie(&sign_in(&site, "ann@example.org", PASSWORD).await.expect(303));
    let page = site.open(&ann, "/admin/account").await.expect(200).text();
    let ids: Vec<_> = page
        .split("/admin/account/sessions/")
        .skip(1)
        .map(|rest| rest.split('/').next().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{page}");
    let end = |id: &str| format!("/admin/account/sessions/{id}/end");
    site.submit(&bob, &end(ids[0]), &[]).await.expect(404);
    site.submit(&ann, &end(ids[0]), &[]).await.expect(303);
    assert!(!is_signed_in(&site, &other).await && is_signed_in(&site, &ann.cookie).await);

    let other = cookie(&sign_in(&site, "ann@example.org", PASSWORD).await.expect(303));
    let change = async |old: &str, new: &str| {
        site.submit(&ann, "/admin/account/password", &[("old", old), ("password", new)])
            .await
    };
    let wrong = change("wrong password", "another horse").await.expect(401).text();
    assert!(
        wrong.contains("id=\"old-error\"") && !wrong.contains("another horse"),
        "{wrong}"
    );
    change(PASSWORD, "short").await.expect(422);
    let changed = change(PASSWORD, "another horse").await.expect(303);
    let path = changed.header("location").strip_prefix("/dist").unwrap();
    let told = site.open(&ann, path).await.expect(200).text();
    assert!(told.contains("The password is changed."), "{told}");
    assert!(!is_signed_in(&site, &other).await && is_signed_in(&site, &ann.cookie).await);
    sign_in(&site, "ann@example.org", "another horse").await.expect(303);
    assert_eq!(
        events(&site, "access.refused").await[0]["metadata"]["code"],
        "auth.wrong_password"
    );
}

#[tokio::test]
async fn who_is_disabled_or_demoted_from_elsewhere_is_so_at_once() {
    let site = Site::start().await;
    let ann = site.person("ann@example.org", Some(Role::Viewer), &[]).await;
    site.person("bob@example.org", Some(Role::Admin), &[]).await;
    let disabled = UserChanges {
        disabled: Some(true),
        ..UserChanges::default()
    };
    site.open(&ann, "/admin").await.expect(200);
    site.service.update_user(&local(), &ann.id, disabled).await.unwrap();
    site.open(&ann, "/admin").await.expect(303);
    site.open(&ann, "/api/tokens").await.expect(401);
}
