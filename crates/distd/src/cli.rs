//! Every command of `distd`. Without one, the server runs.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use dist_term::{Completions, Examples, Man, Program};

use crate::config::{ConfigCommand, Options};
use crate::probe::HealthCommand;
use crate::user::UserCommand;

/// The HTTP server of the release platform: API, install pages, console and artifact store
#[derive(Parser)]
#[command(
    name = "distd",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// The people who may come in
    User(UserCommand),
    /// Whether the server on this machine answers, for health checks: exit 0 or 1
    Health(HealthCommand),
    /// The settings of the server
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, or write one for each command
    Man(Man),
}

/// What to type, by command.
const EXAMPLES: Examples = &[
    (
        "distd",
        &[
            "# Keep everything in ./dist-data, listen on port 8787",
            "distd",
            "# Behind a proxy with TLS on this machine",
            "distd --listen 127.0.0.1:8787 --public-url https://get.example.org --trusted-proxies 127.0.0.1",
        ],
    ),
    (
        "distd config show",
        &["distd config show", "distd config show --config distd.toml --json"],
    ),
    (
        "distd config check",
        &["distd config check", "distd config check --config distd.toml"],
    ),
    (
        "distd user add",
        &[
            "distd user add ann@example.org --name Ann --role admin",
            "distd user add bob@example.org --app acme=manager --app other=viewer",
        ],
    ),
    ("distd user list", &["distd user list", "distd user list --json"]),
    ("distd user invite", &["distd user invite ann@example.org"]),
    (
        "distd user set-role",
        &[
            "distd user set-role ann@example.org --role manager",
            "# Only for one app",
            "distd user set-role bob@example.org --app acme=viewer",
        ],
    ),
    ("distd user disable", &["distd user disable bob@example.org"]),
    ("distd user enable", &["distd user enable bob@example.org"]),
    (
        "distd user set-password",
        &["distd user set-password ann@example.org --password-stdin < password"],
    ),
    (
        "distd health",
        &["distd health", "distd health --listen 127.0.0.1:9000"],
    ),
    (
        "distd completions",
        &["distd completions bash > /usr/share/bash-completion/completions/distd"],
    ),
    (
        "distd man",
        &["distd man | man -l -", "distd man --dir /usr/local/share/man/man1"],
    ),
];

/// The program `distd`, for whoever renders its reference.
pub fn program() -> Program {
    Program::new(Cli::command(), EXAMPLES)
}

/// All of the program: arguments and environment of the process in, its exit code out.
///
/// Like [`run`](crate::run()) it must not be called from inside of a runtime, and the program must
/// begin with [`dist_inspect::run_if_inspector`].
pub fn main() -> ExitCode {
    let matches = program()
        .parse(std::env::args_os())
        .unwrap_or_else(|error| error.exit());
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command {
        None => crate::run(&cli.options),
        Some(Command::User(command)) => command.run(),
        Some(Command::Health(command)) => command.run(),
        Some(Command::Config(command)) => command.run(),
        Some(Command::Completions(wanted)) => print(&program().completions(wanted.shell)),
        Some(Command::Man(wanted)) => man(&wanted),
    }
}

fn man(wanted: &Man) -> ExitCode {
    let written = match &wanted.dir {
        Some(folder) => program().write_manual(folder).map(|()| String::new()),
        None => program().page(),
    };
    match written {
        Ok(text) => print(&text),
        Err(error) => {
            eprintln!("distd: the manual cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    // A reader that went away, such as `head`, has all that it wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Whether a program that is both `dist` and `distd` was called by the server's name, as image and
/// release archives have it: one file that goes by two names is half as large as two.
pub fn is_called_by_name(mut arguments: impl Iterator<Item = OsString>) -> bool {
    let called = arguments.next();
    called.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == "distd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_examples_that_it_understands() {
        assert_eq!(program().wrong_examples(), [""; 0]);
    }

    #[test]
    fn the_name_is_that_of_the_file_wherever_it_is() {
        let called = |name: &str| is_called_by_name(std::iter::once(name.into()));
        assert!(called("distd") && called("/usr/local/bin/distd"));
        assert!(!called("dist") && !called("/opt/distd/dist") && !called(""));
        assert!(!is_called_by_name(std::iter::empty()));
    }
}
