//! Who may fill, publish and discard a draft.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, artifact, code, local, request};
use dist_model::decide::DraftIntent;
use dist_model::{ErrorCode, Scope, Slug};
use dist_service::{PublishRequest, Selector};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

#[tokio::test]
async fn a_draft_is_out_of_reach_of_a_token_for_other_channels() {
    let world = World::new();
    let drafted = |channel, filename: &str, digest| PublishRequest {
        draft: true,
        ..request("1.0.0", channel, vec![artifact(filename, digest)])
    };
    let one = world.upload(&local(), b"one").await;
    let begun = drafted(Some("stable"), "one-linux", one);
    world.service.publish(&local(), begun, None).await.unwrap();
    let version = Selector::new("1.0.0", None);
    let (beta, _) = world.token("beta", &[Scope::Publish], Some("acme"), &["beta"]).await;
    let two = world.upload(&beta, b"two").await;
    let to_beta = DraftIntent {
        channel: Some("beta".parse().unwrap()),
        ..DraftIntent::default()
    };
    let before = world.contents();
    let service = &world.service;
    let added = vec![artifact("two-linux", two)];
    for refused in [
        code(service.publish(&beta, drafted(None, "two-linux", two), None).await),
        code(
            service
                .publish(&beta, drafted(Some("beta"), "two-linux", two), None)
                .await,
        ),
        code(
            service
                .add_artifacts(&beta, &acme(), &version, added.clone(), None)
                .await,
        ),
        code(service.publish_draft(&beta, &acme(), &version, to_beta, None).await),
        code(service.discard(&beta, &acme(), &version).await),
    ] {
        assert_eq!(refused, ErrorCode::AuthChannelForbidden);
    }
    assert_eq!(world.contents(), before);

    let (stable, _) = world
        .token("stable", &[Scope::Publish], Some("acme"), &["stable"])
        .await;
    world.upload(&stable, b"two").await;
    let filled = service.add_artifacts(&stable, &acme(), &version, added, None).await;
    assert_eq!(filled.unwrap().artifacts.len(), 2);
}
