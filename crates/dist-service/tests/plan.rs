//! What confirmations name, before anything changes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{World, artifact, code, local, request};
use dist_model::decide::DraftIntent;
use dist_model::{ChannelChanges, ChannelName, ChannelPolicy, ErrorCode, ReleaseStatus, Slug};
use dist_service::{PublishRequest, Selector, YankIntent};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn beta() -> ChannelName {
    "beta".parse().unwrap()
}

fn version(text: &str) -> Selector {
    Selector::new(text, None)
}

#[tokio::test]
async fn a_move_is_planned_as_it_would_be_made() {
    let world = World::new();
    for (version, content) in [("1.0.0", "one"), ("1.1.0", "two")] {
        world.publish(version, Some("beta"), content).await.unwrap();
    }
    let before = world.contents();
    let (service, stable) = (&world.service, "stable".parse().unwrap());
    let first = service
        .plan_promotion(&local(), &acme(), &stable, &version("1.1.0"))
        .await
        .unwrap();
    assert_eq!(
        (first.channel.revision, first.from, first.to.artifacts.len()),
        (0, None, 1)
    );
    let back = service.plan_rollback(&local(), &acme(), &beta()).await.unwrap();
    let from = back.from.unwrap().release.version;
    assert_eq!(
        (back.channel.revision, from.as_str(), back.to.release.version.as_str()),
        (2, "1.1.0", "1.0.0")
    );
    assert_eq!(
        code(service.plan_rollback(&local(), &acme(), &stable).await),
        ErrorCode::ChannelNotFound
    );
    assert_eq!(world.contents(), before, "a plan changes nothing");
    let moved = service
        .roll_back(&local(), &acme(), &beta(), Some(2), None)
        .await
        .unwrap();
    assert_eq!(moved.release, back.to.release);
    assert_eq!(
        code(service.plan_rollback(&local(), &acme(), &beta()).await),
        ErrorCode::ChannelNoPrevious
    );
}

#[tokio::test]
async fn a_yank_is_done_as_it_was_seen_or_not_at_all() {
    let world = World::new();
    for (version, content) in [("1.0.0", "one"), ("1.1.0", "two")] {
        world.publish(version, Some("beta"), content).await.unwrap();
    }
    let service = &world.service;
    let plan = service.plan_yank(&local(), &acme(), &version("1.1.0")).await.unwrap();
    let to = plan.leaving[0].to.as_ref().unwrap();
    assert_eq!((plan.leaving.len(), to.release.version.as_str()), (1, "1.0.0"));
    let seen = |revision: u64| YankIntent {
        and_rollback: true,
        if_current: Some(BTreeMap::from([(beta(), revision)])),
        reason: None,
    };
    let nothing_seen = YankIntent {
        if_current: Some(BTreeMap::new()),
        ..YankIntent::default()
    };
    let before = world.contents();
    for intent in [seen(1), nothing_seen] {
        let refused = service.yank(&local(), &acme(), &version("1.1.0"), intent, None).await;
        assert_eq!(code(refused), ErrorCode::ChannelMoved);
    }
    assert_eq!(world.contents(), before);
    let yanked = service
        .yank(&local(), &acme(), &version("1.1.0"), seen(2), None)
        .await
        .unwrap();
    assert_eq!(
        (yanked.release.status, yanked.rolled_back.len()),
        (ReleaseStatus::Yanked, 1)
    );
    let stuck = service.plan_yank(&local(), &acme(), &version("1.0.0")).await.unwrap();
    assert_eq!(stuck.leaving[0].to, None, "there is nothing earlier");
    let refused = service
        .plan_promotion(&local(), &acme(), &beta(), &version("1.1.0"))
        .await;
    assert_eq!(code(refused), ErrorCode::ReleaseYanked);
}

#[tokio::test]
async fn a_drafts_publish_is_planned_with_what_stands_against_it() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let digest = world.upload(&local(), b"two").await;
    let draft = PublishRequest {
        draft: true,
        ..request("1.1.0", Some("beta"), vec![artifact("acme-linux", digest)])
    };
    world.service.publish(&local(), draft, None).await.unwrap();
    let service = &world.service;
    let plan = async |channel: Option<&ChannelName>| {
        service
            .plan_publish(&local(), &acme(), &version("1.1.0"), channel)
            .await
            .unwrap()
    };
    let open = plan(None).await;
    let (channel, from) = open.channel.unwrap();
    assert_eq!(
        (channel.name, from.unwrap().release.version.as_str()),
        (beta(), "1.0.0")
    );
    assert_eq!(open.refused, None);
    let closed = ChannelChanges {
        policy: Some(ChannelPolicy::PromoteOnly),
        ..ChannelChanges::default()
    };
    service
        .update_channel(&local(), &acme(), &beta(), closed)
        .await
        .unwrap();
    assert_eq!(plan(None).await.refused.unwrap().code, ErrorCode::PromoteOnly);
    let other = "other".parse().unwrap();
    assert_eq!(plan(Some(&other)).await.refused, None);
    let stale = DraftIntent {
        channel: Some(other),
        if_current: Some(1),
        ..DraftIntent::default()
    };
    let refused = service
        .publish_draft(&local(), &acme(), &version("1.1.0"), stale, None)
        .await;
    assert_eq!(code(refused), ErrorCode::ChannelMoved);
    let published = service.plan_publish(&local(), &acme(), &version("1.0.0"), None).await;
    assert_eq!(code(published), ErrorCode::ReleaseNotDraft);
}
