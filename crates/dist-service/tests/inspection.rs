//! What is made of an inspection: facts, icons, and findings beside the last release.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Told, World, artifact, code, local, request};
use dist_inspect::Icon;
use dist_model::decide::{DraftIntent, PublishStatus, Published};
use dist_model::{Artifact, Digest, ErrorCode, Moved, ValidationStatus};
use dist_service::{
    ArtifactRequest, CleanupOptions, Error, Idempotency, OpenMode, PromoteFrom, PublishRequest, Selector, Service,
};
use serde_json::{Value, json};

/// Publishes a file of which these facts are known.
async fn publish(
    world: &World,
    filename: &str,
    version: &str,
    facts: &Value,
    change: impl FnOnce(&mut PublishRequest),
) -> Result<Published, Error> {
    let digest = world.upload(&local(), facts.to_string().as_bytes()).await;
    world.pass(1);
    let file = ArtifactRequest {
        platform: None,
        ..artifact(filename, digest)
    };
    let mut request = request(version, Some("beta"), vec![file]);
    change(&mut request);
    world.service.publish(&local(), request, None).await
}

fn codes(artifact: &Artifact) -> Vec<&str> {
    let findings = artifact.metadata["inspection"]["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect()
}

fn nothing(_: &mut PublishRequest) {}

#[tokio::test]
async fn facts_are_kept_with_their_schema() {
    let world = World::told(Told::default());
    let facts = json!({"app_id": "dev.acme", "version": "1.0.0", "min_os": "24"});
    let published = publish(&world, "a.apk", "1.0.0", &facts, nothing).await.unwrap();
    let inspection = &published.artifacts[0].metadata["inspection"];
    assert_eq!((&inspection["schema"], &inspection["facts"]), (&json!(1), &facts));
    assert_eq!(published.artifacts[0].validation_status, ValidationStatus::Passed);
}

#[tokio::test]
async fn an_apk_is_compared_with_the_last_release() {
    let world = World::told(Told::default());
    let facts = |signer: &str, build: u32| json!({"cert_sha256": [signer], "build": build.to_string()});
    let first = publish(&world, "a.apk", "1.0.0", &facts("aa", 7), nothing)
        .await
        .unwrap();
    assert!(codes(&first.artifacts[0]).is_empty());
    let strict = |request: &mut PublishRequest| request.strict = true;
    let before = world.contents();
    let refused = publish(&world, "a.apk", "1.1.0", &facts("bb", 6), strict).await;
    assert_eq!(code(refused), ErrorCode::PreflightFailed);
    assert_eq!(world.contents().len(), before.len() + 2, "the upload alone");
    let second = publish(&world, "a.apk", "1.1.0", &facts("bb", 6), nothing)
        .await
        .unwrap();
    let second = &second.artifacts[0];
    assert_eq!(codes(second), ["preflight.signer_changed", "preflight.build_lower"]);
    assert_eq!(second.validation_status, ValidationStatus::Warning);
    assert_eq!(second.metadata["inspection"]["verdict"], "warning");
    // A job that is run again finds what it found, whatever was published since.
    publish(&world, "a.apk", "1.0.0", &facts("aa", 7), strict)
        .await
        .unwrap();
    // From here on the new key is that of the last release.
    let third = publish(&world, "a.apk", "1.2.0", &facts("bb", 8), strict)
        .await
        .unwrap();
    assert!(codes(&third.artifacts[0]).is_empty());
}

#[tokio::test]
async fn each_processor_has_its_own_last_release() {
    let world = World::told(Told::default());
    for (version, arch, build) in [("1.0.0", "arm64", 20), ("1.0.1", "arm", 10)] {
        let facts = json!({"archs": [arch], "cert_sha256": ["aa"], "build": build});
        let declare = |request: &mut PublishRequest| request.artifacts[0].arch = Some(arch.to_owned());
        let published = publish(&world, "a.apk", version, &facts, declare).await.unwrap();
        assert!(codes(&published.artifacts[0]).is_empty(), "{version}");
    }
}

#[tokio::test]
async fn the_wrong_processor_publisher_and_build_are_noticed() {
    let world = World::told(Told::default());
    let arm = |request: &mut PublishRequest| request.artifacts[0].arch = Some("arm64".to_owned());
    let deb = publish(&world, "a.deb", "1.0.0", &json!({"archs": ["x86_64"]}), arm)
        .await
        .unwrap();
    assert_eq!(codes(&deb.artifacts[0]), ["preflight.arch_differs"]);
    let any = publish(&world, "a.deb", "1.0.1", &json!({"archs": ["any"]}), arm)
        .await
        .unwrap();
    assert!(codes(&any.artifacts[0]).is_empty());

    let stable = |request: &mut PublishRequest| request.channel = Some("stable".parse().unwrap());
    let debuggable = json!({"debuggable": true});
    let apk = publish(&world, "a.apk", "2.0.0", &debuggable, stable).await.unwrap();
    assert_eq!(codes(&apk.artifacts[0]), ["preflight.debuggable"]);
    let apk = publish(&world, "a.apk", "2.0.1", &debuggable, nothing).await.unwrap();
    assert!(codes(&apk.artifacts[0]).is_empty());

    publish(&world, "a.msix", "3.0.0", &json!({"publisher": "CN=A"}), nothing)
        .await
        .unwrap();
    let msix = publish(&world, "a.msix", "3.0.1", &json!({"publisher": "CN=B"}), nothing)
        .await
        .unwrap();
    assert_eq!(codes(&msix.artifacts[0]), ["preflight.publisher_changed"]);
}

/// Points a channel at a version.
async fn promote(world: &World, channel: &str, version: &str) -> Moved {
    let once = Idempotency::new(&format!("{channel} {version}"), &[]).unwrap();
    let from = PromoteFrom::Release(Selector::new(version, None));
    let (caller, app, channel) = (local(), "acme".parse().unwrap(), channel.parse().unwrap());
    let moved = world.service.promote(&caller, &app, &channel, from, None, Some(once));
    moved.await.unwrap()
}

fn warned(moved: &Moved) -> Vec<&str> {
    moved.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

#[tokio::test]
async fn a_move_warns_of_what_those_who_install_would_run_into() {
    let world = World::told(Told::default());
    let facts = |build: u32, debuggable: bool| json!({"build": build, "debuggable": debuggable});
    publish(&world, "a.apk", "1.0.0", &facts(7, false), nothing)
        .await
        .unwrap();
    publish(&world, "a.apk", "2.0.0", &facts(8, true), nothing)
        .await
        .unwrap();
    assert!(warned(&promote(&world, "stable", "1.0.0").await).is_empty());
    let moved = promote(&world, "stable", "2.0.0").await;
    assert_eq!(warned(&moved), ["preflight.debuggable"]);
    assert_eq!(moved.warnings[0].filename.as_str(), "a.apk");
    assert_eq!(
        promote(&world, "stable", "2.0.0").await,
        moved,
        "the same request again"
    );
    assert!(warned(&promote(&world, "internal", "2.0.0").await).is_empty());

    let (app, channel) = ("acme".parse().unwrap(), "stable".parse().unwrap());
    let back = world
        .service
        .roll_back(&local(), &app, &channel, None, None)
        .await
        .unwrap();
    assert_eq!(warned(&back), ["preflight.build_lower"], "who has 2.0.0 keeps it");
}

#[tokio::test]
async fn a_draft_is_compared_again_when_it_is_published() {
    let world = World::told(Told::default());
    let facts = |build: u32| json!({"build": build, "debuggable": true});
    let draft = |request: &mut PublishRequest| (request.draft, request.channel) = (true, None);
    publish(&world, "a.apk", "1.0.0", &facts(7), nothing).await.unwrap();
    let added = publish(&world, "a.apk", "3.0.0", &facts(6), draft).await.unwrap();
    assert_eq!(codes(&added.artifacts[0]), ["preflight.build_lower"]);
    let added = publish(&world, "a.apk", "2.0.0", &facts(8), draft).await.unwrap();
    assert!(codes(&added.artifacts[0]).is_empty());
    publish(&world, "a.apk", "1.0.1", &facts(9), nothing).await.unwrap();

    let app = "acme".parse().unwrap();
    let release = Selector::new("2.0.0", None);
    let stable = DraftIntent {
        channel: Some("stable".parse().unwrap()),
        ..DraftIntent::default()
    };
    let caller = local();
    let publish_draft = || {
        world
            .service
            .publish_draft(&caller, &app, &release, stable.clone(), None)
    };
    let published = publish_draft().await.unwrap();
    let expected = ["preflight.debuggable", "preflight.build_lower"];
    assert_eq!(codes(&published.artifacts[0]), expected);
    assert_eq!(published.artifacts[0].validation_status, ValidationStatus::Warning);
    assert_eq!(published.artifacts[0].id, added.artifacts[0].id);
    let shown = world.service.release(&local(), &app, &release).await.unwrap();
    assert_eq!(shown.artifacts, published.artifacts, "the table says what was answered");
    let again = publish_draft().await.unwrap();
    assert_eq!(
        (again.status, codes(&again.artifacts[0])),
        (PublishStatus::Unchanged, expected.to_vec())
    );
    assert!(world.service.verify(&local()).await.unwrap().ok, "and so does the log");
}

#[tokio::test]
async fn an_icon_lives_as_long_as_its_release() {
    let png = b"\x89PNG\r\n\x1a\n of an app".to_vec();
    let icon = Icon {
        png: png.clone(),
        width: 2,
        height: 2,
    };
    let world = World::told(Told { icon: Some(icon) });
    let draft = |request: &mut PublishRequest| request.draft = true;
    let published = publish(&world, "a.apk", "1.0.0", &json!({}), draft).await.unwrap();
    let icon: Digest = published.artifacts[0].icon().unwrap();
    let path = world.folder.path().join("objects").join(icon.to_string());
    assert_eq!(std::fs::read(&path).unwrap(), png);
    let at_once = CleanupOptions {
        grace: Duration::ZERO,
        ..CleanupOptions::default()
    };
    world.service.cleanup(&local(), at_once, None).await.unwrap();
    assert!(path.exists());

    let to = tempfile::tempdir().unwrap();
    let backup = to.path().join("backup");
    assert_eq!(
        world
            .service
            .backup(&local(), Some(&backup), None)
            .await
            .unwrap()
            .objects,
        2
    );
    let elsewhere = to.path().join("elsewhere");
    Service::restore(&backup, &elsewhere, &world.setup()).unwrap();
    let copy = Service::open(&elsewhere, OpenMode::Existing, world.setup()).unwrap();
    assert!(copy.verify(&local()).await.unwrap().ok);
    assert!(copy.objects().stat(&icon).unwrap().is_some());
    world.service.rebuild(&local()).await.unwrap();

    let slug = "acme".parse().unwrap();
    let release = Selector::new("1.0.0", None);
    world.service.discard(&local(), &slug, &release).await.unwrap();
    world.service.cleanup(&local(), at_once, None).await.unwrap();
    assert!(!path.exists());
    // The file is uploaded again, and its icon is found again.
    publish(&world, "a.apk", "1.0.0", &json!({}), nothing).await.unwrap();
    assert!(path.exists());
    std::fs::remove_file(&path).unwrap();
    let report = world.service.verify(&local()).await.unwrap();
    assert_eq!(report.problems[0].kind, "object_missing");
}
