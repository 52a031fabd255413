//! What shells, `man` and people at a terminal get of both programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::process::Command;

use dist_term::{Program, Shell};
use support::{finish, program};

#[test]
fn help_version_completions_and_manual_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let run = finish(arguments, program(folder.path(), arguments));
        assert_eq!(run.code, 0, "{}", run.stderr);
        run
    };
    assert!(run(&["--help"]).stdout.contains("Usage: dist"));
    assert!(
        run(&["--version", "--json"]).json()["text"]
            .as_str()
            .unwrap()
            .starts_with("dist ")
    );
    assert!(run(&["completions", "bash"]).stdout.contains("_dist()"));
    assert!(run(&["completions", "zsh", "--json"]).json()["script"].is_string());
    assert!(run(&["man"]).stdout.contains(".TH dist 1"));
    run(&["man", "--dir", "man"]);
    assert!(folder.path().join("man/dist-release-promote.1").is_file());
}

/// Runs a program that must be there, and expects it to be content.
fn expect(name: &str, arguments: &[&str], folder: &Path) -> String {
    let mut command = Command::new(name);
    // Shells keep what they learn below the home folder, and complain about languages that are not there.
    command.args(arguments).current_dir(folder);
    command.env("HOME", folder).env("LC_ALL", "C.UTF-8");
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{name} is needed: {error}"));
    let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(
        output.status.success() && stderr.is_empty(),
        "{name} {arguments:?}: {stderr}"
    );
    String::from_utf8(stdout).unwrap()
}

fn programs() -> [(&'static str, Program); 2] {
    [("dist", dist::program()), ("distd", distd::program())]
}

#[test]
fn shells_understand_their_completions() {
    let folder = tempfile::tempdir().unwrap();
    for (name, program) in programs() {
        for (shell, check) in [(Shell::Bash, "-n"), (Shell::Zsh, "-n"), (Shell::Fish, "--no-execute")] {
            std::fs::write(folder.path().join(name), program.completions(shell)).unwrap();
            expect(&shell.to_string(), &[check, name], folder.path());
        }
        for shell in [Shell::PowerShell, Shell::Elvish] {
            assert!(program.completions(shell).contains(&format!("'{name}'")), "{shell}");
        }
    }
}

#[test]
fn bash_and_fish_complete_commands_flags_and_values() {
    let folder = tempfile::tempdir().unwrap();
    for (name, program) in programs() {
        for shell in [Shell::Bash, Shell::Fish] {
            let script = program.completions(shell);
            std::fs::write(folder.path().join(format!("{name}.{shell}")), script).unwrap();
        }
    }
    let by_bash = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, .., before, word] = words[..] else {
            // Of two words, the first is also the one before the last.
            let [name, word] = words[..] else { panic!("{line}") };
            return complete_in_bash(folder.path(), name, line, word, name);
        };
        complete_in_bash(folder.path(), name, line, word, before)
    };
    let by_fish = |line: &str| {
        let name = line.split(' ').next().unwrap();
        let script = format!("source {name}.fish; complete -C '{line}'");
        let answer = expect("fish", &["-c", &script], folder.path());
        let words = answer.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    for (line, expected) in [
        ("dist rel", &["release"] as &[&str]),
        ("dist release pro", &["promote"]),
        ("dist release promote --to-", &["--to-channel"]),
        ("dist channel set --policy o", &["open"]),
        ("distd conf", &["config"]),
        ("distd --trust", &["--trusted-proxies"]),
        ("distd user set-", &["set-password", "set-role"]),
    ] {
        assert_eq!(sorted(by_bash(line)), expected, "bash: {line}");
        assert_eq!(sorted(by_fish(line)), expected, "fish: {line}");
    }
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

/// What bash offers for the last word of a line, asked as its completion of a key press would.
fn complete_in_bash(folder: &Path, name: &str, line: &str, word: &str, before: &str) -> Vec<String> {
    let script = format!(
        "source {name}.bash; COMP_WORDS=({line}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); \
         _{name} {name} '{word}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let answer = expect("bash", &["-c", &script], folder);
    answer.lines().map(str::to_owned).collect()
}

#[test]
fn the_manual_has_a_page_for_every_command_that_groff_understands() {
    let folder = tempfile::tempdir().unwrap();
    for (name, program) in programs() {
        program.write_manual(folder.path()).unwrap();
        let pages = program.manual().unwrap();
        assert_eq!(pages[0].file, format!("{name}.1"));
        for page in &pages {
            // It would complain on stderr.
            let text = expect(
                "groff",
                &["-man", "-ww", "-Tutf8", "-P-cbou", &page.file],
                folder.path(),
            );
            assert!(text.contains("SYNOPSIS"), "{}", page.file);
        }
    }
    let page = expect(
        "groff",
        &["-man", "-Tutf8", "-P-cbou", "distd-user-add.1"],
        folder.path(),
    );
    let example = "distd user add ann@example.org --name Ann --role admin";
    assert!(page.contains("EXAMPLES") && page.contains(example), "{page}");
}
