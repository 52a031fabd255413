//! Windows app packages, and bundles of them.

use super::{Marker, Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static MSIX: Row = Row {
    format: Format::Msix,
    package_type: "msix",
    content_type: "application/msix",
    extensions: &["msix", "appx"],
    recognises: |subject| subject.zips(&[Marker::AppxManifest]),
    otherwise: Otherwise::Zip {
        no_zip: "msix.not_a_zip",
        lacking: "msix.no_manifest",
        sentence: "An app package has an AppxManifest.xml, and this zip has none.",
    },
    describe: nothing_more,
};

pub(super) static MSIXBUNDLE: Row = Row {
    format: Format::Msixbundle,
    package_type: "msixbundle",
    content_type: "application/msixbundle",
    extensions: &["msixbundle", "appxbundle"],
    recognises: |subject| subject.zips(&[Marker::AppxBundleManifest]),
    otherwise: Otherwise::Zip {
        no_zip: "msixbundle.not_a_zip",
        lacking: "msixbundle.no_manifest",
        sentence: "A bundle has an AppxBundleManifest.xml, and this zip has none.",
    },
    describe: nothing_more,
};
