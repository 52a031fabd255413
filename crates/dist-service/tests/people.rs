//! People: who gets in, what their roles allow, and when it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use dist_model::decide::{LinkIntent, UserIntent};
use dist_model::{AppChanges, ErrorCode, Role, Roles, Scope, Session, UserChanges};
use dist_service::{
    Admission, AuditFilter, Caller, Error, Identity, LatestQuery, NewSession, Paging, Principal, Visit,
};

use common::{World, local};

const PASSWORD: &str = "correct horse battery";

fn visit() -> Visit {
    Visit {
        address: "192.0.2.1".parse().unwrap(),
        user_agent: "Firefox".to_owned(),
        replaces: None,
    }
}

fn caller(session: &NewSession) -> Caller {
    Caller::new(Principal::Person(session.person.clone()))
}

fn code<T>(result: Result<T, Error>) -> ErrorCode {
    result.err().unwrap().refusal().code
}

/// The first admin, signed in.
async fn admin(world: &World) -> Caller {
    let email = "ann@example.org".parse().unwrap();
    let session = world.service.set_up(&email, "Ann", PASSWORD.to_owned(), visit()).await;
    caller(&session.unwrap())
}

/// Somebody with roles, signed in by their invitation.
async fn person(world: &World, email: &str, role: Option<Role>, app_roles: &[(&str, Role)]) -> Caller {
    let intent = UserIntent {
        email: email.parse().unwrap(),
        name: String::new(),
        role,
        app_roles: app_roles
            .iter()
            .map(|(app, role)| (app.parse().unwrap(), *role))
            .collect(),
    };
    let invited = world.service.create_user(&local(), intent).await.unwrap();
    let session = world
        .service
        .accept_invitation(&invited.secret, PASSWORD.to_owned(), visit());
    caller(&session.await.unwrap())
}

#[tokio::test]
async fn a_server_is_set_up_once() {
    let world = World::new();
    assert!(!world.service.is_set_up().await.unwrap());
    let set_up = async |email: &str, password: &str| {
        let email = email.parse().unwrap();
        world.service.set_up(&email, "", password.to_owned(), visit()).await
    };
    assert_eq!(code(set_up("ann@example.org", "short").await), ErrorCode::PasswordWeak);
    admin(&world).await;
    assert!(world.service.is_set_up().await.unwrap());
    assert_eq!(code(set_up("bob@example.org", PASSWORD).await), ErrorCode::SetupDone);
}

#[tokio::test]
async fn a_cookie_is_good_until_its_session_ends() {
    let world = World::new();
    admin(&world).await;
    let signed_in = world
        .service
        .sign_in(" Ann@Example.org", PASSWORD.to_owned(), visit())
        .await
        .unwrap();
    let alive = async || world.service.session_of(&signed_in.secret).await.unwrap().is_some();
    assert!(alive().await);
    assert!(world.service.session_of(&"0".repeat(64)).await.unwrap().is_none());
    world.pass(Session::IDLE_MS / 1000 - 1);
    assert!(alive().await, "not idle for long enough");
    world.pass(Session::IDLE_MS / 1000 - 1);
    assert!(alive().await, "it was used in between");
    world.pass(Session::IDLE_MS / 1000);
    assert!(!alive().await, "idle for too long");

    let signed_in = world
        .service
        .sign_in("ann@example.org", PASSWORD.to_owned(), visit())
        .await
        .unwrap();
    let me = caller(&signed_in);
    let id = signed_in.person.session.id.clone();
    world.service.end_session(&me, &id).await.unwrap();
    assert!(world.service.session_of(&signed_in.secret).await.unwrap().is_none());
    let refused = world
        .service
        .create_app(&me, "acme".parse().unwrap(), AppChanges::default(), None)
        .await;
    assert_eq!(code(refused), ErrorCode::AuthSessionEnded);
}

#[tokio::test]
async fn a_session_that_is_used_ends_after_a_week_all_the_same() {
    let world = World::new();
    admin(&world).await;
    let signed_in = world
        .service
        .sign_in("ann@example.org", PASSWORD.to_owned(), visit())
        .await
        .unwrap();
    let step = Session::IDLE_MS / 1000 / 2;
    for _ in 1..Session::LIFETIME_MS / 1000 / step {
        world.pass(step);
        assert!(world.service.session_of(&signed_in.secret).await.unwrap().is_some());
    }
    world.pass(step);
    assert!(world.service.session_of(&signed_in.secret).await.unwrap().is_none());
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let world = World::new();
    admin(&world).await;
    let first = world
        .service
        .sign_in("ann@example.org", PASSWORD.to_owned(), visit())
        .await
        .unwrap();
    let replaces = Visit {
        replaces: Some(first.person.session.id.clone()),
        ..visit()
    };
    let second = world
        .service
        .sign_in("ann@example.org", PASSWORD.to_owned(), replaces)
        .await
        .unwrap();
    assert!(world.service.session_of(&first.secret).await.unwrap().is_none());
    assert!(world.service.session_of(&second.secret).await.unwrap().is_some());
}

#[tokio::test]
async fn a_wrong_password_is_an_event_and_too_many_are_refused() {
    let world = World::new();
    let admin = admin(&world).await;
    for email in ["ann@example.org", "nobody@example.org", "no address"] {
        let refused = world.service.sign_in(email, "wrong password".to_owned(), visit()).await;
        assert_eq!(code(refused), ErrorCode::AuthWrongPassword);
    }
    let filter = AuditFilter {
        action: Some("session.refused".to_owned()),
        ..AuditFilter::default()
    };
    let events = world
        .service
        .audit(&admin, &filter, &Paging::default())
        .await
        .unwrap()
        .items;
    let emails: Vec<_> = events.iter().map(|event| event.metadata["email"].as_str()).collect();
    assert_eq!(
        emails,
        [None, None, Some("ann@example.org")],
        "nothing typed is kept of strangers"
    );
    for _ in 0..4 {
        let _ = world
            .service
            .sign_in("ann@example.org", "wrong password".to_owned(), visit())
            .await;
    }
    let refused = world
        .service
        .sign_in("ann@example.org", PASSWORD.to_owned(), visit())
        .await;
    assert_eq!(code(refused), ErrorCode::AuthTooMany);
    world.pass(16 * 60);
    world
        .service
        .sign_in("ann@example.org", PASSWORD.to_owned(), visit())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_invitation_works_once_and_for_three_days() {
    let world = World::new();
    let intent = UserIntent {
        email: "bob@example.org".parse().unwrap(),
        name: "Bob".to_owned(),
        role: Some(Role::Viewer),
        app_roles: BTreeMap::new(),
    };
    let invited = world.service.create_user(&local(), intent.clone()).await.unwrap();
    assert_eq!(
        code(world.service.create_user(&local(), intent).await),
        ErrorCode::UserExists
    );
    let accept = async |secret: &str| {
        world
            .service
            .accept_invitation(secret, PASSWORD.to_owned(), visit())
            .await
    };
    accept(&invited.secret).await.unwrap();
    assert_eq!(code(accept(&invited.secret).await), ErrorCode::InvitationInvalid);

    let id = &invited.user.id;
    let first = world.service.invite_user(&local(), id).await.unwrap();
    let second = world.service.invite_user(&local(), id).await.unwrap();
    assert_eq!(
        code(accept(&first.secret).await),
        ErrorCode::InvitationInvalid,
        "a newer link replaces it"
    );
    world.pass(3 * 24 * 3600);
    assert_eq!(
        code(accept(&second.secret).await),
        ErrorCode::InvitationInvalid,
        "too late"
    );
}

#[tokio::test]
async fn roles_bound_what_people_do() {
    let world = World::new();
    for slug in ["acme", "other"] {
        world
            .service
            .create_app(&local(), slug.parse().unwrap(), AppChanges::default(), None)
            .await
            .unwrap();
    }
    let viewer = person(&world, "v@example.org", Some(Role::Viewer), &[]).await;
    let manager = person(&world, "m@example.org", None, &[("acme", Role::Manager)]).await;
    let admin = admin(&world).await;
    let make = async |caller: &Caller, slug: &str| {
        let made = world
            .service
            .create_app(caller, slug.parse().unwrap(), AppChanges::default(), None)
            .await;
        made.map_err(|error| error.refusal().code)
    };
    assert_eq!(make(&viewer, "v").await.unwrap_err(), ErrorCode::AuthRole);
    assert_eq!(make(&manager, "m").await.unwrap_err(), ErrorCode::AuthRole);
    assert_eq!(make(&admin, "a").await.unwrap().owner, "user:ann@example.org");
    let token = async |app: &str| {
        let intent = dist_model::decide::TokenIntent {
            name: format!("ci-{app}"),
            scopes: dist_model::Scopes([Scope::Publish].into()),
            app_slug: Some(app.parse().unwrap()),
            channels: std::collections::BTreeSet::new(),
            expires_at: None,
        };
        world.service.create_token(&local(), intent, None).await.unwrap().token
    };
    let (own, others) = (token("acme").await, token("other").await);
    assert_eq!(
        code(world.service.tokens(&viewer, &Paging::default()).await),
        ErrorCode::AuthRole
    );
    assert_eq!(
        world.service.tokens(&manager, &Paging::default()).await.unwrap().items,
        std::slice::from_ref(&own)
    );
    assert_eq!(
        code(world.service.revoke_token(&manager, &others.id).await),
        ErrorCode::TokenNotFound
    );
    world.service.revoke_token(&manager, &own.id).await.unwrap();
    let everything = AuditFilter::default();
    assert_eq!(
        code(world.service.audit(&manager, &everything, &Paging::default()).await),
        ErrorCode::AuthRole
    );
    let acme = AuditFilter {
        app: Some("acme".parse().unwrap()),
        ..AuditFilter::default()
    };
    world.service.audit(&manager, &acme, &Paging::default()).await.unwrap();
}

#[tokio::test]
async fn who_loses_a_role_loses_it_at_once() {
    let world = World::new();
    let admin = admin(&world).await;
    let other = person(&world, "b@example.org", Some(Role::Admin), &[]).await;
    let id = other.person().unwrap().user.id.clone();
    let demoted = UserChanges {
        roles: Some(Roles {
            role: Some(Role::Viewer),
            ..Roles::default()
        }),
        ..UserChanges::default()
    };
    world.service.update_user(&admin, &id, demoted).await.unwrap();
    // The caller still holds what it was when its request began.
    let refused = world
        .service
        .create_app(&other, "acme".parse().unwrap(), AppChanges::default(), None)
        .await;
    assert_eq!(code(refused), ErrorCode::AuthRole);
    let own = &admin.person().unwrap().user.id;
    let disabled = UserChanges {
        disabled: Some(true),
        ..UserChanges::default()
    };
    assert_eq!(
        code(world.service.update_user(&admin, own, disabled.clone()).await),
        ErrorCode::UserLastAdmin
    );
    world.service.update_user(&admin, &id, disabled).await.unwrap();
    let refused = world
        .service
        .sign_in("b@example.org", PASSWORD.to_owned(), visit())
        .await;
    assert_eq!(code(refused), ErrorCode::AuthWrongPassword);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let world = World::new();
    let admin = admin(&world).await;
    let elsewhere = world
        .service
        .sign_in("ann@example.org", PASSWORD.to_owned(), visit())
        .await
        .unwrap();
    let wrong = world
        .service
        .change_password(&admin, "wrong password".to_owned(), "another horse".to_owned());
    assert_eq!(code(wrong.await), ErrorCode::AuthWrongPassword);
    world
        .service
        .change_password(&admin, PASSWORD.to_owned(), "another horse".to_owned())
        .await
        .unwrap();
    assert!(world.service.session_of(&elsewhere.secret).await.unwrap().is_none());
    assert_eq!(world.service.sessions(&admin).await.unwrap().len(), 1);
    // What began before its session ended comes too late.
    let late = Caller::new(Principal::Person(elsewhere.person));
    let change = world
        .service
        .change_password(&late, "another horse".to_owned(), "somebody else's".to_owned());
    assert_eq!(code(change.await), ErrorCode::AuthSessionEnded);
    world
        .service
        .sign_in("ann@example.org", "another horse".to_owned(), visit())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_tester_link_opens_its_channel_and_nothing_else() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    world.publish("1.1.0", Some("stable"), "two").await.unwrap();
    let private = AppChanges {
        visibility: Some(dist_model::Visibility::Private),
        ..AppChanges::default()
    };
    let slug = "acme".parse().unwrap();
    world.service.update_app(&local(), &slug, private).await.unwrap();
    let (beta, stable) = ("beta".parse().unwrap(), "stable".parse().unwrap());
    let intent = |hours: i64| LinkIntent {
        channel: "beta".parse().unwrap(),
        note: "for Bob".to_owned(),
        expires_at: world.service.now().plus_millis(hours * 3_600_000),
    };
    let viewer = person(&world, "v@example.org", Some(Role::Viewer), &[]).await;
    assert_eq!(
        code(
            world
                .service
                .create_link(&viewer, &slug, intent(1), None)
                .await
                .map(|_| ())
        ),
        ErrorCode::AuthRole
    );
    assert_eq!(
        code(
            world
                .service
                .create_link(&local(), &slug, intent(0), None)
                .await
                .map(|_| ())
        ),
        ErrorCode::LinkInvalid
    );
    let made = world
        .service
        .create_link(&local(), &slug, intent(1), None)
        .await
        .unwrap();
    let secret = made.secret.unwrap();
    let tester = Caller::new(world.service.link_of(&secret).await.unwrap().unwrap());
    let page = world.service.install(&tester, &slug, &beta).await.unwrap();
    let artifact = page.offer.release.unwrap().artifacts.remove(0);
    assert!(page.downloads.contains(&artifact.id));
    let latest = world
        .service
        .latest(&tester, &slug, &beta, &LatestQuery::default())
        .await;
    assert_eq!(code(latest), ErrorCode::AppNotFound);
    world
        .service
        .download(&tester, &artifact.sha256, Some(&artifact.id))
        .await
        .unwrap();
    assert_eq!(
        code(world.service.install(&tester, &slug, &stable).await),
        ErrorCode::AppNotFound
    );
    assert_eq!(code(world.service.app(&tester, &slug).await), ErrorCode::AppNotFound);
    let other = world
        .service
        .install(&local(), &slug, &stable)
        .await
        .unwrap()
        .offer
        .release
        .unwrap()
        .artifacts
        .remove(0);
    let refused = world.service.download(&tester, &other.sha256, Some(&other.id)).await;
    assert_eq!(code(refused), ErrorCode::ObjectNotFound);
    world.service.revoke_link(&local(), &slug, &made.link.id).await.unwrap();
    let ended = Caller::new(world.service.link_of(&secret).await.unwrap().unwrap());
    assert_eq!(
        code(world.service.install(&ended, &slug, &beta).await),
        ErrorCode::LinkEnded
    );
    let again = world.service.revoke_link(&local(), &slug, &made.link.id).await;
    assert_eq!(code(again), ErrorCode::LinkAlreadyRevoked);
    assert_eq!(
        world
            .service
            .links(&local(), &slug, Some(&beta), &Paging::default())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn no_secret_and_no_hash_is_shown() {
    let world = World::new();
    let admin = admin(&world).await;
    person(&world, "v@example.org", Some(Role::Viewer), &[]).await;
    let events = world
        .service
        .audit(&admin, &AuditFilter::default(), &Paging::default())
        .await
        .unwrap();
    let shown = serde_json::to_string(&events.items).unwrap();
    assert!(!shown.contains("hash") && !shown.contains("argon2"), "{shown}");
    let verified = world.service.verify(&local()).await.unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);
}

fn identity(subject: &str, email: Option<&str>) -> Identity {
    Identity {
        issuer: "https://id.example.org".to_owned(),
        subject: subject.to_owned(),
        email: email.map(|email| email.parse().unwrap()),
        name: "Bob\u{202e}".to_owned(),
    }
}

#[tokio::test]
async fn a_provider_vouches_for_who_was_let_in() {
    let world = World::new();
    let admin = admin(&world).await;
    let come = async |subject: &str, email: Option<&str>, admission: Option<Admission>| {
        let come = world.service.sign_in_as(identity(subject, email), admission, visit());
        come.await.map(|session| session.person.user.clone())
    };
    let refused = |result: Result<dist_model::User, Error>| assert_eq!(code(result), ErrorCode::AuthNotLetIn);
    refused(come("1", Some("bob@example.org"), None).await);
    refused(come("1", None, None).await);

    assert_eq!(come("9", Some("ann@example.org"), None).await.unwrap().name, "Ann");
    assert_eq!(
        come("9", None, None).await.unwrap().name,
        "Ann",
        "the subject is who they are, whatever their address"
    );
    refused(come("8", Some("ann@example.org"), None).await);

    let admission = Admission {
        domain: "example.org".to_owned(),
        role: Role::Viewer,
    };
    refused(come("2", Some("eve@evil.example.org"), Some(admission.clone())).await);
    let bob = come("2", Some("bob@example.org"), Some(admission.clone()))
        .await
        .unwrap();
    assert_eq!((bob.role, bob.name.as_str()), (Some(Role::Viewer), "Bob"));
    let disabled = UserChanges {
        disabled: Some(true),
        ..UserChanges::default()
    };
    world.service.update_user(&admin, &bob.id, disabled).await.unwrap();
    refused(come("2", Some("bob@example.org"), Some(admission)).await);
}

#[tokio::test]
async fn a_password_from_the_shell_ends_all_sessions() {
    let world = World::new();
    let admin = admin(&world).await;
    let id = admin.person().unwrap().user.id.clone();
    let set = async |caller: &Caller, password: &str| {
        let set = world.service.set_password(caller, &id, password.to_owned()).await;
        set.map(drop)
    };
    assert_eq!(code(set(&local(), "short").await), ErrorCode::PasswordWeak);
    set(&local(), "another horse").await.unwrap();
    assert_eq!(code(set(&admin, PASSWORD).await), ErrorCode::AuthSessionEnded);
    let sign_in = world
        .service
        .sign_in("ann@example.org", "another horse".to_owned(), visit());
    sign_in.await.unwrap();
}
