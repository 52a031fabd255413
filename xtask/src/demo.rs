//! `cargo xtask demo`: what the product does, on the example app, told as it happens.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::server::{self, Binaries, Launch, Profile, Server};
use crate::shell;

/// What the demo takes.
#[derive(clap::Args)]
pub struct Args {
    /// End once everything was shown, instead of serving on
    #[arg(long)]
    once: bool,
    /// The data folder, which must be new [default: target/demo-data, made anew each time]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8787, or a free port with --once]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Shows the product at work.
pub fn run(args: &Args) -> Result<()> {
    let data = fresh_folder(args.data.as_deref())?;
    say("Building dist and distd for release");
    let binaries = Binaries::build(Profile::Release)?;
    // From here on a signal ends the wait at the bottom, and the server with it.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listen = args
        .listen
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], if args.once { 0 } else { 8787 })));
    let launch = Launch::new(&binaries, &data).flag("--listen", listen.to_string());
    let mut server = launch.in_its_own_group().start()?;
    say(&format!("distd serves {} on {}", data.display(), server.url()));
    let tour = Tour::begin(&binaries, &server)?;
    tour.releases()?;
    tour.download()?;
    tour.urls()?;
    if !args.once {
        say("Serving until Ctrl-C");
        while signals.pending().next().is_none() {
            if let Some(status) = server.ended()? {
                bail!("distd ended by itself: {status}\n{}", server.log());
            }
            sleep(Duration::from_millis(100));
        }
    }
    let status = server.stop()?;
    ensure!(status.success(), "distd stopped with {status}");
    say("distd finished what was under way and stopped");
    Ok(())
}

/// The folder to serve: the demo's own is emptied, anybody else's must be new.
fn fresh_folder(chosen: Option<&Path>) -> Result<PathBuf> {
    let Some(chosen) = chosen else {
        let own = shell::root().join("target").join("demo-data");
        if own.exists() {
            fs::remove_dir_all(&own)?;
        }
        return Ok(own);
    };
    let is_new = !chosen.exists() || fs::read_dir(chosen)?.next().is_none();
    ensure!(is_new, "{} is not empty: the demo takes a new folder", chosen.display());
    Ok(std::path::absolute(chosen)?)
}

/// One line for each thing that happens.
fn say(what: &str) {
    println!("\n\u{25b8} {what}");
}

fn detail(what: &str) {
    println!("  {what}");
}

/// The demo's steps, with what they need.
struct Tour<'a> {
    binaries: &'a Binaries,
    server: &'a Server,
    token: String,
}

impl<'a> Tour<'a> {
    fn begin(binaries: &'a Binaries, server: &'a Server) -> Result<Self> {
        say("An admin on this machine makes a token for CI, beside the running server");
        let token = binaries.token(&server.data, "demo-ci", "publish,promote")?;
        detail("dist token create --name demo-ci --scope publish,promote --local-store DIR");
        Ok(Self {
            binaries,
            server,
            token,
        })
    }

    /// Runs a command against the server as CI would, and shows it.
    fn dist(&self, arguments: &[&str]) -> Result<Value> {
        detail(&format!("$ dist {}", arguments.join(" ")));
        let mut command = self.binaries.dist(arguments);
        command
            .arg("--server")
            .arg(self.server.url())
            .env("DIST_TOKEN", &self.token);
        let (code, answer) = server::answer(&mut command)?;
        ensure!(code == 0, "exit {code}: {answer}");
        Ok(answer)
    }

    fn releases(&self) -> Result<()> {
        say("CI publishes version 1.0.0 to the channel beta, over HTTP");
        self.publish("examples/dist.json")?;
        say("The release manager promotes it to stable; nothing is copied");
        self.promote()?;
        say("CI publishes version 1.1.0");
        self.publish("examples/dist-1.1.0.json")?;
        say("It is promoted too");
        self.promote()?;
        say("Something is wrong with it: stable is rolled back");
        let answer = self.dist(&["release", "rollback", "--app", "hello", "--channel", "stable"])?;
        show_channel(&answer);
        ensure!(
            answer["release"]["version"] == "1.0.0",
            "stable was to be at 1.0.0 again: {answer}"
        );
        Ok(())
    }

    fn publish(&self, manifest: &str) -> Result<()> {
        let answer = self.dist(&["ci", "publish", "--manifest", manifest])?;
        for artifact in answer["artifacts"].as_array().context("an answer without artifacts")? {
            detail(&format!(
                "  {}: {}, {} bytes, sha256 {}",
                text(&artifact["filename"]),
                text(&artifact["platform"]),
                artifact["size_bytes"],
                text(&artifact["sha256"]),
            ));
        }
        show_channel(&answer);
        Ok(())
    }

    fn promote(&self) -> Result<()> {
        let channels = ["--from-channel", "beta", "--to-channel", "stable"];
        let mut arguments = vec!["release", "promote", "--app", "hello"];
        arguments.extend(channels);
        show_channel(&self.dist(&arguments)?);
        Ok(())
    }

    fn download(&self) -> Result<()> {
        say("A tester's phone asks for the newest stable build for Android, and downloads it");
        let path = "/latest/hello/stable/android_apk";
        let redirect = self.server.client.get(path)?;
        let location = redirect.header("location").context("no redirect to the file")?;
        detail(&format!("GET {path} -> {} {location}", redirect.status));
        let path = location.strip_prefix(&self.server.url()).unwrap_or(location);
        let file = self.server.client.get(path)?.expect_ok()?;
        let digest = hex::encode(Sha256::digest(&file.body));
        detail(&format!("{} bytes, sha256 {digest}", file.body.len()));
        ensure!(path.contains(&digest), "the bytes do not have the digest of their link");
        ensure!(
            file.header("x-checksum-sha256") == Some(&digest),
            "the server announced another digest"
        );
        detail("the digest of what arrived is the digest that the release names");
        Ok(())
    }

    fn urls(&self) -> Result<()> {
        let url = self.server.url();
        say("Open in a browser");
        for (path, what) in [
            ("/install/hello/stable", "the install page of stable"),
            ("/install/hello/beta", "the install page of beta"),
            ("/", "the public apps"),
            ("/api/apps/hello", "the app as JSON"),
            ("/api/openapi.json", "the API's own description"),
        ] {
            self.server.client.get(path)?.expect_ok().context(path)?;
            detail(&format!("{url}{path:<24} {what}"));
        }
        say("Look into the store");
        let data = self.server.data.display();
        detail(&format!(
            "sqlite3 {data}/dist.db 'SELECT id, actor, action, target_id FROM audit_events'"
        ));
        detail(&format!("cd {data}/objects && sha256sum *"));
        Ok(())
    }
}

fn show_channel(answer: &Value) {
    let channel = &answer["channel"];
    detail(&format!(
        "  {} is at {} (revision {})",
        text(&channel["name"]),
        text(&answer["release"]["version"]),
        channel["revision"]
    ));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
