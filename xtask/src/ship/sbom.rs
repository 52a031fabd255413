//! The bill of materials of the program, as `CycloneDX` 1.5: the crates that are linked into it with
//! their licences and checksums, and the C code that no list of crates shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Origin, Platform, VERSION, metadata};
use crate::shell;

/// How `cargo tree` is asked to write a crate: name, version, licence and where it comes from.
const LINE: &str = "{p}\t{l}";

/// A crate that is linked.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    is_ours: bool,
}

/// The bill of materials of the program for a platform.
pub fn of(platform: &Platform, origin: &Origin) -> Result<Value> {
    let mut tree = shell::cargo(["tree", "--locked", "--package=dist", "--prefix=none", "--no-dedupe"]);
    // Procedural macros and build scripts run where the program is built, and are not in it.
    tree.args([
        "--edges=normal,no-proc-macro",
        "--target",
        platform.target,
        "--format",
        LINE,
    ]);
    let lock = fs::read_to_string(shell::root().join("Cargo.lock"))?;
    let checksums = checksums(&lock);
    let mut components: Vec<Value> = crates(&shell::read(&mut tree)?)?
        .iter()
        .map(|linked| component(linked, &checksums))
        .collect();
    components.extend(foreign_code(platform)?);
    let program = json!({
        "type": "application", "bom-ref": "dist", "name": "dist", "version": VERSION,
        "purl": format!("pkg:github/dist-release/dist@v{VERSION}"),
        "licenses": [{ "expression": "Apache-2.0" }],
    });
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": origin.time()?,
            "component": program,
            "properties": [{ "name": "dist:target", "value": platform.target }],
        },
        "components": components,
    }))
}

/// The crates of `cargo tree`'s lines, each once, without the program itself.
fn crates(tree: &str) -> Result<Vec<Crate>> {
    let mut crates = tree
        .lines()
        .map(|line| {
            let (package, licence) = line.split_once('\t').context("a line without a licence")?;
            let mut words = package.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let version = words.next().and_then(|word| word.strip_prefix('v'));
            Ok(Crate {
                version: version.with_context(|| format!("no version in {line:?}"))?.to_owned(),
                // An older way to write OR.
                licence: licence.replace('/', " OR "),
                // Only what comes from a folder is said to.
                is_ours: words.next().is_some(),
                name,
            })
        })
        .filter(|linked| !linked.as_ref().is_ok_and(|linked| linked.name == "dist"))
        .collect::<Result<Vec<_>>>()?;
    crates.sort();
    crates.dedup();
    Ok(crates)
}

fn component(linked: &Crate, checksums: &BTreeMap<(&str, &str), &str>) -> Value {
    let Crate {
        name,
        version,
        licence,
        is_ours,
    } = linked;
    let mut component = json!({
        "type": "library", "bom-ref": format!("{name}@{version}"), "name": name, "version": version,
        "licenses": [{ "expression": licence }],
    });
    if !is_ours {
        component["purl"] = format!("pkg:cargo/{name}@{version}").into();
    }
    if let Some(checksum) = checksums.get(&(name.as_str(), version.as_str())) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// The checksums of a `Cargo.lock`, by name and version.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    let packages = lock.split("[[package]]").skip(1);
    packages
        .filter_map(|package| {
            let field = |name: &str| {
                let value = |line| str::strip_prefix(line, name)?.strip_prefix(" = \"")?.strip_suffix('"');
                package.lines().find_map(value)
            };
            Some(((field("name")?, field("version")?), field("checksum")?))
        })
        .collect()
}

/// What is linked and no crate of its own: `SQLite`, the C library and Rust's standard library.
fn foreign_code(platform: &Platform) -> Result<Vec<Value>> {
    let metadata = metadata()?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let bundle = packages.find(|package| package["name"] == "libsqlite3-sys");
    let bundle = bundle.and_then(|package| Path::new(package["manifest_path"].as_str()?).parent());
    let header = bundle.context("no libsqlite3-sys")?.join("sqlite3/sqlite3.h");
    let header = fs::read_to_string(&header).with_context(|| header.display().to_string())?;
    let sqlite = defined(&header, "SQLITE_VERSION").context("SQLite's header names no version")?;

    let mut compiler = shell::command(platform.compiler);
    compiler.args(["-dM", "-E", "-include", "features.h", "-x", "c", "/dev/null"]);
    let macros = shell::read(&mut compiler)?;
    let part = |name| defined(&macros, name).with_context(|| format!("the C library defines no {name}"));
    let glibc = format!("{}.{}", part("__GLIBC__")?, part("__GLIBC_MINOR__")?);

    let rustc = shell::read(shell::command("rustc").arg("-V"))?;
    let rust = rustc.split(' ').nth(1).context("rustc names no version")?;
    let library = |name: &str, version: &str, licence: &str, cpe: &str| {
        json!({
            "type": "library", "bom-ref": format!("{name}@{version}"), "name": name, "version": version,
            "licenses": [{ "expression": licence }],
            "cpe": format!("cpe:2.3:a:{cpe}:{version}:*:*:*:*:*:*:*"),
        })
    };
    Ok(vec![
        library("sqlite", sqlite, "blessing", "sqlite:sqlite"),
        library("glibc", &glibc, "LGPL-2.1-or-later", "gnu:glibc"),
        library("rust-std", rust, "MIT OR Apache-2.0", "rust-lang:rust"),
    ])
}

/// The value of a macro in C, without quotes.
fn defined<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    source.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let found = words.next() == Some("#define") && words.next() == Some(name);
        found.then(|| words.next())?.map(|value| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_crate_is_listed_once_with_its_licence_and_where_it_is_from() {
        let tree = "dist v0.1.0 (/src/crates/dist)\tApache-2.0\n\
            serde v1.0.1\tMIT/Apache-2.0\nserde v1.0.1\tMIT/Apache-2.0\n\
            dist-model v0.1.0 (/src/crates/dist-model)\tApache-2.0\n";
        let crates = crates(tree).unwrap();
        let shown: Vec<_> = crates
            .iter()
            .map(|linked| (linked.name.as_str(), linked.licence.as_str(), linked.is_ours))
            .collect();
        assert_eq!(
            shown,
            [
                ("dist-model", "Apache-2.0", true),
                ("serde", "MIT OR Apache-2.0", false)
            ]
        );
    }

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n\n[[package]]\nname = \"ours\"\nversion = \"1.0.0\"\n";
        assert_eq!(checksums(lock), BTreeMap::from([(("a", "1.0.0"), "ab")]));
    }

    #[test]
    fn macros_are_found_with_and_without_quotes() {
        let source = "#define SQLITE_VERSION        \"3.50.2\"\n#define SQLITE_VERSION_NUMBER 3050002\n";
        assert_eq!(defined(source, "SQLITE_VERSION"), Some("3.50.2"));
        assert_eq!(defined(source, "SQLITE_VERSION_NUMBER"), Some("3050002"));
        assert_eq!(defined(source, "SQLITE"), None);
    }
}
