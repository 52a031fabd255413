//! Windows: executables, installers and packages.

use super::{Member, Otherwise, Row, nothing_more};
use crate::Format;
use crate::sample::Sample;

pub(super) static PE: Row = Row {
    format: Format::Pe,
    package_type: "exe",
    content_type: "application/vnd.microsoft.portable-executable",
    extensions: &["exe"],
    recognises: |sample| pe_header(sample).is_some(),
    otherwise: Otherwise::Bytes(
        "pe.no_header",
        "A Windows executable has a PE header, and this file has none.",
    ),
    describe: |sample, report| report.set_arch(pe_arch(sample)),
};

/// Word documents and others start as an msi does, so the name has its say.
pub(super) static MSI: Row = Row {
    format: Format::Msi,
    package_type: "msi",
    content_type: "application/x-msi",
    extensions: &["msi"],
    recognises: |sample| sample.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") && sample.is_named(MSI.extensions),
    otherwise: Otherwise::Bytes(
        "msi.not_a_compound_file",
        "An msi is an OLE compound file, and this is none.",
    ),
    describe: nothing_more,
};

pub(super) static MSIX: Row = Row {
    format: Format::Msix,
    package_type: "msix",
    content_type: "application/msix",
    extensions: &["msix", "appx"],
    recognises: |sample| sample.zips(&[Member::AppxManifest]),
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
    recognises: |sample| sample.zips(&[Member::AppxBundleManifest]),
    otherwise: Otherwise::Zip {
        no_zip: "msixbundle.not_a_zip",
        lacking: "msixbundle.no_manifest",
        sentence: "A bundle has an AppxBundleManifest.xml, and this zip has none.",
    },
    describe: nothing_more,
};

pub(super) static NUPKG: Row = Row {
    format: Format::Nupkg,
    package_type: "nupkg",
    content_type: "application/zip",
    extensions: &["nupkg"],
    recognises: |sample| sample.zips(&[Member::Nuspec]),
    otherwise: Otherwise::Zip {
        no_zip: "nupkg.not_a_zip",
        lacking: "nupkg.no_nuspec",
        sentence: "A NuGet package has a .nuspec, and this zip has none.",
    },
    describe: nothing_more,
};

/// Where the PE header starts, behind the DOS stub.
fn pe_header(sample: &Sample) -> Option<usize> {
    if !sample.starts_with(b"MZ") {
        return None;
    }
    let offset = usize::try_from(sample.u32_at(0x3C)?).ok()?;
    sample.has_at(offset, b"PE\0\0").then_some(offset)
}

/// The processor in a COFF header.
fn pe_arch(sample: &Sample) -> Option<&'static str> {
    match sample.u16_at(pe_header(sample)?.checked_add(4)?)? {
        0x014C => Some("x86"),
        0x01C0 | 0x01C4 => Some("arm"),
        0x8664 => Some("x86_64"),
        0xAA64 => Some("arm64"),
        _ => None,
    }
}
