//! The facts of Android apps.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use dist_inspect::archive::zip::Zip;
use dist_inspect::parse::resources::{self, Element, Table};
use dist_inspect::{Budget, Context, Format, Inspection, Limits, Verdict, inspect};
use libtest_mimic::{Failed, Trial};
use proptest::prelude::{Strategy, any};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::compare::{Comparison, Judge, archs, same, verdict};
use crate::ensure;

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: EXCEPTIONS,
    is_complete: true,
};

const RENAMED: &str = "android/bad/gen-ipa-renamed.apk";
const IS_IPA: &str = "it is an iOS app under another name, and signed as one";

/// Where our rules differ on purpose.
static EXCEPTIONS: &[(&str, &str, &str)] = &[
    (RENAMED, "apksigner_verifies", IS_IPA),
    (RENAMED, "apksigner_verifies_min_sdk_30", IS_IPA),
    (RENAMED, "signed", IS_IPA),
    (GARBAGE, "app_id", NO_DIRECTORY),
    (GARBAGE, "build", NO_DIRECTORY),
    (GARBAGE, "min_os", NO_DIRECTORY),
    (GARBAGE, "name", NO_DIRECTORY),
    (GARBAGE, "target_os", NO_DIRECTORY),
    (GARBAGE, "version", NO_DIRECTORY),
    (
        OBFUSCATED,
        "verdict",
        "neither its name nor its members claim to be a package",
    ),
    (OBFUSCATED, "signed", "a zip is not asked for a signature"),
    (
        "android/bad/gen-apk-renamed.aab",
        "signed",
        "it is a package, in which SHA-1 still counts; it fails for its name",
    ),
];

const OBFUSCATED: &str = "android/bad/fdroid-Norway_bouvet_europe_2.obf.zip";

const GARBAGE: &str = "android/bad/apksig-v2-only-garbage-between-cd-and-eocd.apk";
const NO_DIRECTORY: &str = "the directory is not where its end says, so that there is nothing to read";

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    use Comparison::NotCompared;
    let facts = &found.report.facts;
    Some(match key {
        "app_id" | "version" | "build" | "min_os" | "target_os" | "name" | "debuggable" | "modules" => {
            same(key, expected, found)
        }
        "icon_path" | "icons_by_density" => same(key, expected, found),
        "archs" => archs(expected, found),
        "cert_sha256" => same_set(expected, facts.get(key)),
        "signer" => signer(expected, facts.get(key)),
        "signed" => signed(expected, found),
        "apk_signature_schemes" | "schemes_min_sdk_30" => schemes(key, expected, facts.get("apk_signature_schemes")),
        "apksigner_verifies" | "apksigner_verifies_min_sdk_30" => verifies(key, expected, found),
        "has_bundle_config" => verdict(expected == (found.report.format == Format::Aab), expected, None),
        "apksigner_error" => NotCompared("a sentence of the tool's"),
        "has_v1_signature_files" | "has_signature_files" | "has_apk_sig_block_magic" => {
            NotCompared("what is there and does not hold is no signature; `signed` and the schemes are compared")
        }
        "unzip_t_rc" => NotCompared("an exit code of a tool's"),
        "device" => NotCompared("a guess by the test's owner from the app's name"),
        _ => return None,
    })
}

fn texts(value: &Value) -> BTreeSet<String> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn same_set(expected: &Value, ours: Option<&Value>) -> Comparison {
    verdict(ours.is_some_and(|ours| texts(ours) == texts(expected)), expected, ours)
}

/// Java writes the names of certificates with quotes where RFC 2253 has backslashes.
fn signer(expected: &Value, ours: Option<&Value>) -> Comparison {
    let plain = |name: &str| name.replace(['"', '\\'], "").replace("emailAddress", "EMAILADDRESS");
    let names = ours.and_then(Value::as_str).unwrap_or_default();
    let names: BTreeSet<String> = names.split("; ").map(plain).collect();
    let expected_names: BTreeSet<String> = texts(expected).iter().map(|name| plain(name)).collect();
    verdict(names == expected_names, expected, ours)
}

/// A signature that does not hold is none, and one that counts for nothing neither.
fn signed(expected: &Value, found: &Inspection) -> Comparison {
    let ours = found.report.facts.get("signed");
    let holds = match expected.as_str() {
        None => {
            ours == Some(expected) || (ours.is_none() && expected == false && found.report.verdict == Verdict::Failed)
        }
        // What cannot be opened has no signature that could be told.
        Some("present-but-invalid" | "present-but-weak" | "unknown") => ours.is_none_or(|ours| ours == false),
        Some(_) => false,
    };
    verdict(holds, expected, ours)
}

/// Whether all schemes that the tool verifies are in the report, and for the app's own range of
/// devices no others. Scheme v4 stands in a file of its own.
fn schemes(key: &str, expected: &Value, ours: Option<&Value>) -> Comparison {
    let is_same = ["v1", "v2", "v3"].iter().all(|scheme| {
        let (expected, ours) = (&expected[scheme], ours.map_or(&Value::Null, |ours| &ours[scheme]));
        expected == ours || (key == "schemes_min_sdk_30" && expected == false)
    });
    verdict(is_same, expected, ours)
}

/// Whether the report says that it is signed, and has no signature less than the devices want.
fn verifies(key: &str, expected: &Value, found: &Inspection) -> Comparison {
    let ours = found.report.facts.get("signed");
    let lacks_v1 = found.report.findings.iter().any(|finding| {
        matches!(
            &*finding.code,
            "apk.no_v1_signature" | "apk.new_v1_signature" | "apk.old_signature_broken"
        )
    });
    let holds = ours.is_some_and(|ours| ours == true) && (key == "apksigner_verifies_min_sdk_30" || !lacks_v1);
    verdict(*expected == holds, expected, ours)
}

/// The parsers of Android's own structures, on real ones that were damaged: whatever the answer is,
/// there is one.
pub fn trials(folder: &'static Path) -> Vec<Trial> {
    let cases: [(&str, &str, Parser); 6] = [
        ("androguard-Invalid.apk", "AndroidManifest.xml", look_at_binary_xml),
        ("appinfo-tv.apk", "resources.arsc", look_at_binary_table),
        (
            "androguard-com.test.intent_filter.apk",
            "resources.arsc",
            look_at_binary_table,
        ),
        (
            "bundletool-watch-face-from-tool.aab",
            "base/manifest/AndroidManifest.xml",
            look_at_proto_xml,
        ),
        (
            "bundletool-watch-face-from-tool.aab",
            "base/resources.pb",
            look_at_proto_table,
        ),
        ("apksig-golden-aligned-v1v2v3-lineage-out.apk", "", look_at_package),
    ];
    let trial = |(file, member, parser): (&'static str, &'static str, Parser)| {
        Trial::test(format!("damaged: {file} {member}"), move || {
            let bytes = std::fs::read(folder.join("android").join(file))?;
            let bytes = if member.is_empty() {
                bytes
            } else {
                unpack(&bytes, member)?
            };
            let mut runner = TestRunner::new(Config {
                failure_persistence: None,
                ..Config::with_cases(CASES)
            });
            let whole = runner.run(&damages(), |damages| {
                parser(&damaged(bytes.clone(), &damages));
                Ok(())
            });
            whole.map_err(|error| error.to_string().into())
        })
    };
    let sets = Trial::test("sets of splits are told by their base", move || check_sets(folder));
    cases.into_iter().map(trial).chain([sets]).collect()
}

/// A member's path and contents.
type Member<'a> = (&'a str, &'a [u8]);

/// Sets as bundletool and others make them, of a real package.
fn check_sets(folder: &Path) -> Result<(), Failed> {
    let base = std::fs::read(folder.join("android/apksig-golden-aligned-v2v3-out.apk"))?;
    // The same again stands for a split: it is of the same app, version and signer.
    let (base, split): (&[u8], &[u8]) = (&base, &base);
    let cases: [(&str, &[Member<'_>], Format, &str); 4] = [
        (
            "a.apks",
            &[
                ("toc.pb", b""),
                ("splits/base-arm64_v8a.apk", split),
                ("splits/base-master.apk", base),
            ],
            Format::Apks,
            r#"["arm64"]"#,
        ),
        (
            "a.apks",
            &[("toc.pb", b""), ("universal.apk", base)],
            Format::Apks,
            r#"["arm"]"#,
        ),
        (
            "a.xapk",
            &[
                ("manifest.json", b"{}"),
                ("config.x86_64.apk", split),
                ("com.acme.apk", base),
            ],
            Format::Xapk,
            r#"["x86_64"]"#,
        ),
        ("a.apks", &[("toc.pb", b"")], Format::Apks, "null"),
    ];
    for (name, members, format, archs) in cases {
        let set = stored(members)?;
        let report = inspect(&set, name, &Context::default())?.report;
        let has_base = members.iter().any(|(_, bytes)| !bytes.is_empty() && *bytes != b"{}");
        let is_told = report.facts.get("app_id").and_then(Value::as_str) == Some("android.appsecurity.cts.tinyapp");
        let found = report.facts.get("archs").unwrap_or(&Value::Null).to_string();
        let holds = report.format == format && is_told == has_base && found == archs;
        ensure(holds && (report.verdict != Verdict::Failed) == has_base, || {
            format!("{name}: {report:#?}")
        })?;
    }
    Ok(())
}

/// A zip of members that are not compressed.
fn stored(members: &[Member<'_>]) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, contents) in members {
        let (mut entry, config) = archive.new_file(name).start()?;
        let mut writer = config.wrap(&mut entry);
        writer.write_all(contents)?;
        let (_, descriptor) = writer.finish()?;
        entry.finish(descriptor)?;
    }
    archive.finish()?;
    Ok(bytes)
}

type Parser = fn(&[u8]);
const CASES: u32 = 200;

/// What is changed, where, and to what: a byte, a cut, or bytes that are put in.
type Damage = (u8, Index, u8);

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    // What is near the start says how to read the rest.
    proptest::collection::vec((0..4_u8, any::<Index>(), any::<u8>()), 1..8)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for (kind, place, byte) in damages {
        let place = place.index(bytes.len().max(1)) / if byte % 2 == 0 { 1 } else { 16 };
        match kind {
            0 => bytes.truncate(place),
            1 => bytes.splice(place..place, [*byte; 4]).for_each(drop),
            _ => bytes.iter_mut().skip(place).take(1).for_each(|old| *old = *byte),
        }
    }
    bytes
}

fn unpack(bytes: &[u8], member: &str) -> Result<Vec<u8>, Failed> {
    let budget = budget();
    let zip = Zip::open(&bytes, &budget).map_err(|refusal| refusal.to_string())?;
    let member = zip.find(member.as_bytes()).ok_or("the member is missing")?;
    zip.read(&member, 64 << 20)
        .map_err(|refusal| refusal.to_string().into())
}

fn budget() -> Budget {
    Budget::new(&Limits::default())
}

fn look_at_binary_xml(bytes: &[u8]) {
    let _ = Element::from_binary(bytes, &budget());
}

fn look_at_proto_xml(bytes: &[u8]) {
    let _ = Element::from_proto(bytes, &budget());
}

fn look_at_binary_table(bytes: &[u8]) {
    let budget = budget();
    if let Ok(table) = Table::from_binary(bytes, &budget) {
        look_up(&table);
    }
}

fn look_at_proto_table(bytes: &[u8]) {
    look_up(&Table::from_proto(bytes, &budget()));
}

fn look_up(table: &Table<'_>) {
    let _ = table.densities();
    for kind in 0..8 {
        for entry in 0..4 {
            let _ = table.text(&resources::Value::Reference(0x7F00_0000 | kind << 16 | entry));
        }
    }
}

fn look_at_package(bytes: &[u8]) {
    let inspection = inspect(&bytes, "a.apk", &Context::default());
    assert!(inspection.is_ok(), "bytes in memory can always be read");
}
