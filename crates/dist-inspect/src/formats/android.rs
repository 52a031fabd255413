//! Android: packages, bundles and sets of splits. All are zips.

use super::{Member, Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static APK: Row = Row {
    format: Format::Apk,
    package_type: "apk",
    content_type: "application/vnd.android.package-archive",
    extensions: &["apk"],
    recognises: |sample| sample.zips(&[Member::AndroidManifest]),
    otherwise: Otherwise::Zip {
        no_zip: "apk.not_a_zip",
        lacking: "apk.no_manifest",
        sentence: "An APK has an AndroidManifest.xml, and this zip has none.",
    },
    describe: nothing_more,
};

pub(super) static AAB: Row = Row {
    format: Format::Aab,
    package_type: "aab",
    content_type: "application/octet-stream",
    extensions: &["aab"],
    recognises: |sample| sample.zips(&[Member::BundleConfig]),
    otherwise: Otherwise::Zip {
        no_zip: "aab.not_a_zip",
        lacking: "aab.no_config",
        sentence: "An app bundle has a BundleConfig.pb, and this zip has none.",
    },
    describe: nothing_more,
};

pub(super) static APKS: Row = Row {
    format: Format::Apks,
    package_type: "apks",
    content_type: "application/octet-stream",
    extensions: &["apks"],
    recognises: |sample| sample.zips(&[Member::SplitsToc]),
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
    recognises: |sample| sample.zips(&[Member::XapkManifest, Member::InnerApk]),
    otherwise: Otherwise::Zip {
        no_zip: "xapk.not_a_zip",
        lacking: "xapk.no_manifest",
        sentence: "An XAPK has a manifest.json and APKs, and this zip lacks them.",
    },
    describe: nothing_more,
};
