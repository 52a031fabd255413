//! Android app bundles.

use super::{Marker, Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static AAB: Row = Row {
    format: Format::Aab,
    package_type: "aab",
    content_type: "application/octet-stream",
    extensions: &["aab"],
    recognises: |subject| subject.zips(&[Marker::BundleConfig]),
    otherwise: Otherwise::Zip {
        no_zip: "aab.not_a_zip",
        lacking: "aab.no_config",
        sentence: "An app bundle has a BundleConfig.pb, and this zip has none.",
    },
    describe: nothing_more,
};
