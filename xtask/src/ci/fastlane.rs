//! `ci/fastlane/dist_publish.rb`, run by `xtask/ci/fastlane.rb` on as much of fastlane as it touches.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::system::{Job, Ran, System, run};
use crate::shell;

const COMMIT: &str = "5feceb66ffc86f38d952786c6d696c79c2dbc239";

/// fastlane, on a CI system that tells its commit.
pub struct Fastlane;

impl System for Fastlane {
    fn name(&self) -> &'static str {
        "fastlane"
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn run(&self, job: &Job) -> Result<Ran> {
        install_once(job)?;
        let mut inputs = job.inputs();
        inputs.retain(|name, _| !name.starts_with("dist-"));
        let mut options = serde_json::Map::new();
        for (name, value) in inputs {
            let value = match name.as_str() {
                "files" => json!([value]),
                "dry-run" => json!(value == "true"),
                _ => json!(value),
            };
            options.insert(name.replace('-', "_"), value);
        }
        let mut command = job.command("ruby");
        command.arg(shell::root().join("xtask/ci/fastlane.rb"));
        command.arg(shell::root().join("ci/fastlane/dist_publish.rb"));
        // What a CI system has in its environment stands in for half of the options.
        let token = options
            .remove("token")
            .and_then(|token| token.as_str().map(str::to_owned));
        command.arg(Value::Object(options).to_string());
        command.env("DIST_TOKEN", token.context("no token")?);
        command.env("PATH", format!("{}/bin:{}", job.temp().display(), job.path()));
        command.env("CIRCLECI", "true").env("CIRCLE_SHA1", COMMIT);
        let (_, log) = run(&mut command)?;
        let mut ran = outcome(&log).with_context(|| log.clone())?;
        ran.log = log;
        Ok(ran)
    }
}

/// The action needs `dist` on the path.
fn install_once(job: &Job) -> Result<()> {
    if job
        .command("sh")
        .args(["-c", "command -v dist"])
        .output()?
        .status
        .success()
    {
        return Ok(());
    }
    let mut install = job.command("sh");
    install
        .arg(shell::root().join("install.sh"))
        .arg("--from")
        .arg(job.scene.mirror.url());
    shell::read(install.arg("--prefix").arg(job.temp())).map(drop)
}

/// What the lane's other actions see, or how the lane ended.
fn outcome(log: &str) -> Result<Ran> {
    let found = |start: &str| log.lines().find_map(|line| line.strip_prefix(start).map(str::to_owned));
    if let Some(result) = found("RESULT ") {
        let result: Value = serde_json::from_str(&result)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let planned = result["dry_run"] == true;
        let artifacts = result["artifacts"].as_array().context("no artifacts")?;
        let digests: Vec<String> = artifacts.iter().map(|artifact| text(&artifact["sha256"])).collect();
        return Ok(Ran {
            outputs: BTreeMap::from([
                (
                    "status".into(),
                    if planned {
                        "planned".into()
                    } else {
                        text(&result["status"])
                    },
                ),
                ("release-id".into(), text(&result["release"]["id"])),
                ("install-url".into(), text(&result["install_url"])),
                ("sha256".into(), digests.join(",")),
            ]),
            ..Ran::default()
        });
    }
    // "dist: the sentence (release.conflict, exit code 5)"
    let refused = found("REFUSED ").context("neither a result nor a refusal")?;
    let (error, code) = refused
        .rsplit_once(" (")
        .and_then(|(_, end)| end.strip_suffix(')')?.split_once(", exit code "))
        .context("a refusal without its code")?;
    Ok(Ran {
        code: code.parse()?,
        outputs: BTreeMap::from([("status".into(), "refused".into()), ("error".into(), error.to_owned())]),
        ..Ran::default()
    })
}
