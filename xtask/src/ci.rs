//! `cargo xtask ci`: the CI integrations and the install script, each run as its CI system runs it, against a
//! real server, with `dist` installed from release files.
//!
//! The scripts that run are those in the files; what the CI systems do around them is played: variables,
//! expressions, files for outputs, and what they make of an exit code.

mod bitrise;
mod fastlane;
mod github;
mod gitlab;
mod install;
mod jenkins;
mod mirror;
mod system;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::server::Binaries;
use crate::{shell, tools};
use mirror::{Mirror, VERSION};
use system::{Job, Scene, System};

const CHECK_JSONSCHEMA: &str = "check-jsonschema==0.39.0";
const RUAMEL_YAML: &str = "ruamel.yaml==0.19.1";
const MINUTE: Duration = Duration::from_mins(1);

/// Checks the files, and runs every integration.
pub fn run(binaries: &Binaries) -> Result<()> {
    tools::ensure_ci()?;
    check_scripts()?;
    check_schemas()?;
    check_versions()?;
    let mirror = Mirror::start(binaries)?;
    install::run(binaries, &mirror)?;
    let systems: [&dyn System; 6] = [
        &github::Actions::github()?,
        &github::Actions::forgejo()?,
        &gitlab::Gitlab::read()?,
        &jenkins::Jenkins::read()?,
        &bitrise::Bitrise::read()?,
        &fastlane::Fastlane,
    ];
    for system in systems {
        tell(binaries, &mirror, system).with_context(|| system.name())?;
        println!(
            "{}: published, again, planned, in conflict, not allowed, by files, as a draft",
            system.name()
        );
    }
    Ok(())
}

/// The documents of a YAML file.
fn yaml(path: &str) -> Result<Vec<Value>> {
    let python = tools::python_packages(&[CHECK_JSONSCHEMA, RUAMEL_YAML])?;
    let text = shell::read(shell::command(python).args(["xtask/ci/yaml.py", path]))?;
    serde_json::from_str(&text).with_context(|| path.to_owned())
}

fn check_scripts() -> Result<()> {
    let scripts = ["install.sh", "ci/bitrise/step.sh"];
    shell::run(shell::command("shellcheck").args(["--shell=sh"]).args(scripts), MINUTE)?;
    shell::read(shell::command("ruby").args(["-wc", "ci/fastlane/dist_publish.rb"]))?;
    Ok(())
}

/// Compares the files with what their CI systems say that they take.
fn check_schemas() -> Result<()> {
    let python = tools::python_packages(&[CHECK_JSONSCHEMA, RUAMEL_YAML])?;
    let check = |schema: &str, files: &[&Path]| {
        let mut command = shell::command(python.with_file_name("check-jsonschema"));
        command.args(["--quiet", "--builtin-schema", schema]).args(files);
        shell::run(&mut command, MINUTE)
    };
    check("vendor.github-actions", &[Path::new("action.yml")])?;
    let workflows = [
        "ci/github/publish.yml",
        "ci/github/matrix.yml",
        "ci/forgejo/publish.yml",
    ];
    check("vendor.github-workflows", &workflows.map(Path::new))?;
    // The schema knows jobs, not the inputs that stand above them.
    let jobs = tempfile::NamedTempFile::with_suffix(".json")?;
    serde_json::to_writer(&jobs, yaml("ci/gitlab/publish.yml")?.last().context("no document")?)?;
    check("vendor.gitlab-ci", &[jobs.path()])
}

/// Whoever copies a line gets the version that it was tested with.
fn check_versions() -> Result<()> {
    // An address or an action, an input's default, a variable, a flag of install.sh.
    const NAMED: [&str; 4] = [
        r#"[/@]v[0-9]+[.][0-9][^/"' ]*"#,
        "default: [0-9]+[.][0-9.]+",
        "[Vv][Ee][Rr][Ss][Ii][Oo][Nn](:| =) '?[0-9]+[.][0-9.]+",
        "(--|install[.]sh) --version [0-9.]+",
    ];
    let mut grep = shell::command("grep");
    grep.args(["-rnoE", &NAMED.join("|"), "action.yml", "ci", "docs/how-to"]);
    let named = shell::read(&mut grep)?;
    let other: Vec<&str> = named.lines().filter(|line| !line.ends_with(VERSION)).collect();
    ensure!(other.is_empty(), "other versions than {VERSION}: {other:?}");
    Ok(())
}

/// What every CI system must live through.
fn tell(binaries: &Binaries, mirror: &Mirror, system: &dyn System) -> Result<()> {
    let scene = Scene::set(binaries, mirror)?;
    let job = |inputs: Value| Job::new(&scene, &scene.token, inputs);

    let first = job(json!({ "manifest": "dist.json" })).run_on(system)?;
    first.came_to(0, "published", "")?;
    let release = scene.release("1.0.0")?;
    ensure!(first.output("release-id") == release["id"], "release-id: {first:?}");
    ensure!(
        first.output("install-url").ends_with("/install/hello/beta"),
        "install-url: {first:?}"
    );
    for artifact in release["artifacts"].as_array().context("no artifacts")? {
        let digest = artifact["sha256"].as_str().context("no digest")?;
        ensure!(first.output("sha256").contains(digest), "sha256: {first:?}");
        ensure!(
            first.summary.as_ref().is_none_or(|text| text.contains(digest)),
            "summary: {first:?}"
        );
    }
    let commit = system.commit();
    ensure!(
        release["source"]["commit"] == json!(commit),
        "source: {}",
        release["source"]
    );

    scene.give_dist(binaries)?;
    job(json!({ "manifest": "dist.json" }))
        .run_on(system)?
        .came_to(0, "unchanged", "")?;
    job(json!({ "manifest": "dist-1.1.0.json", "dry-run": true }))
        .run_on(system)?
        .came_to(0, "planned", "")?;
    ensure!(scene.release("1.1.0").is_err(), "a dry run published");

    let conflict = job(json!({ "manifest": "dist-1.1.0.json", "version": "1.0.0", "build": "1" })).run_on(system)?;
    conflict.came_to(5, "refused", "release.conflict")?;
    let stranger = format!("dist_{}", "0123456789abcdef".repeat(4));
    let refused = Job::new(&scene, &stranger, json!({ "manifest": "dist-1.1.0.json" })).run_on(system)?;
    refused.came_to(4, "refused", "auth.unknown_token")?;

    let files =
        json!({ "app": "hello", "version": "1.1.0", "build": "2", "files": "dist/*-1.1.0.*", "channel": "beta" });
    job(files).run_on(system)?.came_to(0, "published", "")?;
    let both = scene.release("1.1.0")?["artifacts"].as_array().map(Vec::len);
    ensure!(both == Some(2), "the glob named {both:?} files");

    // Two jobs fill one draft, and a third, which only has dist, publishes it.
    for file in ["dist/hello-1.1.0.apk", "dist/hello-1.1.0.ipa"] {
        let draft = json!({ "app": "hello", "version": "1.2.0", "files": file, "channel": "beta", "draft": true });
        job(draft).run_on(system)?.came_to(0, "draft", "")?;
    }
    scene.publish_draft(binaries, "1.2.0")
}
