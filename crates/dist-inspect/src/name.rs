//! What a file's name says where its bytes say nothing: the platform and processor of an archive
//! or of a bare program, as release names spell them (`acme-linux-x86_64.tar.gz`,
//! `acme-aarch64-apple-darwin.zip`).

use dist_model::Platform;

use crate::arch;

/// Words for platforms, after [`words`].
const PLATFORMS: &[(&str, Platform)] = &[
    ("linux", Platform::Linux),
    ("linux32", Platform::Linux),
    ("linux64", Platform::Linux),
    ("macos", Platform::Macos),
    ("darwin", Platform::Macos),
    ("osx", Platform::Macos),
    ("mac", Platform::Macos),
    ("windows", Platform::Windows),
    ("win32", Platform::Windows),
    ("win64", Platform::Windows),
    ("win", Platform::Windows),
];

/// The platform that a name in lower case spells, if it spells exactly one.
pub(crate) fn platform(name: &str) -> Option<Platform> {
    // Android's targets are named after Linux, and are none.
    if words(name).any(|word| word == "android") {
        return None;
    }
    let known = |word: &str| PLATFORMS.iter().find(|(known, _)| *known == word);
    the_one(words(name).filter_map(|word| known(&word).map(|(_, platform)| *platform)))
}

/// The processor that a name in lower case spells, if it spells exactly one.
pub(crate) fn processor(name: &str) -> Option<&'static str> {
    // In a name these words are about other things, or say nothing.
    let is_processor = |word: &String| !["intel", "all", "any", "neutral", "arm32"].contains(&word.as_str());
    the_one(words(name).filter(is_processor).filter_map(|word| arch::spell(&word)))
}

fn the_one<T: PartialEq>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

/// The words of a name, with `x86_64` and `x86-64` as the one word `x8664`.
fn words(name: &str) -> impl Iterator<Item = String> {
    let name = name.replace("x86_64", "x8664").replace("x86-64", "x8664");
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(str::to_owned)
        .collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_names_tell_platform_and_processor() {
        for (name, expected_platform, expected_processor) in [
            ("acme-linux-x86_64.tar.gz", Some(Platform::Linux), Some("x86_64")),
            (
                "acme-1.0-x86_64-unknown-linux-musl.tar.xz",
                Some(Platform::Linux),
                Some("x86_64"),
            ),
            ("acme_1.0_darwin_arm64.zip", Some(Platform::Macos), Some("arm64")),
            ("acme-aarch64-apple-darwin.zip", Some(Platform::Macos), Some("arm64")),
            ("acme-v1-linux64.tar.gz", Some(Platform::Linux), None),
            ("acme-win64.zip", Some(Platform::Windows), None),
            ("acme-i686-pc-windows-msvc.zip", Some(Platform::Windows), Some("x86")),
            ("acme-macos-universal.zip", Some(Platform::Macos), Some("universal")),
            ("acme-aarch64-linux-android.tar.gz", None, Some("arm64")),
            ("linux-and-windows-amd64.zip", None, Some("x86_64")),
            ("acme.tar.gz", None, None),
            ("winner.zip", None, None),
            ("charm.zip", None, None),
        ] {
            assert_eq!(
                (platform(name), processor(name)),
                (expected_platform, expected_processor),
                "{name}"
            );
        }
    }
}
