//! Compressed streams: gzip, xz, zstd, bzip2 and LZMA.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
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
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Self::Zstd,
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
            Compression::Gzip => Box::new(Gzip(Some(GzDecoder::new(input)))),
            Compression::Xz => Box::new(XzReader::new_mem_limit(input, true, WINDOW >> 10)),
            Compression::Zstd => Box::new(Zstd::new(input)),
            Compression::Bzip2 => Box::new(MultiBzDecoder::new(input)),
            Compression::Lzma => match LzmaReader::new_mem_limit(input, WINDOW >> 10, None) {
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
        let count = self.inner.read(buffer)?;
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

/// One gzip member after the other. What follows the last one and is none is left alone, as gzip
/// itself does: some tools pad their files.
struct Gzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut input) = self.0.take().map(GzDecoder::into_inner) else {
                break;
            };
            if Compression::of(input.fill_buf()?) == Compression::Gzip {
                self.0 = Some(GzDecoder::new(input));
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
    fn what_follows_gzip_is_left_alone() {
        let packed = [gzip(b"one"), vec![0; 512]].concat();
        let budget = Budget::new(&Limits::default());
        let decoder = Decoder::new(&packed, Compression::Gzip, &budget);
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
