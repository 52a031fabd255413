//! The image at work: not as root, on a read-only root, without capabilities; under the settings of
//! `deploy/compose.yaml` and of `deploy/dist.container` too.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Image;
use super::podman::{Container, Podman};
use crate::ship::{Platform, VERSION};
use crate::{shell, tools};

/// What every container of the check gives up.
const HARDENED: [&str; 3] = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"];
/// A user that nothing knows of.
const SOMEBODY: u32 = 12_345;
const SOMEBODY_AND_GROUP: &str = "12345:23456";
const COMPOSE_LIMIT: Duration = Duration::from_mins(2);
/// Runs a compose file with podman.
const COMPOSE: &str = "podman-compose==1.6.0";

/// What came of a check that did not fail.
pub enum Verdict {
    /// Everything holds.
    Passed,
    /// The machine does not run containers of this platform, for this reason.
    NotRun(String),
}

impl Verdict {
    /// An error where the check was asked for and could not be made.
    pub fn told(self) -> Result<()> {
        match self {
            Self::Passed => Ok(()),
            Self::NotRun(reason) => bail!("THE IMAGE WAS NOT RUN, since this machine cannot: {reason}"),
        }
    }
}

/// Runs the image and uses it.
pub fn run(platform: &Platform, image: &Image) -> Result<Verdict> {
    let version = shell::read(platform.run(&image.program).arg("--version"))?;
    ensure!(
        version.trim() == format!("dist {VERSION}"),
        "it calls itself {version:?}"
    );
    let podman = Podman::new()?;
    let root = shell::root().join("target/image/context").join(platform.oci_arch);
    if let Some(reason) = podman.hindrance(&root) {
        return Ok(Verdict::NotRun(reason));
    }
    let check = Check {
        podman,
        image: image.name.clone(),
    };
    for (name, case) in [
        ("says what it is", Check::description as fn(&Check) -> Result<()>),
        ("publishes, restarts, finds everything again", Check::restarted),
        ("runs as any user who owns the folder", Check::other_user),
        ("says which chown is missing", Check::not_the_owner),
        ("runs as deploy/compose.yaml says", Check::composed),
        ("runs as deploy/dist.container says", Check::as_quadlet),
    ] {
        case(&check).with_context(|| format!("{}: {name}", platform.oci_arch))?;
        println!("    ok  {}: {name}", platform.oci_arch);
    }
    Ok(Verdict::Passed)
}

struct Check {
    podman: Podman,
    /// By which podman knows the image.
    image: String,
}

impl Check {
    fn description(&self) -> Result<()> {
        let inspected = self.podman.read(["image", "inspect", &self.image])?;
        let inspected: Value = serde_json::from_str(&inspected)?;
        let config = &inspected[0]["Config"];
        for (key, expected) in [
            ("User", "10001:10001"),
            ("WorkingDir", "/data"),
            ("Entrypoint", r#"["/usr/bin/distd"]"#),
            ("ExposedPorts", r#"{"8787/tcp":{}}"#),
            ("Volumes", r#"{"/data":{}}"#),
        ] {
            let found = config[key]
                .as_str()
                .map_or_else(|| config[key].to_string(), str::to_owned);
            ensure!(found == expected, "{key} is {found}, not {expected}");
        }
        let check = &inspected[0]["HealthcheckConfig"];
        let check = if check.is_null() {
            &inspected[0]["Healthcheck"]
        } else {
            check
        };
        ensure!(
            check["Test"] == serde_json::json!(["CMD", "/usr/bin/distd", "health"]),
            "its health check is {check}"
        );
        let label = &config["Labels"]["org.opencontainers.image.version"];
        ensure!(label == VERSION, "it is labelled {label}");
        let bill = self.podman.file(&self.image, "/usr/share/doc/dist/sbom.cdx.json")?;
        let bill: Value = serde_json::from_slice(&bill)?;
        ensure!(
            bill["metadata"]["component"]["version"] == VERSION,
            "the bill of materials is another"
        );
        Ok(())
    }

    fn restarted(&self) -> Result<()> {
        let mut flags = HARDENED.to_vec();
        flags.extend(["--memory=256m", "--pids-limit=256"]);
        let container = self.podman.start(&self.image, &flags)?;
        let user = container.inspect("{{.Config.User}}")?;
        ensure!(user == "10001:10001", "it runs as {user}");
        let first = self.publish(&container, "dist.json")?;
        container.restart()?;
        find(&container, &first).context("after a restart")?;
        let second = self.publish(&container, "dist-1.1.0.json").context("after a restart")?;
        find(&container, &second)?;
        let verified: Value = serde_json::from_str(&container.exec(&["dist", "store", "verify", "--json"])?)?;
        ensure!(verified["ok"] == true, "the store is not whole: {verified}");
        Ok(())
    }

    fn other_user(&self) -> Result<()> {
        let data = tempfile::tempdir()?;
        chown(data.path(), Some(SOMEBODY), None)?;
        let volume = format!("--volume={}:/data", data.path().display());
        let mut flags = HARDENED.to_vec();
        flags.extend(["--user", SOMEBODY_AND_GROUP, &volume]);
        let container = self.podman.start(&self.image, &flags)?;
        let published = self.publish(&container, "dist.json")?;
        find(&container, &published)
    }

    fn not_the_owner(&self) -> Result<()> {
        let data = tempfile::tempdir()?;
        let volume = format!("--volume={}:/data", data.path().display());
        let mut run = self
            .podman
            .command(["run", "--rm", "--user", SOMEBODY_AND_GROUP, &volume]);
        run.args(HARDENED).arg(&self.image);
        let output = shell::output(&mut run)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(4), "{}: {said}", output.status);
        ensure!(
            said.contains(&format!("`chown -R {SOMEBODY_AND_GROUP} /data`")),
            "no chown in {said:?}"
        );
        Ok(())
    }

    /// The file itself, in a folder as a stranger makes it, on a free port.
    fn composed(&self) -> Result<()> {
        let compose = tools::python_packages(&[COMPOSE])?.with_file_name("podman-compose");
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        chown(&data, Some(10_001), Some(10_001))?;
        fs::copy(
            shell::root().join("deploy/compose.yaml"),
            folder.path().join("compose.yaml"),
        )?;
        let project = Project {
            check: self,
            folder: folder.path(),
            compose: &compose,
        };
        self.podman.read(["tag", &self.image, "localhost/dist:latest"])?;
        project.run(&["up", "--detach"])?;
        let container = Container::named(&self.podman, "dist")?;
        for (template, expected) in [
            (
                "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.SecurityOpt}}",
                "true [no-new-privileges]",
            ),
            ("{{.EffectiveCaps}} {{.Config.User}}", "[] 10001:10001"),
            ("{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}", "1073741824 256"),
            ("{{.HostConfig.RestartPolicy.Name}}", "unless-stopped"),
        ] {
            let found = container.inspect(template)?;
            ensure!(found == expected, "{template} is {found}, not {expected}");
        }
        let published = self.publish(&container, "dist.json")?;
        project.run(&["down"])?;
        project.run(&["up", "--detach"])?;
        let container = Container::named(&self.podman, "dist")?;
        find(&container, &published).context("after down and up")
    }

    /// The settings as Quadlet makes flags of them (`podman-systemd.unit(5)`): Quadlet itself needs
    /// systemd.
    fn as_quadlet(&self) -> Result<()> {
        let folder = tempfile::tempdir()?;
        chown(folder.path(), Some(10_001), Some(10_001))?;
        let unit = fs::read_to_string(shell::root().join("deploy/dist.container"))?;
        let data = folder.path().to_str().context("a folder that is no UTF-8")?;
        let flags = quadlet_flags(&unit.replace("/var/lib/dist", data))?;
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let container = self.podman.start(&self.image, &flags)?;
        let published = self.publish(&container, "dist.json")?;
        find(&container, &published)
    }

    /// Publishes an example with the image's own `dist`, through a token made in the container; gives
    /// what it answers.
    fn publish(&self, container: &Container<'_>, manifest: &str) -> Result<Value> {
        let name = format!("for-{manifest}");
        let token = container.exec(&[
            "dist", "token", "create", "--name", &name, "--scope", "publish", "--json",
        ])?;
        let token: Value = serde_json::from_str(&token)?;
        let secret = token["secret"].as_str().context("an answer without a secret")?;
        let examples = format!("--volume={}:/work:ro", shell::root().join("examples").display());
        let network = format!("--network=container:{}", container.id);
        let mut publish = self
            .podman
            .command(["run", "--rm", "--workdir=/work", "--env=DIST_TOKEN"]);
        publish
            .args(HARDENED)
            .args([&network, &examples])
            .env("DIST_TOKEN", secret);
        publish.args(["--entrypoint=/usr/bin/dist", &self.image, "ci", "publish", "--json"]);
        publish.args(["--manifest", manifest, "--server", "http://127.0.0.1:8787"]);
        let answer: Value = serde_json::from_str(&shell::read(&mut publish)?)?;
        ensure!(answer["status"] == "published", "publishing answered {answer}");
        Ok(answer)
    }
}

/// The release is offered, and every file of it is there.
fn find(container: &Container<'_>, published: &Value) -> Result<()> {
    let client = container.client()?;
    client.get("/readyz")?.expect_ok()?;
    let page = client.get("/install/hello/beta")?.expect_ok()?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let artifacts = published["artifacts"]
        .as_array()
        .context("an answer without artifacts")?;
    ensure!(!artifacts.is_empty(), "nothing was published");
    for artifact in artifacts {
        let [name, digest] = ["filename", "sha256"].map(|key| artifact[key].as_str().unwrap_or_default());
        ensure!(page.contains(digest), "the install page does not show {name}");
        if artifact["platform"] == "ios" {
            // Not for everybody, since no iPhone could install it.
            continue;
        }
        let file = client.get(&format!("/download/{digest}"))?.expect_ok()?;
        ensure!(
            hex::encode(Sha256::digest(&file.body)) == digest,
            "{name} has other bytes"
        );
    }
    Ok(())
}

/// The `[Container]` section as flags of `podman run`, without the ports, of which the check takes a
/// free one.
fn quadlet_flags(unit: &str) -> Result<Vec<String>> {
    let section = unit.split("[Container]\n").nth(1).context("no [Container]")?;
    let section = section.split("\n[").next().unwrap_or(section);
    let mut flags = Vec::new();
    let mut group = "";
    for line in section
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (key, value) = line.split_once('=').with_context(|| format!("no key in {line:?}"))?;
        match (key, value) {
            ("Image" | "ContainerName" | "PublishPort" | "User", _) => {}
            ("Group", _) => group = value,
            ("Volume", _) => flags.push(format!("--volume={value}")),
            ("Environment", _) => flags.push(format!("--env={value}")),
            ("Tmpfs", _) => flags.push(format!("--tmpfs={value}")),
            ("DropCapability", _) => flags.push(format!("--cap-drop={value}")),
            ("ReadOnly", "true") => flags.push("--read-only".to_owned()),
            ("NoNewPrivileges", "true") => flags.push("--security-opt=no-new-privileges".to_owned()),
            ("PodmanArgs", _) => flags.extend(value.split(' ').map(str::to_owned)),
            _ => bail!("{line:?} is nothing that this check can try"),
        }
    }
    let user = section
        .lines()
        .find_map(|line| line.strip_prefix("User="))
        .context("no User")?;
    flags.push(format!("--user={user}:{group}"));
    // What limits are given by hand replace all others.
    flags.push("--ulimit=nproc=4096:4096".to_owned());
    Ok(flags)
}

/// A compose project, which is taken down where it is dropped.
struct Project<'a> {
    check: &'a Check,
    folder: &'a Path,
    compose: &'a Path,
}

impl Project<'_> {
    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut compose = self.check.podman.drive(self.compose);
        // Any free port; a limit that is given by hand, as the file's, replaces all others.
        compose
            .env("DIST_PORT", "127.0.0.1:")
            .args(["--in-pod=false", "--podman-run-args=--ulimit=nproc=4096:4096"]);
        compose.args(arguments).current_dir(self.folder);
        compose
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        shell::run(&mut compose, COMPOSE_LIMIT)
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        let _ = self.run(&["down", "--timeout=1"]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_quadlet_unit_becomes_flags_and_what_is_unknown_is_refused() {
        let unit = "[Unit]\n[Container]\n# why\nUser=1\nGroup=2\nReadOnly=true\nPodmanArgs=--a --b\n\n[Service]\nX=1\n";
        assert_eq!(
            quadlet_flags(unit).unwrap(),
            ["--read-only", "--a", "--b", "--user=1:2", "--ulimit=nproc=4096:4096"]
        );
        assert!(quadlet_flags("[Container]\nUser=1\nSecret=x\n").is_err());
    }
}
