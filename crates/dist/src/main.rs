//! The program `dist`, and `distd` where it is called by that name; everything is in the libraries.

use std::process::ExitCode;

fn main() -> ExitCode {
    dist_inspect::run_if_inspector().unwrap_or_else(|| {
        if distd::is_called_by_name(std::env::args_os()) {
            distd::main()
        } else {
            dist::main()
        }
    })
}
