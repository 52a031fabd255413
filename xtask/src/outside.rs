//! `cargo xtask outside`: real artifacts that are not among the fixtures, from the registries of
//! packages, and whether independent tools say the same of them as `dist inspect` does.
//!
//! It downloads about a hundred megabytes on its first run, and keeps them.

mod packages;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::server::{self, Binaries};
use crate::{shell, tools};
use packages::{PACKAGES, Package};

/// What reads programs for Windows and macOS.
const LIBRARIES: [&str; 2] = ["pefile==2024.8.26", "lief==1.0.0"];
/// What the names of members end in that are artifacts.
const ARTIFACTS: [&str; 5] = [".apk", ".dll", ".efi.signed", ".exe", ".pyd"];
/// Members that are among the fixtures.
const FIXTURES: [&str; 2] = [
    "electron-winstaller/vendor/Setup.exe",
    "toasted-notifier/vendor/notifu/notifu64.exe",
];

/// An artifact, under its package's name and its path in there.
struct Artifact {
    name: String,
    path: PathBuf,
}

/// Compares every fact of every artifact, and fails where one differs.
pub fn run(binaries: &Binaries) -> Result<()> {
    tools::ensure_oracles()?;
    let python = tools::python_packages(&LIBRARIES)?;
    let kept = shell::scratch().join("outside");
    fs::create_dir_all(&kept)?;
    let work = tempfile::tempdir_in(&kept)?;
    let mut artifacts = Vec::new();
    for package in PACKAGES {
        let file = package.fetch(&kept, &python)?;
        let unpacked = work.path().join(package.name);
        unpack(&file, &unpacked)?;
        artifacts.push(Artifact {
            name: package.name.to_owned(),
            path: file,
        });
        collect(package, &unpacked, &unpacked, &mut artifacts)?;
    }
    let found = inspect(binaries, &artifacts)?;
    let expected = ask(&python, &artifacts)?;
    compare(&artifacts, &expected, &found)
}

fn unpack(file: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    let name = file.to_string_lossy();
    let mut command = if name.ends_with(".deb") {
        let mut command = shell::command("dpkg-deb");
        command.arg("--extract").arg(file).arg(into);
        command
    } else if name.ends_with(".whl") {
        let mut command = shell::command("unzip");
        command.arg("-q").arg(file).arg("-d").arg(into);
        command
    } else {
        let mut command = shell::command("tar");
        command
            .arg("-xf")
            .arg(file)
            .arg("--strip-components=1")
            .arg("-C")
            .arg(into);
        command
    };
    shell::read(&mut command)?;
    Ok(())
}

/// Adds the artifacts in a folder; an app for macOS, which is a folder, is packed as one is
/// published.
fn collect(package: &Package, root: &Path, folder: &Path, artifacts: &mut Vec<Artifact>) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    entries.sort();
    for path in entries.iter().filter(|path| !path.is_symlink()) {
        let inside = path.strip_prefix(root)?.to_str().context("a path is UTF-8")?;
        let name = format!("{}/{inside}", package.name);
        let is_artifact = ARTIFACTS.iter().any(|ending| inside.ends_with(ending));
        if path.is_dir() && path.extension().is_some_and(|extension| extension == "app") {
            let (app, packed) = (
                path.file_name().context("an app has a name")?,
                path.with_extension("zip"),
            );
            let mut zip = shell::command("zip");
            zip.current_dir(folder).args(["-q", "-r", "-y"]).arg(&packed).arg(app);
            shell::read(&mut zip)?;
            artifacts.push(Artifact { name, path: packed });
        } else if path.is_dir() {
            collect(package, root, path, artifacts)?;
        } else if is_artifact && !FIXTURES.contains(&name.as_str()) {
            let path = path.clone();
            artifacts.push(Artifact { name, path });
        }
    }
    Ok(())
}

/// What independent tools say of each.
fn ask(python: &Path, artifacts: &[Artifact]) -> Result<Vec<Map<String, Value>>> {
    let mut oracle = shell::command(python)
        .arg("xtask/outside/oracle.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut paths = Vec::new();
    for artifact in artifacts {
        writeln!(paths, "{}", artifact.path.display())?;
    }
    // Far fewer than a pipe holds, and the answers are read at the end of all.
    oracle.stdin.take().context("it is piped")?.write_all(&paths)?;
    let output = oracle.wait_with_output()?;
    ensure!(output.status.success(), "the oracle failed");
    let lines = String::from_utf8(output.stdout)?;
    lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What `dist inspect` says of each.
fn inspect(binaries: &Binaries, artifacts: &[Artifact]) -> Result<Vec<Map<String, Value>>> {
    let mut command = binaries.dist(["inspect"]);
    command.args(artifacts.iter().map(|artifact| &artifact.path));
    let (_, answer) = server::answer(&mut command)?;
    let reports = answer["reports"].as_array().context("there are reports")?;
    let facts = |report: &Value| {
        let mut facts = report["facts"].as_object()?.clone();
        for key in ["format", "sha256", "size_bytes"] {
            facts.insert(key.to_owned(), report[key].clone());
        }
        Some(facts)
    };
    let all: Option<Vec<_>> = reports.iter().map(facts).collect();
    all.context("every report has facts")
}

/// Prints a table of the files, and fails where a fact differs.
fn compare(artifacts: &[Artifact], expected: &[Map<String, Value>], found: &[Map<String, Value>]) -> Result<()> {
    ensure!(
        expected.len() == artifacts.len() && found.len() == artifacts.len(),
        "not every file has an answer"
    );
    let mut differences = Vec::new();
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut files, mut facts) = (BTreeMap::<&str, usize>::new(), 0);
    println!("| file | facts compared | disagreements |\n| --- | ---: | ---: |");
    for ((artifact, expected), found) in artifacts.iter().zip(expected).zip(found) {
        for key in found.keys().filter(|key| !expected.contains_key(*key)) {
            *unknown.entry(key).or_default() += 1;
        }
        let before = differences.len();
        for (key, expected) in expected {
            let ours = found.get(key).unwrap_or(&Value::Null);
            if !same(expected, ours) {
                differences.push(format!("{}: {key}: {expected} expected, {ours} found", artifact.name));
            }
        }
        facts += expected.len();
        let format = expected.get("format").and_then(Value::as_str).unwrap_or_default();
        *files.entry(format).or_default() += 1;
        println!(
            "| {} | {} | {} |",
            artifact.name,
            expected.len(),
            differences.len() - before
        );
    }
    let counted = |counts: &BTreeMap<&str, usize>| {
        let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        counts.join(", ")
    };
    println!("\n{} files ({}), {facts} facts", artifacts.len(), counted(&files));
    println!("facts that no tool here knows: {}", counted(&unknown));
    if !differences.is_empty() {
        bail!("{} disagreements:\n{}", differences.len(), differences.join("\n"));
    }
    Ok(())
}

/// Whether two values say the same; most lists are sets.
fn same(expected: &Value, ours: &Value) -> bool {
    match (expected.as_array(), ours.as_array()) {
        (Some(expected), Some(ours)) => {
            let set = |list: &[Value]| list.iter().map(Value::to_string).collect::<BTreeSet<_>>();
            set(expected) == set(ours)
        }
        _ => expected == ours,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::same;

    #[test]
    fn lists_are_the_same_in_any_order_and_nothing_is_not_an_empty_text() {
        assert!(same(&json!(["a", "b"]), &json!(["b", "a"])));
        assert!(!same(&json!(["a"]), &json!(["a", "b"])));
        assert!(same(&json!(null), &json!(null)));
        assert!(!same(&json!(null), &json!("")));
    }
}
