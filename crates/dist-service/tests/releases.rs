//! Publishing, promoting, rolling back and yanking, on a real store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, artifact, code, local, request};
use dist_model::decide::{DraftIntent, PublishStatus};
use dist_model::{AppChanges, Build, ChannelChanges, ChannelPolicy, Digest, ErrorCode, ReleaseStatus, Scope, Slug};
use dist_service::{
    Idempotency, LatestQuery, Paging, PromoteFrom, PublishRequest, ReleaseFilter, ReleaseOrder, Selector, YankIntent,
};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn by_version(version: &str) -> PromoteFrom {
    PromoteFrom::Release(Selector::new(version, None))
}

#[tokio::test]
async fn a_release_goes_from_publish_to_rollback() {
    let world = World::new();
    let (beta, stable) = ("beta".parse().unwrap(), "stable".parse().unwrap());
    let one = world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    assert_eq!(one.status, PublishStatus::Published);
    let moved = world
        .service
        .promote(
            &local(),
            &acme(),
            &stable,
            PromoteFrom::Channel("beta".parse().unwrap()),
            None,
            None,
        )
        .await
        .unwrap();
    assert_eq!(
        (moved.revision, moved.changed, moved.release.id.clone()),
        (1, true, one.release.id.clone())
    );
    let again = world
        .service
        .promote(&local(), &acme(), &stable, by_version("1.0.0"), None, None)
        .await
        .unwrap();
    assert_eq!((again.revision, again.changed), (1, false));

    world.publish("2.0.0", Some("beta"), "two").await.unwrap();
    world
        .service
        .promote(&local(), &acme(), &stable, by_version("2.0.0"), Some(1), None)
        .await
        .unwrap();
    let back = world
        .service
        .roll_back(&local(), &acme(), &stable, Some(2), None)
        .await
        .unwrap();
    assert_eq!((back.revision, back.release.id), (3, one.release.id));
    assert_eq!(
        code(world.service.roll_back(&local(), &acme(), &stable, None, None).await),
        ErrorCode::ChannelNoPrevious
    );

    let history = world
        .service
        .history(&local(), &acme(), &stable, &Paging::default())
        .await
        .unwrap();
    let told: Vec<_> = history
        .items
        .iter()
        .map(|entry| (entry.revision, entry.cause.as_str(), entry.version.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (3, "rolled_back", "1.0.0"),
            (2, "promoted", "2.0.0"),
            (1, "promoted", "1.0.0")
        ]
    );
    let overview = world.service.app(&local(), &acme()).await.unwrap();
    assert_eq!(
        overview
            .channels
            .iter()
            .map(|channel| channel.channel.name.clone())
            .collect::<Vec<_>>(),
        [beta, stable]
    );
    assert_eq!(
        world.actions().await,
        [
            "object.uploaded",
            "app.created",
            "release.published",
            "channel.published",
            "channel.promoted",
            "object.uploaded",
            "release.published",
            "channel.published",
            "channel.promoted",
            "channel.rolled_back"
        ]
    );
    assert!(world.service.verify(&local()).await.unwrap().ok);
}

#[tokio::test]
async fn publishing_again_is_unchanged_and_other_bytes_conflict() {
    let world = World::new();
    let first = world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    world.publish("2.0.0", Some("beta"), "two").await.unwrap();
    let again = world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let stands = again.channel.unwrap();
    assert_eq!(
        (again.status, stands.revision),
        (PublishStatus::Unchanged, 2),
        "the channel stays at 2.0.0"
    );
    assert_ne!(stands.release_id, again.release.id);
    assert_eq!(again.artifacts, first.artifacts);
    let before = world.contents();
    let digest = world.upload(&local(), b"two").await;
    let request = request("1.0.0", Some("beta"), vec![artifact("acme-linux", digest)]);
    assert_eq!(
        code(world.service.publish(&local(), request, None).await),
        ErrorCode::ReleaseConflict
    );
    assert_eq!(world.contents(), before);
}

#[tokio::test]
async fn objects_that_nobody_sent_cannot_be_named() {
    let world = World::new();
    let before = world.contents();
    let nowhere = request("1.0.0", None, vec![artifact("acme-linux", Digest::from_bytes([7; 32]))]);
    assert_eq!(
        code(world.service.publish(&local(), nowhere, None).await),
        ErrorCode::ObjectMissing
    );
    assert_eq!(world.contents(), before);

    // A digest is no capability: what another token uploaded is not this one's to name.
    let (one, _) = world.token("one", &[Scope::Publish], None, &[]).await;
    let (two, _) = world.token("two", &[Scope::Publish], Some("acme"), &[]).await;
    let digest = world.upload(&one, b"secret build").await;
    let stolen = request("1.0.0", None, vec![artifact("acme-linux", digest)]);
    assert_eq!(
        code(world.service.publish(&two, stolen.clone(), None).await),
        ErrorCode::ObjectMissing
    );
    assert_eq!(
        code(world.service.object_size(&two, &digest).await),
        ErrorCode::ObjectNotFound
    );
    assert_eq!(world.service.object_size(&one, &digest).await.unwrap(), 12);
    world.upload(&two, b"secret build").await;
    assert_eq!(
        world.service.publish(&two, stolen, None).await.unwrap().status,
        PublishStatus::Published
    );
}

#[tokio::test]
async fn two_jobs_fill_a_draft() {
    let world = World::new();
    let draft = |digest| PublishRequest {
        draft: true,
        ..request("1.0.0", Some("beta"), vec![artifact("one-linux", digest)])
    };
    let one = world.upload(&local(), b"one").await;
    let begun = world.service.publish(&local(), draft(one), None).await.unwrap();
    assert_eq!(begun.status, PublishStatus::Draft);
    let selector = Selector::from(begun.release.id.clone());
    let two = world.upload(&local(), b"two").await;
    let filled = world
        .service
        .add_artifacts(&local(), &acme(), &selector, vec![artifact("two-linux", two)], None)
        .await
        .unwrap();
    assert_eq!(filled.artifacts.len(), 2);

    // Strangers do not see a draft, and a channel never points at one.
    let stranger = dist_service::Caller::new(dist_service::Principal::Anonymous);
    assert_eq!(
        code(world.service.release(&stranger, &acme(), &selector).await),
        ErrorCode::ReleaseNotFound
    );
    assert_eq!(
        world
            .service
            .releases(&stranger, &acme(), &ReleaseFilter::default(), &Paging::default())
            .await
            .unwrap()
            .items,
        []
    );
    let promoted = world
        .service
        .promote(
            &local(),
            &acme(),
            &"beta".parse().unwrap(),
            PromoteFrom::Release(selector.clone()),
            None,
            None,
        )
        .await;
    assert_eq!(code(promoted), ErrorCode::ReleaseIsDraft);

    let published = world
        .service
        .publish_draft(&local(), &acme(), &selector, DraftIntent::default(), None)
        .await
        .unwrap();
    assert_eq!((published.artifacts.len(), published.channel.unwrap().revision), (2, 1));
    let again = world
        .service
        .publish_draft(&local(), &acme(), &selector, DraftIntent::default(), None)
        .await
        .unwrap();
    assert_eq!(
        (again.status, again.channel.unwrap().revision),
        (PublishStatus::Unchanged, 1)
    );
    let to_stable = DraftIntent {
        channel: Some("stable".parse().unwrap()),
        ..DraftIntent::default()
    };
    let elsewhere = world
        .service
        .publish_draft(&local(), &acme(), &selector, to_stable, None)
        .await
        .unwrap();
    let moved = elsewhere.channel.unwrap();
    assert_eq!(
        (
            elsewhere.status,
            moved.channel.as_str(),
            moved.release_id,
            moved.revision
        ),
        (PublishStatus::Unchanged, "stable", elsewhere.release.id, 1)
    );
    assert_eq!(
        code(world.service.discard(&local(), &acme(), &selector).await),
        ErrorCode::ReleaseNotDraft
    );
    assert_eq!(
        world
            .service
            .release(&stranger, &acme(), &selector)
            .await
            .unwrap()
            .artifacts
            .len(),
        2
    );
}

#[tokio::test]
async fn a_yanked_release_is_skipped_and_never_offered() {
    let world = World::new();
    let beta = "beta".parse().unwrap();
    for (version, content) in [("1.0.0", "one"), ("2.0.0", "two"), ("3.0.0", "three")] {
        world.publish(version, Some("beta"), content).await.unwrap();
    }
    let yank = |version: &'static str, and_rollback| {
        let service = world.service.clone();
        async move {
            service
                .yank(
                    &local(),
                    &acme(),
                    &Selector::new(version, None),
                    YankIntent {
                        and_rollback,
                        reason: Some("broken".to_owned()),
                        ..YankIntent::default()
                    },
                    None,
                )
                .await
        }
    };
    assert!(yank("2.0.0", false).await.unwrap().changed);
    assert!(!yank("2.0.0", false).await.unwrap().changed);
    assert_eq!(code(yank("3.0.0", false).await), ErrorCode::ReleaseInUse);
    let yanked = yank("3.0.0", true).await.unwrap();
    assert_eq!(
        (yanked.release.status, yanked.rolled_back.len()),
        (ReleaseStatus::Yanked, 1)
    );
    let channel = world.service.channel(&local(), &acme(), &beta).await.unwrap();
    assert_eq!(channel.current.unwrap().version.as_str(), "1.0.0", "2.0.0 is skipped");
    let before = world.contents();
    assert_eq!(code(yank("1.0.0", true).await), ErrorCode::ChannelNoPrevious);
    assert_eq!(world.contents(), before);
    assert_eq!(
        code(world.publish("3.0.0", Some("beta"), "three").await),
        ErrorCode::ReleaseYanked
    );
    assert_eq!(
        code(
            world
                .service
                .promote(&local(), &acme(), &beta, by_version("3.0.0"), None, None)
                .await
        ),
        ErrorCode::ReleaseYanked
    );
    let digest = world.upload(&local(), b"three").await;
    assert_eq!(
        code(world.service.download(&local(), &digest, None).await),
        ErrorCode::ObjectNotFound
    );
}

#[tokio::test]
async fn a_version_with_several_builds_is_ambiguous() {
    let world = World::new();
    for build in ["1", "2"] {
        let digest = world.upload(&local(), build.as_bytes()).await;
        let request = PublishRequest {
            build: build.parse().unwrap(),
            ..request("1.0.0", None, vec![artifact("acme-linux", digest)])
        };
        world.service.publish(&local(), request, None).await.unwrap();
    }
    let found = world
        .service
        .release(&local(), &acme(), &Selector::new("1.0.0", None))
        .await;
    let refusal = found.unwrap_err().refusal();
    assert_eq!(
        (refusal.code, refusal.code.kind().exit_code()),
        (ErrorCode::ReleaseAmbiguous, 2)
    );
    let named = world
        .service
        .release(
            &local(),
            &acme(),
            &Selector::new("1.0.0", Some("2".parse::<Build>().unwrap())),
        )
        .await
        .unwrap();
    assert_eq!(named.release.build.as_str(), "2");
}

#[tokio::test]
async fn promote_only_channels_take_promotions_only() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let stable = "stable".parse().unwrap();
    let changes = ChannelChanges {
        policy: Some(ChannelPolicy::PromoteOnly),
        ..ChannelChanges::default()
    };
    world
        .service
        .update_channel(&local(), &acme(), &stable, changes)
        .await
        .unwrap();
    let before = world.contents();
    let digest = world.upload(&local(), b"one").await;
    let refused = world
        .service
        .publish(
            &local(),
            request("2.0.0", Some("stable"), vec![artifact("acme-linux", digest)]),
            None,
        )
        .await;
    assert_eq!(code(refused), ErrorCode::PromoteOnly);
    assert_eq!(world.contents(), before);
    assert!(
        world
            .service
            .promote(&local(), &acme(), &stable, by_version("1.0.0"), None, None)
            .await
            .unwrap()
            .changed
    );
}

#[tokio::test]
async fn an_idempotency_key_acts_once() {
    let world = World::new();
    for (version, content) in [("1.0.0", "one"), ("2.0.0", "two"), ("3.0.0", "three")] {
        world.publish(version, Some("beta"), content).await.unwrap();
    }
    let beta = "beta".parse().unwrap();
    let key = |body: &[u8]| Some(Idempotency::new("retry-1", &[b"POST", b"/rollback", body]).unwrap());
    let first = world
        .service
        .roll_back(&local(), &acme(), &beta, None, key(b""))
        .await
        .unwrap();
    let second = world
        .service
        .roll_back(&local(), &acme(), &beta, None, key(b""))
        .await
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(first.release.version.as_str(), "2.0.0", "one step, not two");
    assert_eq!(
        code(
            world
                .service
                .roll_back(&local(), &acme(), &beta, None, key(b"{}"))
                .await
        ),
        ErrorCode::IdempotencyMismatch
    );
    // Another principal's key of the same text is another key.
    let (other, _) = world.token("other", &[Scope::Promote], None, &[]).await;
    let theirs = world
        .service
        .roll_back(&other, &acme(), &beta, None, key(b""))
        .await
        .unwrap();
    assert_eq!(theirs.release.version.as_str(), "1.0.0");

    let digest = world.upload(&local(), b"four").await;
    let publish = || request("4.0.0", Some("beta"), vec![artifact("acme-linux", digest)]);
    let key = || Some(Idempotency::new("publish-4", &[b"4"]).unwrap());
    let first = world.service.publish(&local(), publish(), key()).await.unwrap();
    assert_eq!(
        world.service.publish(&local(), publish(), key()).await.unwrap(),
        first,
        "the same answer, not \"unchanged\""
    );
}

#[tokio::test]
async fn lists_page_in_their_order() {
    let world = World::new();
    for version in ["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "2.0.0", "nightly"] {
        world.publish(version, None, version).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut paging = Paging { cursor: None, limit: 4 };
    loop {
        let page = world
            .service
            .releases(&local(), &acme(), &ReleaseFilter::default(), &paging)
            .await
            .unwrap();
        seen.extend(page.items.into_iter().map(|item| item.release.version.to_string()));
        paging.cursor = page.next_cursor;
        if paging.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["nightly", "2.0.0", "2.0.0-rc.1", "1.9.0", "1.10.0", "1.0.0"]);
    let filter = ReleaseFilter {
        order: ReleaseOrder::SemVer,
        ..ReleaseFilter::default()
    };
    let first = world
        .service
        .releases(&local(), &acme(), &filter, &Paging { cursor: None, limit: 4 })
        .await
        .unwrap();
    let versions = |page: &dist_service::Page<dist_model::ReleaseDetail>| {
        page.items
            .iter()
            .map(|item| item.release.version.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(&first), ["2.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0"]);
    let second = world
        .service
        .releases(
            &local(),
            &acme(),
            &filter,
            &Paging {
                cursor: first.next_cursor,
                limit: 4,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        (versions(&second), second.next_cursor),
        (vec!["1.0.0".to_owned(), "nightly".to_owned()], None)
    );
}

#[tokio::test]
async fn latest_tells_what_to_run() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let beta = "beta".parse().unwrap();
    let ask = |version: Option<&str>, arch: Option<&str>| LatestQuery {
        version: version.map(|version| version.parse().unwrap()),
        arch: arch.map(str::to_owned),
        platform: Some(dist_model::Platform::Linux),
        ..LatestQuery::default()
    };
    for (version, arch, available) in [
        (None, None, true),
        (Some("0.9.0"), Some("arm64"), true),
        (Some("1.0.0"), None, false),
        (Some("2.0.0"), None, true),
    ] {
        let latest = world
            .service
            .latest(&local(), &acme(), &beta, &ask(version, arch))
            .await
            .unwrap();
        assert_eq!(latest.update_available, available, "{version:?}");
    }
    let windows = LatestQuery {
        platform: Some(dist_model::Platform::Windows),
        ..LatestQuery::default()
    };
    let latest = world.service.latest(&local(), &acme(), &beta, &windows).await.unwrap();
    assert!(!latest.update_available && latest.artifacts.is_empty());
}

#[tokio::test]
async fn settings_change_with_their_events() {
    let world = World::new();
    let created = world
        .service
        .create_app(&local(), acme(), AppChanges::default(), None)
        .await
        .unwrap();
    assert_eq!(
        code(
            world
                .service
                .create_app(&local(), acme(), AppChanges::default(), None)
                .await
        ),
        ErrorCode::AppExists
    );
    world.pass(5);
    let changes = AppChanges {
        display_name: Some("Acme Suite".to_owned()),
        ..AppChanges::default()
    };
    let updated = world
        .service
        .update_app(&local(), &acme(), changes.clone())
        .await
        .unwrap();
    assert_eq!(updated.updated_at.as_millis() - created.updated_at.as_millis(), 5000);
    world.pass(5);
    assert_eq!(
        world.service.update_app(&local(), &acme(), changes).await.unwrap(),
        updated,
        "no change, no event"
    );
    assert_eq!(world.service.app(&local(), &acme()).await.unwrap().app, updated);
    assert_eq!(world.actions().await, ["app.created", "app.updated"]);
}
