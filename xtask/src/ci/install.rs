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
    const ALL: &str = "cat chmod cut grep gzip mkdir mktemp mv rm sed sha256sum tail tar tr uname";
    let path = folder.path().join(name);
    fs::create_dir(&path)?;
    for program in ALL.split(' ').chain(more.iter().copied()) {
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

/// One machine, its files from somewhere, and what is installed in its home.
struct Trial<'a> {
    machine: &'a Machine,
    files: &'a Files,
    home: TempDir,
    /// Whether it is installed; a refusal does not change that.
    installed: bool,
}

fn install(machine: &Machine, files: &Files) -> Result<()> {
    let mut trial = Trial {
        machine,
        files,
        home: tempfile::tempdir()?,
        installed: false,
    };
    trial.spoil_archive()?;
    trial.spoil_sums()?;
    trial.ask_for_others()?;
    trial.installed = true;
    trial.ends(&[], 0, &format!("installed dist {VERSION}"))?;
    trial.ends(&["--version", VERSION], 0, "installed")?;
    // What hands the version on takes it from the name of a tag.
    let mut tagged = machine.command(trial.home.path(), &["--from", &files.server.url]);
    let (code, said) = run_command(tagged.env("DIST_INSTALL_VERSION", format!("v{VERSION}")))?;
    ensure!(code == 0, "v{VERSION}: exit code {code}: {said}");
    trial.ends(&["--sha256", &files.sha256], 0, "put it on your PATH")?;
    // What is there stays.
    trial.spoil_archive()
}

impl Trial<'_> {
    /// Expects an exit code, a part of what is said, and that the programs are there whole or not at all.
    fn ends(&self, more: &[&str], code: i32, part: &str) -> Result<()> {
        let arguments = [&["--from", &self.files.server.url], more].concat();
        let (found, said) = run_command(&mut self.machine.command(self.home.path(), &arguments))?;
        ensure!(
            found == code && said.contains(part),
            "{arguments:?}: exit code {found}: {said}"
        );
        let (names, version) = installed(self.home.path())?;
        let expected: &[&str] = if self.installed { &["dist", "distd"] } else { &[] };
        ensure!(names == expected, "{arguments:?} left {names:?}");
        ensure!(!self.installed || version == format!("dist {VERSION}\n"), "{version}");
        Ok(())
    }

    fn refuses(&self, part: &str) -> Result<()> {
        self.ends(&[], 1, part)
    }

    fn spoil_archive(&self) -> Result<()> {
        let whole = &self.files.whole;
        let mut changed = whole.clone();
        if let Some(byte) = changed.get_mut(whole.len() / 2) {
            *byte ^= 1;
        }
        for bytes in [&changed[..], &whole[..whole.len() / 2], &[]] {
            self.files.write(&archive(), bytes)?;
            self.refuses("was not unpacked")?;
        }
        fs::remove_file(self.files.folder.path().join(archive()))?;
        self.refuses("cannot be downloaded")?;
        self.files.restore()
    }

    fn spoil_sums(&self) -> Result<()> {
        let (digest, name) = (&self.files.sha256, archive());
        let other = name.replace(VERSION, "9.9.9");
        for (sums, part) in [
            (String::new(), "names no archive"),
            (format!("{digest}  ../../{name}\n"), "names no archive"),
            (format!("{digest}  {name}\n{digest}  {other}\n"), "several archives"),
            (format!("{}  {name}\n", "0".repeat(64)), "was not unpacked"),
        ] {
            self.files.write("SHA256SUMS", sums)?;
            self.refuses(part)?;
        }
        fs::remove_file(self.files.folder.path().join("SHA256SUMS"))?;
        self.refuses("SHA256SUMS cannot be downloaded")?;
        self.files.restore()
    }

    fn ask_for_others(&self) -> Result<()> {
        self.ends(&["--version", "9.9.9"], 1, "no archive of version 9.9.9")?;
        self.ends(&["--sha256", &"0f".repeat(32)], 1, "was not unpacked")?;
        for wrong in [&["--frm"][..], &["--from"], &["--sha256", "abc"], &["--server", "x"]] {
            self.ends(wrong, 2, "install.sh: --")?;
        }
        Ok(())
    }
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
