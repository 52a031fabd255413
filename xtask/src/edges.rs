//! Which of our crates may know which. Any other edge fails, so that the architecture is what the
//! drawing says.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::shell;

/// A crate, and what it may depend on; `xtask` is nobody's concern, and nobody may depend on it.
const ALLOWED: &[(&str, &[&str])] = &[
    ("persist", &[]),
    ("dist-model", &[]),
    ("dist-term", &[]),
    ("dist-blobs", &["dist-model"]),
    ("dist-inspect", &["dist-model"]),
    ("dist-api", &["dist-model"]),
    ("dist-service", &["dist-model", "persist", "dist-blobs", "dist-inspect"]),
    (
        "distd",
        &[
            "dist-model",
            "persist",
            "dist-blobs",
            "dist-inspect",
            "dist-api",
            "dist-service",
            "dist-term",
        ],
    ),
    (
        "dist",
        &[
            "dist-api",
            "dist-model",
            "dist-inspect",
            "dist-service",
            "dist-term",
            "distd",
        ],
    ),
];

/// Reads what the workspace's manifests say and compares.
pub fn run() -> Result<()> {
    let metadata = shell::read(&mut shell::cargo([
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--offline",
    ]))?;
    let found = edges(&serde_json::from_str(&metadata)?)?;
    let wrong = violations(&found);
    if wrong.is_empty() {
        println!("{} crates, every edge as ARCHITECTURE.md draws it", found.len());
        return Ok(());
    }
    bail!("{}", wrong.join("\n"));
}

/// Our crates, and which of ours each depends on, tests and build scripts included.
fn edges(metadata: &Value) -> Result<BTreeMap<String, Vec<String>>> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata without packages")?;
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let ours: Vec<String> = packages.iter().map(name).collect();
    let depends = |package: &Value| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten().map(name);
        dependencies.filter(|dependency| ours.contains(dependency)).collect()
    };
    Ok(packages
        .iter()
        .map(|package| (name(package), depends(package)))
        .collect())
}

fn violations(edges: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, to) in edges.iter().filter(|(from, _)| *from != "xtask") {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == from) else {
            wrong.push(format!(
                "{from} has no row in xtask/src/edges.rs: say what it may depend on"
            ));
            continue;
        };
        // A crate's tests may name the crate itself, for a feature that only tests use.
        for to in to.iter().filter(|to| *to != from && !allowed.contains(&to.as_str())) {
            wrong.push(format!("{from} depends on {to}, which it must not know"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, expected: usize) {
        let edges = BTreeMap::from([(from.to_owned(), vec![to.to_owned()])]);
        assert_eq!(violations(&edges).len(), expected, "{from} -> {to}");
    }

    #[test]
    fn only_drawn_edges_pass() {
        check("dist-service", "persist", 0);
        check("persist", "persist", 0);
        check("xtask", "dist", 0);
        check("dist-model", "persist", 1);
        check("distd", "dist", 1);
        check("dist", "persist", 1);
        check("dist-new", "dist-model", 1);
    }
}
