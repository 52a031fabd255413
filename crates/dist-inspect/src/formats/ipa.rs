//! iOS apps.

use super::{Marker, Otherwise, Row};
use crate::Format;

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
    describe: |subject, inspection| {
        if !subject.zips(&[Marker::IosApp]) {
            inspection.report.warning(
                "ipa.payload_nested",
                "The Payload folder is inside another folder; some tools read that, iOS does not.",
                "Pack the archive from inside the folder, so that Payload/ is at its top.",
            );
        }
        Ok(())
    },
};
