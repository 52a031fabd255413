//! `cargo xtask package`: the files of a release, in `target/package/`.
//!
//! An archive for each platform, its bill of materials, `install.sh`, and `SHA256SUMS`. Two builds of a
//! commit come to the same bytes: what tells is that their `SHA256SUMS` are equal.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::{Effort, Origin, PLATFORMS, Platform, VERSION, sbom};
use crate::shell;

const PACK_LIMIT: Duration = Duration::from_mins(5);
/// Each shell with what its files are called before and after the program's name.
const COMPLETIONS: [(&str, &str, &str); 4] = [
    ("bash", "", ".bash"),
    ("zsh", "_", ""),
    ("fish", "", ".fish"),
    ("powershell", "_", ".ps1"),
];

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    origin: Origin,
}

/// Builds and packs every platform.
pub fn run(args: &Args) -> Result<()> {
    let folder = fresh_folder(&shell::root().join("target/package"))?;
    for platform in &PLATFORMS {
        let name = format!("dist-{VERSION}-{}-linux", platform.arch);
        let bill = serde_json::to_string_pretty(&sbom::of(platform, &args.origin)?)?;
        fs::write(folder.join(format!("{name}.cdx.json")), bill + "\n")?;
        pack(platform, &folder, &name, args.origin.epoch()?).context(platform.target)?;
    }
    // Whoever installs gets the script of the same release.
    fs::copy(shell::root().join("install.sh"), folder.join("install.sh"))?;
    let sums = checksums(&folder)?;
    fs::write(folder.join("SHA256SUMS"), &sums)?;
    print!("{}:\n{sums}", folder.display());
    Ok(())
}

/// A folder with nothing in it.
pub fn fresh_folder(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    fs::create_dir_all(path)?;
    Ok(path.to_owned())
}

/// Makes `NAME.tar.gz` of a folder `NAME`, which does not stay.
fn pack(platform: &Platform, folder: &Path, name: &str, epoch: u64) -> Result<()> {
    let program = platform.build(Effort::Final)?;
    let content = fresh_folder(&folder.join(name))?;
    install_programs(&program, &content)?;
    for file in ["LICENSE", "README.md"] {
        fs::copy(shell::root().join(file), content.join(file))?;
    }
    fs::create_dir(content.join("completions"))?;
    for name in ["dist", "distd"] {
        document(platform, &content, name).context(name)?;
    }
    let mut tar = shell::command("tar");
    tar.args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--format=gnu",
    ]);
    // What the umask took is no part of a release.
    tar.args(["--mode=u=rwX,go=rX", &format!("--mtime=@{epoch}")]);
    // No name and no time of the compression.
    tar.args(["--use-compress-program=gzip --best --no-name", "--directory"]);
    tar.arg(folder).arg("--create").arg("--file");
    tar.arg(folder.join(format!("{name}.tar.gz"))).arg(name);
    shell::run(&mut tar, PACK_LIMIT)?;
    fs::remove_dir_all(content)?;
    Ok(())
}

/// Has a program write its completions and manual pages.
fn document(platform: &Platform, content: &Path, name: &str) -> Result<()> {
    let program = content.join(name);
    for (shell, before, after) in COMPLETIONS {
        let script = shell::read(platform.run(&program).args(["completions", shell]))?;
        fs::write(content.join(format!("completions/{before}{name}{after}")), script)?;
    }
    let mut man = platform.run(&program);
    shell::read(man.args(["man", "--dir"]).arg(content.join("man"))).map(drop)
}

/// Puts the program into a folder, by both of its names.
pub fn install_programs(program: &Path, folder: &Path) -> Result<()> {
    fs::copy(program, folder.join("dist"))?;
    symlink("dist", folder.join("distd"))?;
    Ok(())
}

/// A line for each file, as `sha256sum --check` reads them.
fn checksums(folder: &Path) -> Result<String> {
    let mut names: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    let mut lines = String::new();
    for name in names {
        let digest = hex::encode(Sha256::digest(fs::read(folder.join(&name))?));
        writeln!(lines, "{digest}  {name}")?;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn checksums_are_what_sha256sum_checks() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b"), "two").unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        let sums = checksums(folder.path()).unwrap();
        fs::write(folder.path().join("SHA256SUMS"), &sums).unwrap();
        let mut check = std::process::Command::new("sha256sum");
        let check = check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&folder);
        assert!(check.output().unwrap().status.success(), "{sums}");
        assert_eq!(sums.lines().map(|line| &line[66..]).collect::<Vec<_>>(), ["a", "b"]);
    }
}
