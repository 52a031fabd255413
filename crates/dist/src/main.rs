//! The program `dist`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dist::main()
}
