//! iOS apps, and those for Apple's other small systems.

use serde_json::Value;

use super::bundle::{self, Bundle};
use super::{Marker, Otherwise, Row};
use crate::archive::zip::Zip;
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

pub(super) static IPA: Row = Row {
    format: Format::Ipa,
    package_type: "ipa",
    content_type: "application/octet-stream",
    extensions: &["ipa"],
    recognises: |subject| {
        let is_nested = subject.zips(&[Marker::NestedIosApp]) && subject.is_named(IPA.extensions);
        subject.zips(&[Marker::IosApp]) || is_nested
    },
    otherwise: Otherwise::Zip {
        no_zip: "ipa.not_a_zip",
        lacking: "ipa.no_app",
        sentence: "An IPA has an app in Payload/, and this zip has none.",
    },
    describe,
};

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let is_nested = !subject.zips(&[Marker::IosApp]);
    if is_nested {
        inspection.report.warning(
            "ipa.payload_nested",
            "The Payload folder is inside another folder; some tools read that, iOS does not.",
            "Pack the archive from inside the folder, so that Payload/ is at its top.",
        );
    }
    let apps = apps(zip, is_nested);
    if apps.len() > 1 {
        inspection.report.error(
            "ipa.several_apps",
            format!(
                "There are {} apps in Payload/, so that iOS does not install any.",
                apps.len()
            ),
            "Put one app into Payload/; what belongs to it goes into its own folder.",
        );
    }
    let Some(app) = apps.first() else { return Ok(()) };
    bundle::describe(&Bundle::flat(zip, app), false, subject, inspection)?;
    judge_platform(&mut inspection.report);
    Ok(())
}

/// The folders of apps in `Payload`, in the directory's order.
fn apps<'z>(zip: &'z Zip<'_>, is_nested: bool) -> Vec<&'z [u8]> {
    let parts = if is_nested { 3 } else { 2 };
    let mut apps: Vec<&[u8]> = Vec::new();
    for member in zip.members() {
        let marker = if is_nested {
            Marker::NestedIosApp
        } else {
            Marker::IosApp
        };
        let mut slashes = member.name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let Some((end, _)) = slashes.nth(parts - 1) else {
            continue;
        };
        let app = &member.name[..end];
        let is_app = Marker::of(member.name) == Some(marker) && !app.starts_with(b"__MACOSX/");
        // Few differ from the one before, so that few are compared with all.
        if is_app && apps.last() != Some(&app) && apps.len() < 100 && !apps.contains(&app) {
            apps.push(app);
        }
    }
    apps
}

/// The code for apps that are built for no device.
pub(super) const NO_DEVICE: &str = "ipa.no_device";

/// The kind of device, and whether there is one that takes it.
fn judge_platform(report: &mut Report) {
    let list = |key: &str| {
        report
            .facts
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (families, platforms) = (list("device_family"), list("supported_platforms"));
    let families: Vec<i64> = families.iter().filter_map(Value::as_i64).collect();
    let device = match families.as_slice() {
        [1] => Some("iphone"),
        [2] => Some("ipad"),
        [3] => Some("appletv"),
        [4] => Some("watch"),
        [7] => Some("vision"),
        _ if families.contains(&1) && families.contains(&2) => Some("universal"),
        _ => None,
    };
    report.set_text("device", device);
    let is_device = |name: &str| !name.ends_with("Simulator") && name != "MacOSX";
    let mut names = platforms.iter().filter_map(Value::as_str);
    let is_told = report.findings.iter().any(|finding| finding.code == NO_DEVICE);
    if !is_told && !platforms.is_empty() && !names.any(is_device) {
        report.error(
            NO_DEVICE,
            "The app is built for the simulator or for macOS, so that no device installs it.",
            "Build it for a device, as with -sdk iphoneos.",
        );
    }
}
