//! Large apps for iOS.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::files::{code, kept, noise};

/// The executable's path.
pub const EXECUTABLE: &str = "Payload/Acme.app/Acme";
const PAGE: usize = 4096;
const MIB: usize = 1 << 20;
const INFO: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>CFBundleIdentifier</key><string>com.acme.app</string>
<key>CFBundleName</key><string>Acme</string>
<key>CFBundleExecutable</key><string>Acme</string>
<key>CFBundleShortVersionString</key><string>1.2.3</string>
<key>CFBundleVersion</key><string>45</string>
<key>MinimumOSVersion</key><string>15.0</string>
<key>CFBundleSupportedPlatforms</key><array><string>iPhoneOS</string></array>
<key>UIDeviceFamily</key><array><integer>1</integer><integer>2</integer></array>
</dict></plist>"#;

/// An app of a usual make-up: an executable of 45 MiB, frameworks, an asset catalogue, pictures and
/// nibs.
pub fn ordinary(scratch: &Path, corpus: &Path) -> PathBuf {
    kept(scratch, "ordinary.ipa", |path| {
        let mut app = App::new(path, corpus);
        app.add("Acme", &executable(&code(40 * MIB, 45 * MIB)));
        for number in 0..4 {
            let name = format!("Frameworks/Part{number}.framework/Part{number}");
            app.add(&name, &executable(&code((100 + 10 * number) * MIB, 10 * MIB)));
        }
        app.add("Assets.car", &noise(1, 45 * MIB));
        for number in 0..300_usize {
            app.add(&format!("picture{number}@3x.png"), &noise(2 + number as u64, 40_000));
            app.add(&format!("Base.lproj/view{number}.nib"), &code(number * 9000, 9000));
        }
        app.end();
    })
}

/// An app that is almost all executable, of 220 MiB.
pub fn extreme(scratch: &Path, corpus: &Path) -> PathBuf {
    kept(scratch, "extreme.ipa", |path| {
        let mut app = App::new(path, corpus);
        app.add("Acme", &executable(&code(0, 220 * MIB)));
        app.end();
    })
}

/// An app's folder in an IPA, every file of which is deflated, as Xcode does it.
struct App {
    zip: ZipWriter<BufWriter<File>>,
    /// The list of its files, with their hashes.
    resources: Vec<u8>,
}

impl App {
    fn new(path: &Path, corpus: &Path) -> Self {
        let mut app = Self {
            zip: ZipWriter::new(BufWriter::new(File::create(path).unwrap())),
            resources: b"<plist version=\"1.0\"><dict><key>files2</key><dict>".to_vec(),
        };
        app.add("Info.plist", INFO);
        let profile = fs::read(corpus.join("ios/appinfo-ios_appstore.mobileprovision")).unwrap();
        app.add("embedded.mobileprovision", &profile);
        app
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        self.zip
            .start_file(format!("Payload/Acme.app/{name}"), options)
            .unwrap();
        self.zip.write_all(bytes).unwrap();
        let digest = hex::encode(Sha256::digest(bytes));
        writeln!(self.resources, "<key>{name}</key><string>{digest}</string>").unwrap();
    }

    fn end(mut self) {
        let mut resources = std::mem::take(&mut self.resources);
        resources.extend(b"</dict></dict></plist>");
        self.add("_CodeSignature/CodeResources", &resources);
        self.zip.finish().unwrap().flush().unwrap();
    }
}

/// A Mach-O file for arm64 with this code and an ad-hoc signature, which ends it.
fn executable(code: &[u8]) -> Vec<u8> {
    const BUILD_VERSION: [u32; 6] = [0x32, 24, 2, 15 << 16, 18 << 16, 0];
    let start = u32::try_from(PAGE + code.len()).unwrap();
    let pages = (PAGE + code.len()).div_ceil(PAGE);
    let size = u32::try_from(signature_len(pages)).unwrap();
    let header = [0xFEED_FACF, 0x0100_000C, 0, 2, 2, 40, 0, 0];
    let numbers = header.into_iter().chain(BUILD_VERSION).chain([0x1D, 16, start, size]);
    let mut bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    bytes.resize(PAGE, 0);
    bytes.extend(code);
    let signature = signature(&bytes);
    assert_eq!(signature.len(), size as usize);
    bytes.extend(signature);
    bytes
}

const IDENTIFIER: &[u8] = b"com.acme.app\0";
/// The signature before its directory, and the directory before its identifier.
const SUPER_BLOB: usize = 20;
const DIRECTORY: usize = 44;

fn signature_len(pages: usize) -> usize {
    SUPER_BLOB + DIRECTORY + IDENTIFIER.len() + 32 * (1 + pages)
}

/// The signature of `code`, with a hash for `Info.plist` and one for each page.
fn signature(code: &[u8]) -> Vec<u8> {
    const ADHOC: u32 = 2;
    let number = |len: usize| u32::try_from(len).unwrap();
    let pages = code.len().div_ceil(PAGE);
    let whole = number(signature_len(pages));
    let start = number(SUPER_BLOB);
    let hashes = number(DIRECTORY + IDENTIFIER.len() + 32);
    let head = [0xFADE_0CC0, whole, 1, 0, start];
    let directory = [0xFADE_0C02, whole - start, 0x2_0001, ADHOC, hashes, number(DIRECTORY)];
    // One special slot, the pages, and how far they reach.
    let counts = [1, number(pages), number(code.len())];
    let numbers = head.into_iter().chain(directory).chain(counts);
    let mut bytes: Vec<u8> = numbers.flat_map(u32::to_be_bytes).collect();
    // Hashes of 32 bytes, SHA-256, no platform, pages of 2^12 bytes, and nothing more.
    bytes.extend([32, 2, 0, 12]);
    bytes.extend([0; 4]);
    bytes.extend(IDENTIFIER);
    bytes.extend(Sha256::digest(INFO));
    bytes.extend(code.chunks(PAGE).flat_map(|page| Sha256::digest(page).to_vec()));
    bytes
}
