//! What uploaded files are found to be, by processes that may fail.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dist_inspect::Verdict;
use dist_model::Timestamp;
use dist_service::{InProcess, Inspector};
use distd::ChildInspector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::common::{Site, example};

const DISTD: &str = env!("CARGO_BIN_EXE_distd");
const MEMORY: u64 = 512 << 20;
const TIME: Duration = Duration::from_mins(1);

fn now() -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000)
}

fn apk() -> File {
    File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dist/hello-1.0.0.apk")).unwrap()
}

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

#[test]
fn a_child_finds_what_this_process_finds() {
    let children = ChildInspector::new(DISTD, MEMORY, TIME);
    for (file, name) in [
        (apk(), "a.apk"),
        (apk(), "a.ipa"),
        (File::open(DISTD).unwrap(), "distd"),
    ] {
        let here = InProcess.inspect(&file, name, now()).unwrap();
        assert_eq!(children.inspect(&file, name, now()).unwrap(), here, "{name}");
    }
}

#[test]
fn many_files_are_inspected_at_once() {
    let children = ChildInspector::new(DISTD, MEMORY, TIME);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let inspection = children.inspect(&apk(), "a.apk", now()).unwrap();
                assert_eq!(inspection.report.format.as_str(), "apk");
            });
        }
    });
}

#[test]
fn a_program_that_is_no_inspector_is_a_crash() {
    for program in ["/bin/true", "/bin/cat"] {
        let children = ChildInspector::new(program, MEMORY, TIME);
        let report = children.inspect(&apk(), "a.apk", now()).unwrap().report;
        assert_eq!(
            (&*report.findings[0].code, report.verdict),
            ("inspection.crashed", Verdict::Warning)
        );
    }
    assert!(
        ChildInspector::new("/nonexistent", MEMORY, TIME)
            .inspect(&apk(), "a.apk", now())
            .is_err()
    );
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

#[test]
fn a_child_that_was_killed_is_replaced() {
    let children = ChildInspector::new(DISTD, MEMORY, TIME);
    let before = children.inspect(&apk(), "a.apk", now()).unwrap();
    for id in children.idle_processes() {
        let id = Pid::from_raw(id.cast_signed()).unwrap();
        kill_process(id, Signal::KILL).unwrap();
    }
    assert_eq!(children.inspect(&apk(), "a.apk", now()).unwrap(), before);
}
