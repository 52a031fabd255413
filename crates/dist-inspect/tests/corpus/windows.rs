//! The facts of Windows programs and packages.

use std::path::Path;

use dist_inspect::{Format, Inspection, Verdict, inspect};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::compare::Comparison::{self, Agrees, NotCompared};
use crate::compare::{Judge, archs, same, verdict};
use crate::{context, ensure};

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: &[
        (
            "windows/jsign-minimal.zip",
            "format",
            "its kind follows from its name, and it is an msix by its AppxManifest.xml",
        ),
        (
            "windows/bad/gen-authenticode-bitflip-snoretoast.exe",
            "timestamped",
            "there is one, and osslsigncode ends at the digest, before it tells",
        ),
        (
            "windows/jsign-minimal-signed-with-signtool.msi",
            "timestamped",
            "there are no unsigned attributes, and osslsigncode says that a timestamp is not available",
        ),
        (
            "windows/relic-WindowsFormsApplication1.exe",
            "timestamped",
            "there are no unsigned attributes, and osslsigncode says that a timestamp is not available",
        ),
    ],
    is_complete: true,
};

/// A signed program, and how far from its end its signature has a byte.
const SIGNED: (&str, usize) = ("windows/relic-WindowsFormsApplication1.exe", 40);

/// Changes one byte of a signature, and one of what is signed.
pub fn check_forgeries(folder: &Path) -> Result<(), Failed> {
    let (path, from_end) = SIGNED;
    let bytes = std::fs::read(folder.join(path))?;
    let codes = |place: usize| {
        let mut forged = bytes.clone();
        forged[place] ^= 1;
        let found = inspect(&forged, path, &context()).unwrap().report.findings;
        found
            .into_iter()
            .map(|finding| finding.code)
            .filter(|code| *code != "authenticode.expired")
            .collect::<Vec<_>>()
    };
    let (signature, program) = (codes(bytes.len() - from_end), codes(0x400));
    ensure(signature == ["authenticode.signature_invalid"], || {
        format!("{signature:?}")
    })?;
    ensure(program == ["authenticode.digest_mismatch"], || format!("{program:?}"))
}

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match found.report.format {
        Format::Pe => program(key, expected, found),
        Format::Msix | Format::Msixbundle => package(key, expected, found),
        Format::Msi => installer(key, expected, found),
        Format::Nupkg => update(key, expected, found),
        Format::Zip => archive(key, expected, found),
        _ => other(key, expected, found),
    }
}

const TOOL: Comparison = NotCompared("what another tool said");
const JUDGED: Comparison = NotCompared("a report does not judge the trust in certificates");

fn program(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "arch" | "archs" => Some(archs(expected, found)),
        "subsystem" | "is_dll" | "min_os" | "name" | "version" | "publisher" | "installer" | "inno_data_version"
        | "digest_matches" | "timestamped" | "digest_alg" => Some(same(key, expected, found)),
        "version_info" => Some(includes(key, expected, found)),
        "signed" if expected == "unknown" => Some(TOOL),
        // What cannot be read any further is not known to have no icon and no signature.
        "has_icon" | "signed" => Some(same_or_nothing(key, expected, found)),
        "signer" => Some(certificates(expected, found)),
        "file" | "7zz_types" | "pefile_error" | "osslsigncode_verification" | "innoextract" => Some(TOOL),
        "chain_trust" => Some(JUDGED),
        "mentions_squirrel" => Some(NotCompared("a word anywhere in the file")),
        _ => None,
    }
}

fn installer(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "name" | "version" | "product_code" | "upgrade_code" | "publisher" | "language" | "allusers" | "template"
        | "package_code" | "timestamped" | "digest_alg" => Some(same(key, expected, found)),
        "arch" => Some(archs(expected, found)),
        "signed" if expected == "unknown" => Some(TOOL),
        "signed" => Some(same_or_nothing(key, expected, found)),
        "signer" => Some(certificates(expected, found)),
        "osslsigncode_verification" => Some(TOOL),
        "chain_trust" => Some(JUDGED),
        _ => None,
    }
}

fn update(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "app_id" | "version" | "publisher" | "signed" => Some(same(key, expected, found)),
        "package_type" => Some(NotCompared("the same kind in other words")),
        _ => None,
    }
}

/// A zip's facts are those of its main program.
fn archive(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "exe" => {
            let facts = expected.as_object().into_iter().flatten();
            let mut compared = facts.filter_map(|(key, value)| program(key, value, found));
            let differs = compared.find(|comparison| matches!(comparison, Comparison::Differs(_)));
            Some(differs.unwrap_or(Agrees))
        }
        "main_exe" | "name" | "publisher" | "version" | "file_version" | "original_filename" | "binary_size" => {
            Some(same(key, expected, found))
        }
        "archs" => Some(archs(expected, found)),
        "icons" => Some(NotCompared(
            "the pictures that its owner's reader knows; there are nine",
        )),
        "entries" => Some(NotCompared("a report does not list an archive's members")),
        // A bundle without its manifest is a zip of packages, and is told as that.
        "has_blockmap" | "has_content_types" | "p7x_magic_ok" | "signed" | "signer" => {
            Some(NotCompared("it is no package without a manifest"))
        }
        "owner_hresult" => Some(NotCompared("the verdict is compared")),
        "chain_trust" => Some(JUDGED),
        _ => None,
    }
}

fn package(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "app_id"
        | "version"
        | "publisher"
        | "name"
        | "publisher_display_name"
        | "resource_id"
        | "icon_path"
        | "min_os"
        | "applications"
        | "package_type"
        | "digest_matches"
        | "timestamped" => Some(same(key, expected, found)),
        "arch" => Some(archs(expected, found)),
        "target_device_families" | "packages" => Some(lists(key, expected, found)),
        "has_blockmap" => Some(lacks("msix.no_block_map", expected, found)),
        "has_content_types" => Some(lacks("msix.no_content_types", expected, found)),
        "p7x_magic_ok" if found.report.facts.get("signer").is_none() && found.report.verdict == Verdict::Failed => {
            Some(NotCompared("the signature cannot be read, whatever it starts with"))
        }
        "p7x_magic_ok" => Some(lacks("authenticode.broken", expected, found)),
        "signed" => Some(same_or_nothing(key, expected, found)),
        "signer" => Some(certificates(expected, found)),
        "owner_hresult" => Some(NotCompared("the verdict is compared")),
        "chain_trust" => Some(JUDGED),
        "entries" => Some(NotCompared("a report does not list an archive's members")),
        _ => None,
    }
}

/// Whether the report says of something that it is missing or broken, where the fact is false.
fn lacks(code: &str, expected: &Value, found: &Inspection) -> Comparison {
    let is_told = found.report.findings.iter().any(|finding| finding.code == code);
    verdict(
        *expected == Value::Bool(!is_told),
        expected,
        Some(&Value::Bool(!is_told)),
    )
}

/// Whether the report has as many objects, with all of their entries; null is left out of it.
fn lists(key: &str, expected: &Value, found: &Inspection) -> Comparison {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let (theirs, ours) = (list(Some(expected)), list(found.report.facts.get(key)));
    let has_all = |(theirs, ours): (&Value, &Value)| {
        let mut entries = theirs.as_object().into_iter().flatten();
        entries.all(|(entry, value)| ours.get(entry).unwrap_or(&Value::Null) == value)
    };
    let holds = theirs.len() == ours.len() && theirs.iter().zip(&ours).all(has_all);
    verdict(holds, expected, found.report.facts.get(key))
}

/// What is no program is said to be unknown by the tools too.
fn other(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "file" | "7zz_types" | "pefile_error" => Some(TOOL),
        "signed" if expected == "unknown" => Some(TOOL),
        "signed" | "has_blockmap" | "has_content_types" => Some(same_or_nothing(key, expected, found)),
        "owner_hresult" => Some(NotCompared("the verdict is compared")),
        _ => None,
    }
}

/// Whether the report says the same, or nothing where it says that the file is broken and the tool
/// says that something is not there.
fn same_or_nothing(key: &str, expected: &Value, found: &Inspection) -> Comparison {
    let ours = found.report.facts.get(key);
    let is_refused = found.report.verdict == Verdict::Failed && *expected == Value::Bool(false);
    if ours.is_none() && is_refused {
        return Agrees;
    }
    same(key, expected, found)
}

/// Whether the report has every entry of an object.
fn includes(key: &str, expected: &Value, found: &Inspection) -> Comparison {
    let ours = found.report.facts.get(key);
    let mut entries = expected.as_object().into_iter().flatten();
    let holds = entries.all(|(entry, value)| ours.and_then(|ours| ours.get(entry)) == Some(value));
    verdict(holds, expected, ours)
}

/// Whether the report has the same certificates, whatever the spelling of their names, and who
/// signed is one of them.
fn certificates(expected: &Value, found: &Inspection) -> Comparison {
    let facts = &found.report.facts;
    let theirs: Vec<String> = expected.as_array().into_iter().flatten().map(values).collect();
    let ours = facts.get("certificates");
    let subjects: Vec<String> = ours
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(values)
        .collect();
    let signer = facts.get("signer").map(values).unwrap_or_default();
    verdict(subjects == theirs && theirs.contains(&signer), expected, ours)
}

/// The values of a name, without the keys, spaces and zeros that tools write differently.
fn values(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default().replace("\\x00", "").replace('\\', "");
    let parts = name
        .split([',', '/'])
        .map(|part| part.split_once('=').map_or(part, |(_, value)| value).trim());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("|")
}
