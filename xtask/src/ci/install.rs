//! `install.sh` by the shells and download programs that machines have, with whole, changed and missing files.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use super::mirror::{FileServer, Mirror, VERSION, archive};
use super::system::run as run_command;
use crate::server::{Binaries, Launch};
use crate::shell;

/// What a machine has: a shell, and the programs that it finds.
struct Machine {
    name: &'static str,
    shell: PathBuf,
    path: PathBuf,
}

/// Installs on every machine.
pub fn run(binaries: &Binaries, mirror: &Mirror) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let machines = [
        machine(&folder, "dash and curl", &["dash", "curl"])?,
        machine(&folder, "dash and wget", &["dash", "wget"])?,
        busybox(&folder)?,
    ];
    let files = Files::copy(mirror)?;
    for machine in &machines {
        install(machine, &files).with_context(|| machine.name)?;
        println!(
            "install.sh, {}: whole, changed, cut, missing, pinned, twice",
            machine.name
        );
    }
    from_server(binaries, mirror, &machines)
}

/// The programs that every machine has, and some that it has beside them.
fn machine(folder: &TempDir, name: &'static str, more: &[&str]) -> Result<Machine> {
    const ALL: [&str; 14] = [
        "cat",
        "chmod",
        "cut",
        "grep",
        "gzip",
        "mkdir",
        "mktemp",
        "mv",
        "rm",
        "sed",
        "sha256sum",
        "tail",
        "tar",
        "tr",
    ];
    let path = folder.path().join(name);
    fs::create_dir(&path)?;
    for program in ALL.iter().chain(["uname"].iter()).chain(more) {
        let found = shell::read(shell::command("sh").args(["-c", "command -v \"$0\"", program]))?;
        std::os::unix::fs::symlink(found.trim(), path.join(program))?;
    }
    Ok(Machine {
        name,
        shell: path.join("dash"),
        path,
    })
}

fn busybox(folder: &TempDir) -> Result<Machine> {
    let path = folder.path().join("busybox");
    fs::create_dir(&path)?;
    shell::read(shell::command("busybox").args(["--install", "-s"]).arg(&path))?;
    Ok(Machine {
        name: "busybox",
        shell: path.join("sh"),
        path,
    })
}

/// Release files that can be spoilt.
struct Files {
    folder: TempDir,
    server: FileServer,
    whole: Vec<u8>,
    sha256: String,
}

impl Files {
    fn copy(mirror: &Mirror) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in [archive().as_str(), "SHA256SUMS"] {
            fs::copy(mirror.files().join(name), folder.path().join(name))?;
        }
        Ok(Self {
            whole: fs::read(mirror.files().join(archive()))?,
            sha256: mirror.sha256.clone(),
            server: FileServer::start(folder.path())?,
            folder,
        })
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(fs::write(self.folder.path().join(name), bytes)?)
    }

    fn restore(&self) -> Result<()> {
        self.write(&archive(), &self.whole)?;
        self.write("SHA256SUMS", format!("{}  {}\n", self.sha256, archive()))
    }
}

impl Machine {
    /// The script, with a home of its own.
    fn command<S: AsRef<OsStr>>(&self, home: &Path, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.shell);
        command.arg(shell::root().join("install.sh")).args(arguments);
        command.env_clear().env("PATH", &self.path).env("HOME", home);
        command
    }
}

/// What is there after a run: the names in `bin`, and what `dist` says that it is.
fn installed(home: &Path) -> Result<(Vec<String>, String)> {
    let bin = home.join(".local/bin");
    let mut names = Vec::new();
    for entry in fs::read_dir(&bin)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let version = if names.is_empty() {
        String::new()
    } else {
        shell::read(shell::command(bin.join("dist")).arg("--version"))?
    };
    Ok((names, version))
}

fn install(machine: &Machine, files: &Files) -> Result<()> {
    let home = tempfile::tempdir()?;
    let url = files.server.url.clone();
    let check = |arguments: &[&str], code: i32, part: &str, whole: bool| -> Result<()> {
        let (found, said) = run_command(&mut machine.command(home.path(), arguments))?;
        ensure!(
            found == code && said.contains(part),
            "{arguments:?}: exit code {found}: {said}"
        );
        let expected = if whole { vec!["dist", "distd"] } else { vec![] };
        let (names, version) = installed(home.path())?;
        ensure!(names == expected, "{arguments:?} left {names:?}");
        ensure!(!whole || version == format!("dist {VERSION}\n"), "{version}");
        Ok(())
    };
    let from = ["--from", url.as_str()];
    let refused = |part: &str, whole: bool| check(&from, 1, part, whole);
    let with = |more: [&'static str; 2]| [&from[..], &more].concat();

    // Nothing is there yet, and nothing is after a refusal.
    let mut changed = files.whole.clone();
    if let Some(byte) = changed.get_mut(files.whole.len() / 2) {
        *byte ^= 1;
    }
    files.write(&archive(), changed)?;
    refused("was not unpacked", false)?;
    files.write(&archive(), &files.whole[..files.whole.len() / 2])?;
    refused("was not unpacked", false)?;
    fs::remove_file(files.folder.path().join(archive()))?;
    refused("cannot be downloaded", false)?;
    files.restore()?;
    for (sums, part) in [
        (String::new(), "names no archive"),
        (
            format!("{}  ../../dist-1-x86_64-linux.tar.gz\n", files.sha256),
            "names no archive",
        ),
        (
            format!(
                "{0}  {1}\n{0}  {2}\n",
                files.sha256,
                archive(),
                archive().replace(VERSION, "9.9.9")
            ),
            "several archives",
        ),
        (format!("{}  {}\n", "0".repeat(64), archive()), "was not unpacked"),
    ] {
        files.write("SHA256SUMS", sums)?;
        refused(part, false)?;
    }
    fs::remove_file(files.folder.path().join("SHA256SUMS"))?;
    refused("SHA256SUMS cannot be downloaded", false)?;
    files.restore()?;
    check(&with(["--version", "9.9.9"]), 1, "no archive of version 9.9.9", false)?;
    let other = "00000000000000000000000000000000000000000000000000000000000000ff";
    check(&with(["--sha256", other]), 1, "was not unpacked", false)?;
    for wrong in [
        &["--frm"][..],
        &["--from"],
        &["--sha256", "abc"],
        &["--from", "x", "--server", "y"],
    ] {
        check(wrong, 2, "", false)?;
    }

    // Whole, with and without a version and a digest, and again over what is there.
    check(&from, 0, &format!("installed dist {VERSION}"), true)?;
    check(&with(["--version", VERSION]), 0, "installed", true)?;
    check(
        &[&from[..], &["--sha256", &files.sha256]].concat(),
        0,
        "put it on your PATH",
        true,
    )?;
    // What is there stays, where what comes is not whole.
    files.write(&archive(), "")?;
    refused("was not unpacked", true)?;
    files.restore()
}

/// A dist server offers the archive as the app `dist`, like any other app.
fn from_server(binaries: &Binaries, mirror: &Mirror, machines: &[Machine]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let manifest = folder.path().join("dist.json");
    let artifact = json!({
        "platform": "linux", "arch": std::env::consts::ARCH, "path": mirror.files().join(archive()),
    });
    let release = json!({ "app": "dist", "version": VERSION, "channel": "stable", "artifacts": [artifact] });
    fs::write(&manifest, release.to_string())?;
    let path = manifest.to_str().context("a path that is no text")?;
    let (code, answer) = binaries.local(&data, &["ci", "publish", "--manifest", path])?;
    ensure!(code == 0, "publish: {answer}");
    let server = Launch::new(binaries, &data).start()?;
    for machine in machines {
        let home = tempfile::tempdir()?;
        let (code, said) = run_command(&mut machine.command(home.path(), &["--server", &server.url()]))?;
        ensure!(
            code == 0 && installed(home.path())?.0 == ["dist", "distd"],
            "{}: {said}",
            machine.name
        );
        let (code, said) = run_command(&mut machine.command(home.path(), &["--server", &mirror.url()]))?;
        ensure!(
            code == 1 && said.contains("cannot be downloaded"),
            "{}: {said}",
            machine.name
        );
    }
    println!("install.sh from a dist server: by every machine");
    Ok(())
}
