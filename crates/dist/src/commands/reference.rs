//! `dist completions` and `dist man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use dist_model::{ErrorCode, Refusal};
use serde_json::json;

use super::{DONE, Outcome};
use crate::printer::Printer;

/// Prints a completion script.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints manual pages.
#[derive(Args, Debug)]
pub struct Man {
    /// Write a page for every command to this folder instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// `dist completions`.
pub fn completions(args: &Completions, printer: Printer) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "dist", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let answer = json!({ "shell": args.shell.to_string(), "script": script });
    printer.show(&answer, |out| out.raw(&script));
    DONE
}

/// `dist man`.
pub fn man(args: &Man, printer: Printer) -> Outcome {
    let failed =
        |error: std::io::Error| Refusal::new(ErrorCode::UsageError, format!("the manual cannot be written: {error}"));
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(crate::command(), folder).map_err(failed)?;
        let folder = folder.display().to_string();
        printer.show(&json!({ "dir": folder }), |out| out.line(&folder));
        return Ok(DONE);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(crate::command())
        .render(&mut page)
        .map_err(failed)?;
    let page = String::from_utf8_lossy(&page).into_owned();
    printer.show(&json!({ "page": page }), |out| out.raw(&page));
    Ok(DONE)
}
