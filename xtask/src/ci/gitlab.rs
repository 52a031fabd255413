//! `ci/gitlab/publish.yml`, as GitLab includes it and its runner runs the job, with the tools that the small
//! image has: busybox and nothing else.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::system::{Job, Ran, System, run};
use crate::shell;

const COMMIT: &str = "2c26b46b68ffc68ff99b453c1d30413413422d70";
/// The most that a dotenv report may have, as GitLab comes (its documentation, "Dotenv limits").
const DOTENV_BYTES: usize = 5 << 10;
const DOTENV_VARIABLES: usize = 20;

/// The template: its inputs, and its job.
pub struct Gitlab {
    inputs: Value,
    jobs: Value,
}

impl Gitlab {
    /// Reads the template.
    pub fn read() -> Result<Self> {
        let documents = super::yaml("ci/gitlab/publish.yml")?;
        let [head, jobs] = &documents[..] else {
            anyhow::bail!("inputs, then jobs")
        };
        Ok(Self {
            inputs: head["spec"]["inputs"].clone(),
            jobs: jobs.clone(),
        })
    }

    /// The template's job with the inputs in it: GitLab puts texts in place of texts.
    fn job(&self, mut given: BTreeMap<String, String>) -> Result<Value> {
        // Where the server is and who asks stands in the project's variables.
        given.retain(|name, _| name != "server" && name != "token");
        let mut text = self.jobs.to_string();
        for (name, input) in self.inputs.as_object().context("no inputs")? {
            let default = &input["default"];
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let value = given.remove(name).unwrap_or(default);
            text = text.replace(&format!("$[[ inputs.{name} ]]"), &value);
        }
        ensure!(given.is_empty(), "the template has no inputs {given:?}");
        ensure!(!text.contains("$[["), "an input that is not declared: {text}");
        let jobs: Value = serde_json::from_str(&text)?;
        jobs.get("dist-publish").cloned().context("no job")
    }
}

impl System for Gitlab {
    fn name(&self) -> &'static str {
        "GitLab CI"
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn run(&self, job: &Job) -> Result<Ran> {
        let mut inputs = job.inputs();
        let template = self.job(inputs.clone())?;
        let lines = |name: &str| template[name].as_array().cloned().unwrap_or_default();
        let script: Vec<String> = [lines("before_script"), lines("script")]
            .concat()
            .iter()
            .map(|line| line.as_str().map(str::to_owned).context("a line that is no text"))
            .collect::<Result<_>>()?;
        let tools = job.temp().join("busybox");
        fs::create_dir(&tools)?;
        shell::read(shell::command("busybox").args(["--install", "-s"]).arg(&tools))?;
        let project = job.scene.work();
        let mut command = job.command(&tools.join("sh").display().to_string());
        command.args(["-ex", "-o", "pipefail", "-c", &script.join("\n")]);
        for (name, value) in template["variables"].as_object().context("no variables")? {
            let value = value
                .as_str()
                .context("no text")?
                .replace("$CI_PROJECT_DIR", &project.display().to_string());
            command.env(name, value);
        }
        command
            .env("PATH", format!("{}:{}", job.scene.machine().display(), tools.display()))
            .env("GITLAB_CI", "true")
            .env("CI_COMMIT_SHA", COMMIT);
        command.env("CI_PROJECT_DIR", &project);
        command
            .env("DIST_SERVER", inputs.remove("server").context("no server")?)
            .env("DIST_TOKEN", job.token);
        let (code, log) = run(&mut command)?;

        let report = project.join("dist-report");
        ensure!(template["artifacts"]["paths"][0] == "dist-report/", "what is kept");
        let dotenv = template["artifacts"]["reports"]["dotenv"]
            .as_str()
            .context("no dotenv")?;
        check_dotenv(&fs::read_to_string(project.join(dotenv))?)?;
        Ran::with_report(code, log, &report)
    }
}

/// GitLab refuses a dotenv report that is not so.
fn check_dotenv(text: &str) -> Result<()> {
    ensure!(
        text.len() <= DOTENV_BYTES && text.lines().count() <= DOTENV_VARIABLES,
        "too much: {text}"
    );
    for line in text.lines() {
        let name = line.split('=').next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        ensure!(
            !name.is_empty() && name.chars().all(plain) && line.contains('='),
            "no variable: {line:?}"
        );
    }
    Ok(())
}
