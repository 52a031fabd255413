//! Compressed streams: gzip, xz, zstd, bzip2 and LZMA.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::source::{Source, Stream};
use crate::{Budget, Refusal};

/// How much is read from the source at once.
const READ: usize = 64 << 10;
/// The largest window that is decoded, in bytes, as `zstd -d` has it; xz knows 64 MiB at most by
/// its presets.
const WINDOW: u32 = 128 << 20;
/// How many KiB a decoder of LZMA takes: the window, and what it needs besides.
const LZMA_KIB: u32 = (WINDOW >> 10) + (1 << 10);
const GZIP_MAGIC: &[u8] = b"\x1F\x8B";
const BZIP2_MAGIC: &[u8] = b"BZh";

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one or several members.
    Gzip,
    /// xz, of one or several streams.
    Xz,
    /// zstd, of one or several frames.
    Zstd,
    /// bzip2, of one or several streams.
    Bzip2,
    /// LZMA as it was before xz, of one stream.
    Lzma,
}

impl Compression {
    /// What a stream that starts with `head` is compressed by; six bytes suffice.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // What packs with several threads starts with a frame that is to be skipped.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            // Without a magic number: the usual properties, and a dictionary of some size.
            [0x5D, 0, 0, ..] => Self::Lzma,
            _ => Self::None,
        }
    }

    /// The usual ending of a name, without a dot; empty for none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => "gz",
            Self::Xz => "xz",
            Self::Zstd => "zst",
            Self::Bzip2 => "bz2",
            Self::Lzma => "lzma",
        }
    }
}

/// The unpacked bytes of a source, which come to an error where they are damaged, become too many
/// times more than the packed ones, or exceed the budget.
pub struct Decoder<'a> {
    inner: Box<dyn Read + 'a>,
    budget: &'a Budget,
    packed: u64,
    unpacked: u64,
}

impl<'a> Decoder<'a> {
    /// Unpacks `source`, all of which is compressed in this way.
    pub fn new(source: impl Source + 'a, compression: Compression, budget: &'a Budget) -> Self {
        let packed = source.len();
        let input = BufReader::with_capacity(READ, Stream::new(source));
        let inner: Box<dyn Read + 'a> = match compression {
            Compression::None => Box::new(input),
            Compression::Gzip => Box::new(Members {
                member: Some(GzDecoder::new(input)),
                magic: GZIP_MAGIC,
                start: GzDecoder::new,
                end: GzDecoder::into_inner,
            }),
            Compression::Xz => Box::new(XzReader::new_mem_limit(input, true, LZMA_KIB)),
            Compression::Zstd => Box::new(Zstd::new(input)),
            Compression::Bzip2 => Box::new(Members {
                member: Some(BzDecoder::new(input)),
                magic: BZIP2_MAGIC,
                start: BzDecoder::new,
                end: BzDecoder::into_inner,
            }),
            Compression::Lzma => match LzmaReader::new_mem_limit(input, LZMA_KIB, None) {
                Ok(reader) => Box::new(reader),
                Err(error) => Box::new(Unreadable(Some(error))),
            },
        };
        Self {
            inner,
            budget,
            packed,
            unpacked: 0,
        }
    }

    /// The rest of the bytes, of which there may be `max` at most.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] for more; else why they cannot be unpacked.
    pub fn read_all(self, max: u64) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        self.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(Refusal::TooLarge { limit: max });
        }
        Ok(bytes)
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).map_err(too_wide)?;
        self.unpacked += count as u64;
        self.budget.take(count as u64)?;
        self.budget.check_ratio(self.packed, self.unpacked)?;
        Ok(count)
    }
}

/// What cannot be unpacked, and why.
struct Unreadable(Option<io::Error>);

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// A decoder says by its error that it wants more memory than it may have; the bytes may be sound.
fn too_wide(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::OutOfMemory && error.get_ref().is_some() {
        return Refusal::Window { limit: WINDOW.into() }.into();
    }
    error
}

/// One member of gzip, or stream of bzip2, after the other. What follows the last one and is none is
/// left alone, as gzip and bzip2 themselves do: some tools pad their files.
struct Members<R, D> {
    member: Option<D>,
    magic: &'static [u8],
    start: fn(R) -> D,
    end: fn(D) -> R,
}

impl<R: BufRead, D: Read> Read for Members<R, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut input) = self.member.take().map(self.end) else {
                break;
            };
            // Only the start of the magic number may be in memory.
            let head = input.fill_buf()?;
            if !head.is_empty() && head.iter().zip(self.magic).all(|(found, wanted)| found == wanted) {
                self.member = Some((self.start)(input));
            }
        }
        Ok(0)
    }
}

/// One zstd frame after the other, without those that are to be skipped.
struct Zstd<R> {
    input: R,
    decoder: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(u64::from(WINDOW));
        Self {
            input,
            decoder,
            is_in_frame: false,
        }
    }

    /// Goes to the next frame; false at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut (&mut self.input).take(u64::from(length)), &mut io::sink())?;
                }
                Err(error @ FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(io::Error::new(io::ErrorKind::OutOfMemory, error.to_string()));
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
        Ok(false)
    }

    /// Whether the frame that ends here has the checksum that it claims to have, if any.
    fn check_frame(&self) -> io::Result<()> {
        let claimed = self.decoder.get_checksum_from_data();
        if claimed.is_some() && claimed != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("a frame has another checksum"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if !self.is_in_frame {
                self.is_in_frame = self.next_frame()?;
                if !self.is_in_frame {
                    break;
                }
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if self.decoder.is_finished() {
                self.check_frame()?;
                self.is_in_frame = false;
                continue;
            }
            self.decoder
                .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn several_streams_are_one() {
        type Packer = fn(&[u8]) -> Vec<u8>;
        let packers: [(Packer, Compression); 3] = [
            (gzip, Compression::Gzip),
            (bzip2, Compression::Bzip2),
            (zstd, Compression::Zstd),
        ];
        for (pack, compression) in packers {
            let packed = [pack(b"one "), pack(b"two")].concat();
            assert_eq!(Compression::of(&packed), compression);
            let budget = Budget::new(&Limits::default());
            let decoder = Decoder::new(&packed, compression, &budget);
            assert_eq!(decoder.read_all(100).unwrap(), b"one two", "{compression:?}");
            let cut = &packed[..packed.len() - 1];
            let decoder = Decoder::new(cut, compression, &budget);
            assert!(decoder.read_all(100).is_err(), "{compression:?}");
        }
    }

    #[test]
    fn lzma_is_known_by_its_usual_properties() {
        // Made by xz --format=lzma.
        const ONE: &[u8] = b"\x5D\x00\x00\x80\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x37\x9B\x88\xCE\x76\xE2\xF4\xE3\x73\x61\x85\xFF\xFF\x1C\x74\x00\x00";
        assert_eq!(Compression::of(ONE), Compression::Lzma);
        let budget = Budget::new(&Limits::default());
        assert_eq!(
            Decoder::new(ONE, Compression::Lzma, &budget).read_all(100).unwrap(),
            b"one two"
        );
        for bad in [
            &ONE[..9],
            &ONE[..16],
            b"\x5D\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0",
        ] {
            assert!(Decoder::new(bad, Compression::Lzma, &budget).read_all(100).is_err());
        }
    }

    #[test]
    fn what_follows_gzip_and_bzip2_is_left_alone() {
        let budget = Budget::new(&Limits::default());
        for (packed, compression) in [(gzip(b"one"), Compression::Gzip), (bzip2(b"one"), Compression::Bzip2)] {
            let packed = [packed, vec![0; 512]].concat();
            let decoder = Decoder::new(&packed, compression, &budget);
            assert_eq!(decoder.read_all(100).unwrap(), b"one", "{compression:?}");
        }
    }

    #[test]
    fn a_member_may_start_where_a_read_ends() {
        let first = |comment: usize| {
            let builder = flate2::GzBuilder::new().comment(vec![b'x'; comment]);
            builder.write(Vec::new(), flate2::Compression::fast()).finish().unwrap()
        };
        // The first byte of the second member is the last one that is read at once.
        let packed = [first(READ - 1 - first(0).len()), gzip(b"one")].concat();
        let budget = Budget::new(&Limits::default());
        let decoder = Decoder::new(&packed, Compression::Gzip, &budget);
        assert_eq!(decoder.read_all(100).unwrap(), b"one");
    }

    #[test]
    fn a_window_that_is_too_wide_is_no_damage() {
        let budget = Budget::new(&Limits::default());
        // What xz --lzma2=dict=256MiB and zstd --long=31 start with.
        let xz = b"\xFD7zXZ\0\0\x04\xE6\xD6\xB4\x46\x02\0\x21\x01\x20\0\0\0\x09\x88\xA5\x76";
        let zstd = b"\x28\xB5\x2F\xFD\x04\xA8\x5C\xD4\x01";
        for (head, compression) in [(&xz[..], Compression::Xz), (&zstd[..], Compression::Zstd)] {
            let found = Decoder::new(head, compression, &budget).read_all(100);
            assert!(matches!(found, Err(Refusal::Window { .. })), "{found:?}");
        }
    }

    #[test]
    fn zstd_may_start_with_a_frame_that_is_skipped() {
        let packed = [b"\x50\x2A\x4D\x18\x04\0\0\0size".to_vec(), zstd(b"one")].concat();
        assert_eq!(Compression::of(&packed), Compression::Zstd);
        let budget = Budget::new(&Limits::default());
        let decoder = Decoder::new(&packed, Compression::Zstd, &budget);
        assert_eq!(decoder.read_all(100).unwrap(), b"one");
    }

    #[test]
    fn a_skippable_frame_is_skipped() {
        let skipped = b"\x50\x2A\x4D\x18\x03\0\0\0abc".to_vec();
        let packed = [zstd(b"one"), skipped, zstd(b" two")].concat();
        let budget = Budget::new(&Limits::default());
        let decoder = Decoder::new(&packed, Compression::Zstd, &budget);
        assert_eq!(decoder.read_all(100).unwrap(), b"one two");
    }

    #[test]
    fn a_bomb_is_refused_by_ratio_bytes_or_size() {
        let packed = gzip(&vec![0; 1 << 20]);
        let unpack = |limits: Limits, max| {
            let budget = Budget::new(&limits);
            let unpacked = Decoder::new(&packed, Compression::Gzip, &budget).read_all(max);
            unpacked.map(|bytes| bytes.len()).map_err(|refusal| refusal.code())
        };
        let strict = Limits {
            ratio_from: 1 << 10,
            ..Limits::default()
        };
        assert_eq!(unpack(strict, u64::MAX), Err("archive.ratio"));
        let few = Limits {
            total_bytes: 1 << 10,
            ..Limits::default()
        };
        assert_eq!(unpack(few, u64::MAX), Err("limits.bytes"));
        assert_eq!(unpack(Limits::default(), 1 << 10), Err("archive.member_too_large"));
        assert_eq!(unpack(Limits::default(), 1 << 20), Ok(1 << 20));
    }
}
