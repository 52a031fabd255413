//! What uploaded files are found to be, by processes that may fail.

use std::sync::Arc;
use std::time::Duration;

use dist_inspect::ChildInspector;
use serde_json::json;

use crate::common::{Site, example};

const DISTD: &str = env!("CARGO_BIN_EXE_distd");
const MEMORY: u64 = 512 << 20;
const TIME: Duration = Duration::from_mins(1);

/// Publishes an APK on a site that inspects with `inspector`, and answers the artifact.
async fn published_with(inspector: ChildInspector) -> serde_json::Value {
    let site = Site::start_with(|config| config.inspector = Arc::new(inspector)).await;
    let digest = site.upload(&site.admin, example("hello-1.0.0.apk")).await;
    let manifest =
        json!({"app": "acme", "version": "1.0.0", "artifacts": [{"filename": "acme.apk", "sha256": digest}]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    let shown = site.get("/api/apps/acme/releases/1.0.0").await.expect(200).json();
    shown["artifacts"][0].clone()
}

#[tokio::test]
async fn the_server_inspects_in_child_processes() {
    let artifact = published_with(ChildInspector::new(DISTD, MEMORY, TIME)).await;
    assert_eq!(artifact["validation_status"], "passed");
    let inspection = &artifact["metadata"]["inspection"];
    assert_eq!(inspection["facts"]["app_id"], "dev.dist.hello");
}

#[tokio::test]
async fn a_child_without_memory_is_a_finding() {
    let artifact = published_with(ChildInspector::new(DISTD, 1, TIME)).await;
    assert_eq!(artifact["validation_status"], "warning");
    assert_eq!(artifact["platform"], "android_apk");
    let inspection = &artifact["metadata"]["inspection"];
    assert_eq!(inspection["format"], "apk");
    assert_eq!(inspection["findings"][0]["code"], "inspection.crashed");
}

#[tokio::test]
async fn a_child_without_time_is_a_finding() {
    let artifact = published_with(ChildInspector::new(DISTD, MEMORY, Duration::ZERO)).await;
    assert_eq!(artifact["validation_status"], "warning");
    let code = &artifact["metadata"]["inspection"]["findings"][0]["code"];
    assert_eq!(code, "inspection.timed_out");
}
