//! What is fuzzed: each format whole, the parts of formats that checksums would keep a fuzzer from,
//! and the parsers that formats share. The fuzzer runs the targets, and so does the replay among the
//! tests of `dist-inspect`, which takes this file in as it is.

mod seeds;

use std::io::{Cursor, Write as _};
use std::time::Duration;

use dist_inspect::parse::disk::{FileSystem, partitions};
use dist_inspect::parse::{self, cms::SignedData, plist::Plist, x509::Certificate};
use dist_inspect::{Budget, Context, Limits, Verdict, inspect};
use zip::write::{SimpleFileOptions, ZipWriter};

pub use seeds::files;

/// One thing that is fuzzed.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What its input is.
    pub input: Input,
}

/// What the fuzzer's bytes are taken for.
#[derive(Clone, Copy)]
pub enum Input {
    /// A file of this name.
    File(&'static str),
    /// A member of a zip, whose other members are empty.
    Member {
        /// The file's name.
        file: &'static str,
        /// The member's name.
        member: &'static str,
        /// The names of the others.
        others: &'static [&'static str],
    },
    /// What a parser reads.
    Parser(fn(&[u8], &Budget)),
}

const fn file(name: &'static str, file: &'static str) -> Target {
    Target {
        name,
        input: Input::File(file),
    }
}

const fn member(
    name: &'static str,
    file: &'static str,
    member: &'static str,
    others: &'static [&'static str],
) -> Target {
    Target {
        name,
        input: Input::Member { file, member, others },
    }
}

const fn parser(name: &'static str, parse: fn(&[u8], &Budget)) -> Target {
    Target {
        name,
        input: Input::Parser(parse),
    }
}

const ANDROID_MANIFEST: &[&str] = &["AndroidManifest.xml"];
const INFO_PLIST: &[&str] = &["Payload/X.app/Info.plist"];
const APPX_MANIFEST: &[&str] = &["AppxManifest.xml", "AppxBlockMap.xml", "[Content_Types].xml"];

/// Every target. The first part are the formats, as `docs/adding-a-format.md` asks for.
pub const TARGETS: &[Target] = &[
    file("apk", "x.apk"),
    file("aab", "x.aab"),
    file("apks", "x.apks"),
    file("xapk", "x.xapk"),
    file("ipa", "x.ipa"),
    file("app_zip", "x.app.zip"),
    file("app_tar", "x.app.tar"),
    file("dmg", "x.dmg"),
    file("pkg", "x.pkg"),
    file("deb", "x.deb"),
    file("rpm", "x.rpm"),
    file("appimage", "x.AppImage"),
    file("flatpak", "x.flatpak"),
    file("snap", "x.snap"),
    file("tar", "x.tar"),
    file("pe", "x.exe"),
    file("msi", "x.msi"),
    file("msix", "x.msix"),
    file("msixbundle", "x.msixbundle"),
    file("nupkg", "x.nupkg"),
    file("zip", "x.zip"),
    member("apk_manifest", "x.apk", "AndroidManifest.xml", &[]),
    member("apk_resources", "x.apk", "resources.arsc", ANDROID_MANIFEST),
    member("apk_v1_block", "x.apk", "META-INF/CERT.RSA", ANDROID_MANIFEST),
    member(
        "aab_manifest",
        "x.aab",
        "base/manifest/AndroidManifest.xml",
        &["BundleConfig.pb"],
    ),
    member("ipa_plist", "x.ipa", "Payload/X.app/Info.plist", &[]),
    member(
        "ipa_profile",
        "x.ipa",
        "Payload/X.app/embedded.mobileprovision",
        INFO_PLIST,
    ),
    member("msix_manifest", "x.msix", "AppxManifest.xml", &[]),
    member("msix_signature", "x.msix", "AppxSignature.p7x", APPX_MANIFEST),
    member("nuspec", "x.nupkg", "x.nuspec", &[]),
    parser("plist", |bytes, budget| drop(Plist::parse(bytes, budget))),
    parser("xml", |bytes, budget| drop(parse::xml::parse(bytes, budget))),
    parser("cms", |bytes, _| drop(SignedData::parse(bytes))),
    parser("x509", |bytes, _| drop(Certificate::parse(bytes))),
    parser("disk", |bytes, budget| {
        let volume = &bytes;
        if let Ok(Some(system)) = FileSystem::of(volume) {
            for file in system.files(volume, budget).unwrap_or_default().values().take(20) {
                drop(
                    file.open(volume, budget)
                        .and_then(|file| file.bytes(0..file.len(), 1 << 20)),
                );
            }
        }
    }),
    parser("partitions", |bytes, _| drop(partitions::places(&bytes))),
    parser("car", |bytes, budget| {
        drop(parse::car::icon(bytes, &["AppIcon", "App Icon"], budget));
    }),
    parser("ico", |bytes, budget| drop(parse::ico::icon(bytes, budget))),
    parser("icns", |bytes, budget| drop(parse::icns::icon(bytes, budget))),
    parser("picture", |bytes, budget| drop(parse::picture::icon(bytes, budget))),
];

/// What an inspection under fuzz may take: little, so that what takes more is found.
fn limits() -> Limits {
    Limits {
        member_bytes: 16 << 20,
        total_bytes: 64 << 20,
        time: Duration::from_secs(2),
        ..Limits::default()
    }
}

impl Target {
    /// Runs it on some bytes; a panic is what is looked for.
    pub fn run(&self, bytes: &[u8]) {
        match self.input {
            Input::File(name) => look(bytes, name),
            Input::Member { file, member, others } => look(&zipped(bytes, member, others), file),
            Input::Parser(parse) => parse(bytes, &Budget::new(&limits())),
        }
    }
}

/// Inspects a file, and holds the report to what every report promises.
fn look(bytes: &[u8], name: &str) {
    // The middle of 2026.
    let context = Context {
        limits: limits(),
        now: 1_782_000_000_000,
    };
    let found = inspect(&bytes.to_vec(), name, &context).expect("bytes in memory can be read");
    let report = found.report;
    let errors = report
        .findings
        .iter()
        .any(|finding| finding.code.is_empty() || finding.help.is_empty());
    assert!(!errors, "a finding has a code and help");
    assert!(
        report.verdict != Verdict::Failed || !report.findings.is_empty(),
        "a failure has a reason"
    );
    if let Some(icon) = found.icon {
        assert!(
            icon.width <= 512 && icon.height <= 512,
            "an icon is at most 512 px wide and high"
        );
    }
}

fn zipped(bytes: &[u8], member: &str, others: &[&str]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in others.iter().map(|name| (*name, &[][..])).chain([(member, bytes)]) {
        writer.start_file(name, stored).expect("a member of a zip in memory");
        writer.write_all(content).expect("a member of a zip in memory");
    }
    writer.finish().expect("a zip in memory").into_inner()
}
