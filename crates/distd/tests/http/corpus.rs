//! Real files that others made, published through the server and downloaded again, byte for byte.
//!
//! They lie in `DIST_FIXTURES`, or in `shared/fixtures` beside the checkout. Where they are missing
//! the test says so and passes, unless `DIST_REQUIRE_CORPUS=1`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Site, sha256};

/// The kinds that are published, and the most files of each.
const KINDS: [&str; 8] = ["apk", "ipa", "deb", "rpm", "appimage", "dmg", "msi", "msix"];
const FILES_OF_A_KIND: usize = 4;

#[allow(clippy::disallowed_methods, reason = "the tests' only settings")]
fn corpus() -> Option<(PathBuf, Vec<Value>)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("DIST_FIXTURES")
        .map_or_else(beside, PathBuf::from)
        .join("visible");
    if let Ok(manifest) = std::fs::read(folder.join("manifest.json")) {
        return Some((folder, serde_json::from_slice(&manifest).unwrap()));
    }
    let required = std::env::var_os("DIST_REQUIRE_CORPUS").is_some_and(|value| value == "1");
    assert!(
        !required,
        "DIST_REQUIRE_CORPUS=1, and there is no corpus in {}",
        folder.display()
    );
    println!("corpus: not run, there is none in {}", folder.display());
    None
}

#[tokio::test]
async fn real_files_come_back_as_they_went() {
    let Some((folder, fixtures)) = corpus() else { return };
    let site = Site::start().await;
    let mut published = BTreeMap::<&str, usize>::new();
    for fixture in &fixtures {
        let text = |key: &str| fixture[key].as_str().unwrap_or_default();
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == text("kind")) else {
            continue;
        };
        let count = published.entry(kind).or_default();
        if !text("expect").starts_with("accept") || *count == FILES_OF_A_KIND {
            continue;
        }
        *count += 1;
        let path = folder.join(text("path"));
        let bytes = std::fs::read(&path).unwrap();
        let digest = site.upload(&site.admin, bytes.clone()).await;
        let app = format!("{kind}-{count}");
        let manifest = json!({"app": app, "version": "1.0.0", "channel": "beta",
            "artifacts": [{"filename": path.file_name().unwrap().to_str().unwrap(), "sha256": digest}]});
        let answer = site.post(&format!("/api/apps/{app}/releases"), &manifest).await;
        assert_eq!(answer.status, 201, "{}: {}", path.display(), answer.text());
        site.patch(&format!("/api/apps/{app}"), &json!({"ios_public_download": true}))
            .await
            .expect(200);
        let back = site.get(&format!("/download/{digest}")).await.expect(200);
        assert_eq!(sha256(&back.body), sha256(&bytes), "{}", path.display());
    }
    assert_eq!(published.len(), KINDS.len(), "every kind is there: {published:?}");
}
