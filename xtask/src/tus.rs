//! `cargo xtask tus`: uploads by the public clients tuspy and tus-js-client, cut half-way by a kill
//! of the server and gone on with once it is back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::server::{Binaries, Launch, Server};
use crate::{shell, tools};

const TUSPY: &str = "tuspy==1.1.0";
const TUS_JS_CLIENT: &str = "4.3.1";
const FILE_BYTES: usize = 3 << 20;

/// A client: a program and its script, which take an endpoint, a file, and the URL of an upload or
/// `begin`.
struct Client {
    name: &'static str,
    program: PathBuf,
    script: &'static str,
    node_path: PathBuf,
}

/// Uploads with each client.
pub fn run(binaries: &Binaries) -> Result<()> {
    let tuspy = Client {
        name: "tuspy",
        program: tools::python_packages(&[TUSPY])?,
        script: "xtask/tus/upload.py",
        node_path: PathBuf::new(),
    };
    upload_and_resume(binaries, &tuspy)?;
    let tus_js_client = Client {
        name: "tus-js-client",
        program: "node".into(),
        script: "xtask/tus/upload.cjs",
        node_path: tools::node_package("tus-js-client", TUS_JS_CLIENT)?.join("node_modules"),
    };
    upload_and_resume(binaries, &tus_js_client)
}

impl Client {
    /// Sends, and gives what the script printed.
    fn send(&self, endpoint: &str, file: &Path, upload: &str, token: &str) -> Result<String> {
        let mut command = shell::command(&self.program);
        command.arg(self.script).arg(endpoint).arg(file).arg(upload);
        command.env("TOKEN", token).env("NODE_PATH", &self.node_path);
        let printed = shell::read(&mut command).with_context(|| self.name)?;
        Ok(printed.trim().to_owned())
    }
}

fn upload_and_resume(binaries: &Binaries, client: &Client) -> Result<()> {
    let name = client.name;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let file = folder.path().join("file");
    let mut bytes = vec![0; FILE_BYTES];
    StdRng::seed_from_u64(7).fill_bytes(&mut bytes);
    fs::write(&file, &bytes)?;

    let server = Launch::new(binaries, &data).start()?;
    let token = binaries.token(&data, "tus", "publish")?;
    let (address, endpoint) = (server.client.address, format!("{}/api/uploads", server.url()));
    let upload = client.send(&endpoint, &file, "begin", &token)?;
    ensure!(
        upload.starts_with("http"),
        "{name} gave no URL of its upload: {upload:?}"
    );
    server.kill()?;

    // On the same port, since the client knows the upload by its URL.
    let mut server = Launch::new(binaries, &data)
        .flag("--listen", address.to_string())
        .start()?;
    client.send(&endpoint, &file, &upload, &token)?;
    server.client.token = Some(token);
    check_object(&server, &bytes)?;
    println!("{name}: {FILE_BYTES} bytes in two goes, the server killed between them");
    server.stop()?;
    Ok(())
}

/// What arrived can be published and downloaded.
fn check_object(server: &Server, bytes: &[u8]) -> Result<()> {
    let digest = hex::encode(Sha256::digest(bytes));
    let release = json!({
        "app": "tus", "version": "1.0.0",
        "artifacts": [{"platform": "linux", "filename": "file.bin", "sha256": digest}],
    });
    server.client.post("/api/apps/tus/releases", &release)?.expect_ok()?;
    let download = server.client.get(&format!("/download/{digest}"))?.expect_ok()?;
    ensure!(download.body == bytes, "the download differs from what was sent");
    Ok(())
}
