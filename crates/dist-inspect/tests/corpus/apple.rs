//! The facts of iOS and macOS apps.

use dist_inspect::{Format, Inspection};
use serde_json::{Value, json};

use crate::compare::Comparison::{self, NotCompared};
use crate::compare::{Judge, archs, same, verdict};

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: &[
        (
            "macos/bad/homebrew-NestedApp.zip.tar.gz",
            "verdict",
            "the tar is sound, and the app in a zip in it is not installed from there",
        ),
        (
            "macos/bad/homebrew-caffeine.zip",
            "info_plist_format",
            "an empty Info.plist has no form",
        ),
        (
            "macos/bad/homebrew-caffeine-suite.zip",
            "info_plist_format",
            "an empty Info.plist has no form",
        ),
        (
            "ios/bad/fastlane-downloaded_provisioning_profile.mobileprovision",
            "verdict",
            "a bare list that can be read, as other profiles are that the manifest accepts; it is told as unsigned",
        ),
    ],
    is_complete: true,
};

/// The facts that have the same name and form in a report.
const SAME: [&str; 26] = [
    "app_id",
    "app_id_from",
    "build",
    "bundle_name",
    "bundles",
    "device",
    "device_family",
    "display_name",
    "executable",
    "frameworks",
    "has_code_signature_dir",
    "icon",
    "info_plist_format",
    "min_os",
    "name",
    "nested_bundles",
    "package_type",
    "pkg_refs",
    "plugins",
    "product_id",
    "product_version",
    "supported_platforms",
    "stapled_ticket",
    "team_id",
    "team_id_from",
    "version",
];

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    if let Some(why) = unread(found) {
        return Some(NotCompared(why));
    }
    let facts = &found.report.facts;
    let ours = facts.get(key);
    Some(match key {
        _ if SAME.contains(&key) => same(key, expected, found),
        "xar_magic" => verdict(*expected == json!(found.report.format == Format::Pkg), expected, None),
        "xar_toc_checksum_verifies" => verdict(facts.get("toc_checksum_verifies") == Some(expected), expected, None),
        "xar_signature_elements" => {
            let count = facts["signature_styles"].as_array().map(Vec::len);
            verdict(
                expected.as_array().map(Vec::len) == count,
                expected,
                facts.get("signature_styles"),
            )
        }
        "koly_trailer" => {
            let is_dmg = found.report.format == Format::Dmg;
            verdict(*expected == json!(is_dmg), expected, None)
        }
        "encrypted_header" | "dmg_signed" if found.report.format != Format::Dmg => NotCompared("it is no disk image"),
        "encrypted_header" => verdict(
            facts.get("encrypted") == Some(expected),
            expected,
            facts.get("encrypted"),
        ),
        "dmg_signed" => verdict(ours == Some(expected), expected, ours),
        "dmg_signer" => names(expected, ours, ours),
        "7zz_types" => {
            let system = facts.get("file_system").and_then(Value::as_str).unwrap_or("zip");
            let is_it = |name: &Value| name.as_str().is_some_and(|name| system.starts_with(name));
            verdict(
                expected.as_array().is_some_and(|types| types.iter().any(is_it)),
                expected,
                ours,
            )
        }
        "top_level" | "dmg2img" => NotCompared("a report does not list what is on a disk"),
        "members" | "toc_files" => NotCompared("a report does not list an archive's members"),
        "archs" => archs(expected, found),
        "app_bundles_found" => is_one_of(expected, facts.get("bundle_path")),
        "macho" => macho(expected, found),
        "signed" => signed(expected, found),
        "signer" | "authority" => names(expected, ours.or(facts.get("signer")), facts.get("signer")),
        "code_identifier" => verdict(expected[0] == facts["code_signature"]["identifier"], expected, ours),
        "code_flags" => {
            let raw = facts["code_signature"]["flags_raw"].as_str().unwrap_or_default();
            verdict(expected[0] == format!("CodeSignatureFlags({raw})"), expected, ours)
        }
        "provisioning" => provisioning(expected, ours),
        "provisioning_uuid" => verdict(*expected == facts["provisioning"]["uuid"], expected, ours),
        "provisioned_devices" => {
            let devices = facts["provisioning"]["devices"].as_u64();
            verdict(expected.as_u64().unwrap_or(0) == devices.unwrap_or(0), expected, ours)
        }
        "executable_present" => {
            let is_missing = found.report.findings.iter().any(|f| f.code == "bundle.no_executable");
            verdict(*expected == json!(!is_missing), expected, None)
        }
        "cms_ok" => profile_is_signed(expected, found),
        "format" => verdict(
            found.report.package_type == expected.as_str().unwrap_or_default(),
            expected,
            None,
        ),
        "platform" => {
            let word = if expected == "macos" { "OSX" } else { "iOS" };
            verdict(facts["provisioning"]["platform"] == json!([word]), expected, ours)
        }
        "provisioning_kind_per_owner" | "owner_disagrees" => NotCompared("the owner's label, not always right"),
        "release_type_per_owner" => NotCompared("the owner's label"),
        "strict_plist_error" | "parse_error" | "unzip_t_rc" => NotCompared("what another tool said"),
        "notarized" => NotCompared("only Apple knows; the ticket is compared"),
        _ => return None,
    })
}

/// Why nothing of a file is compared, where nothing of it could be read.
fn unread(found: &Inspection) -> Option<&'static str> {
    let has = |code: &str| found.report.findings.iter().any(|finding| finding.code == code);
    if has("archive.broken") {
        return Some("a zip whose directory is cut off is not read");
    }
    let is_tar = found.report.format == Format::Tar;
    is_tar.then_some("an app deep in a tar of something else is not what the tar is")
}

/// Whether the app that we tell is one of those in the archive; disk images start with the name of
/// their volume there.
fn is_one_of(expected: &Value, ours: Option<&Value>) -> Comparison {
    let path = ours.and_then(Value::as_str).unwrap_or("(none)");
    let is_it = |found: &str| found == path || found.ends_with(&format!("/{path}"));
    let mut expected_paths = expected.as_array().into_iter().flatten().filter_map(Value::as_str);
    verdict(expected_paths.any(is_it), expected, ours)
}

/// What other tools read in the executable.
fn macho(expected: &Value, found: &Inspection) -> Comparison {
    let facts = &found.report.facts;
    let code = &facts.get("code_signature").cloned().unwrap_or_default();
    let words = expected["cpu"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let words = words.map(|word| word.split('/').next().unwrap_or_default().to_ascii_lowercase());
    if let differs @ Comparison::Differs(_) = archs(&words.collect(), found) {
        return differs;
    }
    for (theirs, ours) in [
        ("cd_identifier", "identifier"),
        ("cd_team_id", "team_id"),
        ("cd_flags", "flags_raw"),
    ] {
        if let Some(value) = expected.get(theirs).filter(|value| **value != code[ours]) {
            return verdict(false, value, code.get(ours));
        }
    }
    let is_signed = expected["code_signature_cmd"] != json!([false]);
    verdict(is_signed == code.is_object(), expected, Some(code))
}

fn signed(expected: &Value, found: &Inspection) -> Comparison {
    let facts = &found.report.facts;
    let ours = facts.get("signed");
    match expected.as_str() {
        Some("adhoc") => verdict(ours == Some(&json!(false)) && facts["ad_hoc"] == true, expected, ours),
        Some("unknown") => verdict(ours.is_none(), expected, ours),
        _ => verdict(ours == Some(expected), expected, ours),
    }
}

/// Compares names of certificates as tools print them: `subject=UID = A, CN = "B, C"`, or without
/// spaces and in the other order. All of ours have to be among theirs, part by part.
fn names(expected: &Value, ours: Option<&Value>, whole: Option<&Value>) -> Comparison {
    let parts = |value: Option<&Value>| -> Vec<Vec<String>> {
        let texts = value
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        texts.map(name_parts).collect()
    };
    let (theirs, found) = (parts(Some(expected)), parts(ours));
    let is_name = |name: &Vec<String>| {
        theirs.contains(name)
            || theirs
                .iter()
                .any(|one| one.len() == 1 && name.contains(&format!("CN={}", one[0])))
    };
    verdict(!found.is_empty() && found.iter().all(is_name), expected, whole)
}

fn name_parts(name: &str) -> Vec<String> {
    let name = name
        .trim_start_matches("subject=")
        .replace(" = ", "=")
        .replace(['"', '\\'], "");
    let ascii = |part: &str| part.chars().filter(|c| c.is_ascii() && *c != ' ').collect::<String>();
    let mut parts: Vec<String> = name.split(',').map(ascii).collect();
    // What is not ASCII is printed in many ways, and is in names of organisations only; user ids are
    // printed by some.
    parts.retain(|part| !part.starts_with("O=") && !part.starts_with("UID="));
    parts.sort();
    parts
}

fn provisioning(expected: &Value, ours: Option<&Value>) -> Comparison {
    let Some(ours) = ours else {
        return verdict(false, expected, None);
    };
    for (key, value) in expected.as_object().into_iter().flatten() {
        let found = &ours[key.as_str()];
        let holds = match key.as_str() {
            // It says how the kind was found.
            "kind_rule" => true,
            "created" | "expires" => {
                let ours = found.as_str().unwrap_or_default().replace('T', " ");
                ours.get(..19) == value.as_str()
            }
            // A bare list has no entitlements to say so.
            "get_task_allow" => found == value || (found.is_null() && *value == json!(false)),
            "developer_certs" => certificates(value, found),
            _ => found == value,
        };
        if !holds {
            return Comparison::Differs(format!("{key}: {value} expected, {found} found"));
        }
    }
    Comparison::Agrees
}

/// Whether all certificates that another tool could read are ours, by digest.
fn certificates(expected: &Value, ours: &Value) -> bool {
    let digests: Vec<&str> = ours
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["sha256"].as_str())
        .collect();
    let theirs = expected.as_array().into_iter().flatten().filter_map(Value::as_str);
    let theirs = theirs.filter_map(|text| text.split_once("Fingerprint="));
    theirs
        .map(|(_, digest)| digest.replace(':', "").to_ascii_lowercase())
        .all(|digest| digests.contains(&&*digest))
}

fn profile_is_signed(expected: &Value, found: &Inspection) -> Comparison {
    let is_unsigned = found.report.findings.iter().any(|f| f.code == "provisioning.unsigned");
    let is_read = found.report.facts.contains_key("provisioning");
    verdict(*expected == json!(is_read && !is_unsigned), expected, None)
}
