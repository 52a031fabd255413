//! The facts of archives for no platform in particular.

use dist_inspect::Inspection;
use serde_json::Value;

use crate::compare::Comparison::{self, NotCompared};
use crate::compare::Judge;

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: &[
        (
            "generic/bad/yauzl-fail-extra-field-length-exceeds-extra-field-buffer-size.zip",
            "verdict",
            "other tools unpack it, and nothing that is read depends on its extra fields",
        ),
        (
            "generic/bad/yauzl-fail-Invalid-comment-length-Expected-1-Found-0-Are-there-extra-bytes-at-the.zip",
            "verdict",
            "one byte follows the end, as some servers add it, and other tools unpack it",
        ),
        (
            "other/bad/appinfo-harmony.app",
            "verdict",
            "it is told as a zip for no platform of ours, and as such it is sound",
        ),
    ],
    is_complete: true,
};

fn compare(key: &str, _expected: &Value, _found: &Inspection) -> Option<Comparison> {
    match key {
        "entries" => Some(NotCompared("a report does not list an archive's members")),
        "owner_error" | "tools_tolerate_it" | "unzip_t_rc" | "tar_rc" => Some(NotCompared("what another tool said")),
        "app_id" | "build" | "version" | "note" => Some(NotCompared("a format for no platform of ours")),
        _ => None,
    }
}
