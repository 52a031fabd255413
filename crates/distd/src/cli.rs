//! The command line of the program `distd`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Options;
use crate::probe::HealthCommand;
use crate::user::UserCommand;

/// The HTTP server of the release platform: API, install pages, console and artifact store.
#[derive(Parser)]
#[command(name = "distd", version, args_conflicts_with_subcommands = true)]
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
}

/// All of the program: arguments and environment of the process in, its exit code out.
///
/// Like [`run`](crate::run()) it must not be called from inside of a runtime, and the program must
/// begin with [`dist_inspect::run_if_inspector`].
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::User(command)) => command.run(),
        Some(Command::Health(command)) => command.run(),
        None => crate::run(cli.options),
    }
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
    fn the_name_is_that_of_the_file_wherever_it_is() {
        let called = |name: &str| is_called_by_name(std::iter::once(name.into()));
        assert!(called("distd") && called("/usr/local/bin/distd"));
        assert!(!called("dist") && !called("/opt/distd/dist") && !called(""));
        assert!(!is_called_by_name(std::iter::empty()));
    }
}
