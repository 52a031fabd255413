//! What the apps' objects take, and what retention would let go of, on a real store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, artifact, local, request};
use dist_model::{ChannelChanges, Slug};
use dist_service::{CleanupOptions, PromoteFrom, PublishRequest, Selector};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn version(text: &str) -> Selector {
    Selector::new(text, None)
}

#[tokio::test]
async fn storage_counts_an_object_once_and_lets_go_of_what_goes() {
    let world = World::new();
    let used = async || {
        let used = world.service.storage(&local()).await.unwrap();
        assert_eq!(used.bytes, used.days.last().map_or(0, |day| day.bytes));
        (
            used.bytes,
            used.shared_bytes,
            used.apps.iter().map(|app| app.bytes).collect::<Vec<_>>(),
        )
    };
    world.publish("1.0.0", Some("beta"), "12345").await.unwrap();
    world.publish("1.1.0", Some("beta"), "12345").await.unwrap();
    assert_eq!(used().await, (5, 0, vec![5]));
    let digest = world.upload(&local(), b"12345").await;
    let other = PublishRequest {
        slug: "other".parse().unwrap(),
        ..request("1.0.0", None, vec![artifact("x-linux", digest)])
    };
    world.service.publish(&local(), other, None).await.unwrap();
    assert_eq!(used().await, (5, 5, vec![5, 5]));

    world.pass(86_400);
    let (first, second) = (
        world.upload(&local(), b"123").await,
        world.upload(&local(), b"1234567").await,
    );
    let draft = PublishRequest {
        draft: true,
        ..request("2.0.0", None, vec![artifact("acme-linux", first)])
    };
    world.service.publish(&local(), draft, None).await.unwrap();
    assert_eq!(used().await, (8, 5, vec![8, 5]));
    let replacing = vec![artifact("acme-linux", second)];
    world
        .service
        .add_artifacts(&local(), &acme(), &version("2.0.0"), replacing, None)
        .await
        .unwrap();
    assert_eq!(used().await, (12, 5, vec![12, 5]));
    world
        .service
        .discard(&local(), &acme(), &version("2.0.0"))
        .await
        .unwrap();
    assert_eq!(used().await, (5, 5, vec![5, 5]));
    let days = world.service.storage(&local()).await.unwrap().days;
    assert_eq!(days.iter().map(|day| day.bytes).collect::<Vec<_>>(), [5, 5]);

    let disk = world.service.objects_on_disk(&local()).await.unwrap();
    assert_eq!(
        (
            disk.objects,
            disk.bytes,
            disk.unreferenced_objects,
            disk.unreferenced_bytes
        ),
        (3, 15, 2, 10)
    );
    assert!(world.service.verify(&local()).await.unwrap().ok);
}

#[tokio::test]
async fn a_clock_that_was_set_back_hides_no_storage() {
    let world = World::new();
    let digest = world.upload(&local(), b"bytes").await;
    let draft = PublishRequest {
        draft: true,
        ..request("1.0.0", None, vec![artifact("acme-linux", digest)])
    };
    world.service.publish(&local(), draft, None).await.unwrap();
    world.pass(-3 * 24 * 3600);
    world
        .service
        .discard(&local(), &acme(), &version("1.0.0"))
        .await
        .unwrap();
    let used = world.service.storage(&local()).await.unwrap();
    assert_eq!((used.bytes, used.days.len(), used.days[0].bytes), (0, 2, 0));
}

#[tokio::test]
async fn the_plan_of_retention_is_what_a_cleanup_does() {
    let world = World::new();
    for n in 0..9 {
        // Every second release has the same bytes.
        let bytes = if n % 2 == 0 {
            "shared".to_owned()
        } else {
            format!("bytes {n}")
        };
        world.publish(&format!("1.{n}.0"), Some("beta"), &bytes).await.unwrap();
    }
    let plan = world.service.retention_plan(&local(), &acme()).await.unwrap();
    assert_eq!((plan.releases.len(), plan.freed_bytes), (0, 0));
    let keep = ChannelChanges {
        retention_keep: Some(5),
        ..ChannelChanges::default()
    };
    world
        .service
        .update_channel(&local(), &acme(), &"beta".parse().unwrap(), keep)
        .await
        .unwrap();
    let (stable, from) = ("stable".parse().unwrap(), PromoteFrom::Release(version("1.0.0")));
    world
        .service
        .promote(&local(), &acme(), &stable, from, None, None)
        .await
        .unwrap();
    let plan = world.service.retention_plan(&local(), &acme()).await.unwrap();
    let planned: Vec<_> = plan
        .releases
        .iter()
        .map(|planned| (&*planned.release.label, planned.channels.len()))
        .collect();
    assert_eq!(planned, [("1.3.0", 1), ("1.2.0", 1), ("1.1.0", 1)]);
    assert_eq!((plan.freed_bytes, plan.channels.len()), (14, 2));

    let options = CleanupOptions {
        dry_run: false,
        grace: std::time::Duration::ZERO,
    };
    let report = world.service.cleanup(&local(), options, None).await.unwrap();
    assert_eq!((report.releases.len(), report.freed_bytes), (3, 14));
    let used = world.service.storage(&local()).await.unwrap();
    assert_eq!(used.bytes, 6 + 7 * 2, "the shared object, 1.5.0 and 1.7.0 are left");
    let plan = world.service.retention_plan(&local(), &acme()).await.unwrap();
    assert_eq!((plan.releases.len(), plan.freed_bytes), (0, 0));
    assert!(world.service.verify(&local()).await.unwrap().ok);
}
