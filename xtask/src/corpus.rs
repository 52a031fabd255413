//! `cargo xtask corpus`: real artifacts, published to a running server as CI does and downloaded
//! again, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::builder::FalseyValueParser;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::server::{self, Binaries, Launch, Server};
use crate::shell;

/// The kinds of files that the run must cover.
const KINDS: [&str; 11] = [
    "apk", "aab", "ipa", "deb", "rpm", "appimage", "dmg", "pkg", "msi", "msix", "exe",
];

/// Where real artifacts are.
#[derive(clap::Args)]
pub struct Fixtures {
    /// The folder of real artifacts [default: shared/fixtures beside the checkout]
    #[arg(long, env = "DIST_FIXTURES", value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Fail where that folder is missing
    #[arg(long, env = "DIST_REQUIRE_CORPUS", value_parser = FalseyValueParser::new())]
    require_corpus: bool,
}

/// Where the real artifacts are, or are not.
pub enum Corpus {
    /// The folder.
    At(PathBuf),
    /// It is not there, and need not be.
    Missing(PathBuf),
    /// It is not there, which is a failure.
    Required(PathBuf),
}

impl Fixtures {
    /// Looks for the folder.
    pub fn find(&self) -> Corpus {
        let beside = || shell::root().join("../shared/fixtures");
        let folder = self.fixtures.clone().unwrap_or_else(beside).join("visible");
        match (folder.join("manifest.json").is_file(), self.require_corpus) {
            (true, _) => Corpus::At(folder),
            (false, false) => Corpus::Missing(folder),
            (false, true) => Corpus::Required(folder),
        }
    }

    /// Says the same to a program that runs tests of real files.
    pub fn tell(&self, command: &mut Command) -> Result<()> {
        if let Some(folder) = &self.fixtures {
            command.env("DIST_FIXTURES", std::path::absolute(folder)?);
        }
        if self.require_corpus {
            command.env("DIST_REQUIRE_CORPUS", "1");
        }
        Ok(())
    }
}

/// Publishes everything that the folder's manifest calls acceptable.
pub fn run(binaries: &Binaries, fixtures: &Fixtures) -> Result<()> {
    publish(binaries, &fixtures.find())
}

/// The same, where the folder was looked for already.
pub fn publish(binaries: &Binaries, corpus: &Corpus) -> Result<()> {
    let folder = match corpus {
        Corpus::At(folder) => folder,
        Corpus::Missing(folder) | Corpus::Required(folder) => {
            bail!(
                "there are no real artifacts in {}: name their folder with DIST_FIXTURES",
                folder.display()
            )
        }
    };
    let scratch = tempfile::tempdir()?;
    let server = Launch::new(binaries, scratch.path().join("data")).start()?;
    let token = binaries.token(&server.data, "corpus", "publish")?;
    let mut counts: BTreeMap<&str, usize> = KINDS.iter().map(|kind| (*kind, 0)).collect();
    for (number, (kind, path)) in acceptable(folder)?.iter().enumerate() {
        let app = format!("corpus-{number}");
        round_trip(binaries, &server, &token, &app, path).with_context(|| path.display().to_string())?;
        *counts.entry(kind).or_default() += 1;
    }
    for (kind, count) in &counts {
        ensure!(*count > 0, "the folder has no acceptable {kind}");
    }
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("published and downloaded again, byte for byte: {}", counts.join(", "));
    server.stop()?;
    Ok(())
}

/// The files of the covered kinds that are not meant to be refused.
fn acceptable(folder: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json"))?)?;
    let entries = manifest.as_array().context("the folder's manifest is no list")?;
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry["expect"] != "reject") {
        let kind = entry["kind"].as_str().unwrap_or_default().to_lowercase();
        let path = entry["path"].as_str().context("an entry without a path")?;
        if let Some(kind) = KINDS.into_iter().find(|known| *known == kind) {
            found.push((kind, folder.join(path)));
        }
    }
    Ok(found)
}

/// Each file is an app of its own, since an app keeps the id that its first artifact says.
fn round_trip(binaries: &Binaries, server: &Server, token: &str, app: &str, path: &Path) -> Result<()> {
    let mut command = binaries.dist(["ci", "publish", "--app", app, "--version", "1.0.0"]);
    command
        .arg(path)
        .arg("--server")
        .arg(server.url())
        .env("DIST_TOKEN", token);
    let (code, answer) = server::answer(&mut command)?;
    ensure!(code == 0, "exit {code}: {answer}");
    let original = fs::read(path)?;
    let digest = hex::encode(Sha256::digest(&original));
    ensure!(
        answer["artifacts"][0]["sha256"] == digest.as_str(),
        "another digest: {answer}"
    );
    // By token, since the file of an iOS app is not for everybody.
    let mut client = server.client.clone();
    client.token = Some(token.to_owned());
    let download = client.get(&format!("/download/{digest}"))?.expect_ok()?;
    ensure!(download.body == original, "the download differs");
    ensure!(
        download.header("x-checksum-sha256") == Some(&digest),
        "another checksum was announced"
    );
    Ok(())
}
