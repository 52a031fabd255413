//! Sets of split APKs: `.apks`, as bundletool makes them, and `.xapk`.

use super::{Marker, Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static APKS: Row = Row {
    format: Format::Apks,
    package_type: "apks",
    content_type: "application/octet-stream",
    extensions: &["apks"],
    recognises: |subject| subject.zips(&[Marker::SplitsToc]),
    otherwise: Otherwise::Zip {
        no_zip: "apks.not_a_zip",
        lacking: "apks.no_toc",
        sentence: "A set of splits has a toc.pb, and this zip has none.",
    },
    describe: nothing_more,
};

pub(super) static XAPK: Row = Row {
    format: Format::Xapk,
    package_type: "xapk",
    content_type: "application/octet-stream",
    extensions: &["xapk"],
    recognises: |subject| subject.zips(&[Marker::XapkManifest, Marker::InnerApk]),
    otherwise: Otherwise::Zip {
        no_zip: "xapk.not_a_zip",
        lacking: "xapk.no_manifest",
        sentence: "An XAPK has a manifest.json and APKs, and this zip lacks them.",
    },
    describe: nothing_more,
};
