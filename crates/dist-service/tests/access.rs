//! Who may do and see what.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::{World, artifact, code, local, request};
use dist_model::decide::TokenIntent;
use dist_model::{AppChanges, ErrorCode, IosMode, Platform, Scope, Scopes, Slug, Visibility};
use dist_service::{AuditFilter, Caller, Idempotency, Paging, Principal, PromoteFrom, Selector};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn stranger() -> Caller {
    Caller::new(Principal::Anonymous)
}

fn set(visibility: Visibility) -> AppChanges {
    AppChanges {
        visibility: Some(visibility),
        ..AppChanges::default()
    }
}

#[tokio::test]
async fn secrets_are_checked_in_their_stages() {
    let world = World::new();
    let (caller, secret) = world.token("ci", &[Scope::Publish], None, &[]).await;
    let Principal::Token(token) = &caller.principal else {
        panic!()
    };
    assert!(matches!(
        world.service.authenticate(None).await.unwrap(),
        Principal::Anonymous
    ));
    for bad in [
        "",
        "Bearer",
        "Bearer x",
        "Basic dist_00",
        "Bearer dist_xyz",
        &format!("Bearer dist_{}", "A".repeat(64)),
    ] {
        let denied = world.service.authenticate(Some(bad)).await.unwrap_err();
        assert_eq!(
            (denied.refusal.code, denied.token),
            (ErrorCode::AuthMalformed, None),
            "{bad:?}"
        );
    }
    let unknown = format!("Bearer dist_{}", "0".repeat(64));
    assert_eq!(
        world
            .service
            .authenticate(Some(&unknown))
            .await
            .unwrap_err()
            .refusal
            .code,
        ErrorCode::AuthUnknownToken
    );
    assert!(
        world
            .service
            .authenticate(Some(&format!("bearer {secret}")))
            .await
            .is_ok()
    );

    world.service.revoke_token(&local(), &token.id).await.unwrap();
    let denied = world
        .service
        .authenticate(Some(&format!("Bearer {secret}")))
        .await
        .unwrap_err();
    assert_eq!(
        (denied.refusal.code, denied.token.unwrap().name.clone()),
        (ErrorCode::AuthRevoked, "ci".to_owned())
    );
    assert_eq!(
        code(world.service.revoke_token(&local(), &token.id).await),
        ErrorCode::TokenAlreadyRevoked
    );
    assert_eq!(
        code(world.service.revoke_token(&local(), &"nobody".parse().unwrap()).await),
        ErrorCode::TokenNotFound
    );
}

#[tokio::test]
async fn a_revocation_cuts_off_a_request_under_way() {
    let world = World::new();
    let (caller, _) = world.token("ci", &[Scope::Publish], None, &[]).await;
    let Principal::Token(token) = &caller.principal else {
        panic!()
    };
    let digest = world.upload(&caller, b"one").await;
    world.service.revoke_token(&local(), &token.id).await.unwrap();
    // The caller was let in while the token was alive; the transaction looks again.
    let refused = world
        .service
        .publish(&caller, request("1.0.0", None, vec![artifact("a-linux", digest)]), None)
        .await;
    assert_eq!(code(refused), ErrorCode::AuthRevoked);
}

#[tokio::test]
async fn tokens_expire() {
    let world = World::new();
    let intent = TokenIntent {
        name: "short".to_owned(),
        scopes: Scopes([Scope::Read].into()),
        app_slug: None,
        channels: [].into(),
        expires_at: Some(world.service.now().plus_millis(1000)),
    };
    let secret = world
        .service
        .create_token(&local(), intent, None)
        .await
        .unwrap()
        .secret
        .unwrap();
    let header = format!("Bearer {secret}");
    assert!(world.service.authenticate(Some(&header)).await.is_ok());
    world.pass(1);
    assert_eq!(
        world
            .service
            .authenticate(Some(&header))
            .await
            .unwrap_err()
            .refusal
            .code,
        ErrorCode::AuthExpired
    );
}

#[tokio::test]
async fn scopes_apps_and_channels_bind() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let (beta, stable) = ("beta".parse().unwrap(), "stable".parse().unwrap());
    let from = || PromoteFrom::Release(Selector::new("1.0.0", None));
    let (reader, _) = world.token("reader", &[Scope::Read], None, &[]).await;
    let (other, _) = world.token("other", &[Scope::Publish], Some("other"), &[]).await;
    let (narrow, _) = world
        .token("narrow", &[Scope::Promote], Some("acme"), &["stable"])
        .await;
    let before = world.contents();
    let promote = |caller: Caller, channel| {
        let service = world.service.clone();
        async move { service.promote(&caller, &acme(), &channel, from(), None, None).await }
    };
    assert_eq!(
        code(promote(stranger(), stable_clone(&stable)).await),
        ErrorCode::AuthMissing
    );
    assert_eq!(
        code(promote(reader.clone(), stable_clone(&stable)).await),
        ErrorCode::AuthMissingScope
    );
    assert_eq!(
        code(promote(other.clone(), stable_clone(&stable)).await),
        ErrorCode::AuthAppForbidden
    );
    assert_eq!(
        code(promote(narrow.clone(), beta).await),
        ErrorCode::AuthChannelForbidden
    );
    assert_eq!(world.contents(), before);
    assert!(promote(narrow, stable).await.unwrap().changed);
    // Whether what was asked for exists makes no difference.
    let nowhere: Slug = "nowhere".parse().unwrap();
    assert_eq!(
        code(
            world
                .service
                .update_app(&reader, &nowhere, set(Visibility::Public))
                .await
        ),
        ErrorCode::AuthMissingScope
    );
    assert_eq!(
        code(
            world
                .service
                .update_app(&local(), &nowhere, set(Visibility::Public))
                .await
        ),
        ErrorCode::AppNotFound
    );
}

fn stable_clone(channel: &dist_model::ChannelName) -> dist_model::ChannelName {
    channel.clone()
}

#[tokio::test]
async fn visibility_decides_what_strangers_see() {
    let world = World::new();
    let published = world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let (digest, beta) = (published.artifacts[0].sha256, "beta".parse().unwrap());
    let (reader, _) = world.token("reader", &[Scope::Read], Some("acme"), &[]).await;
    for (visibility, listed, readable, installable) in [
        (Visibility::Public, true, true, true),
        (Visibility::Unlisted, false, false, true),
        (Visibility::Private, false, false, false),
    ] {
        world
            .service
            .update_app(&local(), &acme(), set(visibility))
            .await
            .unwrap();
        let list = world.service.apps(&stranger(), &Paging::default()).await.unwrap();
        assert_eq!(!list.items.is_empty(), listed, "{visibility}");
        assert_eq!(
            world.service.app(&stranger(), &acme()).await.is_ok(),
            readable,
            "{visibility}"
        );
        assert_eq!(
            world.service.install(&stranger(), &acme(), &beta).await.is_ok(),
            installable,
            "{visibility}"
        );
        let download = world.service.download(&stranger(), &digest, None).await;
        assert_eq!(download.is_ok(), installable, "{visibility}");
        assert_eq!(download.is_ok_and(|download| download.public), listed, "{visibility}");
        assert!(world.service.app(&reader, &acme()).await.is_ok());
        assert!(world.service.download(&reader, &digest, None).await.is_ok());
        assert_eq!(
            world
                .service
                .apps(&reader, &Paging::default())
                .await
                .unwrap()
                .items
                .len(),
            1
        );
    }
    // A private app and one that is not there are told apart by nothing.
    let told = |slug: &str| {
        let (service, slug) = (world.service.clone(), slug.parse::<Slug>().unwrap());
        async move {
            service
                .app(&stranger(), &slug)
                .await
                .unwrap_err()
                .refusal()
                .message
                .replace(slug.as_str(), "X")
        }
    };
    assert_eq!(told("acme").await, told("nowhere").await);
}

#[tokio::test]
async fn others_bytes_and_absent_ones_are_refused_alike() {
    let world = World::new();
    let (publisher, _) = world.token("ci", &[Scope::Publish], None, &[]).await;
    let others = world.upload(&local(), b"no package of any kind").await;
    let absent: dist_model::Digest = "0".repeat(64).parse().unwrap();
    let mut told = Vec::new();
    for digest in [others, absent] {
        let mut wanted = request("1.0.0", Some("beta"), vec![artifact("acme.deb", digest)]);
        wanted.artifacts[0].size_bytes = Some(1);
        let error = world.service.publish(&publisher, wanted, None).await.unwrap_err();
        let refusal = error.refusal();
        told.push((refusal.code, refusal.message.replace(&digest.to_string(), "X")));
    }
    assert_eq!(told[0].0, ErrorCode::ObjectMissing);
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn an_ipa_of_an_artifact_only_app_is_kept_back() {
    let world = World::new();
    let bytes = include_bytes!("../../../examples/dist/hello-1.0.0.ipa");
    let digest = world.upload(&local(), bytes).await;
    let mut wanted = request("1.0.0", Some("beta"), vec![artifact("Acme.ipa", digest)]);
    wanted.artifacts[0].platform = Some(Platform::Ios);
    world.service.publish(&local(), wanted, None).await.unwrap();
    assert_eq!(
        code(world.service.download(&stranger(), &digest, None).await),
        ErrorCode::ObjectNotFound
    );
    let open = AppChanges {
        ios_public_download: Some(true),
        ..AppChanges::default()
    };
    world.service.update_app(&local(), &acme(), open).await.unwrap();
    assert!(world.service.download(&stranger(), &digest, None).await.unwrap().public);
    let enterprise = AppChanges {
        ios_public_download: Some(false),
        ios_mode: Some(IosMode::Enterprise),
        bundle_ids: [(Platform::Ios, "dev.acme".to_owned())].into(),
        ..AppChanges::default()
    };
    world.service.update_app(&local(), &acme(), enterprise).await.unwrap();
    assert!(world.service.download(&stranger(), &digest, None).await.is_ok());
}

#[tokio::test]
async fn no_token_mints_a_wider_one() {
    let world = World::new();
    let (admin, _) = world.token("admin", &[Scope::Admin], Some("acme"), &["beta"]).await;
    let intent = |app: Option<&str>, channels: &[&str]| TokenIntent {
        name: "minted".to_owned(),
        scopes: Scopes([Scope::Publish].into()),
        app_slug: app.map(|app| app.parse().unwrap()),
        channels: channels.iter().map(|channel| channel.parse().unwrap()).collect(),
        expires_at: None,
    };
    let mint = |caller: Caller, intent| {
        let service = world.service.clone();
        async move { service.create_token(&caller, intent, None).await.map(|new| new.token) }
    };
    assert_eq!(
        code(mint(admin.clone(), intent(None, &["beta"])).await),
        ErrorCode::AuthAppForbidden
    );
    assert_eq!(
        code(mint(admin.clone(), intent(Some("other"), &["beta"])).await),
        ErrorCode::AuthAppForbidden
    );
    assert_eq!(
        code(mint(admin.clone(), intent(Some("acme"), &[])).await),
        ErrorCode::AuthChannelForbidden
    );
    assert_eq!(
        code(mint(admin.clone(), intent(Some("acme"), &["stable"])).await),
        ErrorCode::AuthChannelForbidden
    );
    assert!(mint(admin.clone(), intent(Some("acme"), &["beta"])).await.is_ok());
    let (publisher, _) = world.token("publisher", &[Scope::Publish], None, &[]).await;
    assert_eq!(
        code(mint(publisher, intent(None, &[])).await),
        ErrorCode::AuthMissingScope
    );
    assert_eq!(code(mint(local(), intent(None, &[])).await), ErrorCode::TokenExists);
    // An admin of one app sees that app's tokens.
    let names: Vec<String> = world
        .service
        .tokens(&admin, &Paging::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|token| token.name)
        .collect();
    assert_eq!(names, ["admin", "minted"]);
}

#[tokio::test]
async fn a_secret_is_shown_once_even_under_an_idempotency_key() {
    let world = World::new();
    let intent = TokenIntent {
        name: "ci".to_owned(),
        scopes: Scopes([Scope::Read].into()),
        app_slug: None,
        channels: [].into(),
        expires_at: None,
    };
    let key = || Some(Idempotency::new("once", &[b"token"]).unwrap());
    let first = world
        .service
        .create_token(&local(), intent.clone(), key())
        .await
        .unwrap();
    let second = world.service.create_token(&local(), intent, key()).await.unwrap();
    assert_eq!(first.token, second.token);
    assert!(first.secret.is_some() && second.secret.is_none());
    let secret = first.secret.unwrap();
    for file in ["dist.db", "dist.db-wal"] {
        let bytes = std::fs::read(world.folder.path().join(file)).unwrap_or_default();
        assert!(
            !bytes
                .windows(secret.len() - 5)
                .any(|window| window == &secret.as_bytes()[5..]),
            "the secret is in {file}"
        );
    }
}

#[tokio::test]
async fn refusals_and_uses_are_recorded() {
    let world = World::new();
    let (caller, secret) = world.token("ci", &[Scope::Read], None, &[]).await;
    world
        .service
        .record_refusal(&caller.principal, ErrorCode::AuthMissingScope, "POST /api/apps", None)
        .await
        .unwrap();
    let page = world
        .service
        .audit(
            &local(),
            &AuditFilter {
                action: Some("access.refused".to_owned()),
                ..AuditFilter::default()
            },
            &Paging::default(),
        )
        .await
        .unwrap();
    assert_eq!(
        (page.items[0].actor.to_string(), &page.items[0].metadata["code"]),
        ("token:ci".to_owned(), &"auth.missing_scope".into())
    );

    for _ in 0..1000 {
        world.service.count_stranger(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    world.service.flush().await.unwrap();
    assert!(
        !world.actions().await.contains(&"access.strangers_refused".to_owned()),
        "the minute is not over"
    );
    world.pass(120);
    world
        .service
        .authenticate(Some(&format!("Bearer {secret}")))
        .await
        .unwrap();
    world.service.flush().await.unwrap();
    let strangers = AuditFilter {
        action: Some("access.strangers_refused".to_owned()),
        ..AuditFilter::default()
    };
    let page = world
        .service
        .audit(&local(), &strangers, &Paging::default())
        .await
        .unwrap();
    assert_eq!(
        (page.items.len(), &page.items[0].metadata["count"]),
        (1, &1000.into()),
        "one event an address and minute"
    );
    let tokens = world.service.tokens(&local(), &Paging::default()).await.unwrap();
    assert_eq!(tokens.items[0].last_used_at, Some(world.service.now()));
}

#[tokio::test]
async fn the_audit_is_for_readers_of_the_app_and_admins() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let (reader, _) = world.token("reader", &[Scope::Read], Some("acme"), &[]).await;
    let (other, _) = world.token("other", &[Scope::Read], Some("other"), &[]).await;
    let of_app = AuditFilter {
        app: Some(acme()),
        ..AuditFilter::default()
    };
    let audit = |caller: Caller, filter: AuditFilter| {
        let service = world.service.clone();
        async move { service.audit(&caller, &filter, &Paging::default()).await }
    };
    assert_eq!(audit(reader.clone(), of_app.clone()).await.unwrap().items.len(), 3);
    assert_eq!(code(audit(stranger(), of_app.clone()).await), ErrorCode::AuthMissing);
    assert_eq!(code(audit(other, of_app).await), ErrorCode::AuthAppForbidden);
    assert_eq!(
        code(audit(reader, AuditFilter::default()).await),
        ErrorCode::AuthMissingScope
    );
    let by_actor = AuditFilter {
        actor: Some("local:1000".to_owned()),
        action: Some("release.published".to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(audit(local(), by_actor).await.unwrap().items.len(), 1);
    let since = AuditFilter {
        since: Some(world.service.now().plus_millis(1)),
        ..AuditFilter::default()
    };
    assert_eq!(audit(local(), since).await.unwrap().items, []);
}
