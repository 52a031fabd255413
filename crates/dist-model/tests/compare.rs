//! What differs between two releases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use dist_model::{Artifact, ArtifactComparison, Digest, Platform, ValidationStatus, compare};
use serde_json::{Value, json};

fn artifact(filename: &str, arch: &str, size_bytes: u64, facts: &Value) -> Artifact {
    let byte = u8::try_from(size_bytes % 256).unwrap();
    Artifact {
        id: filename.parse().unwrap(),
        app_id: "a".parse().unwrap(),
        release_id: "r".parse().unwrap(),
        platform: Platform::AndroidApk,
        arch: arch.to_owned(),
        package_type: "apk".to_owned(),
        filename: filename.parse().unwrap(),
        content_type: String::new(),
        size_bytes,
        sha256: Digest::from_bytes([byte; 32]),
        storage_key: String::new(),
        metadata: json!({"inspection": {"facts": facts}}).as_object().cloned().unwrap(),
        validation_status: ValidationStatus::Passed,
    }
}

fn facts(before: &Value, after: &Value) -> ArtifactComparison {
    let compared = compare(
        &[artifact("a-1.apk", "", 1, before)],
        &[artifact("a-2.apk", "", 3, after)],
    );
    compared.artifacts.into_iter().next().unwrap()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Processors and file names.
type Files = &'static [(&'static str, &'static str)];

#[test]
fn artifacts_are_matched_by_kind_then_name_then_order() {
    let none = json!({});
    let named = |arch: &str, filename: &str| artifact(filename, arch, 1, &none);
    // Each case: before, after, and the pairs as `before>after`.
    let cases: &[(Files, Files, &[&str])] = &[
        (&[("", "a-1")], &[("", "a-2")], &["a-1>a-2"]),
        (&[("arm64", "a")], &[("x86_64", "a")], &["a>-", "->a"]),
        (&[("", "a"), ("", "b")], &[("", "b"), ("", "c")], &["b>b", "a>c"]),
        (&[("", "a-1"), ("", "b-1")], &[("", "a-2")], &["a-1>a-2", "b-1>-"]),
        (&[], &[("", "a")], &["->a"]),
        (&[], &[], &[]),
    ];
    for (before, after, expected) in cases {
        let make = |side: Files| -> Vec<Artifact> { side.iter().map(|(arch, name)| named(arch, name)).collect() };
        let compared = compare(&make(before), &make(after));
        let name = |side: &Option<Artifact>| side.as_ref().map_or("-".to_owned(), |it| it.filename.to_string());
        let pairs: Vec<String> = compared
            .artifacts
            .iter()
            .map(|pair| format!("{}>{}", name(&pair.before), name(&pair.after)))
            .collect();
        assert_eq!(pairs, *expected);
    }
}

#[test]
fn lists_tell_what_came_and_went() {
    for fact in [
        "permissions",
        "features",
        "optional_features",
        "capabilities",
        "url_schemes",
    ] {
        let compared = facts(&json!({fact: ["a", "b"]}), &json!({fact: ["c", "b"]}));
        let [change] = &compared.lists[..] else {
            panic!("{fact}: {compared:?}")
        };
        assert_eq!(
            (change.fact, &change.came, &change.went),
            (fact, &set(&["c"]), &set(&["a"]))
        );
        assert_eq!(compared.facts, []);
    }
}

#[test]
fn the_order_of_a_list_is_no_change() {
    let compared = facts(&json!({"permissions": ["a", "b"]}), &json!({"permissions": ["b", "a"]}));
    assert_eq!((compared.lists, compared.facts), (vec![], vec![]));
}

#[test]
fn entitlements_come_go_and_change() {
    let compared = facts(
        &json!({"entitlements": {"a": true, "b": 1}}),
        &json!({"entitlements": {"b": 2, "c": ["x"]}}),
    );
    assert_eq!(
        (&compared.lists[0].came, &compared.lists[0].went),
        (&set(&["c"]), &set(&["a"]))
    );
    let [change] = &compared.facts[..] else {
        panic!("{compared:?}")
    };
    assert_eq!(
        (&*change.fact, &change.before, &change.after),
        ("entitlements.b", &Some(json!(1)), &Some(json!(2)))
    );
}

#[test]
fn another_signer_and_another_system_stand_by_themselves() {
    let compared = facts(
        &json!({"cert_sha256": ["aa"], "min_os": "24", "version": "1", "app_id": "dev.acme"}),
        &json!({"cert_sha256": ["bb"], "min_os": "26", "version": "2", "app_id": "dev.acme"}),
    );
    assert_eq!(compared.signer[0].fact, "cert_sha256");
    assert_eq!(compared.min_os.as_ref().unwrap().after, Some(json!("26")));
    let names: Vec<&str> = compared.facts.iter().map(|change| &*change.fact).collect();
    assert_eq!(names, ["version"]);
}

#[test]
fn sizes_and_bytes_are_compared() {
    let compared = facts(&json!({}), &json!({}));
    assert_eq!((compared.size_difference(), compared.is_same()), (Some(2), false));
    let one = artifact("a", "", 1, &json!({}));
    let same = compare(std::slice::from_ref(&one), std::slice::from_ref(&one));
    assert!(same.artifacts[0].is_same());
    let gone = compare(std::slice::from_ref(&one), &[]);
    assert_eq!(
        (gone.artifacts[0].size_difference(), gone.artifacts[0].is_same()),
        (None, false)
    );
}

#[test]
fn what_nobody_looked_into_has_no_changes() {
    let mut unknown = artifact("a", "", 1, &json!({}));
    unknown.metadata.clear();
    let known = artifact("a", "", 2, &json!({"permissions": ["a"]}));
    let compared = compare(&[unknown], &[known]);
    assert_eq!(
        (&compared.artifacts[0].lists, &compared.artifacts[0].facts),
        (&vec![], &vec![])
    );
}
