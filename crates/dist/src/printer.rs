//! Everything that `dist` says: data on stdout, the rest on stderr.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use dist_api::ErrorBody;
use dist_model::Refusal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::settings::{Environment, variables};
use crate::text::{Text, clean};

/// Whether an answer of this process could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes answers as JSON or for people, and warnings beside them.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    json: bool,
    color: bool,
    terminal: bool,
}

impl Printer {
    /// A printer on the process's own stdout and stderr.
    pub fn new(json: bool, environment: &Environment) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            json,
            color: terminal && environment.get(variables::NO_COLOR).is_none(),
            terminal,
        }
    }

    /// True where stdout carries one JSON object.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Writes the answer of a command, once: as one JSON object, or as `human` says it.
    pub fn show(self, answer: &impl Serialize, human: impl FnOnce(&mut Text)) {
        if !self.json {
            let mut text = Text::for_stdout();
            human(&mut text);
            return self.write_out(text.as_str());
        }
        match serde_json::to_string(answer) {
            Ok(text) => self.write_out(&format!("{text}\n")),
            Err(error) => self.warn(&format!("the answer cannot be written as JSON: {error}")),
        }
    }

    /// Writes an answer that was made before: as the JSON of one line, or as people read it.
    pub fn print(self, json: &str, people: &str) {
        if self.json {
            self.write_out(&format!("{json}\n"));
        } else {
            self.write_out(people);
        }
    }

    /// True where an answer was lost: a secret or a release's id is then nowhere, and whoever asked must
    /// not go on as though they had it.
    pub fn lost_answer() -> bool {
        LOST.load(Ordering::Relaxed)
    }

    /// A reader that went away, such as `head`, has all that it wanted: that is no failure.
    fn write_out(self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        if let Err(error) = written.or_else(|error| match error.kind() {
            ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        }) {
            LOST.store(true, Ordering::Relaxed);
            self.label(
                "error",
                "31",
                &format!("the answer cannot be written to stdout: {error}"),
            );
        }
    }

    /// Writes why a command did not succeed.
    pub fn refuse(self, refusal: &Refusal) {
        if self.json {
            return self.show(&ErrorBody::from(refusal), |_| {});
        }
        self.label("error", "31", &refusal.message);
        say(&format!("code: {}", refusal.code.as_str()));
    }

    /// Something that a person should know although the command succeeds.
    pub fn warn(self, text: &str) {
        self.label("warning", "33", text);
    }

    /// Puts a refusal on the page of a GitHub run, as its workflow command `::error` does.
    pub fn annotate(refusal: &Refusal) {
        let message = clean(&refusal.message).replace('%', "%25");
        say(&format!("::error title=dist {}::{message}", refusal.code.as_str()));
    }

    /// What is going on, for people only.
    pub fn note(self, text: &str) {
        if !self.json {
            say(&clean(text));
        }
    }

    /// A bar that counts bytes; seen only on a terminal.
    pub fn bar(self, bytes: u64, label: &str) -> ProgressBar {
        if !self.terminal {
            return ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg:24!} [{bar:30}] {binary_bytes}/{binary_total_bytes} {eta}");
        let bar = ProgressBar::new(bytes).with_message(clean(label));
        match style {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        }
    }

    fn label(self, label: &str, color: &str, text: &str) {
        let text = clean(text);
        if self.color {
            say(&format!("\u{1b}[1;{color}m{label}\u{1b}[0m: {text}"));
        } else {
            say(&format!("{label}: {text}"));
        }
    }
}

/// A line on stderr, in one piece: in the log of a CI job others write between two.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
