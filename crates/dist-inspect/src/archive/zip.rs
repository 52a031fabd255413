//! What a zip's central directory lists.

use std::io::{self, Read, Seek};

use rawzip::{ErrorKind, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive};

use crate::Limits;

/// How a zip starts: with a member, or with the end of an empty directory.
pub(crate) const MAGIC: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Why a directory was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be read, and why.
    Broken(String),
    /// It lists more members than this limit.
    TooManyEntries(u64),
    /// It is longer than this limit, in bytes.
    TooLong(u64),
}

/// Calls `visit` with each member's name, as raw bytes; memory does not grow with their number.
pub(crate) fn for_each_name(
    file: &mut (impl Read + Seek),
    limits: &Limits,
    visit: impl FnMut(&[u8]),
) -> io::Result<Result<(), Fault>> {
    match walk(file, limits, visit) {
        Ok(result) => Ok(result),
        Err(error) => match error.into_kind() {
            // A directory that claims to lie beyond the end is the file's fault, not the disk's.
            ErrorKind::IO(error) if !is_malformed(&error) => Err(error),
            kind => Ok(Err(Fault::Broken(kind.to_string()))),
        },
    }
}

fn is_malformed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
}

fn walk(
    file: &mut (impl Read + Seek),
    limits: &Limits,
    mut visit: impl FnMut(&[u8]),
) -> Result<Result<(), Fault>, rawzip::Error> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipArchive::from_seekable(file, &mut buffer)?;
    let length = archive.eocd_offset().saturating_sub(archive.directory_offset());
    if length > limits.zip_directory_bytes {
        return Ok(Err(Fault::TooLong(limits.zip_directory_bytes)));
    }
    let mut entries = archive.entries(&mut buffer);
    let mut count = 0;
    while let Some(entry) = entries.next_entry()? {
        count += 1;
        if count > limits.zip_entries {
            return Ok(Err(Fault::TooManyEntries(limits.zip_entries)));
        }
        visit(entry.file_path().as_bytes());
    }
    Ok(Ok(()))
}
