//! A full disk: a small tmpfs, where the machine lets us mount one.

use std::path::Path;
use std::process::Command;

use http::Method;
use serde_json::json;

use crate::common::{Site, eventually, sha256};

/// A small file system, unmounted at the end.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(path: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(path))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_goes_on_reading() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let Some(_tmpfs) = Tmpfs::mount(&data, "6m") else {
        println!("full disk: not run, a tmpfs cannot be mounted here");
        return;
    };
    let site = Site::start_with(|config| config.data.clone_from(&data)).await;
    site.publish("acme", "1.0.0", "beta").await;
    let ballast = data.join("ballast");
    let fill = || {
        let full = std::fs::write(&ballast, vec![0_u8; 8 << 20]);
        assert!(full.is_err(), "the disk is full");
    };
    fill();
    let upload = site
        .call(Method::POST, "/api/upload")
        .token(&site.admin)
        .body(vec![1_u8; 1 << 20])
        .send()
        .await;
    assert_eq!((upload.status.as_u16(), upload.code().as_str()), (507, "store.full"));
    eventually("writes are refused", async || {
        let made = site.post("/api/apps", &json!({"slug": "more"})).await;
        // A few pages of the log may still have had room.
        made.status == 507 || made.status == 409
    })
    .await;
    site.get("/healthz").await.expect(200);
    eventually("not ready", async || site.get("/readyz").await.status == 503).await;
    site.get("/api/apps").await.expect(200);
    site.get(&format!("/download/{}", sha256("acme 1.0.0")))
        .await
        .expect(200);

    std::fs::remove_file(&ballast).unwrap();
    eventually("ready again", async || site.get("/readyz").await.status == 200).await;
    site.publish("acme", "2.0.0", "beta").await;
    assert_eq!(
        site.get("/api/apps/acme/channels/beta").await.json()["current"]["version"],
        "2.0.0"
    );
    site.stop().await;
}
