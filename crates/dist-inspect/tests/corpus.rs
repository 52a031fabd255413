//! Real files that others made, and what independent tools say of them.
//!
//! They lie in `DIST_FIXTURES`, or in `shared/fixtures` beside the checkout. Where they are missing
//! the tests say so and pass, unless `DIST_REQUIRE_CORPUS=1`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use dist_inspect::{Format, Limits, Report, Verdict, agrees, inspect};
use dist_model::Platform;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    path: String,
    platform: String,
    kind: String,
    expect: String,
    expected: Option<serde_json::Map<String, serde_json::Value>>,
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

fn report(folder: &Path, fixture: &Fixture) -> Report {
    let path = folder.join(&fixture.path);
    let name = path.file_name().unwrap().to_str().unwrap();
    inspect(&mut File::open(&path).unwrap(), name, &Limits::default()).unwrap()
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
        // The app is inside the compressed tar, which is not opened yet.
        "app.tar" => (&[Format::AppTar, Format::Tar], platform),
        "exe" => (&[Format::Pe], platform),
        "msi" => (&[Format::Msi], platform),
        "msix" => (&[Format::Msix, Format::Msixbundle], platform),
        "nupkg" => (&[Format::Nupkg], platform),
        "zip" | "archive" => (&[Format::Zip], platform),
        // A profile is part of an app and no artifact.
        "mobileprovision" => (&[Format::Unknown], None),
        kind => panic!("{}: what is a {kind}?", fixture.path),
    }
}

/// Files whose kind in the manifest follows from their names, and is not what they are.
const EXCEPTIONS: [(&str, &str); 1] = [("windows/jsign-minimal.zip", "an msix, by its AppxManifest.xml")];

#[test]
fn what_others_accept_is_what_it_claims_to_be() {
    let Some((folder, fixtures)) = corpus() else { return };
    let is_exempt = |fixture: &Fixture| EXCEPTIONS.iter().any(|(path, _)| *path == fixture.path);
    let accepted = fixtures
        .iter()
        .filter(|fixture| fixture.expect.starts_with("accept") && !is_exempt(fixture));
    let (right, wrong): (Vec<_>, Vec<_>) =
        accepted
            .map(|fixture| (fixture, report(&folder, fixture)))
            .partition(|(fixture, report)| {
                let (formats, platform) = expectation(fixture);
                formats.contains(&report.format)
                    && platform.is_none_or(|platform| agrees(report.format, platform))
                    && report.verdict != Verdict::Failed
            });
    let wrong: Vec<_> = wrong
        .iter()
        .map(|(fixture, report)| format!("{}: {report:?}", fixture.path))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(right.len() > 150, "only {} files were looked at", right.len());
}

#[test]
fn what_is_renamed_or_empty_fails() {
    let Some((folder, fixtures)) = corpus() else { return };
    let told_by_name = [
        "-renamed.",
        "html-error-page",
        "gen-zero",
        "bad-magic",
        "not-an-ipa",
        "msixsdk-Empty.",
    ];
    // An ELF may be an AppImage of type 1 without its magic number; its name claims that.
    let exempt = "gen-elf-renamed.AppImage";
    let broken = fixtures.iter().filter(|fixture| {
        told_by_name.iter().any(|part| fixture.path.contains(part)) && !fixture.path.ends_with(exempt)
    });
    let mut count = 0;
    for fixture in broken {
        let report = report(&folder, fixture);
        assert_eq!(report.verdict, Verdict::Failed, "{}: {report:?}", fixture.path);
        count += 1;
    }
    assert!(count >= 10, "only {count} files were looked at");
}

#[test]
fn processors_are_those_that_other_tools_name() {
    let Some((folder, fixtures)) = corpus() else { return };
    let mut count = 0;
    for fixture in fixtures
        .iter()
        .filter(|fixture| matches!(fixture.kind.as_str(), "exe" | "appimage"))
    {
        let Some(arch) = report(&folder, fixture).arch else {
            continue;
        };
        let theirs = fixture.expected.as_ref().and_then(|facts| facts.get("arch")?.as_str());
        let Some(theirs) = theirs else { continue };
        let spelled_alike = match theirs {
            "x64" => "x86_64",
            "i686" => "x86",
            "armnt" => "arm",
            other => other,
        };
        assert_eq!(arch, spelled_alike, "{}", fixture.path);
        count += 1;
    }
    assert!(count > 15, "only {count} files were looked at");
}

/// Every fixture cut short at many places: whatever the answer is, there is one.
#[test]
fn truncated_files_get_an_answer() {
    let Some((folder, fixtures)) = corpus() else { return };
    for fixture in &fixtures {
        let bytes = std::fs::read(folder.join(&fixture.path)).unwrap();
        for part in 0..8 {
            let cut = &bytes[..bytes.len() * part / 8];
            inspect(&mut Cursor::new(cut), &fixture.path, &Limits::default()).unwrap();
        }
    }
}
