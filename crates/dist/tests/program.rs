//! The program itself: usage errors, pure JSON, settings, inspection, restoring.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Kind, World, deb, finish, large_apk, program, program_in_shell};

#[test]
fn usage_errors_exit_with_2_and_are_json_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str, environment: &[(&str, &str)]| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut command = program(folder.path(), &arguments);
        command.envs(environment.iter().copied());
        finish(&arguments, command)
    };
    for (line, environment) in [
        ("--json", &[] as &[_]),
        ("frobnicate --json", &[]),
        ("app --json", &[]),
        ("app list --nope --json", &[]),
        ("--json release show --release", &[]),
        ("app list --json", &[]),
        ("app list --server http://x --local-store y --json", &[]),
        (
            "app list --json",
            &[("DIST_SERVER", "http://x"), ("DIST_LOCAL_STORE", "y")],
        ),
        ("app list --server ftp://x --json", &[]),
        ("app list --server http://user:pass@x --json", &[]),
        ("app list --server http://x --token a --token-file b --json", &[]),
        ("app list --server http://x --token-file none --json", &[]),
        ("app list --server http://x --ca-file none --json", &[]),
        ("app show --local-store y --json", &[]),
        ("release show --local-store y --app a --json", &[]),
        ("release show --local-store y --app a 1 --release 2 --json", &[]),
        ("release promote --local-store y --app a --channel c --json", &[]),
        ("ci publish --local-store y --app a x.deb --json", &[]),
        ("ci publish --local-store y --manifest m.json x.deb --json", &[]),
        ("store cleanup --local-store y --grace soon --json", &[]),
        ("app set a --local-store y --visibility secret --json", &[]),
        ("release list --local-store y --app a --limit 201 --json", &[]),
        ("server run --listen here --json", &[]),
        ("completions tcsh --json", &[]),
    ] {
        let run = run(line, environment);
        run.refused("usage.error", 2);
        assert!(!run.stdout.trim_end().contains('\n'), "{line}");
    }
    for line in ["store restore b", "store upgrade", "store rebuild"] {
        let arguments = format!("{line} --server http://127.0.0.1:1 --json");
        run(&arguments, &[]).refused("store.local_only", 2);
    }
    let plain = run("app list", &[]);
    assert_eq!((plain.code, plain.stdout.as_str()), (2, ""));
    assert!(
        plain.stderr.contains("--server URL or --local-store DIR"),
        "{}",
        plain.stderr
    );
    assert!(
        std::fs::read_dir(folder.path()).unwrap().next().is_none(),
        "nothing was made"
    );
}

#[test]
fn only_what_begins_a_store_makes_one() {
    let world = World::new(Kind::Local);
    world.write("a.deb", deb("a"));
    let fresh = world.work().join("fresh");
    let store = fresh.to_str().unwrap();
    for line in [
        "app list",
        "release list --app a",
        "release yank --app a 1",
        "token list",
        "audit list",
        "store cleanup",
        "store verify",
        "store backup",
        "store upgrade",
        "store rebuild",
        "app set a --owner me",
    ] {
        let arguments: Vec<&str> = line
            .split_whitespace()
            .chain(["--local-store", store, "--json"])
            .collect();
        world.run(&arguments).refused("store.not_found", 3);
    }
    let plan = world.json(&[
        "ci",
        "publish",
        "--app",
        "a",
        "--version",
        "1",
        "a.deb",
        "--dry-run",
        "--local-store",
        store,
    ]);
    assert_eq!(
        (&plan["dry_run"], &plan["app"]["created"]),
        (&true.into(), &true.into())
    );
    assert!(!fresh.exists(), "a dry run writes nothing");
    world.json(&[
        "ci",
        "publish",
        "--app",
        "a",
        "--version",
        "1",
        "a.deb",
        "--local-store",
        store,
    ]);
    assert!(fresh.join("dist.db").is_file());
}

#[test]
fn the_file_dist_toml_is_found_upward() {
    let world = World::new(Kind::Local);
    world.write("dist.toml", "local_store = 'own'\napp = 'acme'\nchannel = 'beta'\n");
    world.write("below/a.deb", deb("a"));
    let run = |arguments: &[&str]| {
        let run = finish(arguments, program(&world.work().join("below"), arguments));
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        run.json()
    };
    let result = run(&["ci", "publish", "--version", "1", "a.deb", "--json"]);
    assert_eq!(result["channel"]["name"], "beta");
    assert!(world.work().join("own/dist.db").is_file());
    assert_eq!(run(&["channel", "show", "--json"])["current"]["version"], "1");
    let settings = run(&["config", "show", "--json", "--token", "dist_secret"]);
    assert_eq!(settings["token"]["value"], "(hidden)");
    assert!(settings["app"]["origin"].as_str().unwrap().ends_with("dist.toml"));

    world.write("dist.toml", "chanel = 'beta'\n");
    let arguments = ["app", "list", "--json"];
    let refused = finish(&arguments, program(&world.work(), &arguments));
    refused.refused("usage.error", 2);
    assert!(refused.stdout.contains("did you mean"), "{}", refused.stdout);
}

#[test]
fn the_source_comes_from_the_ci_system_unless_the_manifest_says_it() {
    let world = World::new(Kind::Local);
    world.write("a.deb", deb("a"));
    world.write(
        "dist.json",
        r#"{"app": "acme", "version": "1", "source": {"branch": "mine"}, "artifacts": [{"path": "a.deb"}]}"#,
    );
    let arguments = ["ci", "publish", "--json"];
    let mut command = world.command(&arguments);
    command
        .env("CIRCLECI", "true")
        .env("CIRCLE_SHA1", "c0ffee")
        .env("CIRCLE_BRANCH", "theirs");
    assert_eq!(finish(&arguments, command).code, 0);
    let release = world.json(&["release", "show", "--app", "acme", "1"]);
    assert_eq!(
        release["source"],
        serde_json::json!({"commit": "c0ffee", "branch": "mine"})
    );
}

#[test]
fn a_backup_is_restored_elsewhere_and_tables_are_rebuilt() {
    let world = World::new(Kind::Local);
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
    let backup = world.work().join("backup");
    let restored = world.work().join("restored");
    let (backup, restored) = (backup.to_str().unwrap(), restored.to_str().unwrap());
    assert_eq!(world.json(&["store", "backup", backup])["objects"], 1);
    world.json(&["store", "restore", backup, "--local-store", restored]);
    let releases =
        |store: &str| world.json(&["release", "list", "--app", "a", "--local-store", store])["items"].clone();
    assert_eq!(releases(restored), releases(world.store().to_str().unwrap()));
    assert_eq!(world.json(&["store", "verify", "--local-store", restored])["ok"], true);
    let again = ["store", "restore", backup, "--local-store", restored, "--json"];
    world.run(&again).refused("store.not_empty", 5);
    let none = ["store", "restore", "none", "--local-store", "new", "--json"];
    assert_eq!(world.run(&none).code, 7);

    let before = world.snapshot();
    let database = rusqlite::Connection::open(world.store().join("dist.db")).unwrap();
    database
        .execute_batch("DELETE FROM artifacts; UPDATE releases SET version = 'x'")
        .unwrap();
    drop(database);
    let verify = world.run(&["store", "verify", "--json"]);
    assert_eq!((verify.code, &verify.json()["ok"]), (1, &false.into()));
    let mended = world.json(&["store", "rebuild"]);
    assert!(
        mended["differing"].as_object().unwrap().contains_key("artifacts"),
        "{mended}"
    );
    assert_eq!(world.snapshot(), before);
}

#[test]
fn files_are_inspected_without_a_server_and_a_bad_one_hides_no_other() {
    let world = World::new(Kind::Local);
    world.write("good.deb", deb("x"));
    world.write("bad.apk", "<html>");
    let good = world.run(&["inspect", "good.deb", "--json"]);
    assert_eq!((good.code, &good.json()["reports"][0]["format"]), (0, &"deb".into()));
    let mixed = world.run(&["inspect", "none", "bad.apk", "good.deb", "--json"]);
    assert_eq!(mixed.code, 7);
    let reports = mixed.json()["reports"].as_array().unwrap().clone();
    let verdicts: Vec<&str> = reports
        .iter()
        .map(|report| report["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["failed", "failed", "passed"]);
    assert_eq!(reports[0]["findings"][0]["code"], "artifact.path_not_found");
    assert_eq!(reports[2]["sha256"].as_str().unwrap().len(), 64);
    let human = world.run(&["inspect", "good.deb", "bad.apk"]);
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("inspect", human.stdout);
    });
}

#[test]
fn a_file_that_ends_its_inspection_hides_no_other() {
    let world = World::new(Kind::Local);
    world.write("a.deb", deb("a"));
    world.write("b.deb", deb("b"));
    large_apk(&world.work().join("large.apk"));
    let arguments = ["inspect", "a.deb", "large.apk", "b.deb", "--json"];
    // The processes that inspect may take no more than this one, which is too little for 60 MB.
    let run = finish(
        &arguments,
        program_in_shell(&world.work(), "ulimit -v 65536", &arguments),
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let reports = run.json()["reports"].clone();
    let verdicts = [0, 1, 2].map(|place| reports[place]["verdict"].as_str().unwrap().to_owned());
    assert_eq!(verdicts, ["passed", "warning", "passed"]);
    assert_eq!(reports[1]["findings"][0]["code"], "inspection.crashed");
    assert_eq!(reports[1]["format"], "apk", "as its name says");
}

#[test]
fn files_are_inspected_whatever_else_is_open() {
    let world = World::new(Kind::Local);
    world.write("a.deb", deb("a"));
    let arguments = ["inspect", "a.deb", "--json"];
    // As under `make -j`, which hands its pipes on.
    let open = "exec 3</dev/null 4</dev/null 6</dev/null";
    let run = finish(&arguments, program_in_shell(&world.work(), open, &arguments));
    assert_eq!(run.json()["reports"][0]["verdict"], "passed", "{}", run.stdout);
}

#[test]
fn a_machine_without_root_certificates_reaches_servers_by_plain_http() {
    let world = World::new(Kind::Remote);
    let without = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", "/dev/null");
        finish(arguments, command)
    };
    let listed = without(&["app", "list", "--json"]);
    assert_eq!(listed.json()["items"], serde_json::json!([]));
    let refused = without(&["app", "list", "--server", "https://127.0.0.1:1", "--json"]);
    refused.refused("usage.error", 2);
    assert!(refused.stdout.contains("ca-certificates"), "{}", refused.stdout);
}

#[test]
fn a_proxy_is_asked_unless_the_host_is_exempt() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["app", "list", "--server", "https://get.example.org/dist"];
    let mut command = program(folder.path(), &arguments);
    command.env("HTTPS_PROXY", &url).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let (mut stream, _) = proxy.accept().unwrap();
    let mut asked = [0; 27];
    std::io::Read::read_exact(&mut stream, &mut asked).unwrap();
    assert_eq!(&asked, b"CONNECT get.example.org:443");
    child.kill().unwrap();
    child.wait().unwrap();

    let world = World::new(Kind::Remote);
    let arguments = ["app", "list"];
    let mut command = world.command(&arguments);
    command
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("NO_PROXY", "localhost,127.0.0.1");
    assert_eq!(finish(&arguments, command).code, 0);
}

#[test]
fn the_server_is_run_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "server",
        "run",
        "--data",
        "data",
        "--listen",
        "127.0.0.1:0",
        "--port-file",
        "port",
        "--json",
    ];
    let mut command = program(folder.path(), &arguments);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let port = loop {
        let port = std::fs::read_to_string(folder.path().join("port")).unwrap_or_default();
        if let Ok(port) = port.trim().parse::<u16>() {
            break port;
        }
        assert!(std::time::Instant::now() < deadline, "the server did not start");
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let url = format!("http://127.0.0.1:{port}");
    let arguments = ["app", "list", "--server", &url, "--json"];
    let listed = finish(&arguments, program(folder.path(), &arguments));
    assert_eq!((listed.code, &listed.json()["items"]), (0, &serde_json::json!([])));
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout, b"{\"status\":\"stopped\"}\n");
}

#[test]
fn a_list_is_walked_page_by_page() {
    for kind in [Kind::Local, Kind::Remote] {
        let world = World::new(kind);
        world.write("a.deb", deb("a"));
        for version in ["1", "2", "3"] {
            world.json(&[
                "ci",
                "publish",
                "--app",
                "acme",
                "--version",
                version,
                "--channel",
                "beta",
                "a.deb",
            ]);
        }
        for list in [
            &["release", "list", "--app", "acme"] as &[&str],
            &["channel", "history", "--app", "acme", "beta"],
        ] {
            let (mut seen, mut cursor) = (Vec::new(), None::<String>);
            for _ in 0..3 {
                let mut arguments = [list, &["--limit", "1"]].concat();
                arguments.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor]));
                let page = world.json(&arguments);
                seen.push(page["items"][0]["version"].as_str().unwrap().to_owned());
                cursor = page["next_cursor"].as_str().map(str::to_owned);
            }
            assert_eq!(seen, ["3", "2", "1"]);
            assert_eq!(cursor, None, "{kind:?} {list:?}");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let world = World::new(Kind::Local);
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [
        &["token", "create", "--name", "ci", "--scope", "read"][..],
        &["app", "create", "acme", "--json"],
        &["app", "list", "--json"],
        &["man"],
    ] {
        let mut command = world.command(arguments);
        command.stdout(full());
        let run = finish(arguments, command);
        assert_eq!(run.code, 1, "{arguments:?}");
        assert!(run.stderr.contains("cannot be written to stdout"), "{}", run.stderr);
    }
    // What was refused anyway keeps its own exit code.
    let arguments = ["app", "show", "none", "--json"];
    let mut command = world.command(&arguments);
    command.stdout(full());
    assert_eq!(finish(&arguments, command).code, 3);
}

#[test]
fn a_job_is_warned_where_the_draft_keeps_what_another_said() {
    let world = World::new(Kind::Remote);
    let manifest = |channel: Option<&str>, notes: &str| {
        let artifacts = serde_json::json!([{"path": "a.deb"}]);
        let manifest = serde_json::json!({
            "app": "acme", "version": "1", "channel": channel, "notes": notes, "artifacts": artifacts,
        });
        world.write("dist.json", manifest.to_string());
        let run = world.run(&["ci", "publish", "--draft", "--json"]);
        assert_eq!(run.json()["status"], "draft", "{}", run.stderr);
        run.stderr
    };
    world.write("a.deb", deb("a"));
    let begun = manifest(None, "Faster.");
    assert!(!begun.contains("was begun") && !begun.contains("keeps"), "{begun}");
    let same = manifest(None, "Faster.");
    assert!(!same.contains("was begun") && !same.contains("keeps"), "{same}");
    let other = manifest(Some("beta"), "Slower.");
    assert!(other.contains("was begun for no channel"), "{other}");
    assert!(other.contains("--channel beta"), "{other}");
    assert!(other.contains("keeps the notes"), "{other}");
}
