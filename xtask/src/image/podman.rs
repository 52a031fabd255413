//! Podman, told to work where no systemd runs, and containers that end with the check.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::http::{self, Client};
use crate::shell;

/// How long a container may take until it is healthy.
const START_LIMIT: Duration = Duration::from_mins(1);
/// crun asks systemd for control groups, so runc does it; and limits above those of this process are
/// not ours to give, even as root where root is confined.
const SETTINGS: &str = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
    [containers]\ndefault_ulimits = [\"nofile=16384:16384\", \"nproc=4096:4096\"]\n";

/// Podman with settings of its own.
pub struct Podman {
    settings: PathBuf,
}

impl Podman {
    /// Writes the settings.
    pub fn new() -> Result<Self> {
        let settings = shell::scratch().join("containers.conf");
        fs::create_dir_all(shell::scratch())?;
        fs::write(&settings, SETTINGS)?;
        Ok(Self { settings })
    }

    /// Why containers cannot be run here; `None` where they can. The program is known to run as such.
    pub fn hindrance(&self, root: &Path) -> Option<String> {
        let mut run = self.command(["run", "--rm", "--publish=127.0.0.1::8787", "--rootfs"]);
        run.arg(root).args(["/usr/bin/dist", "--version"]);
        shell::read(&mut run).err().map(|error| error.to_string())
    }

    /// Another program that runs podman.
    pub fn drive(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = shell::command(program);
        command.env("CONTAINERS_CONF", &self.settings);
        command
    }

    /// `podman` with these arguments.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.drive("podman");
        command.args(arguments);
        command
    }

    /// What `podman` with these arguments prints.
    pub fn read<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        Ok(shell::read(&mut self.command(arguments))?.trim().to_owned())
    }

    /// A file of an image, which may hold nothing that could print it.
    pub fn file(&self, image: &str, path: &str) -> Result<Vec<u8>> {
        let container = Container {
            podman: self,
            id: self.read(["create", image])?,
        };
        let folder = tempfile::tempdir()?;
        let copy = folder.path().join("file");
        let source = format!("{}:{path}", container.id);
        shell::read(self.command(["cp", &source]).arg(&copy))?;
        Ok(fs::read(copy)?)
    }

    /// Starts a server in a container, and waits until it is healthy.
    pub fn start(&self, image: &str, flags: &[&str]) -> Result<Container<'_>> {
        let mut arguments = vec!["run", "--detach", "--publish=127.0.0.1::8787"];
        arguments.extend(flags);
        arguments.push(image);
        let container = Container {
            podman: self,
            id: self.read(arguments)?,
        };
        container.wait_until_healthy()?;
        Ok(container)
    }
}

/// A container that is removed where it is dropped.
pub struct Container<'a> {
    podman: &'a Podman,
    /// Its id or name.
    pub id: String,
}

impl<'a> Container<'a> {
    /// One that something else has started.
    pub fn named(podman: &'a Podman, name: &str) -> Result<Self> {
        let id = name.to_owned();
        let container = Self { podman, id };
        container.wait_until_healthy()?;
        Ok(container)
    }

    /// Waits for the image's own health check, which is run by hand where no systemd runs it.
    pub fn wait_until_healthy(&self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let mut check = self.podman.command(["healthcheck", "run", &self.id]);
            if shell::output(&mut check)?.status.success() {
                return Ok(());
            }
            if Instant::now() > deadline || self.inspect("{{.State.Running}}")? != "true" {
                bail!("the container does not get healthy; its log:\n{}", self.log()?);
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// The server in it, from outside.
    pub fn client(&self) -> Result<Client> {
        let ports = self.podman.read(["port", &self.id, "8787/tcp"])?;
        let port = ports
            .lines()
            .next()
            .and_then(|line| line.rsplit(':').next()?.parse().ok());
        Ok(Client {
            address: ([127, 0, 0, 1], port.with_context(|| format!("no port in {ports:?}"))?).into(),
            token: None,
            patience: http::PATIENCE,
        })
    }

    /// What a program in it prints.
    pub fn exec(&self, words: &[&str]) -> Result<String> {
        let mut arguments = vec!["exec", &self.id];
        arguments.extend(words);
        self.podman.read(arguments)
    }

    /// What podman knows of it, as a template says.
    pub fn inspect(&self, template: &str) -> Result<String> {
        self.podman
            .read(["container", "inspect", "--format", template, &self.id])
    }

    /// All that it has written.
    pub fn log(&self) -> Result<String> {
        let output = shell::output(&mut self.podman.command(["logs", &self.id]))?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Stops the server as a container engine does, and starts it again.
    pub fn restart(&self) -> Result<()> {
        self.podman.read(["stop", "--time=40", &self.id])?;
        let code = self.inspect("{{.State.ExitCode}}")?;
        ensure!(code == "0", "it stopped with {code}:\n{}", self.log()?);
        self.podman.read(["start", &self.id])?;
        self.wait_until_healthy()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // What cannot be removed stays for whoever looks into it.
        let _ = shell::output(
            &mut self
                .podman
                .command(["rm", "--force", "--volumes", "--time=1", &self.id]),
        );
    }
}
