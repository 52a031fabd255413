//! Small packages for Windows made here: what they tell, and what is said of those that lie.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dist_inspect::parse::picture;
use dist_inspect::{Budget, Context, Format, Limits, Report, Severity, inspect};
use dist_model::Platform;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = r#"<Package xmlns="http://schemas.microsoft.com/appx/manifest/foundation/windows10">
  <Identity Name="Acme" Publisher="CN=Acme" Version="2.4.0.0" ProcessorArchitecture="x64"/>
  <Properties><DisplayName>Acme</DisplayName><Logo>Assets\\Logo.png</Logo></Properties>
  <Dependencies><TargetDeviceFamily Name="Windows.Desktop" MinVersion="10.0.17763.0"/>
    <PackageDependency Name="Acme.Runtime" MinVersion="1.0.0.0"/></Dependencies>
  <Capabilities><Capability Name="internetClient"/></Capabilities>
</Package>"#;

/// A file of two blocks.
static DATA: [u8; 70_000] = [7; 70_000];

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, contents) in members {
        let (mut entry, config) = archive.new_file(name).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(contents).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

/// The block map of some files, in blocks as Windows has them.
fn block_map(files: &[(&str, &[u8])]) -> String {
    let hash = |block: &[u8]| format!(r#"<Block Hash="{}"/>"#, STANDARD.encode(Sha256::digest(block)));
    let file = |(name, contents): &(&str, &[u8])| {
        let blocks: String = contents.chunks(64 << 10).map(hash).collect();
        format!(r#"<File Name="{name}" Size="{}">{blocks}</File>"#, contents.len())
    };
    let files: String = files.iter().map(file).collect();
    let method = "http://www.w3.org/2001/04/xmlenc#sha256";
    format!(
        r#"<BlockMap xmlns="http://schemas.microsoft.com/appx/2010/blockmap" HashMethod="{method}">{files}</BlockMap>"#
    )
}

fn look(name: &str, bytes: &[u8]) -> Report {
    inspect(&bytes, name, &Context::default()).unwrap().report
}

fn errors(report: &Report) -> Vec<&str> {
    let errors = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| &*finding.code).collect()
}

/// A package of a file, with this block map.
fn package(map: &str) -> Report {
    let members: [(&str, &[u8]); 4] = [
        ("Assets/My%20Data.bin", &DATA),
        ("AppxManifest.xml", MANIFEST.as_bytes()),
        ("AppxBlockMap.xml", map.as_bytes()),
        ("[Content_Types].xml", b"<Types/>"),
    ];
    look("acme.msix", &zip(&members))
}

#[test]
fn a_package_tells_its_identity() {
    let map = block_map(&[
        ("Assets\\My Data.bin", &DATA),
        ("AppxManifest.xml", MANIFEST.as_bytes()),
    ]);
    let report = package(&map);
    assert!(errors(&report).is_empty(), "{report:?}");
    let facts = [
        ("app_id", json!("Acme")),
        ("version", json!("2.4.0.0")),
        ("publisher", json!("CN=Acme")),
        ("archs", json!(["x86_64"])),
        ("min_os", json!("10.0.17763.0")),
        ("depends", json!(["Acme.Runtime (>= 1.0.0.0)"])),
        ("capabilities", json!(["internetClient"])),
        ("signed", json!(false)),
    ];
    for (key, value) in facts {
        assert_eq!(report.facts.get(key), Some(&value), "{key}");
    }
}

#[test]
fn a_block_map_that_does_not_fit_fails() {
    let manifest = ("AppxManifest.xml", MANIFEST.as_bytes());
    let data: (&str, &[u8]) = ("Assets\\My Data.bin", &DATA);
    let mut changed = DATA.to_vec();
    changed[69_999] = 8;
    let cases = [
        ("a file is missing", block_map(&[manifest])),
        ("a file is not there", block_map(&[manifest, data, ("x", b"")])),
        ("other bytes", block_map(&[manifest, (data.0, &changed)])),
        ("another size", block_map(&[manifest, (data.0, &changed[..65_536])])),
        ("itself", block_map(&[manifest, data, ("AppxBlockMap.xml", b"")])),
    ];
    for (case, map) in cases {
        assert_eq!(errors(&package(&map)), ["msix.block_map_mismatch"], "{case}");
    }
    for map in ["<BlockMap/>".to_owned(), block_map(&[data, data]), String::new()] {
        assert_eq!(errors(&package(&map)), ["msix.block_map_invalid"], "{map}");
    }
}

/// The headers of a program for 64 bits, without sections.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let parts: [(usize, &[u8]); 6] = [
        (0, b"MZ"),
        (0x3C, &[0x80]),
        (0x80, b"PE\0\0\x64\x86"),
        (0x94, &[240]),
        (0x98, &[0x0B, 0x02]),
        (0xDC, &[3]),
    ];
    for (offset, part) in parts {
        bytes[offset..offset + part.len()].copy_from_slice(part);
    }
    bytes
}

#[test]
fn a_zip_is_what_its_program_is() {
    let program = program();
    let report = look(
        "acme.zip",
        &zip(&[("acme/bin/acme.exe", &program), ("acme/README", b"")]),
    );
    assert_eq!((report.format, report.platform), (Format::Zip, Some(Platform::Windows)));
    assert_eq!(report.facts["main_exe"], "acme/bin/acme.exe");
    assert_eq!(report.arch.as_deref(), Some("x86_64"));
    let both = zip(&[("acme.exe", &program), ("acme", b"\x7FELF\x02\x01")]);
    assert_eq!(look("acme.zip", &both).platform, None);
    assert_eq!(look("acme-linux.zip", &both).platform, Some(Platform::Linux));
}

/// A zip of one member, compressed.
fn deflated(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut archive = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default();
    archive.start_file(name, options).unwrap();
    archive.write_all(contents).unwrap();
    archive.finish().unwrap().into_inner()
}

#[test]
fn a_program_that_is_too_large_to_be_held_tells_all_the_same() {
    let mut large = program();
    large.resize(1 << 20, 0);
    let limits = Limits {
        member_bytes: 1 << 16,
        ..Limits::default()
    };
    let context = Context {
        limits,
        ..Context::default()
    };
    let report = inspect(&deflated("acme.exe", &large), "acme.zip", &context)
        .unwrap()
        .report;
    assert_eq!(
        (&report.facts["main_exe"], &report.facts["archs"]),
        (&json!("acme.exe"), &json!(["x86_64"]))
    );
    assert_eq!(report.facts["signed"], false);
}

#[test]
fn programs_for_others_tell_what_a_zip_runs_on() {
    let elf = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xB7\0";
    let report = look("acme.zip", &zip(&[("acme", elf), ("README", b"")]));
    assert_eq!(
        (&report.facts["archs"], report.arch.as_deref(), report.platform),
        (&json!(["arm64"]), Some("arm64"), None)
    );
    let report = look("acme.zip", &zip(&[("acme", elf), ("acme.exe", &program())]));
    assert_eq!(
        (&report.facts["archs"], report.arch),
        (&json!(["arm64", "x86_64"]), None)
    );
}

#[test]
fn an_unpacked_app_in_a_zip_is_a_zip() {
    let layout = zip(&[("AppxManifest.xml", MANIFEST.as_bytes()), ("Acme.exe", &program())]);
    let report = look("acme.zip", &layout);
    assert_eq!((report.format, errors(&report)), (Format::Zip, vec![]));
    assert_eq!(report.facts["main_exe"], "Acme.exe");
    let report = look("acme.msix", &layout);
    assert_eq!(errors(&report), ["msix.no_content_types", "msix.no_block_map"]);
}

#[test]
fn an_update_tells_its_nuspec() {
    let nuspec =
        b"<package><metadata><id>Acme</id><version>2.4.0</version><authors>Acme Inc.</authors></metadata></package>";
    let report = look(
        "acme.nupkg",
        &zip(&[("acme.nuspec", nuspec), ("lib/net45/Acme.exe", &program())]),
    );
    assert!(errors(&report).is_empty(), "{report:?}");
    assert_eq!(
        (&report.facts["app_id"], &report.facts["version"]),
        (&json!("Acme"), &json!("2.4.0"))
    );
    assert_eq!(report.facts["squirrel"], "full");
    let report = look("acme.nupkg", &zip(&[("acme.nuspec", b"<package/>")]));
    assert_eq!(errors(&report), ["nupkg.nuspec_invalid"]);
}

#[test]
fn only_packages_of_updaters_are_told_as_updates() {
    let nuspec = b"<package><metadata><id>Acme</id><version>1</version><license type=\"file\">LICENSE.txt</license>\
        </metadata></package>";
    let kind = |name: &str, member: &str| {
        let report = look(name, &zip(&[("acme.nuspec", nuspec), (member, b"")]));
        assert_eq!(report.facts.get("license"), None);
        let is_update = report
            .findings
            .iter()
            .any(|finding| finding.code == "nupkg.update_only");
        (report.facts.get("squirrel").cloned(), is_update)
    };
    assert_eq!(kind("acme.nupkg", "tools/chocolateyInstall.ps1"), (None, false));
    assert_eq!(kind("acme.nupkg", "lib/net8.0/Acme.dll"), (None, false));
    assert_eq!(kind("acme-1-full.nupkg", "lib/net45/Acme.dll"), (None, true));
    assert_eq!(kind("acme.nupkg", "lib/app/Acme.exe"), (Some(json!("full")), true));
    assert_eq!(
        kind("acme.nupkg", "lib/app/Acme.exe.zsdiff"),
        (Some(json!("delta")), true)
    );
}

/// Made by OpenSSL, with the certificates of the signer, who is named by a key's identifier, and of the
/// issuer.
const SIGNATURE: &[u8] = include_bytes!("data/windows/signature.p7s");

#[test]
fn a_signed_package_of_nuget_tells_its_signer() {
    let nuspec = b"<package><metadata><id>Acme</id><version>1</version></metadata></package>";
    let signed = |signature: &[u8]| {
        look(
            "acme.nupkg",
            &zip(&[("acme.nuspec", nuspec), (".signature.p7s", signature)]),
        )
    };
    let report = signed(SIGNATURE);
    assert_eq!(
        (
            &report.facts["signed"],
            &report.facts["signer"],
            &report.facts["issuer"]
        ),
        (
            &json!(true),
            &json!("C=US, O=Acme\\, Inc., CN=Acme"),
            &json!("CN=Acme CA")
        )
    );
    let report = signed(b"nothing");
    assert_eq!((&report.facts["signed"], errors(&report)), (&json!(true), vec![]));
}

#[test]
fn a_bundle_runs_on_what_its_package_runs_on() {
    let inner = zip(&[("AppxManifest.xml", MANIFEST.as_bytes())]);
    let bundle = |offset: usize| {
        let manifest = format!(
            r#"<Bundle><Identity Name="Acme" Publisher="CN=Acme" Version="2.4.0.0"/><Packages><Package Type="application"
            Version="2.4.0.0" Architecture="x64" FileName="acme.msix" Offset="{offset}" Size="{}"/></Packages></Bundle>"#,
            inner.len()
        );
        let members: [(&str, &[u8]); 2] = [
            ("acme.msix", &inner),
            ("AppxMetadata/AppxBundleManifest.xml", manifest.as_bytes()),
        ];
        zip(&members)
    };
    let place = bundle(0).windows(inner.len()).position(|window| window == inner);
    let report = look("acme.msixbundle", &bundle(place.unwrap()));
    assert_eq!(
        (&report.facts["min_os"], &report.facts["name"]),
        (&json!("10.0.17763.0"), &json!("Acme")),
        "{report:#?}"
    );
}

#[test]
fn a_program_that_ends_too_early_fails() {
    let mut program = program();
    // One section, of 512 bytes from the end.
    program[0x86] = 1;
    program[0x188 + 17] = 2;
    program[0x188 + 21] = 2;
    assert_eq!(errors(&look("acme.exe", &program)), ["pe.truncated"]);
    program[0x98] = 0;
    assert_eq!(errors(&look("acme.exe", &program)), ["pe.not_loadable", "pe.truncated"]);
}

/// Made by wixl, with an icon of two sizes.
const MSI: &[u8] = include_bytes!("data/windows/icon.msi");

#[test]
fn an_msi_tells_its_product_and_shows_its_icon() {
    let found = inspect(&MSI, "acme.msi", &Context::default()).unwrap();
    let facts = &found.report.facts;
    assert_eq!((&facts["name"], &facts["archs"]), (&json!("Acmé"), &json!(["x86_64"])));
    assert_eq!(facts["upgrade_code"], "{66666666-2222-3333-4444-555555555555}");
    let budget = Budget::new(&Limits::default());
    let expected = picture::icon(include_bytes!("data/icons/128.png"), &budget).unwrap();
    assert_eq!(found.icon, Some(expected));
}

#[test]
fn a_patch_and_a_transform_are_no_packages() {
    let class = b"\x84\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46";
    let place = MSI.windows(16).position(|window| window == class).unwrap();
    for (first, name, code, severity) in [
        (0x86, "a.msp", "msi.patch", Severity::Warning),
        (0x82, "a.mst", "msi.transform", Severity::Error),
        (0x86, "a.msi", "msi.patch", Severity::Error),
    ] {
        let mut bytes = MSI.to_vec();
        bytes[place] = first;
        let report = look(name, &bytes);
        let found = report.findings.iter().find(|finding| finding.code == code);
        assert_eq!(
            (report.format, found.map(|finding| finding.severity)),
            (Format::Msi, Some(severity)),
            "{name}"
        );
    }
}

/// A program with a section of `WiX` Burn and two cabinets of 16 bytes after it, from `WiX`'s own
/// `section.cpp`; no tool at hand makes bundles.
fn bundle() -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, b"MZ");
    put(0x3C, &[0x80]);
    put(0x80, b"PE\0\0\x4C\x01\x01");
    put(0x94, &[0xE0]);
    put(0x98, &[0x0B, 0x01]);
    put(0x98 + 48, &[6]);
    put(0x98 + 68, &[2]);
    put(0x98 + 92, &[16]);
    put(0x178, b".wixburn\0\x02\0\0\0\x10\0\0\0\x02\0\0\0\x02\0\0");
    put(0x200, &[0, 0x43, 0xF1, 0, 2]);
    put(0x208, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    put(0x218, &[0, 4]);
    put(0x200 + 40, &[1, 0, 0, 0, 2, 0, 0, 0, 16, 0, 0, 0, 16]);
    bytes.resize(0x420, b'c');
    bytes
}

#[test]
fn a_bundle_of_wix_tells_its_code_and_whether_it_is_whole() {
    let bytes = bundle();
    let report = look("setup.exe", &bytes);
    assert_eq!(
        (&report.facts["installer"], errors(&report)),
        (&json!("burn"), vec![]),
        "{report:#?}"
    );
    assert_eq!(report.facts["product_code"], "{04030201-0605-0807-090A-0B0C0D0E0F10}");
    let report = look("setup.exe", &bytes[..bytes.len() - 1]);
    assert_eq!(errors(&report), ["pe.installer_truncated"]);
}
