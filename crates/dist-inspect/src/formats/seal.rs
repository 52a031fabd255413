//! The seal of an app's files: the list that is signed along with the code, of what is beside it and
//! its digests. Apple's systems refuse an app of which a file is missing, or another one.
//! Source: Apple's `resources.h` of its Security framework, and real apps.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::bundle::Bundle;
use crate::parse::plist::Plist;
use crate::refusal::shown;
use crate::{Budget, Refusal};

/// How many bytes of files are held against their digests in all: more takes too long.
const SEALED: u64 = 4 << 20;

/// What is wrong with the files that `list` is of; `None` where nothing is, as far as it was looked at.
pub(super) fn fault(bundle: &Bundle<'_>, list: &[u8], budget: &Budget) -> Result<Option<String>, Refusal> {
    let list = match Plist::parse(list, budget) {
        Ok(list) => list,
        Err(refusal) => return unlooked(refusal),
    };
    // The first is of today; both have the same files.
    let files = list.get("files2").or_else(|| list.get("files"));
    let mut left = SEALED;
    for (name, seal) in files.and_then(Plist::as_dict).into_iter().flatten() {
        budget.step()?;
        // Letters with accents can be written in two ways, and are not the same in all archives.
        let Some(digest) = digest(seal).filter(|_| name.is_ascii()) else {
            continue;
        };
        let Some(size) = bundle.size(name) else {
            return Ok(Some(format!("its {} is missing", shown(name.as_bytes()))));
        };
        let Some(rest) = left.checked_sub(size) else {
            continue;
        };
        left = rest;
        match bundle.read(name, size) {
            Ok(Some(bytes)) if is_of(digest, &bytes) == Some(false) => {
                return Ok(Some(format!(
                    "its {} was changed after it was signed",
                    shown(name.as_bytes())
                )));
            }
            Ok(_) => {}
            Err(refusal) => return unlooked(refusal),
        }
    }
    Ok(None)
}

/// What is in a form that is not read, or too long, is not looked at. What is damaged is no app's file.
fn unlooked(refusal: Refusal) -> Result<Option<String>, Refusal> {
    match refusal {
        stop @ (Refusal::Io(_)
        | Refusal::Time { .. }
        | Refusal::Bytes { .. }
        | Refusal::CrcMismatch(_)
        | Refusal::SizeMismatch(_)
        | Refusal::Damaged(_)
        | Refusal::Truncated) => Err(stop),
        _ => Ok(None),
    }
}

/// The digest of a file; `None` for what may be missing, and for links and code with a signature of its
/// own, which are sealed in other ways.
fn digest(seal: &Plist) -> Option<&[u8]> {
    if seal.get("optional").and_then(Plist::as_bool) == Some(true) {
        return None;
    }
    let digest = seal.get("hash2").or_else(|| seal.get("hash")).unwrap_or(seal);
    digest.as_data()
}

/// Whether `bytes` have this digest, whose length tells of which kind it is.
fn is_of(digest: &[u8], bytes: &[u8]) -> Option<bool> {
    match digest.len() {
        20 => Some(Sha1::digest(bytes)[..] == *digest),
        32 => Some(Sha256::digest(bytes)[..] == *digest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::formats::bundle::Files;
    use crate::source::Source;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::collections::BTreeMap;

    impl Files for BTreeMap<Vec<u8>, Vec<u8>> {
        fn paths(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
            Box::new(self.keys().map(Vec::as_slice))
        }

        fn size(&self, path: &[u8]) -> Option<u64> {
            self.get(path).map(|bytes| bytes.len() as u64)
        }

        fn read(&self, path: &[u8], _max: u64) -> Result<Option<Vec<u8>>, Refusal> {
            match self.get(path) {
                Some(bytes) if bytes == b"damaged" => Err(Refusal::CrcMismatch(String::new())),
                found => Ok(found.cloned()),
            }
        }

        fn executable(&self, _path: &[u8]) -> Result<Option<Box<dyn Source + '_>>, Refusal> {
            Ok(None)
        }
    }

    fn look(files: &[(&str, &str)], list: &str) -> Result<Option<String>, Refusal> {
        let file = |(name, text): &(&str, &str)| (format!("A.app/{name}").into_bytes(), text.as_bytes().to_vec());
        let files: BTreeMap<_, _> = files.iter().map(file).collect();
        let budget = Budget::new(&Limits::default());
        fault(&Bundle::flat(&files, b"A.app"), list.as_bytes(), &budget)
    }

    #[test]
    fn files_are_those_that_were_signed() {
        let data = |bytes: &[u8]| format!("<data>{}</data>", STANDARD.encode(bytes));
        let (sha1, sha256) = (data(&Sha1::digest(b"one")), data(&Sha256::digest(b"two")));
        let seals = format!(
            "<key>one</key><dict><key>hash</key>{sha1}</dict><key>two</key><dict><key>hash</key>{sha1}<key>hash2</key>
            {sha256}</dict><key>may be</key><dict><key>hash</key>{sha1}<key>optional</key><true/></dict><key>link</key>
            <dict><key>symlink</key><string>one</string></dict><key>a.framework</key><dict><key>cdhash</key>{sha1}
            </dict><key>\u{e9}</key><dict><key>hash2</key>{sha256}</dict>"
        );
        let new = format!("<plist><dict><key>files</key><dict/><key>files2</key><dict>{seals}</dict></dict></plist>");
        let old = format!("<plist><dict><key>files</key><dict><key>one</key>{sha1}</dict></dict></plist>");
        let told = |files: &[(&str, &str)], list: &str| look(files, list).unwrap();
        let sound = [("one", "one"), ("two", "two")];
        assert_eq!(told(&sound, &new), None);
        assert_eq!(told(&sound, &old), None);
        assert_eq!(told(&sound[..1], &new).as_deref(), Some("its two is missing"));
        let changed = [("one", "other"), ("two", "two")];
        let expected = Some("its one was changed after it was signed");
        assert_eq!(told(&changed, &new).as_deref(), expected);
        assert_eq!(told(&changed, &old).as_deref(), expected);
        assert_eq!(told(&changed, "nothing"), None);
        assert!(matches!(
            look(&[("one", "damaged")], &old),
            Err(Refusal::CrcMismatch(_))
        ));
    }
}
