//! `cargo xtask deployment`: the settings in `deploy/` that need no container, each given to the
//! program that it is for.
//!
//! Traefik is in no registry that this task may ask, so `deploy/proxy/traefik.yaml` is read only as far
//! as its form goes.

mod proxy;
mod traffic;

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::server::Binaries;
use crate::{shell, tools};

/// The most exposure that `systemd-analyze security` may find, in tenths: 0 is none, 100 is all.
const EXPOSURE: &str = "--threshold=15";
/// Where the unit expects the program.
const INSTALLED: &str = "/usr/local/bin/distd";

/// Every case.
pub fn run(binaries: &Binaries) -> Result<()> {
    tools::ensure_deployment()?;
    service_unit(binaries).context("deploy/distd.service")?;
    println!("    ok  systemd knows every setting of deploy/distd.service, and finds little exposed");
    backup_timer(binaries).context("deploy/dist-backup.timer")?;
    println!("    ok  systemd knows every setting of deploy/dist-backup.timer, and its command takes backups");
    for kind in proxy::KINDS {
        proxy::try_out(binaries, kind).with_context(|| format!("deploy/proxy/{}", kind.file))?;
        println!(
            "    ok  uploads, downloads, events and installation behind deploy/proxy/{}",
            kind.file
        );
    }
    traefik().context("deploy/proxy/traefik.yaml")?;
    println!("        deploy/proxy/traefik.yaml is well-formed; NOT RUN, since Traefik is not to be had here");
    Ok(())
}

fn service_unit(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let unit = folder.path().join("distd.service");
    let text = fs::read_to_string(shell::root().join("deploy/distd.service"))?;
    // The command must be there to be accepted.
    let here = binaries.distd.to_str().context("a folder that is no UTF-8")?;
    fs::write(&unit, text.replace(INSTALLED, here))?;
    let output = shell::output(
        shell::command("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&unit),
    )?;
    let said = String::from_utf8_lossy(&output.stderr);
    // What it does not know it ignores, and says so.
    ensure!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    let mut security = shell::command("systemd-analyze");
    security
        .args(["security", "--offline=true", "--no-pager", EXPOSURE])
        .arg(&unit);
    shell::read(&mut security).map(drop)
}

/// The units are understood, and the commands of the service do what they say, in folders of our own.
fn backup_timer(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["dist-backup.service", "dist-backup.timer"] {
        fs::copy(shell::root().join("deploy").join(name), folder.path().join(name))?;
    }
    let mut verify = shell::command("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    verify.args(["dist-backup.service", "dist-backup.timer"].map(|name| folder.path().join(name)));
    let said = shell::output(&mut verify)?;
    let text = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success() && text.is_empty(), "{}: {text}", said.status);

    let [data, backups] = ["data", "backups"].map(|name| folder.path().join(name));
    fs::create_dir(&backups)?;
    binaries.token(&data, "any", "read")?;
    // Many are there already; the oldest go. What failed does not push out what is whole.
    for number in 10..30 {
        let backup = backups.join(format!("20{number}-01-01-000000"));
        fs::create_dir(&backup)?;
        fs::write(backup.join("dist.db"), "")?;
        fs::create_dir(backups.join(format!("20{number}-01-02-000000")))?;
    }
    let unit = fs::read_to_string(folder.path().join("dist-backup.service"))?;
    let commands = unit
        .lines()
        .filter_map(|line| line.strip_prefix("ExecStart=").or(line.strip_prefix("ExecStartPost=")));
    let program = binaries.paths()[0].display().to_string();
    for command in commands {
        // As systemd does it: `$$` is a dollar, `%%` a percent sign.
        let script = command
            .replace("$$", "$")
            .replace("%%", "%")
            .replace("exec dist ", &format!("exec {program} "));
        let script = script
            .replace("/var/lib/dist", &data.display().to_string())
            .replace("/var/backups/dist", &backups.display().to_string());
        shell::read(shell::command("sh").args(["-ec", &script]))?;
    }
    let mut left: Vec<_> = fs::read_dir(&backups)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    left.retain(|path| path.join("dist.db").exists());
    left.sort();
    ensure!(left.len() == 14, "{} backups are left", left.len());
    // The names go by time; of the years above the oldest went.
    let made = left.iter().filter(|path| path.join("backup.json").exists());
    ensure!(made.count() == 1, "no backup was taken: {left:?}");
    Ok(())
}

fn traefik() -> Result<()> {
    let python = tools::python_packages(&["PyYAML==6.0.3"])?;
    let file = shell::root().join("deploy/proxy/traefik.yaml");
    let code = "import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))['http']['services']['dist']['loadBalancer']['servers'][0]['url'])";
    let url = shell::read(shell::command(python).args(["-c", code]).arg(file))?;
    ensure!(url.trim() == "http://127.0.0.1:8787", "its server is {url}");
    Ok(())
}
