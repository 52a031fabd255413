//! The files that are looked at, and by whom.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, HASH, INSPECT};
use crate::table::{Contestant, Section};
use crate::{android, apple, linux};

/// A title, a file of the corpus, and the tools that look at the same.
type Fixture = (&'static str, &'static str, &'static [&'static [&'static str]]);

const BADGING: &[&str] = &["aapt", "dump", "badging"];
const APKSIGNER: &[&str] = &["apksigner", "verify"];
const DPKG: &[&str] = &["dpkg-deb", "-I"];
const RPM: &[&str] = &["rpm", "-qpi"];
const RPM_CHECK: &[&str] = &["rpm", "-K"];
const MSI: &[&str] = &["msiinfo", "suminfo"];
const AUTHENTICODE: &[&str] = &["osslsigncode", "verify"];
/// Inflates the executable, which is what an inspection of an IPA cannot do without.
const INFLATE: &[&str] = &["unzip", "-p"];

const FIXTURES: &[Fixture] = &[
    ("IPA", "ios/appinfo-apple-tv.ipa", &[]),
    ("APK", "android/appinfo-tv.apk", &[BADGING, APKSIGNER]),
    ("AAB", "android/bundletool-watch-face-from-tool.aab", &[]),
    ("app in a zip", "macos/sparkle-SparkleTestCodeSignApp.zip", &[]),
    ("app in a tar.xz", "macos/sparkle-SparkleTestCodeSignApp.tar.xz", &[]),
    ("dmg, zlib", "macos/appleplatform-example.dmg", &[]),
    (
        "dmg, LZMA",
        "macos/sparkle-SparkleTestCodeSign_apfs_lzma_aux_files.dmg",
        &[],
    ),
    ("pkg", "macos/gen-rcodesign-signed.pkg", &[]),
    ("deb", "linux/debian-win32-loader_0.10.6_all.deb", &[DPKG]),
    (
        "rpm",
        "linux/rpmrs-RPMS_v4_signed_rpm-basic-with-ed25519-2.3.4-5.el9.noarch.rpm",
        &[RPM, RPM_CHECK],
    ),
    ("AppImage", "linux/libappimage-Hello_World-x86_64.zstd.AppImage", &[]),
    ("snap", "linux/gen-tide-notes_2.4.1_amd64.snap", &[]),
    ("exe", "windows/npm-notifu64.exe", &[AUTHENTICODE]),
    (
        "msi",
        "windows/jsign-minimal-signed-with-signtool.msi",
        &[MSI, AUTHENTICODE],
    ),
    ("msix", "windows/msixsdk-NotepadPlusPlus.appx", &[]),
    ("nupkg", "windows/squirrel-Squirrel.Core.1.1.0.0-full.nupkg", &[]),
];

/// Every file whose title has one of `names`, or all without any.
pub fn sections(names: &[String], against: Option<&Path>) -> Vec<Section> {
    let corpus = corpus();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("formats");
    fs::create_dir_all(&scratch).unwrap();
    let is_wanted = |title: &str| names.is_empty() || names.iter().any(|name| title.contains(name.as_str()));
    let mut sections = Vec::new();
    let mut add = |title: &str, path: &Path, peers: Vec<Vec<String>>| {
        sections.push(section(title, path, against, peers, &scratch));
    };
    for (title, make, peers, member) in generated() {
        if is_wanted(title) {
            let path = make(&scratch, &corpus);
            let member = member.map(str::to_owned);
            add(
                title,
                &path,
                peers.iter().map(|peer| words(peer, &path, member.clone())).collect(),
            );
        }
    }
    for (title, path, peers) in FIXTURES.iter().filter(|(title, ..)| is_wanted(title)) {
        let path = corpus.join(path);
        add(
            title,
            &path,
            peers.iter().map(|peer| words(peer, &path, None)).collect(),
        );
    }
    sections
}

/// A title, what makes the file, the tools, and the member that they are told to look at.
type Generated = (
    &'static str,
    fn(&Path, &Path) -> PathBuf,
    &'static [&'static [&'static str]],
    Option<&'static str>,
);

fn generated() -> [Generated; 6] {
    [
        ("large IPA", apple::ordinary, &[INFLATE], Some(apple::EXECUTABLE)),
        (
            "large IPA, one executable",
            apple::extreme,
            &[INFLATE],
            Some(apple::EXECUTABLE),
        ),
        (
            "large APK, v2 and v3",
            android::signed_v2_v3,
            &[BADGING, APKSIGNER],
            None,
        ),
        ("large APK, v1 alone", android::signed_v1, &[BADGING, APKSIGNER], None),
        ("large deb", linux::deb, &[DPKG], None),
        ("large rpm", linux::rpm, &[RPM, RPM_CHECK], None),
    ]
}

fn words(peer: &[&str], path: &Path, member: Option<String>) -> Vec<String> {
    let peer = peer.iter().map(|word| (*word).to_owned());
    peer.chain([text(path)]).chain(member).collect()
}

fn section(title: &str, path: &Path, against: Option<&Path>, peers: Vec<Vec<String>>, scratch: &Path) -> Section {
    let own = text(&std::env::current_exe().unwrap());
    let mut contestants = vec![
        contestant("ours", [own.clone(), INSPECT.to_owned(), text(path)].into()),
        contestant(
            "ours, and the file's SHA-256",
            [own, HASH.to_owned(), text(path)].into(),
        ),
    ];
    if let Some(other) = against {
        let words = [text(other), INSPECT.to_owned(), text(path)];
        contestants.push(contestant("the other build", words.into()));
    }
    for words in peers {
        if process::is_installed(&words[0]) {
            let name = words[..words.len().min(3)].iter().filter(|word| !word.contains('/'));
            let name: Vec<&str> = name.map(String::as_str).collect();
            contestants.push(contestant(&name.join(" "), words));
        } else {
            eprintln!("{} is not installed and takes no part", words[0]);
        }
    }
    Section {
        title: title.to_owned(),
        size: fs::metadata(path).unwrap().len(),
        scratch: scratch.to_owned(),
        contestants,
    }
}

fn contestant(name: &str, words: Vec<String>) -> Contestant {
    Contestant {
        name: name.to_owned(),
        words,
        costs: Vec::new(),
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths are UTF-8").to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is told where the corpus is as the tests are"
)]
fn corpus() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("DIST_FIXTURES").map_or_else(beside, PathBuf::from);
    let visible = folder.join("visible");
    assert!(
        visible.is_dir(),
        "{} is missing: name its folder with DIST_FIXTURES",
        visible.display()
    );
    visible
}

/// `len` bytes of machine code, from `start` of the compiler's own library on and from its beginning
/// again: code that nobody made for a benchmark.
pub fn code(start: usize, len: usize) -> Vec<u8> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let libraries = Path::new(String::from_utf8(sysroot.stdout).unwrap().trim()).join("lib");
    let largest = fs::read_dir(libraries)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .max_by_key(|path| fs::metadata(path).unwrap().len());
    let library = fs::read(largest.expect("the compiler has libraries")).unwrap();
    let mut bytes = Vec::with_capacity(len);
    let mut rest = &library[start..];
    while bytes.len() < len {
        bytes.extend_from_slice(&rest[..rest.len().min(len - bytes.len())]);
        rest = &library;
    }
    bytes
}

/// `len` bytes as those of packed pictures and sounds are, which do not become less.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The file of this name in `scratch`, which `make` makes where it is missing, whole or not at all.
pub fn kept(scratch: &Path, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let path = scratch.join(name);
    if !path.exists() {
        eprintln!("making {}", path.display());
        let begun = scratch.join(format!("begun-{name}"));
        make(&begun);
        fs::rename(&begun, &path).unwrap();
    }
    path
}
