//! Tests of this binary as processes of their own, told by the environment that they are.
#![allow(clippy::disallowed_methods)]

use std::env;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use super::PATIENCE;

const FOLDER: &str = "PERSIST_CHILD_FOLDER";

/// Where a child works. `None` in the parent, in which a child's test has nothing to do.
pub fn folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// In a child: writes a line to the parent.
pub fn say(what: impl Display) {
    let mut stdout = stdout().lock();
    writeln!(stdout, "child: {what}").unwrap();
    stdout.flush().unwrap();
}

/// In a child: waits for a line of the parent.
pub fn wait_for_parent() {
    stdin().lock().read_line(&mut String::new()).unwrap();
}

/// A child, killed when it goes out of scope.
pub struct Child {
    process: process::Child,
    said: Receiver<String>,
}

impl Child {
    /// Runs one test of this binary.
    pub fn start(test: &str, folder: &Path) -> Self {
        Self::start_under("", test, folder)
    }

    /// The same, after some words of shell.
    pub fn start_under(shell: &str, test: &str, folder: &Path) -> Self {
        let mut process = Command::new("sh")
            .args(["-c", &format!("{shell} exec \"$0\" --exact {test} --nocapture")])
            .arg(env::current_exe().unwrap())
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (tell, said) = mpsc::channel();
        thread::spawn(move || {
            // The harness writes lines of its own, and leaves one open before the child's first.
            for line in stdout.lines().map_while(Result::ok) {
                if let Some((_, line)) = line.split_once("child: ") {
                    let _ = tell.send(line.to_owned());
                }
            }
        });
        Self { process, said }
    }

    /// The next line that it says; `None` when it has ended.
    pub fn hear(&self) -> Option<String> {
        match self.said.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the child is stuck"),
        }
    }

    /// The lines that it says until it ends.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        std::iter::from_fn(|| self.hear())
    }

    /// Lets it go on from [`wait_for_parent`].
    pub fn go(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Kills it with -9. What it said until then can still be heard.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end, and checks that nothing in it failed.
    pub fn finish(mut self) {
        assert_eq!(self.lines().count(), 0, "the child has more to say");
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
