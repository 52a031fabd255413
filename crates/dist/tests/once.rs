//! What is done once: under one key, of two at the same time, and what cannot be undone twice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Kind, World, deb, large_deb};

#[test]
fn one_key_does_a_thing_once() {
    for kind in [Kind::Local, Kind::Remote] {
        let world = World::new(kind);
        world.write("a.deb", deb("a"));
        // A length of time, which would be another time at the second run.
        let create = "token create --name a --scope read --expires 90d --idempotency-key k";
        let create: Vec<&str> = create.split(' ').collect();
        let (first, again) = (world.json(&create), world.json(&create));
        assert!(first["secret"].is_string() && again["secret"].is_null(), "{kind:?}");
        assert_eq!(first["token"], again["token"]);
        assert!(first["token"]["expires_at"].is_string(), "{first}");
        let other = [
            "token",
            "create",
            "--name",
            "b",
            "--scope",
            "read",
            "--idempotency-key",
            "k",
            "--json",
        ];
        world.run(&other).refused("idempotency.mismatch", 5);
        let publish = [
            "ci",
            "publish",
            "--app",
            "a",
            "--version",
            "1",
            "a.deb",
            "--idempotency-key",
            "p",
        ];
        assert_eq!(world.json(&publish)["status"], "published");
        assert_eq!(world.json(&publish)["status"], "published", "the first answer again");
    }
}

#[test]
fn a_key_is_for_one_build_of_a_version() {
    for kind in [Kind::Local, Kind::Remote] {
        let world = World::new(kind);
        for build in ["1", "2"] {
            world.write("a.deb", deb(build));
            let publish = [
                "ci",
                "publish",
                "--app",
                "a",
                "--version",
                "1",
                "--build",
                build,
                "a.deb",
            ];
            world.json(&publish);
        }
        let yank = |build| {
            let line = ["release", "yank", "--app", "a", "1", "--build", build];
            world.run(&[&line[..], &["--idempotency-key", "k", "--json"]].concat())
        };
        assert_eq!(yank("1").json()["status"], "yanked", "{kind:?}");
        yank("2").refused("idempotency.mismatch", 5);
    }
}

#[test]
fn a_large_file_goes_in_parts_and_only_once() {
    const SIZE: u64 = (64 << 20) + 4098;
    let world = World::new(Kind::Remote);
    large_deb(&world.write("large.deb", ""), SIZE);
    let publish = |version: &str| world.json(&["ci", "publish", "--app", "a", "--version", version, "large.deb"]);
    let first = publish("1");
    assert_eq!(first["artifacts"][0]["size_bytes"], SIZE);
    publish("2");
    let uploads = world.json(&["audit", "list", "--action", "object.uploaded"]);
    assert_eq!(
        uploads["items"].as_array().unwrap().len(),
        1,
        "the second release uploads nothing"
    );
    assert_eq!(world.json(&["store", "verify"])["ok"], true);
}

/// Both start before either ends, on a folder and on a server.
fn at_once(world: &World, commands: [&[&str]; 2]) -> [support::Run; 2] {
    let children = commands.map(|arguments| {
        let arguments = [arguments, &["--json"]].concat();
        let mut command = world.command(&arguments);
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        (arguments.join(" "), command.spawn().unwrap())
    });
    children.map(|(line, child)| {
        let output = child.wait_with_output().unwrap();
        support::Run {
            line,
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    })
}

#[test]
fn of_two_at_once_one_wins() {
    for kind in [Kind::Local, Kind::Remote] {
        let world = World::new(kind);
        for name in ["a", "b"] {
            world.write(&format!("{name}.deb"), deb(name));
        }
        for version in ["1", "2", "3"] {
            let publish = [
                "ci",
                "publish",
                "--app",
                "acme",
                "--channel",
                "beta",
                "--version",
                version,
            ];
            let [a, b] = at_once(
                &world,
                [
                    &[&publish[..], &["a.deb"]].concat(),
                    &[&publish[..], &["b.deb"]].concat(),
                ],
            );
            let (winner, loser) = if a.code == 0 { (a, b) } else { (b, a) };
            assert_eq!(
                (winner.code, &winner.json()["status"]),
                (0, &"published".into()),
                "{}",
                winner.stdout
            );
            loser.refused("release.conflict", 5);
        }
        let promote = |version| {
            [
                "release",
                "promote",
                "--app",
                "acme",
                "--channel",
                "stable",
                "--if-current",
                "0",
                "--release",
                version,
            ]
        };
        let [a, b] = at_once(&world, [&promote("1"), &promote("2")]);
        let (winner, loser) = if a.code == 0 { (a, b) } else { (b, a) };
        assert_eq!(
            (winner.code, &winner.json()["channel"]["revision"]),
            (0, &1.into()),
            "{}",
            winner.stdout
        );
        loser.refused("channel.moved", 5);
        assert_eq!(world.json(&["store", "verify"])["ok"], true);
    }
}

#[test]
fn a_token_is_revoked_once() {
    for kind in [Kind::Local, Kind::Remote] {
        let world = World::new(kind);
        let made = world.json(&[
            "token",
            "create",
            "--name",
            "ci",
            "--scope",
            "publish",
            "--expires",
            "90d",
        ]);
        let id = made["token"]["id"].as_str().unwrap();
        assert!(made["token"]["expires_at"].is_string());
        assert!(world.json(&["token", "revoke", id])["revoked_at"].is_string());
        world
            .run(&["token", "revoke", "--id", id, "--json"])
            .refused("token.already_revoked", 5);
        let listed = world.run(&["token", "list"]);
        assert!(listed.stdout.contains("revoked 20"), "{}", listed.stdout);
        assert!(!listed.stdout.contains(made["secret"].as_str().unwrap()));
    }
}

#[test]
fn a_tester_link_is_made_once_and_revoked_once() {
    for kind in [Kind::Local, Kind::Remote] {
        let world = World::new(kind);
        world.write("a.deb", deb("a"));
        world.json(&[
            "ci",
            "publish",
            "--app",
            "a",
            "--version",
            "1",
            "--channel",
            "beta",
            "a.deb",
        ]);
        let line = "link create --app a --channel beta --expires 30d --note Bob --idempotency-key k";
        let create: Vec<&str> = line.split(' ').collect();
        let made = world.json(&create);
        let again = world.json(&create);
        assert_eq!((&made["link"], again["url"].is_null()), (&again["link"], true));
        let (address, secret) = made["url"].as_str().unwrap().split_once("?link=").unwrap();
        assert!(address.ends_with("/install/a/beta") && secret.len() == 64, "{address}");
        let id = made["link"]["id"].as_str().unwrap();
        for (channel, listed) in [("beta", true), ("stable", false)] {
            world.run(&[
                "release",
                "promote",
                "--app",
                "a",
                "--channel",
                "stable",
                "--release",
                "1",
            ]);
            let list = world.run(&["link", "list", "--app", "a", "--channel", channel]);
            assert_eq!(list.stdout.contains(id), listed, "{}", list.stdout);
            assert!(!list.stdout.contains(secret), "{}", list.stdout);
        }
        assert!(world.json(&["link", "revoke", id, "--app", "a"])["revoked_at"].is_string());
        world
            .run(&["link", "revoke", "--id", id, "--app", "a", "--json"])
            .refused("link.already_revoked", 5);
        let listed = world.run(&["link", "list", "--app", "a"]).stdout;
        assert!(listed.contains("Bob") && listed.contains("revoked 20"), "{listed}");
    }
}
