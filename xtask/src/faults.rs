//! `cargo xtask faults`: what the machine does to the server, and what the server makes of it.
//!
//! The cases mount a small file system, run as another user and inject errors into system calls:
//! they need Linux and root.

mod crowd;
mod disk;
mod io_errors;
mod store;
mod upgrade;

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rand::RngCore as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::{Answer, Client};
use crate::server::{Binaries, Server};

/// A case and its name.
type Case = (&'static str, fn(&Binaries) -> Result<()>);

const CASES: &[Case] = &[
    ("full-disk", disk::full),
    ("read-only-disk", disk::read_only),
    ("io-errors", io_errors::run),
    ("wrong-owner", store::wrong_owner),
    ("locked", store::locked),
    ("newer", store::newer),
    ("foreign", store::foreign),
    ("broken-import", store::broken_import),
    ("upgrade", upgrade::by_server),
    ("upgrade-without-room", upgrade::without_room),
    ("upgrade-killed", upgrade::killed),
    ("slow-headers", crowd::slow_headers),
    ("slow-bodies", crowd::slow_bodies),
];

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// Only these cases
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CASES.iter().map(|(name, _)| *name)))]
    cases: Vec<String>,
}

/// Every case.
pub fn run_all(binaries: &Binaries) -> Result<()> {
    run(binaries, &Args { cases: Vec::new() })
}

/// The chosen cases, or all of them.
pub fn run(binaries: &Binaries, args: &Args) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux") && rustix::process::geteuid().is_root(),
        "the faults need Linux and root, to mount, to trace and to be another user"
    );
    let mut failed = 0;
    for (name, case) in CASES {
        if !args.cases.is_empty() && !args.cases.iter().any(|chosen| chosen == name) {
            continue;
        }
        match case(binaries) {
            Ok(()) => println!("    ok  {name}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error:#}");
            }
        }
    }
    if failed > 0 {
        bail!("{failed} cases failed");
    }
    Ok(())
}

/// An admin of a server.
fn admin(binaries: &Binaries, server: &Server) -> Result<Client> {
    Ok(Client {
        token: Some(binaries.token(&server.data, "faults", "admin")?),
        ..server.client.clone()
    })
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn upload(client: &Client, bytes: &[u8]) -> Result<Answer> {
    Ok(client.send("POST", "/api/upload", bytes, |_| {})?)
}

/// Publishes a release of one artifact, whose bytes were uploaded before.
fn publish(client: &Client, version: &str, digest: &str) -> Result<Answer> {
    let release = json!({
        "app": "faults", "version": version, "channel": "beta",
        "artifacts": [{"platform": "linux", "filename": "file.bin", "sha256": digest}],
    });
    Ok(client.post("/api/apps/faults/releases", &release)?)
}

/// The answer has this status and this code.
fn expect(answer: &Answer, status: u16, code: &str) -> Result<()> {
    ensure!(
        answer.status == status && answer.code() == code,
        "expected {status} {code}, got {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(())
}

/// The CLI ended with this exit code and this error code; gives the error's message.
fn expect_exit(done: &(i32, Value), exit: i32, code: &str) -> Result<String> {
    let (found, answer) = done;
    let error = &answer["error"];
    ensure!(
        *found == exit && error["code"] == code,
        "expected exit {exit} {code}, got exit {found}: {answer}"
    );
    Ok(error["message"].as_str().unwrap_or_default().to_owned())
}

/// Nothing in the store is there by half.
fn expect_whole(binaries: &Binaries, data: &Path) -> Result<()> {
    let (exit, cleanup) = binaries.local(data, &["store", "cleanup", "--grace", "0"])?;
    ensure!(exit == 0, "store cleanup: exit {exit}: {cleanup}");
    let left: Vec<_> = std::fs::read_dir(data.join("staging"))?.collect::<Result<_, _>>()?;
    ensure!(left.is_empty(), "left in staging: {left:?}");
    let (exit, verify) = binaries.local(data, &["store", "verify"])?;
    ensure!(exit == 0 && verify["ok"] == true, "store verify: exit {exit}: {verify}");
    Ok(())
}

/// The digests of a release's artifacts, or nothing where there is no such release.
fn artifacts(client: &Client, version: &str) -> Result<Option<Vec<String>>> {
    let answer = client.get(&format!("/api/apps/faults/releases/{version}"))?;
    if answer.status == 404 {
        return Ok(None);
    }
    let release = answer.expect_ok()?.json();
    let artifacts = release["artifacts"].as_array().context("a release without artifacts")?;
    let digest = |artifact: &Value| artifact["sha256"].as_str().unwrap_or_default().to_owned();
    Ok(Some(artifacts.iter().map(digest).collect()))
}
