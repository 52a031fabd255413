//! The facts of Linux packages.

use dist_inspect::Inspection;
use serde_json::Value;

use crate::compare::Comparison::{self, NotCompared};
use crate::compare::{Judge, archs, same, verdict};

/// Who knows them.
pub static JUDGE: Judge = Judge {
    compare,
    exceptions: EXCEPTIONS,
    is_complete: true,
};

/// A file whose end is missing or damaged is listed by `dpkg-deb` as far as its buffers went; how
/// many files such a package has is not known.
const CUT: &str = "the list of files breaks off, so that their number is not known";
/// The manifest was made by a tool that does not find the sections of programs of 32 bits; `readelf`
/// shows the signature and where updates come from.
const SECTIONS_OF_32_BITS: &str = "readelf shows that the section is there and full";
/// A broken file of which this cannot be known is not said to have none.
const NOT_KNOWN: &str = "it cannot be known of what is broken, and is absent";
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
    ("linux/gen-Tern-i686.AppImage", "signed", SECTIONS_OF_32_BITS),
    ("linux/gen-Tern-i686.AppImage", "sha256_sig", SECTIONS_OF_32_BITS),
    ("linux/gen-Tern-i686.AppImage", "upd_info", SECTIONS_OF_32_BITS),
    (
        "linux/libappimage-appimaged-i686.AppImage",
        "signed",
        SECTIONS_OF_32_BITS,
    ),
    (
        "linux/libappimage-appimaged-i686.AppImage",
        "sha256_sig",
        SECTIONS_OF_32_BITS,
    ),
    (
        "linux/libappimage-appimaged-i686.AppImage",
        "upd_info",
        SECTIONS_OF_32_BITS,
    ),
    ("linux/bad/gen-bad-magic.snap", "signed", NOT_KNOWN),
    ("linux/bad/gen-elf-shoff-huge.AppImage", "payload_offset", NOT_KNOWN),
    ("linux/bad/gen-elf-shoff-huge.AppImage", "signed", NOT_KNOWN),
    (
        "linux/bad/gen-trunc93-libappimage-Echo-x86_64.AppImage",
        "has_apprun",
        NOT_KNOWN,
    ),
    (
        "linux/bad/gen-trunc93-libappimage-Echo-x86_64.AppImage",
        "has_diricon",
        NOT_KNOWN,
    ),
];

fn compare(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison> {
    match key {
        "app_id" | "version" | "release" | "epoch" | "name" | "maintainer" | "section" | "depends" | "homepage"
        | "installed_size" | "package_type" | "members" | "signed" | "files" | "desktop_files" | "license"
        | "vendor" | "payload_compressor" | "sourcerpm" | "rpm_version" | "os" | "signer" | "digests_ok"
        | "main_binary" | "version_from_dir" | "appimage_sections" | "appimage_type" | "arch_raw"
        | "payload_offset" | "root_files" | "has_apprun" | "has_diricon" | "icon" | "exec" | "categories"
        | "comment" | "terminal" | "compression" | "upd_info" | "summary" | "base" | "confinement" | "grade"
        | "ref" | "branch" | "runtime" => Some(same(key, expected, found)),
        "arch" | "archs" => Some(archs(expected, found)),
        // How many bytes the signature has; none is no signature.
        "sha256_sig" => {
            let ours = found.report.facts.get("signed");
            let is_signed = expected.as_i64().is_some_and(|size| size > 0);
            Some(verdict(ours == Some(&Value::Bool(is_signed)), expected, ours))
        }
        "elf" | "magic_at_8" => Some(NotCompared("bytes, of which the format and its type are what they say")),
        "strings_refs" => Some(NotCompared("what another tool made of the bytes")),
        "tar_rc" => Some(NotCompared("what another tool said")),
        "entries" => Some(NotCompared("a report does not list an archive's members")),
        _ => None,
    }
}
