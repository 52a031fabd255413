//! What Android's installer wants of how a package is packed.

use std::collections::BTreeSet;

use super::manifest::Manifest;
use crate::archive::zip::{MAGIC, Member, Zip};
use crate::refusal::shown;
use crate::source::Source;
use crate::{Refusal, Report};

/// From this target on Android 11 and newer want resources that they can use where they stand.
const TARGET_11: u32 = 30;
/// How the bytes of resources are aligned then, and those of libraries that stay in the package.
const RESOURCES_ALIGNMENT: u64 = 4;
const LIBRARY_ALIGNMENT: u64 = 4096;
/// The first Android that looks at whether libraries stay in the package.
const ANDROID_6: u32 = 23;

/// Adds what Android refuses to install for how it is packed.
pub(super) fn check(
    source: &dyn Source,
    zip: &Zip<'_>,
    manifest: &Manifest<'_>,
    report: &mut Report,
) -> Result<(), Refusal> {
    check_start(source, report)?;
    let mut faults = zip.faults().iter();
    if faults.any(|fault| matches!(fault, Refusal::DuplicateName { is_same: true, .. })) {
        let message = "It has a member twice, so that no Android installs it.";
        report.error(DUPLICATE.0, message, DUPLICATE.1);
    }
    if let Some(member) = zip.members().find(|member| !is_name(member.name)) {
        let name = shown(member.name);
        let message = format!("The name of the member {name} is no UTF-8, so that no Android installs it.");
        report.error(NAME.0, message, NAME.1);
    }
    check_resources(zip, manifest, report)?;
    check_libraries(zip, manifest, report)
}

/// Whether the file starts with a member, as Android wants: before Android looked, a program that
/// was put before the zip ran in its place, and the v1 signature held (CVE-2017-13156, Janus).
fn check_start(source: &dyn Source, report: &mut Report) -> Result<(), Refusal> {
    let start = source.bytes(0..4, 4)?;
    if start == b"dex\n" {
        let message = "A program stands before the zip, which old Androids run in place of the signed one (Janus).";
        report.error(JANUS.0, message, JANUS.1);
    } else if start != MAGIC[0] {
        let message = "It does not start as a zip does, so that no Android installs it.";
        report.error(LEADING_BYTES.0, message, LEADING_BYTES.1);
    }
    Ok(())
}

/// Whether Android takes the name of a member: bytes that come in the groups of UTF-8, without zeros.
fn is_name(mut name: &[u8]) -> bool {
    while let [first, rest @ ..] = name {
        let following = match first {
            0 | 0x80..=0xBF | 0xFE.. => return false,
            1..=0x7F => 0,
            // As many as there are ones at its start, itself among them.
            _ => first.leading_ones() as usize - 1,
        };
        let Some((following, rest)) = rest.split_at_checked(following) else {
            return false;
        };
        if following.iter().any(|byte| byte & 0xC0 != 0x80) {
            return false;
        }
        name = rest;
    }
    true
}

/// Whether a member can be used where it stands.
fn is_mapped(member: &Member<'_>, alignment: u64) -> bool {
    let start = member.packed_range().map(|range| range.start);
    member.is_stored() && start.is_none_or(|start| start.is_multiple_of(alignment))
}

fn check_resources(zip: &Zip<'_>, manifest: &Manifest<'_>, report: &mut Report) -> Result<(), Refusal> {
    let (min_sdk, target) = (manifest.min_sdk()?, manifest.target_sdk()?);
    let resources = zip.find(b"resources.arsc");
    if target < TARGET_11 || resources.is_none_or(|member| is_mapped(&member, RESOURCES_ALIGNMENT)) {
        return Ok(());
    }
    let what = "Its resources.arsc is compressed or not aligned to 4 bytes";
    if min_sdk >= TARGET_11 {
        let message = format!("{what}, so that no Android installs it: its target is {target}.");
        report.error(RESOURCES.0, message, RESOURCES.1);
    } else {
        let message = format!("{what}: Android 11 and newer refuse to install it, since its target is {target}.");
        report.warning(RESOURCES.0, message, RESOURCES.1);
    }
    Ok(())
}

fn check_libraries(zip: &Zip<'_>, manifest: &Manifest<'_>, report: &mut Report) -> Result<(), Refusal> {
    if !manifest.keeps_libraries()? {
        return Ok(());
    }
    let mut processors = BTreeSet::new();
    let mut refusing = BTreeSet::new();
    let mut example = None;
    for member in zip.members() {
        let Some(processor) = processor_of(member.name) else {
            continue;
        };
        processors.insert(processor);
        if !is_mapped(&member, LIBRARY_ALIGNMENT) {
            refusing.insert(processor);
            example.get_or_insert(member);
        }
    }
    let Some(example) = example else { return Ok(()) };
    let what = format!(
        "Its library {} is compressed or not aligned to 4096 bytes, and the manifest says that libraries are not extracted",
        shown(example.name)
    );
    if refusing == processors && manifest.min_sdk()? >= ANDROID_6 {
        let message = format!("{what}, so that no Android installs it.");
        report.error(LIBRARY.0, message, LIBRARY.1);
    } else {
        let message = format!("{what}: Android 6 and newer refuse to install it on devices of that processor.");
        report.warning(LIBRARY.0, message, LIBRARY.1);
    }
    Ok(())
}

/// The processor that a member is a library for.
fn processor_of(name: &[u8]) -> Option<&[u8]> {
    let path = name.strip_prefix(b"lib/")?;
    let slash = path.iter().position(|byte| *byte == b'/')?;
    let (processor, file) = (&path[..slash], &path[slash + 1..]);
    let is_library = file.starts_with(b"lib") && file.ends_with(b".so") && !file.contains(&b'/');
    is_library.then_some(processor)
}

const JANUS: (&str, &str) = ("apk.janus", "Do not install it; take the package from your own build.");
const DUPLICATE: (&str, &str) = ("apk.duplicate_member", "Pack every file once.");
const LEADING_BYTES: (&str, &str) = (
    "apk.leading_bytes",
    "Publish the file that the build made, and put nothing before it.",
);
const NAME: (&str, &str) = ("apk.member_name", "Name the files in it in UTF-8.");
const RESOURCES: (&str, &str) = (
    "apk.resources_packing",
    "Run `zipalign -p 4` before it is signed, and store resources.arsc without compression.",
);
const LIBRARY: (&str, &str) = (
    "apk.library_packing",
    "Store libraries without compression and run `zipalign -p 4` before it is signed, or set android:extractNativeLibs to true.",
);
