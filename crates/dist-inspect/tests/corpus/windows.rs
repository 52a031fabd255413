//! The facts of Windows programs and packages.

use dist_inspect::{Format, Inspection};
use serde_json::Value;

use crate::compare::{Comparison, Judge, archs};

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: &[(
        "windows/jsign-minimal.zip",
        "format",
        "its kind follows from its name, and it is an msix by its AppxManifest.xml",
    )],
    is_complete: false,
};

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "arch" if found.report.format == Format::Pe => Some(archs(expected, found)),
        _ => None,
    }
}
