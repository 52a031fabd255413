//! Android packages made from the documented formats, since no tool at hand makes them: one whose key
//! changes with Android 13, and sets of splits that do and do not belong together. What apksigner 31
//! knows of them, v3, it verifies.

#![allow(clippy::unwrap_used)]

use dist_inspect::{Context, Report, Severity, inspect};
use serde_json::json;

const ROTATED: &[u8] = include_bytes!("data/android/rotated.apk");
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
fn a_key_that_is_replaced_from_android_13_on_is_the_newer_one() {
    let report = look("rotated.apk", ROTATED);
    assert_eq!(codes(&report), <[&str; 0]>::default(), "{report:#?}");
    assert_eq!(report.facts["signer"], "CN=New");
    let schemes = json!({"v1": false, "v2": false, "v3": true, "v3.1": true});
    assert_eq!(report.facts["apk_signature_schemes"], schemes);
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
