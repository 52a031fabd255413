//! Bytes that are read by position, so that nothing is loaded or unpacked that is not looked at.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::Refusal;

/// Something of a known length whose bytes can be read at any place, by several readers at once.
pub trait Source {
    /// How many bytes it has.
    fn len(&self) -> u64;

    /// Reads some bytes at `offset` into `buffer`, and answers how many: none at or after the end,
    /// or where `buffer` is empty.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// [`Refusal::Truncated`] where it ends before.
    fn read_exact_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), Refusal> {
        while !buffer.is_empty() {
            match self.read_at(offset, buffer) {
                Ok(0) => return Err(Refusal::Truncated),
                Ok(count) => {
                    offset += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The bytes in `range`, of which there may be `limit` at most.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], and [`Refusal::Truncated`] where it ends before; nothing is allocated
    /// for bytes that are not there.
    fn bytes(&self, range: Range<u64>, limit: u64) -> Result<Vec<u8>, Refusal> {
        let len = range.end.checked_sub(range.start).ok_or(Refusal::Truncated)?;
        if len > limit {
            return Err(Refusal::TooLarge { limit });
        }
        if range.end > self.len() {
            return Err(Refusal::Truncated);
        }
        let len = usize::try_from(len).map_err(|_| Refusal::TooLarge { limit })?;
        let mut bytes = vec![0; len];
        self.read_exact_at(range.start, &mut bytes)?;
        Ok(bytes)
    }
}

/// An open file, whose length is taken once; its own position is neither used nor moved.
#[derive(Debug)]
pub struct FileSource<'a> {
    file: &'a File,
    len: u64,
}

impl<'a> FileSource<'a> {
    /// Reads `file` as it is now; bytes that are appended later are not seen.
    pub fn new(file: &'a File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }
}

impl Source for FileSource<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(self.file, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(self.file, buffer, offset);
    }
}

impl Source for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        Source::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

/// A range of another source: a stored member, the payload of an `AppImage`, an archive in an
/// archive.
#[derive(Clone, Copy)]
pub struct Section<'a> {
    whole: &'a dyn Source,
    start: u64,
    len: u64,
}

impl<'a> Section<'a> {
    /// The bytes of `whole` in `range`.
    ///
    /// # Errors
    /// [`Refusal::Truncated`] where `whole` ends before.
    pub fn new(whole: &'a dyn Source, range: Range<u64>) -> Result<Self, Refusal> {
        if range.end > whole.len() {
            return Err(Refusal::Truncated);
        }
        let len = range.end.checked_sub(range.start).ok_or(Refusal::Truncated)?;
        let start = range.start;
        Ok(Self { whole, start, len })
    }

    /// The bytes of `whole` from `start` to its end.
    ///
    /// # Errors
    /// [`Refusal::Truncated`] where `whole` ends before.
    pub fn from(whole: &'a dyn Source, start: u64) -> Result<Self, Refusal> {
        Self::new(whole, start..whole.len())
    }
}

impl Source for Section<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.len.saturating_sub(offset);
        let count = usize::try_from(rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        if count == 0 {
            return Ok(0);
        }
        self.whole.read_at(self.start + offset, &mut buffer[..count])
    }
}

impl std::fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Section({} + {})", self.start, self.len)
    }
}

/// A source as a stream, for what wants [`Read`] and [`Seek`]; it begins at the start.
#[derive(Clone, Debug)]
pub struct Stream<S> {
    source: S,
    position: u64,
}

impl<S: Source> Stream<S> {
    /// A stream of all bytes of `source`, which may be borrowed.
    pub fn new(source: S) -> Self {
        Self { source, position: 0 }
    }
}

impl<S: Source> Read for Stream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<S: Source> Seek for Stream<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.source.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// How much of a stream is read at once where all of it goes by. An inflater starts anew at each call
/// and copies its window, which is dear where the pieces are small; much larger ones leave the nearer
/// caches.
pub(crate) const PIECE: usize = 128 << 10;

/// Reads `count` bytes of `reader`, or as many as there are, and keeps none. Answers how many there
/// were.
pub(crate) fn skip(reader: &mut (impl Read + ?Sized), count: u64) -> io::Result<u64> {
    let piece = |left: u64| usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
    let mut buffer = vec![0; piece(count)];
    let mut left = count;
    while left > 0 {
        match reader.read(&mut buffer[..piece(left)]) {
            Ok(0) => break,
            Ok(count) => left -= count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count - left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_it_ends() {
        let whole = b"0123456789".to_vec();
        let section = Section::new(&whole, 2..6).unwrap();
        let inner = Section::from(&section, 1).unwrap();
        assert_eq!(inner.bytes(0..3, 9).unwrap(), b"345");
        assert!(matches!(inner.bytes(0..4, 9), Err(Refusal::Truncated)));
        assert!(matches!(inner.bytes(0..3, 2), Err(Refusal::TooLarge { limit: 2 })));
        assert!(matches!(Section::new(&whole, 8..11), Err(Refusal::Truncated)));
        assert_eq!(inner.read_at(u64::MAX, &mut [0; 4]).unwrap(), 0);
    }

    #[test]
    fn a_stream_reads_and_seeks() {
        let whole = b"0123456789".to_vec();
        let mut stream = Stream::new(&whole);
        stream.seek(SeekFrom::End(-3)).unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "789");
        assert!(stream.seek(SeekFrom::Current(-11)).is_err());
    }

    #[test]
    fn what_is_skipped_is_counted() {
        let bytes = vec![7; 3 * PIECE];
        let mut rest = bytes.as_slice();
        assert_eq!(skip(&mut rest, 2 * PIECE as u64 + 1).unwrap(), 2 * PIECE as u64 + 1);
        assert_eq!(rest.len(), PIECE - 1);
        assert_eq!(skip(&mut rest, u64::MAX).unwrap(), PIECE as u64 - 1);
        assert_eq!(skip(&mut rest, 1).unwrap(), 0);
    }

    #[test]
    fn a_file_keeps_its_own_position() {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let source = FileSource::new(&file).unwrap();
        assert_eq!(source.bytes(0..9, 9).unwrap(), b"[package]");
        assert_eq!((&file).stream_position().unwrap(), 0);
    }
}
