//! What people, phones and CI do through a reverse proxy.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rand::RngCore as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::proxy::Proxy;
use crate::server::{self, Binaries};
use crate::shell;

/// Larger than what proxies take unless they are told otherwise, and than one part of an upload.
const LARGE: u64 = 200 << 20;
/// How long something may take that happens at once.
const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "a long enough password";

/// All of it.
pub fn run(binaries: &Binaries, proxy: &Proxy) -> Result<()> {
    let admin = binaries.token(&proxy.server.data, "proxied", "admin")?;
    publish(binaries, proxy, &admin).context("a large file in parts, and back")?;
    upload_whole(proxy, &admin).context("a large file in one request")?;
    upload_streams(proxy, &admin).context("an upload that is under way")?;
    installation(binaries, proxy, &admin).context("installation on iOS")?;
    console(binaries, proxy, &admin).context("the console")
}

fn publish(binaries: &Binaries, proxy: &Proxy, admin: &str) -> Result<()> {
    let file = proxy.folder().join("large.bin");
    let digest = random_file(&file)?;
    let manifest = proxy.folder().join("dist.json");
    let artifact = json!({"path": "large.bin", "platform": "linux", "arch": "x86_64"});
    let release = json!({"app": "large", "version": "1.0.0", "channel": "beta", "artifacts": [artifact]});
    fs::write(&manifest, release.to_string())?;
    let path = manifest.to_str().context("a folder that is no UTF-8")?;
    dist(binaries, proxy, admin, &["ci", "publish", "--manifest", path])?;
    let copy = proxy.folder().join("copy.bin");
    let path = format!("/download/{digest}");
    shell::read(proxy.curl(&path).arg("--output").arg(&copy))?;
    ensure!(digest_of(&copy)? == digest, "the download differs");
    let range = shell::output(proxy.curl(&path).args(["--range", "100-149"]))?;
    let mut expected = [0; 50];
    let mut source = File::open(&file)?;
    io::Seek::seek(&mut source, io::SeekFrom::Start(100))?;
    source.read_exact(&mut expected)?;
    ensure!(range.stdout == expected, "a range differs");
    Ok(())
}

fn upload_whole(proxy: &Proxy, admin: &str) -> Result<()> {
    let file = proxy.folder().join("raw.bin");
    let digest = random_file(&file)?;
    let mut upload = proxy.curl("/api/upload");
    upload
        .args(["--header", &bearer(admin), "--request", "POST", "--upload-file"])
        .arg(&file);
    let answer: Value = serde_json::from_str(&shell::read(&mut upload)?)?;
    ensure!(
        answer["sha256"] == digest.as_str() && answer["size_bytes"] == LARGE,
        "answered {answer}"
    );
    Ok(())
}

/// What was sent reaches the server while the rest is still to come.
fn upload_streams(proxy: &Proxy, admin: &str) -> Result<()> {
    let mut upload = proxy.curl("/api/upload");
    upload.args(["--header", &bearer(admin), "--request", "POST", "--upload-file", "-"]);
    let mut child = Ended(upload.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut sender = child.0.stdin.take().context("no stdin")?;
    let half = vec![7; 8 << 20];
    sender.write_all(&half)?;
    let staging = proxy.server.data.join("staging");
    wait_for("nothing arrives before all is sent", || {
        let mut sizes = fs::read_dir(&staging)?.map(|entry| Ok(entry?.metadata()?.len()));
        Ok(sizes.any(|size: io::Result<u64>| size.is_ok_and(|size| size > 4 << 20)))
    })?;
    sender.write_all(&half)?;
    drop(sender);
    let mut answer = String::new();
    child
        .0
        .stdout
        .take()
        .context("no stdout")?
        .read_to_string(&mut answer)?;
    let answer: Value = serde_json::from_str(&answer)?;
    ensure!(answer["size_bytes"] == 16 << 20, "answered {answer}");
    Ok(())
}

fn installation(binaries: &Binaries, proxy: &Proxy, admin: &str) -> Result<()> {
    let manifest = shell::root().join("examples/dist.json");
    let manifest = manifest.to_str().context("a folder that is no UTF-8")?;
    dist(binaries, proxy, admin, &["ci", "publish", "--manifest", manifest])?;
    dist(
        binaries,
        proxy,
        admin,
        &["app", "set", "hello", "--ios-mode", "enterprise"],
    )?;
    // Nobody signed the example, so that its page has no button; what one would lead to is there all the same.
    let page = shell::read(&mut proxy.curl("/install/hello/beta"))?;
    ensure!(
        page.contains("devices refuse it"),
        "the page does not say what devices do"
    );
    let plist = shell::read(&mut proxy.curl("/install/hello/beta/manifest.plist"))?;
    let package = format!("{}/download/", proxy.url());
    let path = plist.split(&package).nth(1).and_then(|rest| rest.split('<').next());
    let path = path.with_context(|| format!("no file below {package} in {plist}"))?;
    let package = shell::output(&mut proxy.curl(&format!("/download/{path}")))?;
    ensure!(package.stdout.starts_with(b"PK"), "what iOS is sent to is no package");
    Ok(())
}

/// Somebody signs in, whose address the server learns of the proxy alone, and sees what happens as it
/// happens.
fn console(binaries: &Binaries, proxy: &Proxy, admin: &str) -> Result<()> {
    person(binaries, proxy)?;
    let jar = proxy.folder().join("cookies");
    let mut sign_in = proxy.curl("/admin/sign-in");
    sign_in.args(["--interface", "127.0.0.2", "--header", "X-Forwarded-For: 192.0.2.7"]);
    sign_in.args([
        "--header",
        "Forwarded: for=192.0.2.7",
        "--header",
        &format!("Origin: {}", proxy.url()),
    ]);
    sign_in.args([
        "--data-urlencode",
        "email=ann@example.org",
        "--data-urlencode",
        &format!("password={PASSWORD}"),
    ]);
    shell::read(sign_in.arg("--cookie-jar").arg(&jar))?;
    let audit = dist(
        binaries,
        proxy,
        admin,
        &["audit", "list", "--action", "session.started"],
    )?;
    let address = &audit["items"][0]["metadata"]["session"]["address"];
    ensure!(address == "127.0.0.2", "they come from {address}: {audit}");

    let mut events = proxy.curl("/admin/live");
    events
        .args(["--no-buffer", "--cookie"])
        .arg(&jar)
        .stdout(Stdio::piped());
    let mut child = Ended(events.spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().context("no stdout")?).lines();
    ensure!(lines.next().transpose()?.is_some(), "the stream of events is closed");
    dist(binaries, proxy, admin, &["app", "create", "seen-at-once"])?;
    // The server ends a stream that it has nothing to say on, and so this wait.
    let seen = lines.map_while(Result::ok).any(|line| line.contains("seen-at-once"));
    ensure!(seen, "what happens is not told");
    Ok(())
}

fn person(binaries: &Binaries, proxy: &Proxy) -> Result<()> {
    let user = |arguments: &[&str]| {
        let mut user = shell::command(&binaries.distd);
        user.arg("user").args(arguments).arg("--data").arg(&proxy.server.data);
        user
    };
    shell::read(&mut user(&["add", "ann@example.org", "--role", "admin"]))?;
    let mut set = user(&["set-password", "ann@example.org", "--password-stdin"]);
    let mut child = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(PASSWORD.as_bytes())?;
    ensure!(child.wait()?.success(), "the password is not taken");
    Ok(())
}

/// Runs the CLI through the proxy, with the certificate's authority.
fn dist(binaries: &Binaries, proxy: &Proxy, token: &str, arguments: &[&str]) -> Result<Value> {
    let mut command = binaries.dist(arguments);
    command.env("DIST_TOKEN", token).arg("--ca-file").arg(proxy.authority());
    let (code, answer) = server::answer(command.args(["--server", &proxy.url()]))?;
    ensure!(code == 0, "dist {}: exit {code}: {answer}", arguments.join(" "));
    Ok(answer)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// A large file that nothing could make smaller; gives its digest.
fn random_file(path: &Path) -> Result<String> {
    let mut file = File::create(path)?;
    let mut piece = vec![0; 4 << 20];
    let mut digest = Sha256::new();
    for _ in 0..LARGE / piece.len() as u64 {
        // Random enough for a proxy, and quick without optimisation.
        rand::rng().fill_bytes(&mut piece[..4096]);
        digest.update(&piece);
        file.write_all(&piece)?;
    }
    Ok(hex::encode(digest.finalize()))
}

fn digest_of(path: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    let mut file = BufReader::with_capacity(4 << 20, File::open(path)?);
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(hex::encode(digest.finalize()));
        }
        digest.update(piece);
        let read = piece.len();
        file.consume(read);
    }
}

fn wait_for(otherwise: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > deadline {
            bail!("{otherwise}");
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A child that is ended where it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
