//! The program's settings: where they are told, what is said of them, and what holds without any.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::eventually;
use crate::shell::Program;

/// The program in a folder, with these variables and no others.
fn distd(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distd"));
    command.args(arguments).current_dir(folder).env_clear();
    command.envs(environment.iter().copied());
    command
}

fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = distd(folder, arguments, environment).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn every_setting_is_shown_with_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("distd.toml"),
        "# Ours\npublic-url = 'https://get.example.org'\nlisten = '127.0.0.1:1'\n",
    )
    .unwrap();
    let show = ["config", "show", "--config", "distd.toml", "--data", "store", "--json"];
    let environment = [("DISTD_LISTEN", "127.0.0.1:2"), ("DISTD_LISTN", "x")];
    let (code, stdout, stderr) = run(folder.path(), &show, &environment);
    assert_eq!((code, stdout.lines().count()), (Some(0), 1), "{stdout}{stderr}");
    assert!(stderr.contains("DISTD_LISTN: nobody reads this variable: did you mean DISTD_LISTEN?"));
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    for (key, value, origin) in [
        ("data", Some("store"), "flag"),
        ("listen", Some("127.0.0.1:2"), "environment"),
        ("public-url", Some("https://get.example.org"), "distd.toml:2"),
        ("upload-limit", Some("8GiB"), "default"),
        ("oidc-issuer", None, "default"),
    ] {
        assert_eq!(
            (shown[key]["value"].as_str(), &shown[key]["origin"]),
            (value, &origin.into()),
            "{key}"
        );
    }
    assert_eq!(shown.as_object().unwrap().len(), distd::SETTINGS.len());
    let secret = [("DISTD_PUBLIC_URL", "https://me:hunter2@example.org")];
    let (_, shown, _) = run(folder.path(), &["config", "show"], &secret);
    assert!(shown.contains("(hidden)") && !shown.contains("hunter2"), "{shown}");
    let (_, table, _) = run(folder.path(), &show[..6], &[]);
    assert!(table.starts_with("SETTING "), "{table}");
    assert!(
        table.contains("\nbackup-dir               (backups in the data folder)"),
        "{table}"
    );
}

#[test]
fn a_check_names_everything_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let check = |file: &str| {
        std::fs::write(folder.path().join("distd.toml"), file).unwrap();
        run(folder.path(), &["config", "check"], &[("DISTD_CONFIG", "distd.toml")])
    };
    let local = "listen = '127.0.0.1:8787'\n";
    let fine = "nothing is wrong with the settings\n".to_owned();
    assert_eq!(check(local), (Some(0), fine, String::new()));
    let (code, stdout, _) = check("listen = '127.0.0.1:8787'\npublic-url = 'http://nas.local'");
    assert_eq!(code, Some(0), "a warning keeps nobody from starting");
    assert!(stdout.starts_with("warning: distd.toml:2: public-url: "), "{stdout}");
    let (code, stdout, _) = check("listn = '127.0.0.1:8787'\nupload-limit = 'much'\ndata = 'distd.toml'");
    assert_eq!(code, Some(2));
    for part in [
        "error: distd.toml:1: nobody reads the key \"listn\": did you mean \"listen\"?\n",
        "error: distd.toml:2: upload-limit: ",
        "error: distd.toml:3: data: ",
    ] {
        assert!(stdout.contains(part), "{part:?} in {stdout}");
    }
    let (code, stdout, _) = run(
        folder.path(),
        &["config", "check", "--config", "none.toml", "--json"],
        &[],
    );
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &answer["ok"]), (Some(2), &false.into()));
    assert_eq!(answer["problems"][0]["place"], "none.toml");
}

#[test]
fn wrong_settings_start_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("DISTD_LISTEN", "here"), ("DISTD_LOG", "distd=loud")];
    let (code, stdout, stderr) = run(folder.path(), &[], &environment);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.contains("distd: DISTD_LISTEN: ") && stderr.contains("distd: DISTD_LOG: "),
        "{stderr}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_data_folder_it_is_beside_the_program_or_where_systemd_says() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    for (environment, data, origin) in [
        (vec![], folder.path().join("dist-data"), "default"),
        (
            vec![("STATE_DIRECTORY", state.to_str().unwrap())],
            state.clone(),
            "STATE_DIRECTORY",
        ),
    ] {
        let program = Program::of(distd(folder.path(), &["--listen", "127.0.0.1:0"], &environment));
        eventually("the program listens", async || program.log().contains("listening on")).await;
        let said = format!("the data folder is {} ({origin})", data.display());
        assert!(program.log().contains(&said), "{}", program.log());
        assert!(data.join("dist.db").is_file());
    }
}
