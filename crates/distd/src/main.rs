//! The program `distd`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dist_inspect::run_if_inspector().unwrap_or_else(distd::main)
}
