//! The facts of Linux packages.

use dist_inspect::{Format, Inspection};
use serde_json::Value;

use crate::compare::{Comparison, Judge, archs};

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: &[],
    is_complete: false,
};

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "arch" if found.report.format == Format::Appimage => Some(archs(expected, found)),
        _ => None,
    }
}
