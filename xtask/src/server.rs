//! The built programs, and a server that is started and ended.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::http::{self, Client};
use crate::shell;

const BUILD_LIMIT: Duration = Duration::from_mins(30);
const START_LIMIT: Duration = Duration::from_secs(30);
/// What the programs read from the environment, and what must not reach them from ours.
const VARIABLES: [&str; 15] = [
    "DIST_SERVER",
    "DIST_TOKEN",
    "DIST_TOKEN_FILE",
    "DIST_LOCAL_STORE",
    "DIST_APP",
    "DIST_CHANNEL",
    "DIST_MANIFEST",
    "DIST_FILES",
    "DIST_VERSION",
    "DIST_BUILD",
    "DIST_DRAFT",
    "DIST_DRY_RUN",
    "DIST_STRICT",
    "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY",
];

/// How the programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As tests are.
    Debug,
    /// As users get them.
    Release,
}

/// The built programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    dist: PathBuf,
    /// The server.
    pub distd: PathBuf,
}

impl Binaries {
    /// Builds what is not up to date.
    pub fn build(profile: Profile) -> Result<Self> {
        let mut build = shell::cargo(["build", "--package=dist", "--package=distd"]);
        if profile == Profile::Release {
            build.arg("--release");
        }
        shell::run(&mut build, BUILD_LIMIT)?;
        Self::built(profile)
    }

    /// What a build, or a test run, has left.
    pub fn built(profile: Profile) -> Result<Self> {
        let folder = shell::root().join("target").join(match profile {
            Profile::Debug => "debug",
            Profile::Release => "release",
        });
        let [dist, distd] = ["dist", "distd"].map(|name| folder.join(name));
        for program in [&dist, &distd] {
            ensure!(program.is_file(), "{} is not built", program.display());
        }
        Ok(Self { dist, distd })
    }

    /// Where the CLI and the server are.
    pub fn paths(&self) -> [&Path; 2] {
        [&self.dist, &self.distd]
    }

    /// The CLI, with one JSON object as its output and none of our own settings.
    pub fn dist<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = shell::command(&self.dist);
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.args(arguments).arg("--json");
        command
    }

    /// Runs the CLI on a folder, and gives the exit code and what it answered.
    pub fn local(&self, data: &Path, arguments: &[&str]) -> Result<(i32, Value)> {
        answer(self.dist(arguments).arg("--local-store").arg(data))
    }

    /// Makes a token in a store that nobody or anybody serves; gives its secret.
    pub fn token(&self, data: &Path, name: &str, scope: &str) -> Result<String> {
        let (code, answer) = self.local(data, &["token", "create", "--name", name, "--scope", scope])?;
        ensure!(code == 0, "token create: exit {code}: {answer}");
        let secret = answer["secret"].as_str().context("an answer without a secret")?;
        Ok(secret.to_owned())
    }
}

/// Runs `dist … --json`, and gives the exit code and what it answered.
pub fn answer(command: &mut Command) -> Result<(i32, Value)> {
    let output = shell::output(command)?;
    let code = output.status.code().context("ended by a signal")?;
    let answer = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{}: no JSON on stdout; stderr: {said}", shell::shown(command))
    })?;
    Ok((code, answer))
}

/// How a server is to be started.
pub struct Launch<'a> {
    binaries: &'a Binaries,
    data: PathBuf,
    wrapper: Vec<OsString>,
    flags: Vec<OsString>,
    own_group: bool,
}

impl<'a> Launch<'a> {
    /// A server on a folder and a free port of this machine.
    pub fn new(binaries: &'a Binaries, data: impl Into<PathBuf>) -> Self {
        Self {
            binaries,
            data: data.into(),
            wrapper: Vec::new(),
            flags: vec!["--listen".into(), "127.0.0.1:0".into()],
            own_group: false,
        }
    }

    /// Another program that starts the server in its own place, such as `prlimit --nofile=64`.
    pub fn under<S: Into<OsString>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.wrapper.extend(words.into_iter().map(Into::into));
        self
    }

    /// Another flag of the server's; the last one of a kind counts.
    pub fn flag(mut self, name: &str, value: impl Into<OsString>) -> Self {
        if let Some(at) = self.flags.iter().position(|flag| flag == name) {
            self.flags.drain(at..at + 2);
        }
        self.flags.extend([name.into(), value.into()]);
        self
    }

    /// Keeps a terminal's Ctrl-C from reaching the server, for a task that forwards it.
    pub fn in_its_own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> Result<Server> {
        let folder = tempfile::tempdir()?;
        let (log, port_file) = (folder.path().join("log"), folder.path().join("port"));
        let mut words = self.wrapper;
        words.push(self.binaries.distd.clone().into());
        let mut command = shell::command(&words[0]);
        command
            .args(&words[1..])
            .arg("--data")
            .arg(&self.data)
            .args(&self.flags);
        command.arg("--port-file").arg(&port_file);
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        if self.own_group {
            command.process_group(0);
        }
        let child = command.spawn().with_context(|| shell::shown(&command))?;
        let mut server = Server {
            child,
            client: Client {
                address: ([127, 0, 0, 1], 0).into(),
                token: None,
                patience: http::PATIENCE,
            },
            data: self.data,
            folder,
        };
        server.wait_until_up(&port_file)?;
        Ok(server)
    }
}

/// A server that runs. It is killed where it is dropped.
pub struct Server {
    child: Child,
    /// Whom to ask.
    pub client: Client,
    /// Its data folder.
    pub data: PathBuf,
    folder: tempfile::TempDir,
}

impl Server {
    fn wait_until_up(&mut self, port_file: &Path) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("distd ended at its start: {status}\n{}", self.log());
            }
            let port = fs::read_to_string(port_file).ok();
            if let Some(port) = port.and_then(|text| text.trim().parse().ok()) {
                self.client.address.set_port(port);
                if self.client.get("/healthz").is_ok_and(|answer| answer.is_ok()) {
                    return Ok(());
                }
            }
            sleep(Duration::from_millis(2));
        }
        bail!(
            "distd does not answer after {} s\n{}",
            START_LIMIT.as_secs(),
            self.log()
        );
    }

    /// What links to it start with.
    pub fn url(&self) -> String {
        format!("http://{}", self.client.address)
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits for its exit code.
    pub fn stop(mut self) -> Result<ExitStatus> {
        shell::end(&mut self.child)
    }

    /// Its exit code, where it has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
