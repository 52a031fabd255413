//! What a channel offers, for programs that look for updates and for addresses on websites.

use serde_json::json;

use super::{publish, with_reports};
use crate::common::Site;

const FILES: [(&str, &str); 5] = [
    ("windows", "acme-windows-arm64.zip"),
    ("windows", "acme-windows-x86_64.zip"),
    ("windows", "acme-1.0.0-full.nupkg"),
    ("linux", "acme-linux-arm64.tar.gz"),
    ("linux", "acme-linux-x86_64.tar.gz"),
];

/// The name of the file that an address leads to.
async fn leads_to(site: &Site, path: &str) -> String {
    let answer = site.get(&format!("/latest/acme/beta/{path}")).await.expect(302);
    let location = answer.header("location").replace("https://get.example.org/dist", "");
    let download = site.get(&location).await.expect(200);
    download.header("content-disposition").to_owned()
}

#[tokio::test]
async fn an_address_leads_to_what_most_people_want() {
    let site = with_reports(|_, _| {}).await;
    publish(&site, "1.0.0", &FILES).await;
    for (path, name) in [
        ("windows", "acme-windows-x86_64.zip"),
        ("windows/arm64", "acme-windows-arm64.zip"),
        ("linux", "acme-linux-x86_64.tar.gz"),
        ("linux/amd64", "acme-linux-x86_64.tar.gz"),
        ("linux/aarch64", "acme-linux-arm64.tar.gz"),
    ] {
        let found = leads_to(&site, path).await;
        assert_eq!(found, format!("attachment; filename=\"{name}\""), "{path}");
    }
    site.get("/latest/acme/beta/linux/riscv64").await.expect(404);
}

#[tokio::test]
async fn a_program_finds_its_update_however_it_spells_its_processor() {
    let site = with_reports(|_, _| {}).await;
    let mut artifacts = Vec::new();
    for arch in ["amd64", "aarch64"] {
        let sha256 = site.upload(&site.admin, arch).await;
        artifacts.push(json!({"platform": "linux", "arch": arch, "filename": "acme.bin", "sha256": sha256}));
    }
    let manifest = json!({"app": "acme", "version": "2.0.0", "channel": "beta", "artifacts": artifacts});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    for (asked, found) in [
        ("amd64", "amd64"),
        ("x86_64", "amd64"),
        ("X64", "amd64"),
        ("arm64", "aarch64"),
    ] {
        let path = format!("/api/apps/acme/channels/beta/latest?version=1.0.0&platform=linux&arch={asked}");
        let latest = site.get(&path).await.expect(200).json();
        assert_eq!(latest["update_available"], true, "{asked}");
        assert_eq!(latest["artifacts"].as_array().unwrap().len(), 1, "{asked}");
        assert_eq!(latest["artifacts"][0]["arch"], found, "{asked}");
    }
}
