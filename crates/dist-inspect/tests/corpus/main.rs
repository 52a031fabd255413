//! Real files that others made, and what independent tools say of them: one trial a file.
//!
//! They lie in `DIST_FIXTURES`, or in `shared/fixtures` beside the checkout. Where they are missing
//! the run says so and passes, unless `DIST_REQUIRE_CORPUS=1`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod android;
mod apple;
mod apple_mutants;
mod compare;
mod generic;
mod linux;
mod mutants;
mod parsers;
mod seeds;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use compare::{Comparison, Judge};
use dist_inspect::{Context, FileSource, Format, Inspection, Verdict, agrees, inspect};
use dist_model::Platform;
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A file of the manifest.
#[derive(Deserialize)]
struct Fixture {
    path: String,
    platform: String,
    kind: String,
    expect: String,
    why: String,
    size: u64,
    #[serde(default)]
    expected: Map<String, Value>,
}

/// When the files are looked at: most of their profiles had not expired yet.
const NOW: i64 = 1_767_225_600_000;

fn main() {
    let arguments = Arguments::from_args();
    let Some((folder, fixtures)) = corpus() else {
        libtest_mimic::run(&arguments, Vec::new()).exit()
    };
    let mut trials = vec![Trial::test("the corpus is whole", {
        let count = fixtures.len();
        move || ensure(count > 300, || format!("only {count} files"))
    })];
    let (fixtures, at): (&'static [Fixture], &'static Path) = (fixtures.leak(), Box::leak(folder.into_boxed_path()));
    trials.push(Trial::test("what is not compared yet is counted", || {
        count_not_compared(at, fixtures);
        Ok(())
    }));
    trials.push(Trial::test("every fact stands in the reference", || {
        check_reference(at, fixtures)
    }));
    trials.push(Trial::test("forged Authenticode signatures fail", || {
        windows::check_forgeries(at)
    }));
    trials.extend(fixtures.iter().flat_map(|fixture| {
        [
            Trial::test(fixture.path.clone(), move || check(at, fixture)),
            Trial::test(format!("cut short: {}", fixture.path), move || check_cut(at, fixture)),
        ]
    }));
    trials.extend(fixtures.iter().filter_map(|fixture| {
        let parse = parsers::parser(fixture)?;
        let read = move || parse(fixture, &std::fs::read(at.join(&fixture.path))?);
        Some(Trial::test(format!("parsed: {}", fixture.path), read))
    }));
    trials.extend(
        fixtures
            .iter()
            .filter(|fixture| mutants::is_mutated(fixture))
            .map(|fixture| {
                let look_at_all = move || mutants::check(&std::fs::read(at.join(&fixture.path))?, &fixture.path);
                Trial::test(format!("mutated: {}", fixture.path), look_at_all)
            }),
    );
    trials.extend(android::trials(at));
    trials.extend(apple_mutants::trials(at));
    trials.extend(seeds::trials(at));
    libtest_mimic::run(&arguments, trials).exit();
}

/// The folder and what it holds; `None`, said aloud, where it is missing and need not be there.
#[allow(clippy::disallowed_methods, reason = "the tests' only settings")]
fn corpus() -> Option<(PathBuf, Vec<Fixture>)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("DIST_FIXTURES")
        .map_or_else(beside, PathBuf::from)
        .join("visible");
    let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
        let required = std::env::var_os("DIST_REQUIRE_CORPUS").is_some_and(|value| value == "1");
        assert!(
            !required,
            "DIST_REQUIRE_CORPUS=1, and there is no corpus in {}",
            folder.display()
        );
        println!("corpus: not run, there is none in {}", folder.display());
        return None;
    };
    Some((folder, serde_json::from_slice(&manifest).unwrap()))
}

fn look(folder: &Path, fixture: &Fixture) -> Inspection {
    let path = folder.join(&fixture.path);
    let file = File::open(&path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    inspect(&FileSource::new(&file).unwrap(), name, &context()).unwrap()
}

fn context() -> Context {
    Context {
        now: NOW,
        ..Context::default()
    }
}

/// Who knows the facts of a platform.
fn judge(fixture: &Fixture) -> &'static Judge {
    match fixture.platform.as_str() {
        "android" => &android::JUDGE,
        "ios" | "macos" => &apple::JUDGE,
        "linux" => &linux::JUDGE,
        "windows" => &windows::JUDGE,
        _ => &generic::JUDGE,
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(message().into()) }
}

/// Compares everything that is known of a file, and tells all differences at once.
fn check(folder: &Path, fixture: &Fixture) -> Result<(), Failed> {
    let found = look(folder, fixture);
    let judge = judge(fixture);
    let mut wrong = Vec::new();
    if !judge.excuses(&fixture.path, "format") && !has_format(fixture, &found) {
        wrong.push(format!("format: a {} is no {:?}", fixture.kind, found.report.format));
    }
    if !judge.excuses(&fixture.path, "verdict") && !has_verdict(fixture, &found, judge) {
        wrong.push(format!(
            "verdict: {} ({}), not {:?}",
            fixture.expect, fixture.why, found.report.verdict
        ));
    }
    for (key, expected) in &fixture.expected {
        match (judge.compare)(key, expected, &found) {
            Some(Comparison::Differs(how)) if !judge.excuses(&fixture.path, key) => wrong.push(format!("{key}: {how}")),
            _ => {}
        }
    }
    ensure(wrong.is_empty(), || {
        format!("{}\n{:#?}", wrong.join("\n"), found.report)
    })
}

/// Whether the verdict is what the manifest expects. Warnings are a matter of each platform's own
/// rules, so that only what fails is compared.
fn has_verdict(fixture: &Fixture, found: &Inspection, judge: &Judge) -> bool {
    match (fixture.expect.as_str(), found.report.verdict) {
        ("reject", Verdict::Failed) => true,
        ("reject", _) => !judge.is_complete,
        (_, verdict) => verdict != Verdict::Failed,
    }
}

/// Whether it is what its kind says, where it is sound.
fn has_format(fixture: &Fixture, found: &Inspection) -> bool {
    let (formats, platform) = expectation(fixture);
    let format = found.report.format;
    fixture.expect == "reject"
        || (formats.contains(&format) && platform.is_none_or(|platform| agrees(format, platform)))
}

/// The formats that a kind of the manifest may be, and the platform that it is for.
fn expectation(fixture: &Fixture) -> (&'static [Format], Option<Platform>) {
    use Platform::{AndroidAab, AndroidApk, Ios, Linux, Macos, Windows};
    let platform = match fixture.platform.as_str() {
        "linux" => Some(Linux),
        "macos" => Some(Macos),
        "windows" => Some(Windows),
        _ => None,
    };
    match fixture.kind.as_str() {
        "apk" => (&[Format::Apk], Some(AndroidApk)),
        "aab" => (&[Format::Aab], Some(AndroidAab)),
        "ipa" => (&[Format::Ipa], Some(Ios)),
        "deb" => (&[Format::Deb], platform),
        "rpm" => (&[Format::Rpm], platform),
        "appimage" => (&[Format::Appimage], platform),
        "flatpak" => (&[Format::Flatpak], platform),
        "snap" => (&[Format::Snap], platform),
        "tar" => (&[Format::Tar], platform),
        "dmg" => (&[Format::Dmg], platform),
        "pkg" => (&[Format::Pkg], platform),
        "app.zip" => (&[Format::AppZip], platform),
        // Tars with an app deep inside are tars of something else.
        "app.tar" => (&[Format::AppTar, Format::Tar], platform),
        "exe" => (&[Format::Pe], platform),
        "msi" => (&[Format::Msi], platform),
        "msix" => (&[Format::Msix, Format::Msixbundle], platform),
        "nupkg" => (&[Format::Nupkg], platform),
        "zip" | "archive" => (&[Format::Zip, Format::Tar], platform),
        // A profile is part of an app and no artifact.
        "mobileprovision" => (&[Format::Unknown], None),
        _ => (&[], None),
    }
}

/// A file cut short at many places: whatever the answer is, there is one.
fn check_cut(folder: &Path, fixture: &Fixture) -> Result<(), Failed> {
    let bytes = std::fs::read(folder.join(&fixture.path)).unwrap();
    for part in 0..8 {
        let cut = &bytes[..bytes.len() * part / 8];
        inspect(&cut, &fixture.path, &context()).map_err(|error| format!("at {part}/8: {error}"))?;
    }
    Ok(())
}

/// Whether the reference tells what each fact is that some file has.
fn check_reference(folder: &Path, fixtures: &[Fixture]) -> Result<(), Failed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/inspection.md");
    let page = std::fs::read_to_string(page)?;
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let told: BTreeSet<&str> = rows.flat_map(|names| names.split(['`', ','])).map(str::trim).collect();
    let facts = fixtures.iter().flat_map(|fixture| look(folder, fixture).report.facts);
    let untold: BTreeSet<String> = facts
        .map(|(fact, _)| fact)
        .filter(|fact| !told.contains(fact.as_str()))
        .collect();
    ensure(untold.is_empty(), || {
        format!("docs/reference/inspection.md does not say what these are: {untold:?}")
    })
}

fn count_not_compared(folder: &Path, fixtures: &[Fixture]) {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for fixture in fixtures {
        let found = look(folder, fixture);
        let judge = judge(fixture);
        for (key, expected) in &fixture.expected {
            if (judge.compare)(key, expected, &found).is_none() {
                *counts.entry((&fixture.platform, key)).or_default() += 1;
            }
        }
        let is_excused = judge.excuses(&fixture.path, "verdict");
        if fixture.expect == "reject" && found.report.verdict != Verdict::Failed && !is_excused {
            *counts.entry((&fixture.platform, "(verdict)")).or_default() += 1;
        }
    }
    for ((platform, key), count) in &counts {
        println!("not compared yet: {platform} {key}: {count}");
    }
    println!("not compared yet, in all: {}", counts.values().sum::<usize>());
}
