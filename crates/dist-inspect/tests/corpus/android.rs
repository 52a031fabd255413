//! The facts of Android apps.

use dist_inspect::Inspection;
use serde_json::Value;

use crate::compare::{Comparison, Judge, archs, same};

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: EXCEPTIONS,
    is_complete: false,
};

/// Where our rules differ on purpose.
static EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "android/bad/apksig-v2-only-garbage-between-cd-and-eocd.apk",
        "app_id",
        GARBAGE,
    ),
    (
        "android/bad/apksig-v2-only-garbage-between-cd-and-eocd.apk",
        "build",
        GARBAGE,
    ),
    (
        "android/bad/apksig-v2-only-garbage-between-cd-and-eocd.apk",
        "min_os",
        GARBAGE,
    ),
    (
        "android/bad/apksig-v2-only-garbage-between-cd-and-eocd.apk",
        "name",
        GARBAGE,
    ),
    (
        "android/bad/apksig-v2-only-garbage-between-cd-and-eocd.apk",
        "target_os",
        GARBAGE,
    ),
    (
        "android/bad/apksig-v2-only-garbage-between-cd-and-eocd.apk",
        "version",
        GARBAGE,
    ),
];

const GARBAGE: &str = "the directory is not where its end says, so that there is nothing to read";

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    Some(match key {
        "app_id" | "version" | "build" | "min_os" | "target_os" | "name" | "debuggable" | "modules" => {
            same(key, expected, found)
        }
        "archs" => archs(expected, found),
        _ => return None,
    })
}
