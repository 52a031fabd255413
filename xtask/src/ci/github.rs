//! `action.yml`, as the runners of GitHub, Forgejo and Gitea run a composite action.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::system::{Job, Ran, System, run};
use crate::shell;

/// The file that a step appends to, and the variable that names it.
const FILES: [&str; 4] = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH", "GITHUB_ENV"];
const COMMIT: &str = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a";

/// The action, and the runner's dialect.
pub struct Actions {
    name: &'static str,
    action: Value,
    /// The variable that Forgejo sets beside GitHub's.
    dialect: Option<&'static str>,
}

/// What expressions can name.
struct Names {
    inputs: BTreeMap<String, String>,
    /// By step and name.
    outputs: BTreeMap<(String, String), String>,
}

impl Actions {
    /// GitHub's runner.
    pub fn github() -> Result<Self> {
        let mut documents = super::yaml("action.yml")?;
        let action = documents.pop().context("no document")?;
        Ok(Self {
            name: "GitHub Actions",
            action,
            dialect: None,
        })
    }

    /// Forgejo's.
    pub fn forgejo() -> Result<Self> {
        let github = Self::github()?;
        Ok(Self {
            name: "Forgejo Actions",
            dialect: Some("FORGEJO_ACTIONS"),
            ..github
        })
    }

    /// What the user gives, over what the action has by itself.
    fn inputs(&self, given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        let known = self.action["inputs"].as_object().context("no inputs")?;
        for name in given.keys() {
            ensure!(known.contains_key(name), "the action has no input {name}");
        }
        let text = |input: &Value| input["default"].as_str().unwrap_or_default().to_owned();
        let mut inputs: BTreeMap<_, _> = known.iter().map(|(name, input)| (name.clone(), text(input))).collect();
        inputs.extend(given);
        Ok(inputs)
    }
}

impl System for Actions {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn run(&self, job: &Job) -> Result<Ran> {
        let mut names = Names {
            inputs: self.inputs(job.inputs())?,
            outputs: BTreeMap::new(),
        };
        let (mut ran, mut path, mut masked) = (Ran::default(), job.path(), false);
        for step in self.action["runs"]["steps"].as_array().context("no steps")? {
            let step = Step::new(step, &names, job.temp())?;
            let mut command = job.command("sh");
            // Traced, since a trace must not show the secret either.
            command
                .arg("-ex")
                .arg(&step.script)
                .env("PATH", &path)
                .envs(&step.environment);
            command
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_SHA", COMMIT)
                .envs(self.dialect.map(|name| (name, "true")));
            command
                .env("GITHUB_ACTION_PATH", shell::root())
                .env("RUNNER_TEMP", job.temp());
            let (code, log) = run(&mut command)?;
            let (log, masks) = without_masks(&log);
            masked |= masks.iter().any(|mask| mask == job.token);
            ran.log += &log;
            ran.code = code;
            step.take_outputs(&mut names)?;
            ran.summary = Some(step.read("GITHUB_STEP_SUMMARY")?);
            for folder in step.read("GITHUB_PATH")?.lines() {
                path = format!("{folder}:{path}");
            }
            if code != 0 {
                break;
            }
        }
        ensure!(masked, "the token is not masked: {}", ran.log);
        for (name, output) in self.action["outputs"].as_object().context("no outputs")? {
            let value = names.evaluate(output["value"].as_str().context("an output without a value")?)?;
            ran.outputs.insert(name.clone(), value);
        }
        let annotations = ran.log.lines().filter(|line| line.trim_start().starts_with("::"));
        ensure!(
            annotations.count() == usize::from(ran.code != 0),
            "annotations: {}",
            ran.log
        );
        let json: Value = serde_json::from_str(&fs::read_to_string(ran.output("json"))?)?;
        ensure!(
            json["release"]["id"].as_str().unwrap_or_default() == ran.output("release-id"),
            "{json}"
        );
        let artifacts: Vec<Value> = serde_json::from_str(ran.output("artifacts"))?;
        ensure!(artifacts.is_empty() == (ran.code != 0), "artifacts: {artifacts:?}");
        Ok(ran)
    }
}

/// A step that is about to run.
struct Step {
    id: String,
    script: std::path::PathBuf,
    environment: BTreeMap<String, String>,
}

impl Step {
    fn new(step: &Value, names: &Names, temp: &Path) -> Result<Self> {
        let script = step["run"].as_str().context("a step without a script")?;
        ensure!(step["shell"] == "sh", "the shell is played for sh only");
        ensure!(!script.contains("${{"), "an input in a script is code: {script}");
        let mut environment = BTreeMap::new();
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            environment.insert(name.clone(), names.evaluate(value.as_str().context("no text")?)?);
        }
        for name in FILES {
            let file = temp.join(name);
            fs::write(&file, "")?;
            environment.insert(name.to_owned(), file.display().to_string());
        }
        let path = temp.join("step.sh");
        fs::write(&path, script)?;
        Ok(Self {
            id: step["id"].as_str().unwrap_or_default().to_owned(),
            script: path,
            environment,
        })
    }

    fn read(&self, variable: &str) -> Result<String> {
        Ok(fs::read_to_string(&self.environment[variable])?)
    }

    fn take_outputs(&self, names: &mut Names) -> Result<()> {
        for line in self.read("GITHUB_OUTPUT")?.lines() {
            let (name, value) = line.split_once('=').with_context(|| format!("no output: {line:?}"))?;
            ensure!(
                !name.contains("<<"),
                "outputs of several lines are not played: {line:?}"
            );
            names
                .outputs
                .insert((self.id.clone(), name.to_owned()), value.to_owned());
        }
        Ok(())
    }
}

impl Names {
    /// A value with its expressions replaced.
    fn evaluate(&self, text: &str) -> Result<String> {
        let Some(expression) = text.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")) else {
            ensure!(!text.contains("${{"), "only whole values are played: {text}");
            return Ok(text.to_owned());
        };
        let parts: Vec<&str> = expression.trim().split('.').collect();
        Ok(match parts[..] {
            ["inputs", name] => self
                .inputs
                .get(name)
                .with_context(|| format!("no input {name}"))?
                .clone(),
            ["steps", step, "outputs", name] => {
                let key = (step.to_owned(), name.to_owned());
                self.outputs.get(&key).cloned().unwrap_or_default()
            }
            _ => bail!("the expression {expression} is not played"),
        })
    }
}

/// The log as the runner shows it, which takes out what is to be masked, and that.
fn without_masks(log: &str) -> (String, Vec<String>) {
    let (masks, shown): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| line.starts_with("::add-mask::"));
    let masks = masks.iter().map(|line| line.replace("::add-mask::", "")).collect();
    (shown.join("\n") + "\n", masks)
}
