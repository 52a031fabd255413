//! `distd`: the HTTP server of the release platform.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The HTTP server of the release platform: API, install pages, console and artifact store.
#[derive(Parser)]
#[command(name = "distd", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: distd::Options,
}

#[derive(Subcommand)]
enum Command {
    /// The people who may come in
    User(distd::UserCommand),
}

fn main() -> ExitCode {
    dist_inspect::run_if_inspector().unwrap_or_else(|| {
        let cli = Cli::parse();
        match cli.command {
            Some(Command::User(command)) => command.run(),
            None => distd::run(cli.options),
        }
    })
}
