//! Large packages for Android, which are a real one with more in it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::files::{code, kept, noise};
use crate::process::must;

const MIB: usize = 1 << 20;

pub fn signed_v2_v3(scratch: &Path, corpus: &Path) -> PathBuf {
    signed(scratch, corpus, "v2-v3.apk", [false, true, true])
}

pub fn signed_v1(scratch: &Path, corpus: &Path) -> PathBuf {
    signed(scratch, corpus, "v1.apk", [true, false, false])
}

/// Signs with the schemes v1, v2 and v3, or without, and a key of its own.
fn signed(scratch: &Path, corpus: &Path, name: &str, schemes: [bool; 3]) -> PathBuf {
    kept(scratch, name, |path| {
        let unsigned = kept(scratch, "unsigned.apk", |path| fill(path, corpus));
        let file = |name: &str| scratch.join(name);
        must(
            Command::new("openssl")
                .args([
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Acme", "-keyout",
                ])
                .arg(file("key.pem"))
                .arg("-out")
                .arg(file("certificate.pem")),
        );
        must(
            Command::new("openssl")
                .args(["pkcs8", "-topk8", "-outform", "DER", "-nocrypt", "-in"])
                .arg(file("key.pem"))
                .arg("-out")
                .arg(file("key.pk8")),
        );
        let mut sign = Command::new("apksigner");
        sign.args(["sign", "--v4-signing-enabled", "false"]);
        for (scheme, is_wanted) in (1..).zip(schemes) {
            sign.arg(format!("--v{scheme}-signing-enabled"))
                .arg(is_wanted.to_string());
        }
        sign.arg("--key")
            .arg(file("key.pk8"))
            .arg("--cert")
            .arg(file("certificate.pem"));
        must(sign.arg("--out").arg(path).arg(unsigned));
    })
}

/// A real package without its signature, and with libraries and media of a hundred megabytes.
fn fill(path: &Path, corpus: &Path) {
    let original = File::open(corpus.join("android/npm-appium-settings_apk-debug.apk")).unwrap();
    let mut original = ZipArchive::new(original).unwrap();
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path).unwrap()));
    for place in 0..original.len() {
        let member = original.by_index_raw(place).unwrap();
        if !member.name().unwrap().starts_with("META-INF/") {
            zip.raw_copy_file(member).unwrap();
        }
    }
    let mut add = |name: &str, method, bytes: &[u8]| {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    let libraries = ["libengine.so", "libcodec.so"];
    for (number, name) in libraries.iter().enumerate() {
        let bytes = code((40 + number * 30) * MIB, 30 * MIB);
        add(&format!("lib/arm64-v8a/{name}"), CompressionMethod::Deflated, &bytes);
    }
    add(
        "lib/arm64-v8a/libstored.so",
        CompressionMethod::Stored,
        &code(100 * MIB, 30 * MIB),
    );
    for number in 0..10 {
        let bytes = noise(number, 4 * MIB);
        add(&format!("assets/sound{number}.ogg"), CompressionMethod::Stored, &bytes);
    }
    zip.finish().unwrap().flush().unwrap();
}
