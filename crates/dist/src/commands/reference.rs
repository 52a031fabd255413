//! `dist completions` and `dist man`.

use dist_model::{ErrorCode, Refusal};
use dist_term::{Completions, Man};
use serde_json::json;

use super::{DONE, Outcome};
use crate::printer::Printer;

/// `dist completions`.
pub fn completions(args: &Completions, printer: Printer) -> u8 {
    let script = crate::program().completions(args.shell);
    let answer = json!({ "shell": args.shell.to_string(), "script": script });
    printer.show(&answer, |out| out.raw(&script));
    DONE
}

/// `dist man`.
pub fn man(args: &Man, printer: Printer) -> Outcome {
    let failed =
        |error: std::io::Error| Refusal::new(ErrorCode::UsageError, format!("the manual cannot be written: {error}"));
    if let Some(folder) = &args.dir {
        crate::program().write_manual(folder).map_err(failed)?;
        let folder = folder.display().to_string();
        printer.show(&json!({ "dir": folder }), |out| out.line(&folder));
        return Ok(DONE);
    }
    let page = crate::program().page().map_err(failed)?;
    printer.show(&json!({ "page": page }), |out| out.raw(&page));
    Ok(DONE)
}
