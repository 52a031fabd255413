//! Release files on an HTTP server, as a mirror has them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::server::Binaries;
use crate::shell;

/// The version whose files they are.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A folder with release files of the program that is tested, and its server.
pub struct Mirror {
    /// The archive's digest.
    pub sha256: String,
    folder: TempDir,
    server: FileServer,
}

impl Mirror {
    /// Packs the program by its two names, as a release does, and serves it.
    pub fn start(binaries: &Binaries) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let release = folder.path().join("release");
        let content = folder.path().join(stem());
        for folder in [&release, &content] {
            fs::create_dir(folder)?;
        }
        // Nine tenths are what a debugger reads.
        let [dist, _] = binaries.paths();
        shell::read(shell::command("strip").arg("-o").arg(content.join("dist")).arg(dist))?;
        symlink("dist", content.join("distd"))?;
        let archive = release.join(archive());
        let mut tar = shell::command("tar");
        tar.arg("-C").arg(folder.path()).arg("-czf").arg(&archive).arg(stem());
        shell::read(tar.env("GZIP", "-1"))?;
        fs::copy(shell::root().join("install.sh"), release.join("install.sh"))?;
        let sha256 = hex::encode(Sha256::digest(fs::read(&archive)?));
        fs::write(release.join("SHA256SUMS"), format!("{sha256}  {}\n", self::archive()))?;
        Ok(Self {
            sha256,
            server: FileServer::start(&release)?,
            folder,
        })
    }

    /// Where its files are.
    pub fn url(&self) -> String {
        self.server.url.clone()
    }

    /// Its files on the disk.
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("release")
    }
}

/// What the archive and the folder in it are called.
fn stem() -> String {
    format!("dist-{VERSION}-{}-linux", std::env::consts::ARCH)
}

/// The archive for this machine.
pub fn archive() -> String {
    format!("{}.tar.gz", stem())
}

/// A folder over HTTP; ended where it is dropped.
pub struct FileServer {
    /// Where its files are.
    pub url: String,
    child: Child,
}

impl FileServer {
    /// Serves `folder` on a free port.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut command = shell::command("python3");
        command
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let mut server = Self {
            url: String::new(),
            child,
        };
        // "Serving HTTP on 127.0.0.1 port 40311 (http://127.0.0.1:40311/) ..."
        let port = line.split_once(" port ").and_then(|(_, rest)| rest.split(' ').next());
        server.url = format!("http://127.0.0.1:{}", port.context(line.clone())?);
        Ok(server)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
