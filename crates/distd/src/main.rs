//! `distd`: the HTTP server of the release platform.

use std::process::ExitCode;

use clap::Parser;

/// The HTTP server of the release platform: API, install pages and artifact store.
#[derive(Parser)]
#[command(name = "distd", version)]
struct Cli {
    #[command(flatten)]
    options: distd::Options,
}

fn main() -> ExitCode {
    dist_inspect::run_if_inspector().unwrap_or_else(|| distd::run(Cli::parse().options))
}
