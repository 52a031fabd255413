//! Seeds out of real files: whole ones, and the parts of them that a target reads.

use std::fs;
use std::path::{Path, PathBuf};

use dist_inspect::archive::zip::Zip;
use dist_inspect::{Budget, Limits};

use super::{Input, Target};

/// The largest seed: larger ones slow a fuzzer down more than they tell it.
const LARGEST: u64 = 256 << 10;

impl Target {
    /// What it is fuzzed from, out of one real file.
    pub fn seeds(&self, file: &Path) -> Vec<Vec<u8>> {
        match self.input {
            Input::File(name) => whole(file, name).into_iter().collect(),
            Input::Member { member, .. } => members(file, member).into_iter().collect(),
            Input::Parser(_) => parts(file, self.name),
        }
    }
}

/// Every file in a folder and in those below it, in their order.
///
/// # Panics
/// Where one cannot be listed.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the fixtures can be read") {
        let path = entry.expect("the fixtures can be read").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A file of one of the target's endings.
fn whole(file: &Path, name: &str) -> Option<Vec<u8>> {
    let endings: &[&str] = match name {
        "x.msix" => &[".msix", ".appx"],
        "x.msixbundle" => &[".msixbundle", ".appxbundle"],
        "x.app.zip" => &[".app.zip", ".zip"],
        "x.tar" | "x.app.tar" => &[".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"],
        _ => &[&name[1..]],
    };
    let found = file.to_str()?.to_lowercase();
    let fits = endings.iter().any(|ending| found.ends_with(&ending.to_lowercase()));
    (fits && fs::metadata(file).ok()?.len() <= LARGEST).then(|| fs::read(file).ok())?
}

/// The first member of the target's name, or of its ending where names differ from file to file.
fn members(file: &Path, member: &str) -> Option<Vec<u8>> {
    let wanted = match member {
        "x.nuspec" => ".nuspec",
        "META-INF/CERT.RSA" => ".RSA",
        _ => member.rsplit('/').next()?,
    };
    named(file, |name| name.ends_with(wanted)).into_iter().next()
}

/// Parts of real files for a parser.
fn parts(file: &Path, parser: &str) -> Vec<Vec<u8>> {
    let endings: &[&str] = match parser {
        "plist" => &[".plist"],
        "xml" => &[".xml", ".nuspec"],
        "icns" => &[".icns"],
        "ico" => &[".ico"],
        "car" => &[".car"],
        "cms" | "x509" => &[".RSA", ".DSA", ".EC", ".p7x", ".p7s", ".mobileprovision"],
        _ => &[".png", ".webp"],
    };
    named(file, |name| endings.iter().any(|ending| name.ends_with(ending)))
}

fn named(file: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let budget = Budget::new(&Limits::default());
    let Ok(bytes) = fs::read(file) else { return Vec::new() };
    let Ok(zip) = Zip::open(&bytes, &budget) else {
        return Vec::new();
    };
    let fits = zip
        .members()
        .filter(|member| std::str::from_utf8(member.name).is_ok_and(&wanted));
    fits.take(4)
        .filter_map(|member| zip.read(&member, LARGEST).ok())
        .collect()
}
