//! The step in `ci/bitrise`, as the Bitrise CLI runs it. `envman`, which hands outputs on to later steps, is
//! the CLI's own and played by two lines of shell.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::system::{Job, Ran, System, run, variables};
use crate::shell;

const COMMIT: &str = "4e07408562bedb8b60ce05c1decfe3ad16b72230";
const ENVMAN: &str =
    "#!/bin/sh\n[ \"$1 $2 $4\" = 'add --key --value' ] && printf '%s=%s\\n' \"$3\" \"$5\" >>\"$ENVMAN_STORE\"\n";

/// The step.
pub struct Bitrise {
    step: Value,
}

impl Bitrise {
    /// Reads its description.
    pub fn read() -> Result<Self> {
        let step = super::yaml("ci/bitrise/step.yml")?.pop().context("no document")?;
        Ok(Self { step })
    }
}

impl System for Bitrise {
    fn name(&self) -> &'static str {
        "Bitrise"
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn run(&self, job: &Job) -> Result<Ran> {
        let mut inputs = entries(&self.step["inputs"])?;
        for (name, value) in job.inputs() {
            let name = name.replace('-', "_");
            ensure!(
                inputs.insert(name.clone(), value).is_some(),
                "the step has no input {name}"
            );
        }
        let envman = job.temp().join("envman");
        fs::write(&envman, ENVMAN)?;
        fs::set_permissions(&envman, fs::Permissions::from_mode(0o755))?;
        let store = job.temp().join("outputs");
        let deploy = job.temp().join("deploy");
        fs::create_dir(&deploy)?;
        let entry = self.step["toolkit"]["bash"]["entry_file"]
            .as_str()
            .context("no script")?;
        let mut command = job.command("bash");
        command
            .arg("-x")
            .arg(shell::root().join("ci/bitrise").join(entry))
            .envs(&inputs);
        command.env("PATH", format!("{}:{}", job.temp().display(), job.path()));
        command.env("ENVMAN_STORE", &store).env("BITRISE_DEPLOY_DIR", &deploy);
        command.env("BITRISE_IO", "true").env("BITRISE_GIT_COMMIT", COMMIT);
        let (code, log) = run(&mut command)?;
        let sensitive = self.step["inputs"].as_array().into_iter().flatten();
        let mut sensitive = sensitive.filter(|input| input["opts"]["is_sensitive"] == true);
        ensure!(
            sensitive.any(|input| input.get("token").is_some()),
            "the token is not sensitive"
        );

        let mut ran = Ran::with_report(code, log, &deploy.join("dist-report"))?;
        ran.outputs = variables(&fs::read_to_string(&store)?)?;
        let declared = self.step["outputs"].as_array().context("no outputs")?;
        ensure!(declared.len() == ran.outputs.len(), "outputs: {ran:?}");
        for output in declared {
            let name = output
                .as_object()
                .and_then(|output| output.keys().find(|name| *name != "opts"));
            let name = name.context("an output without a name")?;
            ensure!(
                variables(&format!("{name}="))?
                    .keys()
                    .all(|name| ran.outputs.contains_key(name)),
                "{name}"
            );
        }
        Ok(ran)
    }
}

/// `- name: value` entries, beside which stand their options.
fn entries(list: &Value) -> Result<BTreeMap<String, String>> {
    let entries = list.as_array().context("no list")?.iter().filter_map(Value::as_object);
    let pairs = entries.flat_map(|entry| entry.iter().filter(|(name, _)| *name != "opts"));
    pairs
        .map(|(name, value)| Ok((name.clone(), value.as_str().context(name.clone())?.to_owned())))
        .collect()
}
