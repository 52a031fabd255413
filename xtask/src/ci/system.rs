//! What the CI systems have in common: a job with inputs, and what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::mirror::Mirror;
use crate::server::{Binaries, Launch, Server, answer};
use crate::shell;

/// Where the system has its programs.
const PATH: &str = "/usr/bin:/bin";

/// A CI system, as far as our files need one.
pub trait System {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The commit that it says it builds.
    fn commit(&self) -> &'static str;
    /// Runs its integration as it would.
    fn run(&self, job: &Job) -> Result<Ran>;
}

/// A server, and a folder as a build left it.
pub struct Scene<'a> {
    /// Where `dist` is installed from.
    pub mirror: &'a Mirror,
    /// The secret of a token that may publish this app.
    pub token: String,
    server: Server,
    folder: TempDir,
}

impl<'a> Scene<'a> {
    /// A new server without releases, and the example's packages.
    pub fn set(binaries: &Binaries, mirror: &'a Mirror) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let work = folder.path().join("work");
        for folder in [&work, &folder.path().join("machine")] {
            fs::create_dir(folder)?;
        }
        for name in ["dist", "dist.json", "dist-1.1.0.json"] {
            let from = shell::root().join("examples").join(name);
            shell::read(shell::command("cp").arg("-r").arg(from).arg(&work))?;
        }
        let data = folder.path().join("data");
        let mut server = Launch::new(binaries, &data).start()?;
        let token = binaries.token(&data, "ci", "publish")?;
        server.client.token = Some(binaries.token(&data, "reader", "read")?);
        Ok(Self {
            mirror,
            token,
            server,
            folder,
        })
    }

    /// A version of the app, as the server knows it.
    pub fn release(&self, version: &str) -> Result<Value> {
        let path = format!("/api/apps/hello/releases/{version}");
        Ok(self.server.client.get(&path)?.expect_ok()?.json())
    }

    /// Publishes a draft that has a file for each platform.
    pub fn publish_draft(&self, binaries: &Binaries, version: &str) -> Result<()> {
        let mut publish = binaries.dist(["release", "publish", "--app", "hello", version]);
        publish.args(["--require", "ios,android_apk"]);
        publish
            .env("DIST_SERVER", self.server.url())
            .env("DIST_TOKEN", &self.token);
        let (code, answer) = answer(&mut publish)?;
        ensure!(
            code == 0 && answer["channel"]["name"] == "beta",
            "exit code {code}: {answer}"
        );
        Ok(())
    }

    /// Makes the machine one that has `dist`, as those do that somebody looks after.
    pub fn give_dist(&self, binaries: &Binaries) -> Result<()> {
        let [dist, _] = binaries.paths();
        Ok(symlink(dist, self.machine().join("dist"))?)
    }

    /// What the machine has of programs beside the system's.
    pub fn machine(&self) -> PathBuf {
        self.folder.path().join("machine")
    }

    /// Where the job's commands run.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
}

/// A job that is to run.
pub struct Job<'a> {
    /// Where.
    pub scene: &'a Scene<'a>,
    /// The secret that it has.
    pub token: &'a str,
    inputs: Value,
    /// A folder that is there for this job only.
    temp: PathBuf,
}

impl<'a> Job<'a> {
    /// A job with these inputs, named as the action names them.
    pub fn new(scene: &'a Scene<'a>, token: &'a str, inputs: Value) -> Self {
        Self {
            scene,
            token,
            inputs,
            temp: scene.folder.path().join("temp"),
        }
    }

    /// The inputs that the CI system hands on, with those that say where server and mirror are.
    pub fn inputs(&self) -> BTreeMap<String, String> {
        let given = self.inputs.as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut inputs: BTreeMap<_, _> = given.map(|(name, value)| (name.clone(), text(value))).collect();
        inputs.insert("server".to_owned(), self.scene.server.url());
        inputs.insert("token".to_owned(), self.token.to_owned());
        inputs.insert("dist-from".to_owned(), self.scene.mirror.url());
        inputs.insert("dist-sha256".to_owned(), self.scene.mirror.sha256.clone());
        inputs
    }

    /// A folder of the CI system's own.
    pub fn temp(&self) -> &Path {
        &self.temp
    }

    /// Where programs are found.
    pub fn path(&self) -> String {
        format!("{}:{PATH}", self.scene.machine().display())
    }

    /// A program in the folder of the build, with nothing of our own environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.scene.work())
            .env_clear()
            .env("PATH", self.path())
            .env("HOME", &self.temp)
            .env("TMPDIR", &self.temp);
        command
    }

    /// Runs it, and makes sure that the secret is nowhere.
    pub fn run_on(&self, system: &dyn System) -> Result<Ran> {
        fs::create_dir_all(&self.temp)?;
        let ran = system.run(self)?;
        let told = format!("{ran:?}");
        ensure!(!told.contains(self.token), "the secret is told: {told}");
        for folder in [&self.temp, &self.scene.work()] {
            self.look_for_secret(folder)?;
        }
        fs::remove_dir_all(&self.temp)?;
        Ok(ran)
    }

    fn look_for_secret(&self, folder: &Path) -> Result<()> {
        let found = shell::output(shell::command("grep").args(["-rlF", self.token]).arg(folder))?;
        ensure!(
            found.status.code() == Some(1),
            "the secret is in {}",
            String::from_utf8_lossy(&found.stdout)
        );
        Ok(())
    }
}

/// What came of a job.
#[derive(Debug, Default)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// What a person sees in the log.
    pub log: String,
    /// What later steps see, named as the action names it.
    pub outputs: BTreeMap<String, String>,
    /// What the page of the run shows.
    pub summary: Option<String>,
}

impl Ran {
    /// A job that wrote a report.
    pub fn with_report(code: i32, log: String, report: &Path) -> Result<Self> {
        let read = |name: &str| {
            let text = fs::read_to_string(report.join(name));
            text.with_context(|| format!("{name} after {log}"))
        };
        let answer: Value = serde_json::from_str(&read("publish.json")?)?;
        ensure!(answer.is_object(), "publish.json: {answer}");
        Ok(Self {
            code,
            outputs: variables(&read("publish.env")?)?,
            summary: Some(read("summary.md")?),
            log,
        })
    }

    /// An output, or the empty text.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }

    /// Expects how it ended.
    pub fn came_to(&self, code: i32, status: &str, error: &str) -> Result<()> {
        let found = (self.code, self.output("status"), self.output("error"));
        ensure!(
            found == (code, status, error),
            "expected {code} {status} {error}: {self:?}"
        );
        if let Some(summary) = &self.summary {
            ensure!(
                summary.contains("### ") && summary.contains(error),
                "the summary: {summary}"
            );
        }
        Ok(())
    }
}

/// Lines `DIST_RELEASE_…=value`, under the names that the action gives them.
pub fn variables(text: &str) -> Result<BTreeMap<String, String>> {
    let mut outputs = BTreeMap::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            bail!("no NAME=value: {line:?}");
        };
        let name = name.strip_prefix("DIST_RELEASE_").context(line.to_owned())?;
        let name = match name {
            "ID" | "PREVIOUS_ID" => format!("release-{name}"),
            _ => name.to_owned(),
        };
        outputs.insert(name.to_lowercase().replace('_', "-"), value.to_owned());
    }
    Ok(outputs)
}

/// The exit code and all that a command said.
pub fn run(command: &mut Command) -> Result<(i32, String)> {
    let output = shell::output(command)?;
    let mut log = String::from_utf8(output.stdout)?;
    log += &String::from_utf8(output.stderr)?;
    Ok((output.status.code().context("ended by a signal")?, log))
}
