//! `dist server run`.

use std::process::ExitCode;

use dist_model::{ErrorCode, Refusal};
use serde_json::json;

use super::{DONE, Outcome};
use crate::printer::Printer;
use crate::session::usage;

/// Runs the server until it is told to stop; all that it says meanwhile goes to stderr.
pub fn run(options: &distd::Options, printer: Printer) -> Outcome {
    // Wrong settings are a usage error of this program too, so they are looked at here first.
    options.resolve().map_err(|error| usage(error.to_string()))?;
    if distd::run(options) != ExitCode::SUCCESS {
        return Err(Refusal::new(
            ErrorCode::InternalError,
            "the server did not start or did not stop cleanly: its log, above, says why",
        ));
    }
    printer.show(&json!({ "status": "stopped" }), |_| {});
    Ok(DONE)
}
