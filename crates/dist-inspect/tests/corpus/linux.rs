//! The facts of Linux packages.

use dist_inspect::{Format, Inspection};
use serde_json::Value;

use crate::compare::Comparison::{self, NotCompared};
use crate::compare::{Judge, archs, same};

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: EXCEPTIONS,
    is_complete: false,
};

/// A file whose end is missing or damaged is listed by `dpkg-deb` as far as its buffers went; how
/// many files such a package has is not known.
const CUT: &str = "the list of files breaks off, so that their number is not known";
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "linux/bad/aptly-libboost-broken-program-options-dev_1.49.0.1_i386.deb",
        "files",
        CUT,
    ),
    (
        "linux/bad/aptly-libboost-broken-program-options-dev_1.49.0.1_i386~1cde52.deb",
        "files",
        CUT,
    ),
    ("linux/bad/gen-payload-bitflip.deb", "files", CUT),
    ("linux/bad/gen-trunc50-debian-hello_2.10-3_amd64.deb", "files", CUT),
];

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    if !matches!(found.report.format, Format::Deb | Format::Rpm | Format::Tar) {
        return None;
    }
    match key {
        "app_id" | "version" | "release" | "epoch" | "name" | "maintainer" | "section" | "depends" | "homepage"
        | "installed_size" | "package_type" | "members" | "signed" | "files" | "desktop_files" | "license"
        | "vendor" | "payload_compressor" | "sourcerpm" | "rpm_version" | "os" | "signer" | "digests_ok"
        | "main_binary" | "version_from_dir" => Some(same(key, expected, found)),
        "arch" | "archs" => Some(archs(expected, found)),
        "tar_rc" => Some(NotCompared("what another tool said")),
        "entries" => Some(NotCompared("a report does not list an archive's members")),
        _ => None,
    }
}
