//! The command line of the release platform, for CI and for local administration.
//!
//! A command is a plain function in `commands`: parsed arguments and a `Session` in, an exit code or
//! a [`Refusal`] out. It asks a `Target`, which is a folder or a server and answers the same either
//! way, and hands what it got to the `Printer`, which writes JSON or a table.
//!
//! ```
//! let help = dist::program().command().render_help().to_string();
//! assert!(help.contains("Usage: dist"));
//! ```

#![allow(clippy::doc_markdown, reason = "the documentation of a flag is what --help prints")]

mod artifacts;
mod ci;
mod cli;
mod commands;
mod examples;
mod manifest;
mod printer;
mod read_back;
mod report;
mod session;
mod settings;
mod target;
mod text;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind as ParseErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};
use dist_model::{ErrorCode, Refusal};
use dist_term::Program;
use serde_json::json;

use crate::cli::Cli;
use crate::printer::Printer;
use crate::settings::Environment;

pub use crate::settings::variables;

/// The exit code of a wrong command line.
const USAGE: u8 = 2;
/// The exit code of a command that did its work and could not say so.
const UNSAID: u8 = 1;

/// The program `dist`: every command and flag, and examples.
pub fn program() -> Program {
    Program::new(Cli::command(), examples::EXAMPLES)
}

/// All of the program: arguments and environment of the process in, its exit code out.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let environment = Environment::of_process();
    let printer = Printer::new(wants_json(&arguments), &environment);
    let parsed = program().parse(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(&error, printer),
    };
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let code = commands::run(cli.command, printer, &environment, &folder).unwrap_or_else(|refusal| {
        printer.refuse(&refusal);
        refusal.code.kind().exit_code()
    });
    ExitCode::from(if code == 0 && Printer::lost_answer() {
        UNSAID
    } else {
        code
    })
}

/// Looked up before the arguments are parsed, since a failure to parse them must be JSON too.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json")
}

/// Help and version are what was asked for; everything else is a usage error.
fn refuse_arguments(error: &clap::Error, printer: Printer) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ParseErrorKind::DisplayHelp | ParseErrorKind::DisplayVersion
    );
    if !printer.is_json() {
        // Nothing can be said where even this fails.
        let _ = error.print();
        return ExitCode::from(if asked_for { 0 } else { USAGE });
    }
    let text = error.render().to_string();
    if asked_for {
        printer.show(&json!({ "text": text.trim_end() }), |out| out.raw(&text));
        return ExitCode::SUCCESS;
    }
    let message = text.split("\n\nUsage:").next().unwrap_or(&text);
    let message = message.trim().trim_start_matches("error: ");
    let words: Vec<&str> = message.split_whitespace().collect();
    printer.refuse(&Refusal::new(ErrorCode::UsageError, words.join(" ")));
    ExitCode::from(USAGE)
}
