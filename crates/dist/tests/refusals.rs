//! Bad input: its own code, its exit code, and a store exactly as it was.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::json;
use support::{Kind, World, deb, large_deb};

/// Expects every case to be refused, on both kinds of target, without a trace.
fn check(prepare: impl Fn(&World), cases: &[(&str, &str, i32)]) {
    for kind in [Kind::Local, Kind::Remote] {
        let world = World::new(kind);
        prepare(&world);
        let before = world.snapshot();
        for (line, code, exit) in cases {
            let arguments: Vec<&str> = line.split_whitespace().chain(["--json"]).collect();
            world.run(&arguments).refused(code, *exit);
            assert_eq!(world.snapshot(), before, "{kind:?}: {line}");
        }
    }
}

fn published(world: &World) {
    for name in ["one", "two", "new"] {
        world.write(&format!("{name}.deb"), deb(name));
    }
    for version in ["1.0", "1.1"] {
        world.json(&[
            "ci",
            "publish",
            "--app",
            "acme",
            "--version",
            version,
            "--channel",
            "beta",
            "one.deb",
        ]);
    }
    world.json(&["ci", "publish", "--app", "other", "--version", "5.0", "two.deb"]);
    world.json(&[
        "ci",
        "publish",
        "--app",
        "acme",
        "--version",
        "2.0",
        "--draft",
        "two.deb",
    ]);
    world.json(&["ci", "publish", "--app", "acme", "--version", "0.9", "one.deb"]);
    world.json(&["release", "yank", "--app", "acme", "0.9"]);
    world.json(&[
        "channel",
        "set",
        "--app",
        "acme",
        "--channel",
        "gate",
        "--policy",
        "promote_only",
    ]);
    world.json(&[
        "release",
        "promote",
        "--app",
        "acme",
        "--channel",
        "fresh",
        "--release",
        "1.0",
    ]);
}

#[test]
fn manifests_and_files() {
    let prepare = |world: &World| {
        published(world);
        let artifact = |more: serde_json::Value| {
            let mut artifact = json!({"path": "new.deb"});
            artifact
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({"app": "acme", "version": "3.0", "artifacts": [artifact]})
        };
        let top = |more: serde_json::Value| {
            let mut manifest = artifact(json!({}));
            manifest
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            manifest
        };
        for (name, manifest) in [
            ("key", top(json!({"chanel": "beta"}))),
            ("missing", top(json!({"version": null}))),
            ("slug", top(json!({"app": "Acme!"}))),
            ("version", top(json!({"version": " "}))),
            ("channel", top(json!({"channel": "-"}))),
            ("type", top(json!({"build": 7}))),
            ("notes", top(json!({"notes_file": "none.md"}))),
            ("platform", artifact(json!({"platform": "amiga"}))),
            ("windows", artifact(json!({"platform": "windows"}))),
            ("path", artifact(json!({"path": "none.deb"}))),
            ("glob", artifact(json!({"path": "*.none"}))),
            ("several", artifact(json!({"path": "*.deb"}))),
            ("folder", artifact(json!({"path": "folder"}))),
            ("empty", artifact(json!({"path": "empty.deb"}))),
            ("unreadable", artifact(json!({"path": "/proc/self/mem"}))),
            ("size", artifact(json!({"size_bytes": 1}))),
            ("digest", artifact(json!({"sha256": "00".repeat(32)}))),
            ("fake", artifact(json!({"path": "fake.apk"}))),
            ("unknown", artifact(json!({"path": "unknown"}))),
        ] {
            world.write(&format!("{name}.json"), manifest.to_string());
        }
        world.write("text.json", "{not json");
        world.write("empty.deb", "");
        world.write("fake.apk", "<html>404</html>");
        world.write("unknown", "hello");
        std::fs::create_dir(world.work().join("folder")).unwrap();
    };
    check(
        prepare,
        &[
            ("ci publish", "manifest.not_found", 3),
            ("ci publish --manifest text.json", "manifest.invalid_json", 7),
            ("ci publish --manifest key.json", "manifest.unknown_key", 7),
            ("ci publish --manifest missing.json", "manifest.missing_field", 7),
            ("ci publish --manifest slug.json", "app.invalid_slug", 7),
            ("ci publish --manifest version.json", "release.invalid_version", 7),
            ("ci publish --manifest channel.json", "channel.invalid_name", 7),
            ("ci publish --manifest type.json", "manifest.invalid_field", 7),
            ("ci publish --manifest notes.json", "manifest.invalid_field", 7),
            ("ci publish --manifest platform.json", "manifest.unknown_platform", 7),
            ("ci publish --manifest windows.json", "artifact.platform_mismatch", 7),
            ("ci publish --manifest path.json", "artifact.path_not_found", 7),
            ("ci publish --manifest glob.json", "artifact.path_not_found", 7),
            ("ci publish --manifest several.json", "artifact.path_ambiguous", 7),
            ("ci publish --manifest folder.json", "artifact.not_a_file", 7),
            ("ci publish --manifest empty.json", "artifact.empty", 7),
            ("ci publish --manifest unreadable.json", "artifact.unreadable", 7),
            ("ci publish --manifest size.json", "artifact.size_mismatch", 7),
            ("ci publish --manifest digest.json", "artifact.digest_mismatch", 7),
            ("ci publish --manifest fake.json", "artifact.validation_failed", 7),
            ("ci publish --manifest unknown.json", "artifact.platform_unknown", 7),
            ("ci publish --app Acme! --version 1 new.deb", "app.invalid_slug", 7),
            (
                "ci publish --app acme --version !1 new.deb",
                "release.invalid_version",
                7,
            ),
            (
                "ci publish --app acme --version 1 --build ! new.deb",
                "release.invalid_build",
                7,
            ),
            (
                "ci publish --app acme --version 1 --channel ! new.deb",
                "channel.invalid_name",
                7,
            ),
            (
                "ci publish --app acme --version 3.0 new.deb new.deb",
                "artifact.duplicate",
                7,
            ),
        ],
    );
}

#[test]
fn releases_and_channels() {
    check(
        published,
        &[
            ("ci publish --app acme --version 1.0 new.deb", "release.conflict", 5),
            ("ci publish --app acme --version 0.9 one.deb", "release.yanked", 5),
            ("ci publish --app acme --version 2.0 new.deb", "release.is_draft", 5),
            (
                "ci publish --app acme --version 3.0 --channel gate new.deb",
                "policy.promote_only",
                6,
            ),
            (
                "release promote --app acme --channel beta --release 7.7",
                "release.not_found",
                3,
            ),
            (
                "release promote --app acme --channel beta --release 5.0",
                "release.not_found",
                3,
            ),
            (
                "release promote --app acme --channel beta --release 2.0",
                "release.is_draft",
                5,
            ),
            (
                "release promote --app acme --channel beta --release 0.9",
                "release.yanked",
                5,
            ),
            (
                "release promote --app none --channel beta --release 1.0",
                "app.not_found",
                3,
            ),
            (
                "release promote --app acme --from-channel none --to-channel beta",
                "channel.not_found",
                3,
            ),
            (
                "release promote --app acme --from-channel gate --to-channel beta",
                "channel.empty",
                5,
            ),
            (
                "release promote --app acme --channel beta --release 1.0 --if-current 1",
                "channel.moved",
                5,
            ),
            ("release rollback --app acme --channel fresh", "channel.no_previous", 5),
            ("release rollback --app acme --channel none", "channel.not_found", 3),
            (
                "release rollback --app acme --channel beta --if-current 9",
                "channel.moved",
                5,
            ),
            ("release yank --app acme 1.0", "release.in_use", 5),
            ("release yank --app acme 2.0", "release.is_draft", 5),
            ("release discard --app acme 1.0", "release.not_draft", 5),
            ("release publish --app acme 2.0 --require ios", "release.incomplete", 7),
            (
                "release publish --app acme 2.0 --require amiga",
                "manifest.unknown_platform",
                7,
            ),
            (
                "channel set --app acme --channel beta --rollout 101",
                "channel.invalid",
                7,
            ),
            ("app create acme", "app.exists", 5),
            ("app set acme --ios-mode testflight", "app.testflight_url_required", 7),
            (
                "app set acme --testflight-url https://testflight.apple.com.evil/x",
                "app.testflight_url_required",
                7,
            ),
            ("app set acme --ios-mode enterprise", "app.bundle_id_required", 7),
            ("app set acme --allow-platforms amiga", "manifest.unknown_platform", 7),
            ("token create --name admin --scope read", "token.exists", 5),
            (
                "token create --name x --scope read --expires 2001-01-01T00:00:00Z",
                "token.invalid",
                7,
            ),
            ("token revoke none", "token.not_found", 3),
            ("link create --app acme --channel nope", "channel.not_found", 3),
            (
                "link create --app acme --channel beta --expires 400d",
                "link.invalid",
                7,
            ),
            ("link create --app acme --channel beta --expires soon", "usage.error", 2),
            ("link list --app nope", "app.not_found", 3),
            ("link revoke none --app acme", "link.not_found", 3),
            ("audit list --cursor x", "cursor.invalid", 7),
        ],
    );
}

#[test]
fn credentials() {
    let world = World::new(Kind::Remote);
    published(&world);
    let app = world.token("app", &["--scope", "publish", "--app", "other"]);
    let channel = world.token("channel", &["--scope", "publish", "--channel", "nightly"]);
    let reader = world.token("reader", &["--scope", "read"]);
    let revoked = world.token("revoked", &["--scope", "admin"]);
    let id = world.json(&["token", "list"])["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "revoked")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    world.json(&["token", "revoke", &id]);
    world
        .run(&["token", "revoke", &id, "--json"])
        .refused("token.already_revoked", 5);
    let soon = world.token("soon", &["--scope", "admin", "--expires", "1s"]);
    let unknown = format!("dist_{}", "0".repeat(64));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let before = world.snapshot();
    let publish = [
        "ci",
        "publish",
        "--app",
        "acme",
        "--version",
        "4.0",
        "--channel",
        "beta",
        "new.deb",
        "--json",
    ];
    for (token, code) in [
        (app.as_str(), "auth.app_forbidden"),
        (&channel, "auth.channel_forbidden"),
        (&reader, "auth.missing_scope"),
        (&revoked, "auth.revoked"),
        (&soon, "auth.expired"),
        (&unknown, "auth.unknown_token"),
        ("dist_short", "auth.malformed"),
        ("", "auth.missing"),
    ] {
        let run = world.run_as(token, &publish);
        run.refused(code, 4);
        assert!(
            token.len() < 60 || !format!("{}{}", run.stdout, run.stderr).contains(token),
            "{code}"
        );
        assert_eq!(world.snapshot(), before, "{code}");
    }
    for (token, line, code) in [
        (&reader, "app create fresh", "auth.missing_scope"),
        (
            &app,
            "release promote --app acme --channel beta --release 1.0",
            "auth.app_forbidden",
        ),
        (
            &channel,
            "release rollback --app acme --channel beta",
            "auth.channel_forbidden",
        ),
        (&app, "store cleanup", "auth.missing_scope"),
        (&reader, "token list", "auth.missing_scope"),
    ] {
        let arguments: Vec<&str> = line.split_whitespace().chain(["--json"]).collect();
        world.run_as(token, &arguments).refused(code, 4);
        assert_eq!(world.snapshot(), before, "{line}");
    }
}

#[test]
fn an_upload_over_the_limit_is_refused_whatever_its_way() {
    let limits = distd::Limits {
        upload_bytes: 1 << 20,
        ..distd::Limits::default()
    };
    let world = World::with_limits(Kind::Remote, limits);
    for size in [16 << 20, (64 << 20) + 2] {
        large_deb(&world.write("large.deb", ""), size);
        let before = world.snapshot();
        let arguments = [
            "ci",
            "publish",
            "--app",
            "acme",
            "--version",
            "1",
            "large.deb",
            "--json",
        ];
        world.run(&arguments).refused("upload.too_large", 7);
        assert_eq!(world.snapshot(), before, "{size}");
    }
}

#[test]
fn stores_that_are_not_ours_are_left_alone() {
    let world = World::new(Kind::Local);
    let refused = |name: &str, code: &str, exit: i32| {
        let store = world.work().join(name);
        let arguments = ["app", "list", "--local-store", store.to_str().unwrap(), "--json"];
        world.run(&arguments).refused(code, exit);
    };
    world.write("broken/db.json", r#"{"apps": [{"id": "1", "slug":"#);
    refused("broken", "import.invalid", 7);
    assert!(world.work().join("broken/db.json").is_file());
    world.write(
        "foreign/dist.db",
        "not a database at all, but long enough to have a header of a hundred bytes or so, which SQLite looks at.",
    );
    refused("foreign", "store.foreign", 5);
    let arguments = ["app", "create", "acme", "--local-store", "/proc/none", "--json"];
    assert_ne!(world.run(&arguments).code, 0);
}
