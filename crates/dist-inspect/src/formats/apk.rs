//! Android packages.

use super::{Marker, Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static APK: Row = Row {
    format: Format::Apk,
    package_type: "apk",
    content_type: "application/vnd.android.package-archive",
    extensions: &["apk"],
    recognises: |subject| subject.zips(&[Marker::AndroidManifest]),
    otherwise: Otherwise::Zip {
        no_zip: "apk.not_a_zip",
        lacking: "apk.no_manifest",
        sentence: "An APK has an AndroidManifest.xml, and this zip has none.",
    },
    describe: nothing_more,
};
