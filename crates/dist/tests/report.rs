//! What a CI system is handed: outputs, summary and report of a publish, and inputs from its environment.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Kind, Run, World, deb, filters, finish};

/// Runs `dist ci publish --json` with what a step of a GitHub workflow has.
fn step(world: &World, environment: &[(&str, &str)]) -> Run {
    let arguments = ["ci", "publish", "--json"];
    finish(&arguments, step_command(world, &arguments, environment))
}

fn step_command(world: &World, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = world.command(arguments);
    command
        .env("GITHUB_OUTPUT", world.work().join("output"))
        .env("GITHUB_STEP_SUMMARY", world.work().join("summary"))
        .envs(environment.iter().copied());
    command
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The value of the last line with this name.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let of_name = |line: &'a str| line.strip_prefix(name)?.strip_prefix('=');
    text.lines()
        .filter_map(of_name)
        .next_back()
        .unwrap_or_else(|| panic!("{name} in {text}"))
}

#[test]
fn a_step_is_told_by_its_environment_and_tells_its_outputs_and_summary() {
    let world = World::new(Kind::Remote);
    world.write("out/one.deb", deb("1"));
    world.write("out/two.deb", deb("2"));
    let inputs = [
        ("DIST_APP", "acme"),
        ("DIST_CHANNEL", "beta"),
        ("DIST_FILES", "\n out/*.deb \n\n"),
        ("DIST_BUILD", "7"),
        ("DIST_DRAFT", "false"),
        ("DIST_MANIFEST", ""),
    ];
    let with_version = |version| [&inputs[..], &[("DIST_VERSION", version)]].concat();
    let first = step(&world, &with_version("1.0.0"));
    assert_eq!(first.code, 0, "{} {}", first.stdout, first.stderr);
    // The same again from another runner, which has files of its own.
    std::fs::remove_file(world.work().join("output")).unwrap();
    assert_eq!(step(&world, &with_version("1.0.0")).code, 0);
    let outputs = read(&world.work(), "output");
    assert_eq!(value(&outputs, "status"), "unchanged", "nothing happens twice");

    world.write("out/two.deb", deb("3"));
    let run = step(&world, &with_version("1.1.0"));
    let answer = run.json();
    let outputs = read(&world.work(), "output");
    for (name, expected) in [
        ("status", "published"),
        ("error", ""),
        ("app", "acme"),
        ("release-id", answer["release"]["id"].as_str().unwrap()),
        ("version", "1.1.0"),
        ("build", "7"),
        ("channel", "beta"),
        ("channel-revision", "2"),
        ("previous-release-id", first.json()["release"]["id"].as_str().unwrap()),
        ("install-url", answer["install_url"].as_str().unwrap()),
    ] {
        assert_eq!(value(&outputs, name), expected, "{name}");
    }
    let artifacts: Value = serde_json::from_str(value(&outputs, "artifacts")).unwrap();
    for (reported, answered) in artifacts
        .as_array()
        .unwrap()
        .iter()
        .zip(answer["artifacts"].as_array().unwrap())
    {
        for name in ["platform", "filename", "size_bytes", "sha256", "url"] {
            assert_eq!(reported[name], answered[name], "{name}");
        }
        assert!(value(&outputs, "sha256").contains(answered["sha256"].as_str().unwrap()));
    }
    let summary = read(&world.work(), "summary");
    assert_eq!(summary.matches("### acme ").count(), 3, "each appends: {summary}");
    let last = &summary[summary.rfind("###").unwrap()..];
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!(last) });
}

#[test]
fn a_report_has_three_files_whatever_came_of_it() {
    let world = World::new(Kind::Remote);
    let name = "a|b`c` $(id) %0A::error::x]('\".deb";
    world.write(name, deb("a"));
    let publish = |version: &str, token: Option<&str>| {
        let arguments = [
            "ci",
            "publish",
            "--app",
            "acme",
            "--version",
            version,
            "--channel",
            "beta",
            "--report",
            "r/r",
            "--json",
            name,
        ];
        let mut command = world.command(&arguments);
        command.envs(token.map(|token| ("DIST_TOKEN", token)));
        finish(&arguments, command)
    };
    let report = world.work().join("r/r");
    let run = publish("1", None);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert_eq!(read(&report, "publish.json"), run.stdout);
    let sourced = Command::new("sh")
        .args(["-uec", ". ./publish.env; env"])
        .current_dir(&report)
        .env_clear()
        .output();
    let sourced = String::from_utf8(sourced.unwrap().stdout).unwrap();
    assert!(!sourced.contains("uid="), "{sourced}");
    let variables = read(&report, "publish.env");
    let digest = run.json()["artifacts"][0]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(value(&variables, "DIST_RELEASE_SHA256"), format!("linux:{digest}"));
    let summary = read(&report, "summary.md");
    assert!(summary.contains(r"a\|b\`c\` \$(id) %0A\:\:error\:\:x\]('"), "{summary}");

    world.write(name, deb("b"));
    let refused = publish("1", None);
    refused.refused("release.conflict", 5);
    assert_eq!(read(&report, "publish.json"), refused.stdout);
    let variables = read(&report, "publish.env");
    assert_eq!(
        (
            value(&variables, "DIST_RELEASE_STATUS"),
            value(&variables, "DIST_RELEASE_ERROR"),
            value(&variables, "DIST_RELEASE_ID")
        ),
        ("refused", "release.conflict", "")
    );
    let summary = read(&report, "summary.md");
    assert!(
        summary.contains("release.conflict") && summary.contains("Exit code 5"),
        "{summary}"
    );

    let stranger = format!("dist_{}", "5ec2e7".repeat(11))
        .chars()
        .take(69)
        .collect::<String>();
    let refused = publish("2", Some(&stranger));
    refused.refused("auth.unknown_token", 4);
    for file in ["publish.json", "publish.env", "summary.md"] {
        assert!(!read(&report, file).contains("5ec2e7"), "{file} holds the secret");
    }
}

#[test]
fn a_draft_and_a_plan_are_told_as_such() {
    let world = World::new(Kind::Local);
    world.write("a.deb", deb("a"));
    let inputs = [
        ("DIST_APP", "acme"),
        ("DIST_VERSION", "1"),
        ("DIST_FILES", "a.deb"),
        ("DIST_CHANNEL", "beta"),
    ];
    let told = |extra: (&str, &str)| {
        let run = step(&world, &[&inputs[..], &[extra]].concat());
        assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
        read(&world.work(), "output")
    };
    let planned = told(("DIST_DRY_RUN", "true"));
    assert_eq!(
        (value(&planned, "status"), value(&planned, "release-id")),
        ("planned", "")
    );
    assert_eq!(value(&planned, "channel-revision"), "1");
    let draft = told(("DIST_DRAFT", "true"));
    assert_eq!((value(&draft, "status"), value(&draft, "channel")), ("draft", ""));

    let arguments = [
        "release",
        "publish",
        "--app",
        "acme",
        "1",
        "--require",
        "linux",
        "--report",
        "r",
        "--json",
    ];
    let run = finish(&arguments, step_command(&world, &arguments, &[]));
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    let outputs = read(&world.work(), "output");
    assert_eq!(
        (value(&outputs, "status"), value(&outputs, "channel")),
        ("published", "beta")
    );
    assert_eq!(read(&world.work(), "r/publish.json"), run.stdout);
}

#[test]
fn a_refused_step_is_annotated_and_keeps_to_its_lines() {
    let world = World::new(Kind::Local);
    let run = step(&world, &[("DIST_MANIFEST", "no%0A\n::set-output name=x::y")]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    let commands: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.trim_start().starts_with("::"))
        .collect();
    assert_eq!(commands.len(), 1, "{}", run.stderr);
    assert!(
        commands[0].starts_with("::error title=dist manifest.not_found::") && commands[0].contains("%250A"),
        "{commands:?}"
    );
}

#[test]
fn wrong_inputs_and_places_are_refused_before_anything_is_published() {
    let world = World::new(Kind::Local);
    world.write("a.deb", deb("a"));
    let before = world.snapshot();
    let files = [("DIST_APP", "acme"), ("DIST_VERSION", "1"), ("DIST_FILES", "a.deb")];
    for wrong in [
        ("DIST_DRY_RUN", "yes"),
        ("DIST_STRICT", "1"),
        ("DIST_MANIFEST", "dist.json"),
    ] {
        let run = step(&world, &[&files[..], &[wrong]].concat());
        run.refused("usage.error", 2);
        assert!(run.stdout.contains(wrong.0), "{}", run.stdout);
    }
    step(&world, &[&files[..2], &[("DIST_FILES", "*.ipa")]].concat()).refused("artifact.path_not_found", 7);
    let arguments = [
        "ci",
        "publish",
        "--app",
        "acme",
        "--version",
        "1",
        "a.deb",
        "--report",
        "a.deb/r",
        "--json",
    ];
    world.run(&arguments).refused("usage.error", 2);
    assert_eq!(before, world.snapshot());

    // A container that was given the variable and not the file publishes nevertheless, and flags win.
    let arguments = ["ci", "publish", "a.deb", "--json"];
    let inputs = [
        ("DIST_APP", "acme"),
        ("DIST_VERSION", "1"),
        ("DIST_MANIFEST", "none.json"),
    ];
    let mut command = world.command(&arguments);
    command.env("GITHUB_OUTPUT", "/proc/nowhere").envs(inputs);
    let run = finish(&arguments, command);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stderr.contains("warning: the CI system's file /proc/nowhere"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_report_that_cannot_be_written_leaves_one_answer() {
    let world = World::new(Kind::Local);
    world.write("one.deb", deb("1"));
    std::fs::create_dir_all(world.work().join("report/publish.json")).unwrap();
    let arguments = [
        "ci",
        "publish",
        "--app",
        "acme",
        "--version",
        "1",
        "--report",
        "report",
        "--json",
        "one.deb",
    ];
    world.run(&arguments).refused("internal", 1);
    std::fs::remove_dir(world.work().join("report/publish.json")).unwrap();
    let again = world.run(&arguments);
    assert_eq!((again.code, again.json()["status"].as_str()), (0, Some("unchanged")));
}
