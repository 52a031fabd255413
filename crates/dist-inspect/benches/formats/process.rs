//! Processes of their own, and what they take.

use std::path::Path;
use std::process::{Command, Stdio};

/// Inspects a file.
pub const INSPECT: &str = "--inspect";
/// Hashes a file, and inspects it.
pub const HASH: &str = "--hash-and-inspect";
/// What this program does where the first argument says so.
pub const WORKS: [&str; 2] = [INSPECT, HASH];

/// What a process took.
#[derive(Clone, Copy)]
pub struct Cost {
    /// In milliseconds of processor time, those of the processes that it started included.
    pub cpu: f64,
    /// In MB of memory, the largest of these processes.
    pub memory: f64,
}

/// Runs a program to its end, whatever it says and however it ends. The shell's clock has
/// milliseconds, and GNU time the memory; both start the program from a small process, since what a
/// large one held before it became another counts as the other's.
pub fn run(words: &[String], scratch: &Path) -> Cost {
    const SCRIPT: &str = r#"TIMEFORMAT="%U %S"; time command time --quiet -o "$0" -f %M "$@" >/dev/null 2>&1"#;
    let told = scratch.join("memory");
    let shell = Command::new("bash")
        .arg("-c")
        .arg(SCRIPT)
        .arg(&told)
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let seconds = String::from_utf8(shell.stderr).unwrap();
    let seconds: f64 = seconds
        .split_whitespace()
        .map(|word| word.parse::<f64>().unwrap())
        .sum();
    let kib = std::fs::read_to_string(&told).expect("GNU time is installed");
    let kib: f64 = kib.trim().parse().unwrap();
    Cost {
        cpu: seconds * 1e3,
        memory: kib * 1024.0 / 1e6,
    }
}

/// Whether a program is installed.
pub fn is_installed(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", r#"command -v "$0" >/dev/null"#, program])
        .status();
    found.is_ok_and(|status| status.success())
}

/// Runs a program that has to succeed.
pub fn must(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
