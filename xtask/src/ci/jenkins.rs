//! The shell steps of `ci/jenkins/Jenkinsfile`, as Jenkins runs them. What is Groovy in it is read, not run.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::system::{Job, Ran, System, run};
use crate::shell;

const COMMIT: &str = "3fdba35f04dc8c462986c992bcf875546257113a";

/// The file.
pub struct Jenkins {
    text: String,
}

impl Jenkins {
    /// Reads it.
    pub fn read() -> Result<Self> {
        let text = fs::read_to_string(shell::root().join("ci/jenkins/Jenkinsfile"))?;
        ensure!(
            !text.contains(" sh \""),
            "in double quotes Groovy would put secrets into the command"
        );
        Ok(Self { text })
    }

    /// `NAME = 'value'` of the block `environment`.
    fn environment(&self) -> BTreeMap<&str, &str> {
        let block = self.text.split_once("environment {").map_or("", |(_, rest)| rest);
        let block = block.split('}').next().unwrap_or_default();
        let pairs = block.lines().filter_map(|line| line.trim().split_once(" = "));
        pairs.map(|(name, value)| (name, value.trim_matches('\''))).collect()
    }

    /// The scripts of the steps `sh`, in the order in which they stand.
    fn scripts(&self) -> Vec<&str> {
        let mut scripts = Vec::new();
        let mut rest = self.text.as_str();
        while let Some(at) = [" sh '", "script: '"].iter().filter_map(|start| rest.find(start)).min() {
            rest = &rest[at..];
            rest = &rest[rest.find('\'').unwrap_or_default()..];
            let quote = if rest.starts_with("'''") { "'''" } else { "'" };
            let (script, after) = rest[quote.len()..].split_once(quote).unwrap_or((rest, ""));
            scripts.push(script);
            rest = after;
        }
        scripts
    }
}

impl System for Jenkins {
    fn name(&self) -> &'static str {
        "Jenkins"
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn run(&self, job: &Job) -> Result<Ran> {
        let scripts = self.scripts();
        let [build, install, publish, describe] = scripts[..] else {
            anyhow::bail!("other steps than are played: {scripts:?}")
        };
        ensure!(build == "./build.sh", "the build is the user's own: {build}");
        let mut environment = self.environment();
        // What a user writes into the block.
        let inputs = job.inputs();
        let own: BTreeMap<String, &str> = inputs
            .iter()
            .map(|(name, value)| (variable(name), value.as_str()))
            .collect();
        environment.remove("DIST_MANIFEST");
        environment.remove("DIST_CHANNEL");
        environment.extend(own.iter().map(|(name, value)| (name.as_str(), *value)));
        environment.remove("DIST_TOKEN");
        let step = |script: &str, secret: Option<&str>| {
            let mut command = job.command("sh");
            // Jenkins traces.
            command.args(["-xe", "-c", script]).envs(&environment);
            command
                .env("JENKINS_URL", "https://ci.example.org/")
                .env("GIT_COMMIT", COMMIT);
            run(command.envs(secret.map(|secret| ("DIST_TOKEN", secret))))
        };
        // The workspace stays from build to build, and what was installed into it.
        let (code, mut log) = step(install, None)?;
        ensure!(code == 0, "install: {log}");
        let (code, said) = step(publish, Some(job.token))?;
        log += &said;
        let ran = Ran::with_report(code, log, &job.scene.work().join("dist-report"))?;
        if code == 0 {
            let (code, said) = step(describe, None)?;
            let shown = said.lines().next().context("no description")?;
            ensure!(code == 0 && shown.starts_with("hello 1."), "description: {said}");
            ensure!(shown.ends_with(ran.output("install-url")), "description: {said}");
        }
        Ok(ran)
    }
}

/// The variable that holds an input of the action's name.
fn variable(input: &str) -> String {
    let name = input.to_uppercase().replace('-', "_");
    match name.as_str() {
        "DIST_FROM" | "DIST_SHA256" => name.replace("DIST_", "DIST_INSTALL_"),
        _ => format!("DIST_{name}"),
    }
}
