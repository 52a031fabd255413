//! The program `dist`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // `dist server run` is a server too, and inspects in processes of this program.
    distd::run_if_inspector().unwrap_or_else(dist::main)
}
