//! Archives and compressed streams, read by position within a [`Budget`](crate::Budget).

pub mod ar;
pub mod compress;
pub mod tar;
pub mod unpacked;
pub mod zip;

use crate::refusal::shown;
use crate::{Limits, Refusal};

/// Whether a member of this path can be unpacked anywhere without leaving the folder it is
/// unpacked to. Both slashes count, since whoever unpacks may be on Windows.
///
/// # Errors
/// [`Refusal::PathTooLong`], [`Refusal::AbsolutePath`], [`Refusal::PathTraversal`] or, for a path
/// that is merely unusual, [`Refusal::BackslashPath`].
pub fn check_path(path: &[u8], limits: &Limits) -> Result<(), Refusal> {
    let limit = limits.path_bytes;
    if path.len() > limit {
        return Err(Refusal::PathTooLong { limit });
    }
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let is_on_drive = matches!(path, [letter, b':', slash, ..] if letter.is_ascii_alphabetic() && is_slash(slash));
    if path.first().is_some_and(is_slash) || is_on_drive {
        return Err(Refusal::AbsolutePath(shown(path)));
    }
    if path.split(is_slash).any(|part| part == b"..") {
        return Err(Refusal::PathTraversal(shown(path)));
    }
    if path.contains(&b'\\') {
        return Err(Refusal::BackslashPath(shown(path)));
    }
    Ok(())
}

/// What is wrong with an archive that can be read all the same: the first of each kind, so that
/// thousands of bad members make one finding.
#[derive(Debug, Default)]
pub struct Faults(Vec<Refusal>);

impl Faults {
    /// Notes `refusal`, unless one of its kind is there.
    pub fn note(&mut self, refusal: Refusal) {
        if self.0.iter().all(|other| other.code() != refusal.code()) {
            self.0.push(refusal);
        }
    }

    /// Notes why `result` is an error, if it is one. What stops the whole inspection is answered.
    ///
    /// # Errors
    /// [`Refusal::Io`], [`Refusal::Time`] and [`Refusal::Bytes`].
    pub fn keep<T>(&mut self, result: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => Err(stop),
            Err(refusal) => {
                self.note(refusal);
                Ok(None)
            }
        }
    }

    /// What was noted, in its order.
    pub fn iter(&self) -> std::slice::Iter<'_, Refusal> {
        self.0.iter()
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Refusal;
    type IntoIter = std::slice::Iter<'a, Refusal>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_folder_are_told_apart() {
        let code = |path: &str| check_path(path.as_bytes(), &Limits::default()).map_err(|refusal| refusal.code());
        for good in ["a", "a/b/", "a/..b/c", "...", "C:file", "@scope/x", ""] {
            assert_eq!(code(good), Ok(()), "{good}");
        }
        for bad in ["..", "../a", "a/../b", "a\\..\\b", "a/.."] {
            assert_eq!(code(bad), Err("archive.path_traversal"), "{bad}");
        }
        for bad in ["/etc", "\\a", "C:\\a", "c:/a"] {
            assert_eq!(code(bad), Err("archive.absolute_path"), "{bad}");
        }
        assert_eq!(code("a\\b"), Err("archive.backslash_path"));
        assert_eq!(code(&"a".repeat(5000)), Err("archive.path_too_long"));
    }
}
