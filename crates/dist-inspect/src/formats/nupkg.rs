//! Packages as Squirrel updates use them.

use super::{Marker, Otherwise, Row, nothing_more};
use crate::Format;

pub(super) static NUPKG: Row = Row {
    format: Format::Nupkg,
    package_type: "nupkg",
    content_type: "application/zip",
    extensions: &["nupkg"],
    recognises: |subject| subject.zips(&[Marker::Nuspec]),
    otherwise: Otherwise::Zip {
        no_zip: "nupkg.not_a_zip",
        lacking: "nupkg.no_nuspec",
        sentence: "A NuGet package has a .nuspec, and this zip has none.",
    },
    describe: nothing_more,
};
