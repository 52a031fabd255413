//! Android packages made from the documented formats, since no tool at hand makes them: one whose key
//! changes with Android 13, and sets of splits that do and do not belong together. What apksigner 31
//! knows of them, v3, it verifies. Beside them small ones of its own, and of jarsigner's, which are
//! packed in other ways here.

#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Read as _, Write as _};

use dist_inspect::{Context, Report, Severity, Verdict, inspect};
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Signed by v1 alone, for Android 5 and newer.
const V1: &[u8] = include_bytes!("data/android/v1.apk");
/// For targets from Android 11 on, with libraries that stay in it; not signed.
const PACKING: &[u8] = include_bytes!("data/android/packing.apk");
/// A base, a larger feature, and assets for later, which have no version.
const SET: &[u8] = include_bytes!("data/android/set.apks");
const ROTATED: &[u8] = include_bytes!("data/android/rotated.apk");
/// Signed by v3 with a key that succeeded another one.
const SUCCEEDED: &[u8] = include_bytes!("data/android/succeeded.apk");
const V3: [u8; 4] = 0xF053_68C0_u32.to_le_bytes();
const V31: [u8; 4] = 0x1B93_AD61_u32.to_le_bytes();

fn look(name: &str, bytes: &[u8]) -> Report {
    inspect(&bytes, name, &Context::default()).unwrap().report
}

/// What makes it fail, or cannot be installed everywhere.
fn codes(report: &Report) -> Vec<&str> {
    let severe = report
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Info);
    severe.map(|finding| &*finding.code).collect()
}

/// The package without the signature of a scheme, whose number nothing signs.
fn without(scheme: [u8; 4]) -> Vec<u8> {
    let mut bytes = ROTATED.to_vec();
    let place = bytes.windows(4).position(|window| window == scheme).unwrap();
    bytes[place] ^= 1;
    bytes
}

#[test]
fn a_key_that_is_replaced_from_android_13_on_stands_beside_the_older_one() {
    let report = look("rotated.apk", ROTATED);
    assert_eq!(codes(&report), <[&str; 0]>::default(), "{report:#?}");
    assert_eq!(report.facts["signer"], "CN=New; CN=Old");
    let schemes = json!({"v1": false, "v2": false, "v3": true, "v3.1": true});
    assert_eq!(report.facts["apk_signature_schemes"], schemes);
}

#[test]
fn a_key_that_succeeds_another_tells_which() {
    let report = look("succeeded.apk", SUCCEEDED);
    assert_eq!(report.facts["signer"], "CN=new");
    let old = "1b5a3ab7f17a47bd73a1749d6522bf42e058f8a13e5b78e280518871b77bc36c";
    assert_eq!(report.facts["succeeded_cert_sha256"], json!([old]));
    assert!(!look("rotated.apk", ROTATED).facts.contains_key("succeeded_cert_sha256"));
}

#[test]
fn neither_of_two_keys_can_be_stripped() {
    for (scheme, why) in [(V31, "its v3.1 signature was stripped"), (V3, "none of v3")] {
        let report = look("rotated.apk", &without(scheme));
        assert_eq!(codes(&report), ["apk.signature_broken"]);
        assert!(report.findings[0].message.contains(why), "{report:#?}");
    }
}

#[test]
fn a_set_is_of_one_app_version_and_signer() {
    let code = |bytes: &[u8]| codes(&look("acme.xapk", bytes)).join(" ");
    assert_eq!(code(include_bytes!("data/android/same.xapk")), "");
    assert_eq!(code(include_bytes!("data/android/signer.xapk")), "apks.split_signer");
    assert_eq!(code(include_bytes!("data/android/version.xapk")), "apks.split_version");
    assert_eq!(code(include_bytes!("data/android/broken.xapk")), "apks.split_broken");
}

/// A member to be packed: its name, its bytes, and whether they are compressed.
type Member<'a> = (&'a str, &'a [u8], bool);

fn packed(members: &[Member<'_>]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, is_compressed) in members {
        let method = if *is_compressed {
            CompressionMethod::Deflated
        } else {
            CompressionMethod::Stored
        };
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn members(package: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(package)).unwrap();
    let count = archive.len();
    let read = |place| {
        let mut member = archive.by_index(place).unwrap();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        (member.name().unwrap().into_owned(), bytes)
    };
    (0..count).map(read).collect()
}

/// A package with other members before its own.
fn with(package: &[u8], before: &[Member<'_>]) -> Vec<u8> {
    let own = members(package);
    let own = own.iter().map(|(name, bytes)| (&**name, &**bytes, true));
    packed(&before.iter().copied().chain(own).collect::<Vec<_>>())
}

/// The same package for Android 11 and newer.
fn for_android_11(package: &[u8]) -> Vec<u8> {
    let mut members = members(package);
    let manifest = &mut members
        .iter_mut()
        .find(|(name, _)| name == "AndroidManifest.xml")
        .unwrap()
        .1;
    let number = |sdk| [8, 0, 0, 0x10, sdk, 0, 0, 0];
    let place = manifest.windows(8).position(|window| window == number(21)).unwrap();
    manifest[place..place + 8].copy_from_slice(&number(30));
    let members: Vec<Member<'_>> = members.iter().map(|(name, bytes)| (&**name, &**bytes, true)).collect();
    packed(&members)
}

#[test]
fn notes_among_the_signatures_need_no_signature() {
    let notes: [Member<'_>; 2] = [("META-INF/channel", b"x", false), ("META-INF/services/a", b"x", false)];
    let report = look("a.apk", &with(V1, &notes));
    assert_eq!(codes(&report), <[&str; 0]>::default(), "{report:#?}");
    assert_eq!(report.facts["signed"], true);
    let report = look("a.apk", &with(V1, &[("assets/x", b"x", false)]));
    assert_eq!(codes(&report), ["apk.signature_broken"]);
}

#[test]
fn what_only_old_androids_refuse_is_no_failure() {
    let report = look("a.apk", include_bytes!("data/android/stale.apk"));
    assert_eq!(codes(&report), ["apk.old_signature_broken"], "{report:#?}");
    let schemes = json!({"v1": false, "v2": true, "v3": false, "v3.1": false});
    assert_eq!(report.facts["apk_signature_schemes"], schemes);
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.message.contains("before SDK 24"))
    );
    let report = look("a.apk", include_bytes!("data/android/attributes.apk"));
    assert_eq!(codes(&report), ["apk.new_v1_signature"], "{report:#?}");
    assert_eq!(report.facts["signed"], true);
}

#[test]
fn v1_alone_is_no_signature_for_android_11_and_newer() {
    let report = look("a.apk", include_bytes!("data/android/only_v1.apk"));
    assert_eq!(codes(&report), ["apk.only_v1_signature"], "{report:#?}");
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn who_signs_no_entry_is_no_signer() {
    let report = look("a.apk", include_bytes!("data/android/two.apk"));
    assert_eq!(codes(&report), <[&str; 0]>::default(), "{report:#?}");
    assert_eq!(report.facts["signer"], "CN=new, O=A, C=US");
}

#[test]
fn passwords_hide_nothing_from_android() {
    let mut bytes = V1.to_vec();
    for (magic, place) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let headers: Vec<usize> = (0..bytes.len() - 4)
            .filter(|start| bytes[*start..].starts_with(magic))
            .collect();
        for start in headers {
            bytes[start + place] |= 1;
        }
    }
    let report = look("a.apk", &bytes);
    assert_eq!(codes(&report), ["archive.encrypted"], "{report:#?}");
    assert_eq!(
        (&report.facts["app_id"], &report.facts["signed"]),
        (&json!("com.acme.tiny"), &json!(true))
    );
}

#[test]
fn names_are_utf8() {
    let named = |name: &[u8; 4]| {
        let mut bytes = with(V1, &[("META-INF/QQQQ", b"x", false)]);
        while let Some(place) = bytes.windows(4).position(|window| window == b"QQQQ") {
            bytes[place..place + 4].copy_from_slice(name);
        }
        codes(&look("a.apk", &bytes)).join(" ")
    };
    assert_eq!(named("\u{1F680}".as_bytes().try_into().unwrap()), "");
    for name in [b"\xE4\xF6\xFC\xDF", b"a\0bc", b"\x80abc", b"abc\xC3"] {
        assert_eq!(named(name), "apk.member_name", "{name:?}");
    }
}

#[test]
fn resources_and_libraries_can_be_used_where_they_stand() {
    let resources = |is_compressed| ("resources.arsc", &b"resources"[..], is_compressed);
    let library = |name, is_compressed| (name, &b"library"[..], is_compressed);
    let (arm, x86) = ("lib/arm64-v8a/libacme.so", "lib/x86/libacme.so");
    // What is not aligned is as bad as what is compressed.
    let cases: [(&[Member<'_>], &str, Severity); 5] = [
        (&[resources(false)], "", Severity::Info),
        (&[resources(true)], "apk.resources_packing", Severity::Warning),
        (
            &[("a", b"", false), resources(false)],
            "apk.resources_packing",
            Severity::Warning,
        ),
        (&[library(arm, true)], "apk.library_packing", Severity::Warning),
        (&[library(arm, false)], "apk.library_packing", Severity::Warning),
    ];
    let check = |package: &[u8], code: &str, severity: Severity| {
        let report = look("a.apk", package);
        let mut findings = report.findings.iter();
        let found = findings.find(|finding| finding.code.ends_with("_packing"));
        let expected = (!code.is_empty()).then_some((code, severity));
        assert_eq!(
            found.map(|finding| (&*finding.code, finding.severity)),
            expected,
            "{report:#?}"
        );
    };
    for (before, code, severity) in cases {
        check(&with(PACKING, before), code, severity);
    }
    check(
        &with(&for_android_11(PACKING), &[resources(true)]),
        "apk.resources_packing",
        Severity::Error,
    );
    check(
        &with(&for_android_11(PACKING), &[library(arm, true)]),
        "apk.library_packing",
        Severity::Error,
    );
    // The others may be right for their processor.
    let filling = vec![0; 4096 - 30 - "f".len() - 30 - arm.len()];
    let some = [("f", &filling[..], false), library(arm, false), library(x86, true)];
    check(
        &with(&for_android_11(PACKING), &some),
        "apk.library_packing",
        Severity::Warning,
    );
}

#[test]
fn a_set_needs_no_table_of_contents_and_its_base_is_no_split() {
    for name in ["acme.apks", "acme.apkm"] {
        let report = look(name, SET);
        assert_eq!(codes(&report), ["apk.no_v1_signature"], "{report:#?}");
        assert_eq!(report.format.as_str(), "apks");
        assert_eq!(
            (&report.facts["version"], report.facts.get("split")),
            (&json!("1"), None)
        );
    }
}

#[test]
fn splits_tell_their_processors_by_name_or_by_what_is_in_them() {
    let set = members(SET);
    let base = &set[0].1;
    let archs = |members: &[Member<'_>]| look("acme.apks", &packed(members)).facts.get("archs").cloned();
    let counted: [Member<'_>; 2] = [("base.apk", base, false), ("splits/base-x86_64_2.apk", base, false)];
    assert_eq!(archs(&counted), Some(json!(["x86_64"])));
    let with_library = with(base, &[("lib/x86/libacme.so", b"", false)]);
    let standalone: [Member<'_>; 1] = [("standalones/standalone-x86_hdpi.apk", &with_library, false)];
    let set = [&[("toc.pb", &b""[..], false)], &standalone[..]].concat();
    assert_eq!(archs(&set), Some(json!(["x86"])));
}

#[test]
fn damaged_resources_do_not_hide_the_manifest() {
    let mut bytes = with(V1, &[("resources.arsc", b"damaged resources", false)]);
    let place = bytes.windows(7).position(|window| window == b"damaged").unwrap();
    bytes[place] ^= 1;
    assert_eq!(look("a.apk", &bytes).facts["app_id"], "com.acme.tiny");
}
