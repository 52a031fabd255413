//! Every way in which a manifest is wrong, with its code and its place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "manifest/schema.rs"]
mod schema;

use dist_api::ArtifactsAdd;
use dist_api::manifest::{Form, Manifest, Overrides};
use dist_model::{Platform, Refusal};
use proptest::prelude::*;
use serde_json::{Value, json};

const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// A manifest with every key of the contract.
fn full() -> Value {
    json!({
        "$schema": "https://example.org/dist.schema.json",
        "app": "acme-app", "display_name": "Acme",
        "version": "2.4.0", "build": "812", "channel": "beta", "notes": "Fixes login.",
        "source": {"commit": "abc", "branch": "main", "run_url": "https://ci.example.org/7"},
        "artifacts": [
            {"platform": "android_apk", "path": "out/acme.apk"},
            {"platform": "ios", "path": "out/*.ipa", "filename": "Acme-2.4.0.ipa", "arch": "arm64",
             "package_type": "ipa", "content_type": "application/octet-stream", "sha256": SHA,
             "size_bytes": 123, "metadata": {"flavor": "prod"}},
        ],
    })
}

/// `full` with the value at `pointer` replaced, or removed where it is `None`.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut manifest = full();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = manifest.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(map), Some(value)) => drop(map.insert(key.to_owned(), value)),
        (Value::Object(map), None) => drop(map.remove(key)),
        (Value::Array(list), Some(value)) => list[key.parse::<usize>().unwrap()] = value,
        _ => panic!("no place {pointer}"),
    }
    manifest
}

fn parse(manifest: &Value) -> Result<Manifest, Refusal> {
    Manifest::parse(&serde_json::to_vec(manifest).unwrap(), Form::File)
}

fn refuse(text: impl AsRef<[u8]>) -> Refusal {
    Manifest::parse(text.as_ref(), Form::File).unwrap_err()
}

#[test]
fn a_full_manifest_is_read() {
    let manifest = parse(&full()).unwrap();
    assert_eq!(manifest.app.as_str(), "acme-app");
    assert_eq!(manifest.build.as_str(), "812");
    assert_eq!(manifest.source.run_url.as_deref(), Some("https://ci.example.org/7"));
    let ipa = &manifest.artifacts[1];
    assert_eq!(ipa.platform, Some(Platform::Ios));
    assert_eq!(ipa.size_bytes, Some(123));
    assert_eq!(ipa.metadata["flavor"], "prod");
    assert!(!manifest.draft);
}

#[test]
fn the_least_manifest_is_read_in_both_forms() {
    let file = br#"{"app":"a","version":"1","artifacts":[{"path":"x"}]}"#;
    assert!(Manifest::parse(file, Form::File).unwrap().build.is_none());
    let request = format!(r#"{{"app":"a","version":"1","draft":true,"artifacts":[{{"sha256":"{SHA}"}}]}}"#);
    assert!(Manifest::parse(request.as_bytes(), Form::Request).unwrap().draft);
    let draft = br#"{"app":"a","version":"1","draft":true,"artifacts":[]}"#;
    assert!(Manifest::parse(draft, Form::Request).unwrap().artifacts.is_empty());
    let marked = [b"\xef\xbb\xbf".as_slice(), file].concat();
    assert!(
        Manifest::parse(&marked, Form::File).is_ok(),
        "a byte order mark is skipped"
    );
}

#[test]
fn each_wrong_field_has_its_code_and_place() {
    let cases: &[(&str, Value, &str)] = &[
        ("/app", json!("Acme"), "app.invalid_slug"),
        ("/app", json!(7), "manifest.invalid_field"),
        ("/app", json!(null), "manifest.missing_field"),
        ("/version", json!("-1"), "release.invalid_version"),
        ("/version", json!(2.4), "manifest.invalid_field"),
        ("/build", json!("a b"), "release.invalid_build"),
        ("/build", json!(812), "manifest.invalid_field"),
        ("/channel", json!("Beta!"), "channel.invalid_name"),
        ("/display_name", json!(""), "manifest.invalid_field"),
        ("/display_name", json!("a\u{1b}[31m"), "manifest.invalid_field"),
        ("/notes", json!(["x"]), "manifest.invalid_field"),
        ("/notes_file", json!("CHANGES.md"), "manifest.invalid_field"),
        ("/source", json!("main"), "manifest.invalid_field"),
        (
            "/source/run_url",
            json!("javascript:alert(1)"),
            "manifest.invalid_field",
        ),
        ("/source/comit", json!("x"), "manifest.unknown_key"),
        ("/artifacts", json!({}), "manifest.invalid_field"),
        ("/artifacts/0", json!("x.apk"), "manifest.invalid_field"),
        ("/artifacts/0/platform", json!("amiga"), "manifest.unknown_platform"),
        ("/artifacts/0/path", json!(""), "manifest.invalid_field"),
        ("/artifacts/0/path", json!(null), "manifest.missing_field"),
        ("/artifacts/0/filename", json!("../x"), "artifact.invalid_filename"),
        ("/artifacts/0/arch", json!("arm 64"), "manifest.invalid_field"),
        ("/artifacts/0/content_type", json!("zip"), "manifest.invalid_field"),
        (
            "/artifacts/0/content_type",
            json!("a/b\r\nX: y"),
            "manifest.invalid_field",
        ),
        ("/artifacts/0/sha256", json!("abc"), "digest.invalid"),
        ("/artifacts/0/size_bytes", json!(-1), "manifest.invalid_field"),
        ("/artifacts/0/size_bytes", json!(1.5), "manifest.invalid_field"),
        ("/artifacts/0/metadata", json!([]), "manifest.invalid_field"),
        ("/artifacts/0/pth", json!("x"), "manifest.unknown_key"),
        ("/draft", json!(true), "manifest.unknown_key"),
    ];
    for (pointer, value, code) in cases {
        let refusal = parse(&with(pointer, Some(value.clone()))).unwrap_err();
        assert_eq!(refusal.code.as_str(), *code, "{pointer} = {value}: {refusal}");
        assert_eq!(refusal.details["field"], *pointer, "{refusal}");
        assert_eq!(refusal.code.kind().exit_code(), 7, "{pointer}");
    }
}

#[test]
fn each_missing_field_is_named() {
    for pointer in ["/app", "/version", "/artifacts", "/artifacts/0/path"] {
        let refusal = parse(&with(pointer, None)).unwrap_err();
        assert_eq!(refusal.code.as_str(), "manifest.missing_field", "{pointer}");
        assert_eq!(refusal.details["field"], pointer);
    }
    let none = parse(&with("/artifacts", Some(json!([])))).unwrap_err();
    assert_eq!(none.details["field"], "/artifacts/0");
}

#[test]
fn the_command_line_stands_in_for_fields() {
    let overrides = Overrides {
        app: Some("other".parse().unwrap()),
        version: Some("9".parse().unwrap()),
        ..Overrides::default()
    };
    let text = serde_json::to_vec(&with("/version", None)).unwrap();
    let manifest = Manifest::parse_with(&text, Form::File, &overrides).unwrap();
    assert_eq!((manifest.app.as_str(), manifest.version.as_str()), ("other", "9"));
}

#[test]
fn a_request_names_digests_and_no_paths() {
    let request = |artifact: Value| {
        let text = json!({"app": "a", "version": "1", "artifacts": [artifact]}).to_string();
        Manifest::parse(text.as_bytes(), Form::Request).unwrap_err()
    };
    assert_eq!(
        request(json!({"platform": "ios"})).code.as_str(),
        "manifest.missing_field"
    );
    let path = request(json!({"sha256": SHA, "path": "x"}));
    assert_eq!(path.code.as_str(), "manifest.unknown_key");
    let more = ArtifactsAdd::parse(format!(r#"{{"artifacts":[{{"sha256":"{SHA}"}}]}}"#).as_bytes()).unwrap();
    assert_eq!(more.artifacts[0].sha256, Some(SHA.parse().unwrap()));
    assert!(ArtifactsAdd::parse(br#"{"artifacts":[{}]}"#).is_err());
}

#[test]
fn what_is_not_json_says_where() {
    let refusal = refuse("{\n  \"app\": \"a\",,\n}");
    assert_eq!(refusal.code.as_str(), "manifest.invalid_json");
    assert_eq!(
        (&refusal.details["line"], &refusal.details["column"]),
        (&json!(2), &json!(14))
    );
    for text in ["", "{", "{} {}", "{\"app\": \"\\ud800\"}"] {
        assert_eq!(refuse(text).code.as_str(), "manifest.invalid_json", "{text}");
    }
    assert_eq!(refuse(b"{\"app\":\"\xff\"}").code.as_str(), "manifest.invalid_json");
    assert_eq!(refuse("[".repeat(100_000)).code.as_str(), "manifest.invalid_json");
    assert_eq!(refuse("[]").code.as_str(), "manifest.invalid_field");
}

#[test]
fn a_key_that_stands_twice_is_refused_at_every_depth() {
    for text in [
        r#"{"app":"a","app":"b"}"#,
        r#"{"artifacts":[{"metadata":{"a":1,"a":2}}]}"#,
    ] {
        let refusal = refuse(text);
        assert_eq!(refusal.code.as_str(), "manifest.invalid_json");
        assert!(refusal.message.contains("stands twice"), "{refusal}");
    }
}

#[test]
fn a_manifest_over_a_mebibyte_is_not_read() {
    let refusal = refuse(vec![b' '; (1 << 20) + 1]);
    assert_eq!(refusal.code.as_str(), "request.too_large");
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let cases = [
        ("artefacts", Some("artifacts")),
        ("verison", Some("version")),
        ("chanel", Some("channel")),
        ("xyzzy", None),
    ];
    for (key, near) in cases {
        let refusal = parse(&with(&format!("/{key}"), Some(json!(1)))).unwrap_err();
        assert_eq!(
            refusal.details.get("nearest"),
            near.map(Value::from).as_ref(),
            "{refusal}"
        );
    }
}

proptest! {
    #[test]
    fn what_was_read_is_read_again_from_its_own_json(
        app in "[a-z0-9]{1,20}", version in "[0-9][a-z0-9.+~-]{0,20}", build in "[0-9]{0,5}",
        notes in proptest::option::of(".{0,50}"), size in proptest::option::of(any::<u64>()), draft: bool,
    ) {
        let text = json!({"app": app, "version": version, "build": build, "notes": notes, "draft": draft,
            "artifacts": [{"sha256": SHA, "size_bytes": size}]});
        let manifest = Manifest::parse(text.to_string().as_bytes(), Form::Request).unwrap();
        let again = serde_json::to_vec(&manifest).unwrap();
        prop_assert_eq!(Manifest::parse(&again, Form::Request).unwrap(), manifest);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::parse(&bytes, Form::File);
    }

    #[test]
    fn no_json_makes_it_panic(text in r#"[\[\]{}:,"a-z0-9]{0,60}"#) {
        let _ = Manifest::parse(text.as_bytes(), Form::Request);
    }
}
