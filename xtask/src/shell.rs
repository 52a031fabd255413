//! Other programs, run and waited for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a child is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a child that was asked to end may take.
const GRACE: Duration = Duration::from_secs(10);

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The folder for what tasks make and nobody commits.
pub fn scratch() -> PathBuf {
    root().join("target").join("xtask")
}

/// A command that runs in the workspace's folder.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    // `cargo run` describes this package in the environment. Build scripts that look there would
    // take another build for a change of theirs, and build again what is built.
    for (name, _) in std::env::vars_os() {
        let is_package = |prefix| name.to_str().is_some_and(|name| name.starts_with(prefix));
        if is_package("CARGO_PKG_") || is_package("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// `cargo` with arguments, in the workspace.
pub fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = command("cargo");
    command.args(arguments);
    command
}

/// The command as somebody would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ")
}

/// Runs a command to its end with its output in view. It fails where the command does, and where it
/// takes longer than `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let name = shown(command);
    let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok(());
            }
            bail!("{name}: {status}");
        }
        if Instant::now() > deadline {
            end(&mut child)?;
            bail!("{name}: took longer than {} s and was ended", limit.as_secs());
        }
        sleep(POLL);
    }
}

/// Runs a command to its end and gives all that it said, whatever its exit code.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("cannot run {}", shown(command)))
}

/// Runs a command to its end and gives its standard output. It fails with what the command said on
/// the other channel.
pub fn read(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{}", shown(command), output.status, said.trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Asks a child to end, and makes it end where it does not.
pub fn end(child: &mut std::process::Child) -> Result<std::process::ExitStatus> {
    signal(child, Signal::TERM)?;
    if let Some(status) = wait(child, GRACE)? {
        return Ok(status);
    }
    child.kill()?;
    Ok(child.wait()?)
}

/// Waits for a child, for so long; `None` where it still runs.
pub fn wait(child: &mut std::process::Child, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        sleep(POLL);
    }
}

/// Sends a signal to a child.
pub fn signal(child: &std::process::Child, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(child.id().try_into()?).context("a child without a process id")?;
    match kill_process(pid, signal) {
        // It has ended by itself, which whoever waits for it will see.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
