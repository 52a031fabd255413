//! The pages through which people install.

mod actions;
mod hostile;
mod index;
mod latest;
mod page;

use std::fs::File;
use std::sync::Arc;

use dist_inspect::{Inspection, Inspector, Report};
use dist_model::Timestamp;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Answer, Site};

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 15; Pixel 9)";
const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
const LINUX: &str = "Mozilla/5.0 (X11; Linux x86_64)";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)";

/// The page of `acme` and `beta`, as this browser gets it.
async fn page(site: &Site, agent: &str) -> Answer {
    site.call(Method::GET, "/install/acme/beta")
        .header("user-agent", agent)
        .send()
        .await
        .expect(200)
}

/// What the page says of the visitor's own platform.
async fn own(site: &Site, agent: &str) -> String {
    let text = page(site, agent).await.text();
    let own = text.split("(this device)").nth(1).unwrap_or_else(|| panic!("{text}"));
    own.split("</section>").next().unwrap().to_owned()
}

/// Publishes files of a few bytes as `acme` in `beta`, each named and for a platform.
async fn publish(site: &Site, version: &str, files: &[(&str, &str)]) -> Value {
    let mut artifacts = Vec::new();
    for (platform, filename) in files {
        let sha256 = site.upload(&site.admin, format!("{version} {filename}")).await;
        artifacts.push(json!({"platform": platform, "filename": filename, "sha256": sha256}));
    }
    let manifest =
        json!({"app": "acme", "display_name": "Acme", "version": version, "channel": "beta", "artifacts": artifacts});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201).json()
}

/// A server whose inspection adds what `add` says of a file of this name.
async fn with_reports(add: fn(&str, &mut Report)) -> Site {
    Site::start_with(|config| config.inspector = Arc::new(Told(add))).await
}

/// Tells of every file what the name claims and what the test adds.
#[derive(Debug)]
struct Told(fn(&str, &mut Report));

impl Inspector for Told {
    fn inspect(&self, _: &File, name: &str, _: Timestamp) -> std::io::Result<Inspection> {
        let mut report = dist_inspect::claim(name);
        (self.0)(name, &mut report);
        Ok(Inspection { report, icon: None })
    }
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[track_caller]
fn lacks(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(!text.contains(part), "{part} in {text}");
    }
}
