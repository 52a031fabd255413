//! Small files made here: one of each format, and what is said of those that lie.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use dist_inspect::{Context, Format, Limits, Report, Severity, Verdict, claim, inspect};
use dist_model::Platform;
use proptest::prelude::*;

fn look(name: &str, bytes: &[u8]) -> Report {
    inspect(&bytes, name, &Context::default()).unwrap().report
}

/// A zip of empty members.
fn zip(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for name in names {
        let (mut entry, config) = archive.new_file(*name).start().unwrap();
        let (_, descriptor) = config.wrap(&mut entry).finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

fn with_at(len: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (offset, part) in parts {
        bytes[*offset..offset + part.len()].copy_from_slice(part);
    }
    bytes
}

/// A tar of one empty file.
fn tar(path: &[u8]) -> Vec<u8> {
    let mut bytes = with_at(1536, &[(0, path), (148, &[b' '; 8]), (156, b"0"), (257, b"ustar\0")]);
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn zips_are_told_by_their_members() {
    let cases: [(&str, &[&str], Format); 12] = [
        ("a.ipa", &["Payload/A.app/Info.plist"], Format::Ipa),
        ("a.apk", &["classes.dex", "AndroidManifest.xml"], Format::Apk),
        (
            "a.aab",
            &["BundleConfig.pb", "base/manifest/AndroidManifest.xml"],
            Format::Aab,
        ),
        ("a.apks", &["toc.pb", "splits/base-master.apk"], Format::Apks),
        ("a.xapk", &["manifest.json", "base.apk"], Format::Xapk),
        ("a.msix", &["AppxManifest.xml", "[Content_Types].xml"], Format::Msix),
        (
            "a.appxbundle",
            &["AppxMetadata/AppxBundleManifest.xml"],
            Format::Msixbundle,
        ),
        ("a.nupkg", &["[Content_Types].xml", "a.nuspec"], Format::Nupkg),
        ("a.zip", &["A.app/Contents/Info.plist"], Format::AppZip),
        ("a.zip", &["manifest.json", "a.exe"], Format::Zip),
        ("a.zip", &["Payload/A.app/Info.plist"], Format::Ipa),
        ("empty.zip", &[], Format::Zip),
    ];
    for (name, members, format) in cases {
        // What is in an empty member is the formats' own matter.
        let report = look(name, &zip(members));
        assert_eq!(report.format, format, "{name} {members:?}: {report:?}");
    }
}

#[test]
fn other_files_are_told_by_magic_number_and_name() {
    let headers: [(usize, &[u8]); 5] = [
        (0, b"MZ"),
        (0x3C, &[0x80]),
        (0x80, b"PE\0\0\x64\x86"),
        (0x94, &[240]),
        (0x98, &[0x0B, 0x02]),
    ];
    let pe = with_at(512, &headers);
    let elf = with_at(64, &[(0, b"\x7FELF\x02\x01"), (8, b"AI\x02"), (18, &[183])]);
    let dmg = with_at(1024, &[(512, b"koly")]);
    let (tar, app) = (tar(b"acme/bin/acme"), tar(b"Acme.app/Contents/Info.plist"));
    let (tar_gz, app_gz) = (gzip(&tar), gzip(&app));
    let cases: [(&str, &[u8], Format, &str, &str); 16] = [
        ("Setup.EXE", &pe, Format::Pe, "exe", "x86_64"),
        ("a.AppImage", &elf, Format::Appimage, "appimage", "arm64"),
        ("renamed", &elf, Format::Appimage, "appimage", "arm64"),
        ("a.dmg", &dmg, Format::Dmg, "dmg", ""),
        ("a.tar", &tar, Format::Tar, "tar", ""),
        ("A.app.tar", &tar, Format::AppTar, "app.tar", ""),
        ("a.tar.gz", &tar_gz, Format::Tar, "tar.gz", ""),
        ("A.app.tar.gz", &tar_gz, Format::AppTar, "app.tar", ""),
        ("a.tgz", &app_gz, Format::AppTar, "app.tar", ""),
        ("a.gz", b"\x1F\x8B\x08", Format::Unknown, "file", ""),
        ("a.pkg", b"xar!", Format::Pkg, "pkg", ""),
        ("a.deb", b"!<arch>\ndebian-binary   ", Format::Deb, "deb", ""),
        ("a.flatpak", b"flatpak\0\x01", Format::Flatpak, "flatpak", ""),
        ("a.snap", b"hsqs", Format::Snap, "snap", ""),
        ("a.msi", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Format::Msi, "msi", ""),
        ("acme-server", b"\x7FELF\x02\x01", Format::Unknown, "file", ""),
    ];
    for (name, bytes, format, package_type, arch) in cases {
        let report = look(name, bytes);
        assert_eq!(
            (
                report.format,
                &*report.package_type,
                report.arch.as_deref().unwrap_or_default()
            ),
            (format, package_type, arch),
            "{name}"
        );
        // There is nothing behind most of these headers; what is said of that is the formats' own.
        assert_eq!(report.platform, format.platform(), "{name}");
    }
}

#[test]
fn a_file_that_is_not_what_its_name_says_fails() {
    let apk = zip(&["AndroidManifest.xml"]);
    let cases: [(&str, &[u8], &str, Format); 8] = [
        ("a.apk", b"<html>", "apk.not_a_zip", Format::Unknown),
        ("a.ipa", &apk, "ipa.no_app", Format::Apk),
        ("a.aab", &apk, "aab.no_config", Format::Apk),
        ("a.exe", b"\x7FELF\x02\x01", "pe.no_header", Format::Unknown),
        ("a.deb", b"\xED\xAB\xEE\xDB", "deb.not_an_ar", Format::Rpm),
        ("a.tar.gz", b"\xFD7zXZ\0", "tar.not_gzip", Format::Unknown),
        ("a.zip", b"Rar!", "zip.bad_magic", Format::Unknown),
        ("a.bin", b"", "file.empty", Format::Unknown),
    ];
    for (name, bytes, code, format) in cases {
        let report = look(name, bytes);
        assert_eq!((report.verdict, report.format), (Verdict::Failed, format), "{name}");
        let finding = &report.findings[0];
        assert_eq!((&*finding.code, finding.severity), (code, Severity::Error), "{name}");
    }
    let report = look("a.deb", b"\xED\xAB\xEE\xDB");
    assert!(
        report.findings[0].message.ends_with("It is of format rpm."),
        "{report:?}"
    );
    assert_eq!(report.platform, Some(Platform::Linux));
}

#[test]
fn a_name_alone_claims_a_format() {
    let apk = claim("Acme.APK");
    assert_eq!((apk.platform, apk.format), (Some(Platform::AndroidApk), Format::Apk));
    assert_eq!((&*apk.package_type, apk.verdict), ("apk", Verdict::Passed));
    let tar = claim("acme-linux-x86_64.tar.gz");
    assert_eq!(
        (tar.platform, tar.arch.as_deref()),
        (Some(Platform::Linux), Some("x86_64"))
    );
    assert_eq!((&*tar.package_type, claim("acme").format), ("tar.gz", Format::Unknown));
}

#[test]
fn a_nested_payload_is_a_warning() {
    let report = look("a.ipa", &zip(&["Acme/Payload/A.app/Info.plist"]));
    let finding = &report.findings[0];
    assert_eq!((report.format, finding.severity), (Format::Ipa, Severity::Warning));
    assert_eq!(finding.code, "ipa.payload_nested");
}

#[test]
fn a_cut_or_huge_directory_is_a_finding() {
    let whole = zip(&["AndroidManifest.xml", "classes.dex"]);
    assert_eq!(
        look("a.apk", &whole[..whole.len() - 30]).findings[0].code,
        "archive.broken"
    );
    let few = Limits {
        entries: 1,
        ..Limits::default()
    };
    let short = Limits {
        directory_bytes: 60,
        ..Limits::default()
    };
    for (limits, code) in [(few, "archive.too_many_entries"), (short, "archive.directory_too_long")] {
        let context = Context { limits, now: 0 };
        let report = inspect(&whole, "a.apk", &context).unwrap().report;
        assert_eq!((&*report.findings[0].code, report.verdict), (code, Verdict::Failed));
    }
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(
        magic in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"PK\x05\x06", b"MZ", b"\x7FELF", b"xar!"]),
        tail in prop::collection::vec(any::<u8>(), 0..600),
        name in "[a-z]{1,3}\\.(apk|ipa|exe|dmg|zip|tar\\.gz|AppImage)",
    ) {
        let bytes = [magic, &tail].concat();
        let report = look(&name, &bytes);
        prop_assert!(report.verdict == Verdict::Passed || !report.findings.is_empty());
    }

    #[test]
    fn a_damaged_zip_gets_an_answer(position in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let mut bytes = zip(&["AndroidManifest.xml", "classes.dex", "lib/arm64-v8a/liba.so"]);
        let position = position.index(bytes.len());
        bytes[position] = byte;
        look("a.apk", &bytes);
        look("a.apk", &bytes[..cut.index(bytes.len())]);
    }
}
