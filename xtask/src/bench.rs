//! `cargo xtask bench`: ours beside its peers, by the performance bar's own script, and what that
//! script does not measure: publishes over HTTP, and memory under large transfers.

mod memory;
mod publish;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::http::{Client, PATIENCE};
use crate::server::{Binaries, Launch, Profile};
use crate::{shell, tools};

pub use publish::{Args as PublishArgs, run as run_publish};

const PORT: u16 = 7100;
const LIMIT: Duration = Duration::from_hours(2);
/// The size of the list that the script's peers serve, in bytes.
const LIST_BYTES: usize = 2000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Uploads of 512 MiB and of 1 MiB
    Upload,
    /// Downloads, whole and by ranges
    Download,
    /// A list of apps
    Api,
    /// The first byte beside idle connections
    Idle,
    /// Durable publishes
    Commit,
    /// Start and idle memory
    Start,
    /// Memory under large transfers side by side
    Memory,
}

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure [default: everything]
    what: Vec<What>,
    /// How often each is measured; three or more show the spread
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The script that runs the peers [default: shared/bench/anchors.sh beside the checkout]
    #[arg(long, env = "DIST_ANCHORS", value_name = "FILE")]
    anchors: Option<PathBuf>,
    #[command(flatten)]
    memory: memory::Load,
}

/// Measures.
pub fn run(args: &Args) -> Result<()> {
    let chosen = if args.what.is_empty() {
        What::value_variants()
    } else {
        &args.what
    };
    let binaries = Binaries::build(Profile::Release)?;
    let (memory, beside_peers): (Vec<What>, Vec<What>) = chosen.iter().partition(|what| **what == What::Memory);
    if !beside_peers.is_empty() {
        let anchors = Anchors::prepare(args.anchors.as_deref(), &binaries)?;
        for what in beside_peers {
            anchors.run(what, args.rounds)?;
        }
    }
    if memory.is_empty() {
        return Ok(());
    }
    memory::run(&binaries, &args.memory)
}

/// The bar's script, and ours made ready for it.
struct Anchors {
    script: PathBuf,
    /// Where it works and leaves its results.
    folder: PathBuf,
    /// Starts our server: `start DATA PORT`.
    start: PathBuf,
    client: Client,
}

impl Anchors {
    fn prepare(script: Option<&Path>, binaries: &Binaries) -> Result<Self> {
        let beside = || shell::root().join("../shared/bench/anchors.sh");
        let script = script.map_or_else(beside, Path::to_owned);
        ensure!(
            script.is_file(),
            "the script that runs the peers is not at {}: name it with DIST_ANCHORS",
            script.display()
        );
        tools::ensure_peers()?;
        let folder = shell::scratch().join("anchors");
        let seed = folder.join("seed");
        if seed.exists() {
            fs::remove_dir_all(&seed)?;
        }
        fs::create_dir_all(&folder)?;
        let token = make_seed(binaries, &seed)?;
        let start = folder.join("start");
        // The server that is measured finds a token and a list of apps, whenever its folder was
        // wiped before.
        let lines = format!(
            "#!/bin/sh\n[ -e \"$1/dist.db\" ] || cp -r {}/. \"$1\"\nexec {} --data \"$1\" --listen 127.0.0.1:\"$2\" --log warn\n",
            seed.display(),
            binaries.distd.display()
        );
        fs::write(&start, lines)?;
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755))?;
        shell::run(&mut shell::cargo(["build", "--release", "--package=xtask"]), LIMIT)?;
        let client = Client {
            address: ([127, 0, 0, 1], PORT).into(),
            token: Some(token),
            patience: PATIENCE,
        };
        let anchors = Self {
            script,
            folder,
            start,
            client,
        };
        shell::run(anchors.command().arg("build"), LIMIT)?;
        Ok(anchors)
    }

    fn command(&self) -> Command {
        let token = self.client.token.as_deref().unwrap_or_default();
        let mut command = shell::command("bash");
        command.arg(&self.script).env("ANCH_DIR", &self.folder).env("OURS", "1");
        command.env("OURS_PORT", PORT.to_string());
        command.env("OURS_CMD", format!("{} $DATA $PORT", self.start.display()));
        command.env("OURS_HEADERS", format!("Authorization: Bearer {token}"));
        let client = shell::root().join("target/release/xtask");
        command.env("OURS_COMMIT", format!("{} bench-publish", client.display()));
        command.env("BENCH_TOKEN", token);
        command
    }

    fn run(&self, what: What, rounds: u32) -> Result<()> {
        let name = what
            .to_possible_value()
            .context("a hidden measurement")?
            .get_name()
            .to_owned();
        println!("\n== {name}, {rounds} rounds");
        let results = self.folder.join(format!("{name}.jsonl"));
        if results.exists() {
            fs::remove_file(&results)?;
        }
        let mut script = self.command();
        script.arg(&name).arg(rounds.to_string()).env("OUT", &results);
        let mut script = script.spawn()?;
        let mut published = String::new();
        let status = loop {
            if let Some(status) = script.try_wait()? {
                break status;
            }
            if what == What::Download {
                // The script uploads and then downloads; what nobody published is not given out.
                self.publish_uploaded(&mut published);
            }
            sleep(Duration::from_millis(200));
        };
        ensure!(status.success(), "{}: {status}", self.script.display());
        if what == What::Commit {
            show_publish_ratios(&results)?;
        }
        Ok(())
    }

    /// Publishes the script's large file once the server has it.
    fn publish_uploaded(&self, published: &mut String) {
        let list = fs::read_to_string(self.folder.join("src/big.l")).unwrap_or_default();
        let digest = list.split(' ').nth(1).unwrap_or_default();
        if digest.is_empty() || digest == published {
            return;
        }
        let there = self.client.send("HEAD", &format!("/api/objects/{digest}"), &[], |_| {});
        if !there.is_ok_and(|answer| answer.is_ok()) {
            return;
        }
        let release = json!({
            "app": "bench", "version": &digest[..16],
            "artifacts": [{"platform": "linux", "filename": "big.bin", "sha256": digest}],
        });
        if self
            .client
            .post("/api/apps/bench/releases", &release)
            .is_ok_and(|answer| answer.is_ok())
        {
            digest.clone_into(published);
        }
    }
}

/// A store with a token, and with as many public apps as make a list of the peers' size.
fn make_seed(binaries: &Binaries, seed: &Path) -> Result<String> {
    let server = Launch::new(binaries, seed).start()?;
    let client = Client {
        token: Some(binaries.token(seed, "bench", "admin")?),
        ..server.client.clone()
    };
    for number in 0.. {
        let list = client.get("/api/apps")?.expect_ok()?;
        if list.body.len() >= LIST_BYTES {
            println!("the list of apps has {} bytes, with {number} apps", list.body.len());
            break;
        }
        client
            .post("/api/apps", &json!({"slug": format!("app-{number}")}))?
            .expect_ok()?;
    }
    server.stop()?;
    client.token.context("no token")
}

/// Ours against bare `SQLite` transactions of the same rows, round by round.
fn show_publish_ratios(results: &Path) -> Result<()> {
    let text = fs::read_to_string(results)?;
    let rows: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    for (case, ours, bare) in [
        ("1 writer", "op_s", "publish1_full"),
        ("16 writers", "op16_s", "publish16_full"),
    ] {
        let mut ratios = Vec::new();
        for row in rows.iter().filter(|row| row["target"] == "ours") {
            let peer = rows
                .iter()
                .find(|peer| peer["case"] == bare && peer["round"] == row["round"]);
            let speeds = peer.and_then(|peer| Some((row[ours].as_f64()?, peer["op_s"].as_f64()?)));
            ratios.extend(speeds.map(|(ours, bare)| ours / bare));
        }
        ratios.sort_by(f64::total_cmp);
        match ratios.as_slice() {
            [] => bail!("no figures of ours, or of {bare}"),
            [low, .., high] => {
                let median = ratios[ratios.len() / 2];
                println!("publish, {case}: {median:.2} x bare SQLite [{low:.2}..{high:.2}]");
            }
            [only] => println!("publish, {case}: {only:.2} x bare SQLite"),
        }
    }
    Ok(())
}
