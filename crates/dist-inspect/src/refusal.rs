//! Why something was not read, and what is said of it.

use std::io;
use std::time::Duration;

use crate::report::{Finding, Severity};

/// Why a file, or a part of it, was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A path that leads out of the folder that it is unpacked to, by `..`.
    #[error("The member {0} leads out of the folder that it is unpacked to.")]
    PathTraversal(String),
    /// A path from the root, or from a drive.
    #[error("The member {0} has an absolute path.")]
    AbsolutePath(String),
    /// A path with backslashes.
    #[error("The member {0} has backslashes in its path.")]
    BackslashPath(String),
    /// A link to what lies outside of the archive, with something written through it, or to a file
    /// of the system.
    #[error("The link {0} leads out of the folder that it is unpacked to.")]
    LinkEscape(String),
    /// Two members of one path.
    #[error("There are two members named {name}.")]
    DuplicateName {
        /// The path.
        name: String,
        /// Whether both have the same size and checksum.
        is_same: bool,
    },
    /// Two members that share bytes.
    #[error("The member {0} shares bytes with another one.")]
    Overlap(String),
    /// What is packed becomes too many times larger.
    #[error("A member unpacks to more than {limit} times its packed size.")]
    Ratio {
        /// The limit.
        limit: u64,
    },
    /// More bytes of a member are wanted at once than may be held.
    #[error("What is looked for is larger than {limit} bytes.")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A member has another size than it claims.
    #[error("The member {0} has another size than it claims.")]
    SizeMismatch(String),
    /// A member's checksum is not that of its bytes.
    #[error("The bytes of the member {0} do not have its checksum.")]
    CrcMismatch(String),
    /// A directory and a member's own header tell different names.
    #[error("The member {0} has another name in its own header.")]
    NameMismatch(String),
    /// A member's own header differs from the directory in something else.
    #[error("The member {0} has another method or size in its own header.")]
    HeaderMismatch(String),
    /// An encrypted member.
    #[error("The member {0} is encrypted.")]
    Encrypted(String),
    /// A method of compression that is not known here.
    #[error("The member {name} is compressed by method {method}, which is not known.")]
    MethodUnknown {
        /// The member's path.
        name: String,
        /// The zip's number of the method.
        method: u16,
    },
    /// More members than may be.
    #[error("The archive has more than {limit} members.")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// A directory that is longer than may be.
    #[error("The archive's directory is longer than {limit} bytes.")]
    DirectoryTooLong {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A path that is longer than may be.
    #[error("A path is longer than {limit} bytes.")]
    PathTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Things that lie deeper in each other than may be.
    #[error("Things lie in each other deeper than {limit} times.")]
    Nesting {
        /// The limit.
        limit: u32,
    },
    /// An archive that cannot be read, and why.
    #[error("The archive cannot be read: {0}.")]
    Broken(String),
    /// It ends before what it says is in it.
    #[error("It ends before what it says is in it.")]
    Truncated,
    /// Compressed bytes that are damaged, and how.
    #[error("Compressed bytes are damaged: {0}.")]
    Damaged(String),
    /// A structure inside that breaks the rules of its format.
    #[error("Its {what} cannot be read: {why}.")]
    Malformed {
        /// What cannot be read, as in `property list`.
        what: &'static str,
        /// Why, without a full stop.
        why: String,
    },
    /// XML that declares entities.
    #[error("A document declares entities.")]
    Entities,
    /// More parts than may be: elements, values.
    #[error("A document has more than {limit} parts.")]
    TooManyNodes {
        /// The limit.
        limit: u32,
    },
    /// More bytes decompressed in all than may be.
    #[error("It unpacks to more than {limit} bytes, and was not read further.")]
    Bytes {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Packed with a window that takes more memory than may be.
    #[error("It is packed with a window of more than {limit} bytes, and was not read.")]
    Window {
        /// The limit, in bytes.
        limit: u64,
    },
    /// More time taken than may be.
    #[error("It takes longer than {} seconds to read, and was not read further.", limit.as_secs())]
    Time {
        /// The limit.
        limit: Duration,
    },
    /// The file itself could not be read; this is nobody's fault who made it.
    #[error("the file cannot be read")]
    Io(#[source] io::Error),
}

const BUILD_AGAIN: &str = "Build it again, and see that it is copied whole.";
const PACK_AGAIN: &str = "Pack it again with a common tool, from files of your own build.";
const PACK_LESS: &str = "Pack fewer or smaller files.";
const LOOK_YOURSELF: &str = "See yourself that it is what it should be.";

impl Refusal {
    /// How bad it is, its stable code, and what to do about it: one row a variant.
    fn row(&self) -> (Severity, &'static str, &'static str) {
        use Severity::{Error, Info, Warning};
        match self {
            Self::PathTraversal(_) => (Error, "archive.path_traversal", PACK_AGAIN),
            Self::AbsolutePath(_) => (Error, "archive.absolute_path", PACK_AGAIN),
            Self::BackslashPath(_) => (
                Info,
                "archive.backslash_path",
                "Pack it with a tool that writes slashes.",
            ),
            Self::LinkEscape(_) => (Error, "archive.link_escape", PACK_AGAIN),
            Self::DuplicateName { is_same: true, .. } => (Warning, "archive.duplicate_name", PACK_AGAIN),
            Self::DuplicateName { .. } => (Error, "archive.duplicate_name", PACK_AGAIN),
            Self::Overlap(_) => (Error, "archive.overlap", PACK_AGAIN),
            Self::Ratio { .. } => (Error, "archive.ratio", PACK_LESS),
            Self::TooLarge { .. } => (Warning, "archive.member_too_large", LOOK_YOURSELF),
            Self::SizeMismatch(_) => (Error, "archive.size_mismatch", BUILD_AGAIN),
            Self::CrcMismatch(_) => (Error, "archive.crc_mismatch", BUILD_AGAIN),
            Self::NameMismatch(_) => (Error, "archive.name_mismatch", PACK_AGAIN),
            Self::HeaderMismatch(_) => (Warning, "archive.header_mismatch", PACK_AGAIN),
            Self::Encrypted(_) => (Warning, "archive.encrypted", "Pack it without a password."),
            Self::MethodUnknown { .. } => (
                Warning,
                "archive.method_unknown",
                "Pack it with deflate, or not compressed.",
            ),
            Self::TooManyEntries { .. } => (Error, "archive.too_many_entries", PACK_LESS),
            Self::DirectoryTooLong { .. } => (Error, "archive.directory_too_long", PACK_LESS),
            Self::PathTooLong { .. } => (Error, "archive.path_too_long", "Use shorter names."),
            Self::Nesting { .. } => (Error, "archive.nesting", "Pack archives side by side."),
            Self::Broken(_) => (Error, "archive.broken", BUILD_AGAIN),
            Self::Truncated => (Error, "file.truncated", BUILD_AGAIN),
            Self::Damaged(_) => (Error, "archive.damaged", BUILD_AGAIN),
            Self::Malformed { .. } => (Error, "file.malformed", BUILD_AGAIN),
            Self::Entities => (Error, "xml.entities", "Write the document without a DTD of its own."),
            Self::TooManyNodes { .. } => (Error, "limits.nodes", PACK_LESS),
            Self::Bytes { .. } => (Warning, "limits.bytes", LOOK_YOURSELF),
            Self::Window { .. } => (
                Warning,
                "limits.window",
                "Pack it with a smaller window, as some tools that unpack ask for.",
            ),
            Self::Time { .. } => (Warning, "limits.time", LOOK_YOURSELF),
            Self::Io(_) => (Error, "file.unreadable", "Try again."),
        }
    }

    /// The stable code of the finding, `area.reason`.
    pub fn code(&self) -> &'static str {
        self.row().1
    }

    /// What a report says of it.
    pub fn finding(&self) -> Finding {
        let (severity, code, help) = self.row();
        Finding {
            severity,
            code: code.into(),
            message: self.to_string(),
            help: help.into(),
        }
    }

    /// A structure that cannot be read.
    pub fn malformed(what: &'static str, why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::Malformed { what, why }
    }
}

/// Readers pass a refusal on inside of an I/O error; whatever else does not come from the system is
/// the fault of the bytes. A lack of memory comes without a cause; with one, it is what a library
/// says of bytes that ask for too much.
impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let lacks_memory = error.kind() == io::ErrorKind::OutOfMemory && error.get_ref().is_none();
        if error.raw_os_error().is_some() || lacks_memory {
            return Self::Io(error);
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Truncated;
        }
        match error.downcast::<Self>() {
            Ok(refusal) => refusal,
            Err(error) => Self::Damaged(error.to_string()),
        }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Io(error) => error,
            refusal => Self::other(refusal),
        }
    }
}

/// A name of a member for a sentence: what is not text replaced, and cut at 200 characters.
pub(crate) fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(&name[..name.len().min(1000)]).into_owned();
    if name.chars().count() <= 200 {
        return name;
    }
    name.chars().take(200).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_a_reader() {
        let error = io::Error::from(Refusal::Bytes { limit: 7 });
        assert!(matches!(Refusal::from(error), Refusal::Bytes { limit: 7 }));
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(matches!(Refusal::from(eof), Refusal::Truncated));
        let disk = io::Error::from_raw_os_error(5);
        assert!(matches!(Refusal::from(disk), Refusal::Io(_)));
        let memory = io::Error::from(io::ErrorKind::OutOfMemory);
        assert!(matches!(Refusal::from(memory), Refusal::Io(_)));
        let dictionary = io::Error::new(io::ErrorKind::OutOfMemory, "1 TiB");
        assert!(matches!(Refusal::from(dictionary), Refusal::Damaged(_)));
        assert!(matches!(Refusal::from(io::Error::other("bad")), Refusal::Damaged(_)));
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shown(&[b'a'; 5000]).chars().count(), 201);
        assert_eq!(shown(b"a\xFF"), "a\u{FFFD}");
    }
}
