//! How commands beside the server say what came of them.

use std::io::Write as _;
use std::process::ExitCode;

use dist_api::ErrorBody;
use dist_model::Refusal;
use serde_json::{Value, json};

/// What a command has to say: to programs, and to people.
pub(crate) struct Answer {
    /// One object.
    pub json: Value,
    /// Lines, each with its end.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

impl Answer {
    /// Of a command that did what it was told to.
    pub fn done(json: Value, text: String) -> Self {
        Self { json, text, code: 0 }
    }

    /// Of a command that refused. To people it is said on stderr.
    pub fn refused(refusal: &Refusal, as_json: bool) -> Self {
        if !as_json {
            eprintln!("distd: {}\ncode: {}", refusal.message, refusal.code.as_str());
        }
        Self {
            json: json!(ErrorBody::from(refusal)),
            text: String::new(),
            code: refusal.code.kind().exit_code(),
        }
    }

    /// Writes it to stdout, for programs or for people.
    pub fn give(self, as_json: bool) -> ExitCode {
        let text = if as_json { format!("{}\n", self.json) } else { self.text };
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        ExitCode::from(if written.is_ok() { self.code } else { 1 })
    }
}
