//! `cargo xtask reference`: docs/reference and deploy/distd.toml, written from the code.
//!
//! The writing is a test of this package's, so that every test run checks that what is committed is
//! what the code says, and so that the tasks themselves are built without the product.

use std::time::Duration;

use anyhow::Result;

use crate::shell;

const LIMIT: Duration = Duration::from_mins(30);

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// Only compare, and fail where the files are not what the code says
    #[arg(long)]
    check: bool,
}

/// Writes or compares the files.
pub fn run(args: &Args) -> Result<()> {
    let mut test = shell::cargo(["test", "--quiet", "--package=xtask", "--test=reference"]);
    if !args.check {
        test.env("REFERENCE", "write");
    }
    shell::run(&mut test, LIMIT)
}
