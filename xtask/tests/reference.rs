//! docs/reference and deploy/distd.toml are what the code says: each file is rendered and compared with
//! what is committed.
//! `cargo xtask reference` writes them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "reference/cli.rs"]
mod cli;
#[path = "reference/configuration.rs"]
mod configuration;
#[path = "reference/http.rs"]
mod http;
#[path = "reference/manifest.rs"]
mod manifest;
#[path = "reference/model.rs"]
mod model;

use std::fs;
use std::path::Path;

const NOTE: &str = "<!-- Written by `cargo xtask reference`. Change the code, not this file. -->\n\n";

/// A page of the reference.
fn check(page: &str, rendered: &str) {
    check_file(&format!("docs/reference/{page}"), &format!("{NOTE}{rendered}"));
}

fn check_file(file: &str, rendered: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let expected = format!("{}\n", rendered.trim_end());
    #[allow(clippy::disallowed_methods, reason = "the test's one setting")]
    let write = std::env::var_os("REFERENCE").is_some_and(|value| value == "write");
    if write {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(
        committed == expected,
        "{file} is not what the code says, from line {} on: run `cargo xtask reference`",
        differs.unwrap_or(committed.lines().count()) + 1
    );
}

#[test]
fn errors() {
    check("errors.md", &model::errors());
}

#[test]
fn events() {
    check("events.md", &model::events());
}

#[test]
fn command_line() {
    check("cli.md", &cli::render());
}

#[test]
fn configuration() {
    check("configuration.md", &configuration::render());
}

#[test]
fn settings_file() {
    let note = "# Written by `cargo xtask reference`. Change the code, not this file.\n\n";
    check_file("deploy/distd.toml", &format!("{note}{}", configuration::render_file()));
}

#[test]
fn the_manifest() {
    check("manifest.md", &manifest::render());
}

#[test]
fn http_api() {
    check("http.md", &http::render());
}
