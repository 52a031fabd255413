//! Zips: an index of the directory, checked against the members' own headers, and members read one
//! at a time.

use crate::parse::little::{u16_or_zero as u16_at, u32_or_zero as u32_at};
use std::io::{self, BufReader, Read};
use std::ops::Range;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use rawzip::{EntryMode, ErrorKind, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ReaderAt, ZipLocator};

use super::{Faults, check_path};
use crate::refusal::shown;
use crate::source::{Section, Source, Stream};
use crate::{Budget, Refusal};

/// How a zip starts: with a member, or with the end of an empty directory.
pub const MAGIC: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// What a local header has before its name.
const LOCAL_HEADER: usize = 30;
/// The end of the directory before its comment.
const END_RECORD: usize = 22;
/// How much is read from the source at once.
const READ: usize = 64 << 10;

/// A zip's directory. Its memory is bounded by the limits on entries and on the directory's size.
pub struct Zip<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    /// All names, one after the other.
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// The entries' places, by name and then by place.
    by_name: Vec<u32>,
    directory: Range<u64>,
    faults: Faults,
}

/// What the directory says of a member.
#[derive(Clone, Copy)]
struct Entry {
    name: u32,
    name_len: u16,
    method: u16,
    is_encrypted: bool,
    mode: EntryMode,
    crc: u32,
    packed: u64,
    size: u64,
    header: u64,
    /// Where its bytes start, after its own header; `u64::MAX` where that cannot be read.
    data: u64,
}

/// A member of a zip.
#[derive(Clone, Copy)]
pub struct Member<'z> {
    /// The path, as it stands in the directory.
    pub name: &'z [u8],
    entry: Entry,
}

impl Member<'_> {
    /// How many bytes it claims to have.
    pub fn size(&self) -> u64 {
        self.entry.size
    }

    /// How many bytes it takes in the zip.
    pub fn packed(&self) -> u64 {
        self.entry.packed
    }

    /// The CRC-32 that it claims to have.
    pub fn crc(&self) -> u32 {
        self.entry.crc
    }

    /// Whether it stands in the zip as it is.
    pub fn is_stored(&self) -> bool {
        self.entry.method == STORED && !self.entry.is_encrypted
    }

    /// The same member for readers that inflate whatever is not stored, and do not care for passwords,
    /// as Android's do.
    #[must_use]
    pub fn deflated_unless_stored(mut self) -> Self {
        self.entry.is_encrypted = false;
        if self.entry.method != STORED {
            self.entry.method = DEFLATED;
        }
        self
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }

    /// Whether it is a symbolic link, whose bytes are its target.
    pub fn is_link(&self) -> bool {
        self.entry.mode.is_symlink()
    }

    /// Who may read, write and run it, as Unix has it.
    pub fn permissions(&self) -> u32 {
        self.entry.mode.permissions()
    }

    /// Where its own header starts.
    pub fn header_offset(&self) -> u64 {
        self.entry.header
    }

    /// Where its bytes start, and where they end; `None` where its own header cannot be read.
    pub fn packed_range(&self) -> Option<Range<u64>> {
        let start = self.entry.data;
        (start != u64::MAX).then(|| start..start.saturating_add(self.entry.packed))
    }
}

impl<'a> Zip<'a> {
    /// Reads the directory of `source` and checks every member against its own header. What is
    /// wrong with single members is in [`Zip::faults`]; what comes before the first member, or
    /// between the last one and the directory, is no fault.
    ///
    /// # Errors
    /// Where there is no directory that can be read, or it exceeds the limits.
    pub fn open(source: &'a dyn Source, budget: &'a Budget) -> Result<Self, Refusal> {
        let mut zip = Self {
            source,
            budget,
            names: Vec::new(),
            entries: Vec::new(),
            by_name: Vec::new(),
            directory: 0..0,
            faults: Faults::default(),
        };
        zip.read_directory()?;
        zip.read_headers()?;
        zip.sort_names();
        zip.check_sizes();
        zip.check_overlaps();
        Ok(zip)
    }

    /// What is left to spend on it.
    pub fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// Every member, in the directory's order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'_>> {
        self.entries.iter().map(|entry| self.member(*entry))
    }

    /// The member of this path; the last one where there are several, as most readers take it.
    pub fn find(&self, name: &[u8]) -> Option<Member<'_>> {
        let end = self.by_name.partition_point(|place| self.name(*place) <= name);
        let place = *self.by_name[..end].last()?;
        (self.name(place) == name).then(|| self.member(self.entries[place as usize]))
    }

    /// What is wrong with it, the first of each kind.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Where the directory stands: its start, and that of the record that ends it.
    pub fn directory(&self) -> Range<u64> {
        self.directory.clone()
    }

    /// The bytes of `member`, of which there may be `max` at most, checked against its size and
    /// CRC-32.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] for more; else what [`Zip::reader`] refuses.
    pub fn read(&self, member: &Member<'_>, max: u64) -> Result<Vec<u8>, Refusal> {
        if member.size() > max {
            return Err(Refusal::TooLarge { limit: max });
        }
        let mut bytes = Vec::new();
        self.reader(member)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of `member` as a stream, which ends in an error where they are not what the
    /// directory says, or exceed the budget.
    ///
    /// # Errors
    /// [`Refusal::Encrypted`], [`Refusal::MethodUnknown`], [`Refusal::Ratio`].
    pub fn reader(&self, member: &Member<'_>) -> Result<Reader<'a>, Refusal> {
        let packed = self.packed(member)?;
        self.budget.check_ratio(packed.len(), member.size())?;
        let input = BufReader::with_capacity(READ, Stream::new(packed));
        let method = member.entry.method;
        let decoder: Box<dyn Read + 'a> = match method {
            STORED => Box::new(input),
            DEFLATED => Box::new(DeflateDecoder::new(input)),
            _ => {
                let name = shown(member.name);
                return Err(Refusal::MethodUnknown { name, method });
            }
        };
        Ok(Reader {
            decoder,
            budget: self.budget,
            name: shown(member.name),
            left: member.size(),
            expected: member.crc(),
            crc: Some(Crc::new()),
        })
    }

    /// A stored member, by position.
    ///
    /// # Errors
    /// [`Refusal::MethodUnknown`] for what is compressed, [`Refusal::Encrypted`].
    pub fn section(&self, member: &Member<'_>) -> Result<Section<'a>, Refusal> {
        let packed = self.packed(member)?;
        if member.is_stored() {
            return Ok(packed);
        }
        let name = shown(member.name);
        let method = member.entry.method;
        Err(Refusal::MethodUnknown { name, method })
    }

    fn packed(&self, member: &Member<'_>) -> Result<Section<'a>, Refusal> {
        if member.entry.is_encrypted {
            return Err(Refusal::Encrypted(shown(member.name)));
        }
        let range = member.packed_range().ok_or(Refusal::Truncated)?;
        Section::new(self.source, range)
    }

    fn member(&self, entry: Entry) -> Member<'_> {
        let name = self.name_of(&entry);
        Member { name, entry }
    }

    fn name(&self, place: u32) -> &[u8] {
        self.name_of(&self.entries[place as usize])
    }

    fn name_of(&self, entry: &Entry) -> &[u8] {
        let start = entry.name as usize;
        &self.names[start..start + usize::from(entry.name_len)]
    }

    fn read_directory(&mut self) -> Result<(), Refusal> {
        let limits = *self.budget.limits();
        let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
        let archive = ZipLocator::new()
            .locate_in_reader(At(self.source), &mut buffer, self.source.len())
            .map_err(|(_, error)| broken(error))?;
        self.directory = archive.directory_offset()..archive.eocd_offset();
        if self.directory.end.saturating_sub(self.directory.start) > limits.directory_bytes {
            return Err(Refusal::DirectoryTooLong {
                limit: limits.directory_bytes,
            });
        }
        self.check_end()?;
        let mut entries = archive.entries(&mut buffer);
        while let Some(record) = entries.next_entry().map_err(broken)? {
            self.budget.step()?;
            if self.entries.len() as u64 >= limits.entries {
                return Err(Refusal::TooManyEntries { limit: limits.entries });
            }
            let name = record.file_path().as_bytes();
            let (Ok(start), Ok(name_len)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else {
                return Err(Refusal::DirectoryTooLong {
                    limit: limits.directory_bytes,
                });
            };
            let entry = Entry {
                name: start,
                name_len,
                method: record.compression_method().as_u16(),
                is_encrypted: record.flags().is_encrypted(),
                mode: record.mode(),
                crc: record.crc32(),
                packed: record.compressed_size_hint(),
                size: record.uncompressed_size_hint(),
                header: record.local_header_offset(),
                data: u64::MAX,
            };
            if entry.is_encrypted {
                self.faults.note(Refusal::Encrypted(shown(name)));
            }
            self.faults.keep(check_path(name, &limits))?;
            self.names.extend_from_slice(name);
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Whether the record that ends the directory is whole, and the only part of its archive.
    fn check_end(&mut self) -> Result<(), Refusal> {
        let mut end = [0; END_RECORD];
        self.source.read_exact_at(self.directory.end, &mut end)?;
        let [disk, first_disk] = [u16_at(&end, 4), u16_at(&end, 6)];
        let comment = u64::from(u16_at(&end, 20));
        // All ones: the true number stands in the record of zip64.
        if (disk != 0 && disk != u16::MAX) || (first_disk != 0 && first_disk != u16::MAX) {
            self.faults
                .note(Refusal::Broken("it is one part of several".to_owned()));
        }
        if self.directory.end + END_RECORD as u64 + comment > self.source.len() {
            self.faults
                .note(Refusal::Broken("its comment is longer than the file".to_owned()));
        }
        Ok(())
    }

    fn read_headers(&mut self) -> Result<(), Refusal> {
        let mut buffer = Vec::new();
        for place in 0..self.entries.len() {
            self.budget.step()?;
            let mut entry = self.entries[place];
            let read = self.read_header(&mut entry, &mut buffer);
            // Else a directory of garbage would be as many findings as it has members.
            let read = match read {
                Err(Refusal::Truncated) => Err(Refusal::Broken(format!(
                    "the member {} lies outside of the file",
                    shown(self.name_of(&entry))
                ))),
                read => read,
            };
            self.faults.keep(read)?;
            self.entries[place] = entry;
        }
        Ok(())
    }

    /// Finds where a member's bytes start, and compares its own header with the directory.
    fn read_header(&self, entry: &mut Entry, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
        let name = self.name_of(entry);
        buffer.resize(LOCAL_HEADER + name.len(), 0);
        self.source.read_exact_at(entry.header, buffer)?;
        if !buffer.starts_with(MAGIC[0]) {
            let why = format!("the member {} has no header of its own", shown(name));
            return Err(Refusal::Broken(why));
        }
        let lengths = u64::from(u16_at(buffer, 26)) + u64::from(u16_at(buffer, 28));
        let data = entry.header + LOCAL_HEADER as u64 + lengths;
        let end = data.checked_add(entry.packed).ok_or(Refusal::Truncated)?;
        if end > self.source.len() {
            return Err(Refusal::Truncated);
        }
        entry.data = data;
        if entry.header < self.directory.end && end > self.directory.start {
            return Err(Refusal::Overlap(shown(name)));
        }
        if usize::from(u16_at(buffer, 26)) != name.len() || &buffer[LOCAL_HEADER..] != name {
            return Err(Refusal::NameMismatch(shown(name)));
        }
        let is_described_later = u16_at(buffer, 6) & 8 != 0;
        let differs = |own: u32, directory: u64| own != u32::MAX && u64::from(own) != directory;
        let sizes = differs(u32_at(buffer, 18), entry.packed) || differs(u32_at(buffer, 22), entry.size);
        if u16_at(buffer, 8) != entry.method || (!is_described_later && sizes) {
            return Err(Refusal::HeaderMismatch(shown(name)));
        }
        Ok(())
    }

    fn sort_names(&mut self) {
        // Places fit, since the names' offsets do, and no member has less than none.
        let mut places: Vec<u32> = (0..).take(self.entries.len()).collect();
        places.sort_by_key(|place| (self.name(*place), *place));
        let is_file = |place: u32| !self.name(place).ends_with(b"/");
        let twice = places
            .windows(2)
            .filter(|pair| is_file(pair[0]) && self.name(pair[0]) == self.name(pair[1]));
        let contents = |place: u32| {
            let entry = &self.entries[place as usize];
            (entry.crc, entry.size)
        };
        // Two that differ are worse than two that do not, and one finding is enough.
        let worst = twice.max_by_key(|pair| contents(pair[0]) != contents(pair[1]));
        if let Some(&[first, second]) = worst {
            let name = shown(self.name(first));
            let is_same = contents(first) == contents(second);
            self.faults.note(Refusal::DuplicateName { name, is_same });
        }
        self.by_name = places;
    }

    /// Whether the members, each and all together, unpack to too much.
    fn check_sizes(&mut self) {
        let mut total: u64 = 0;
        for entry in &self.entries {
            total = total.saturating_add(entry.size);
            if let Err(refusal) = self.budget.check_ratio(entry.packed, entry.size) {
                self.faults.note(refusal);
            }
        }
        if let Err(refusal) = self.budget.check_ratio(self.source.len(), total) {
            self.faults.note(refusal);
        }
    }

    fn check_overlaps(&mut self) {
        let read = self.entries.iter().filter(|entry| entry.data != u64::MAX);
        let mut spans: Vec<(u64, u64, &Entry)> = read
            .map(|entry| (entry.header, entry.data.saturating_add(entry.packed), entry))
            .collect();
        spans.sort_unstable_by_key(|(start, end, _)| (*start, *end));
        let overlap = spans.windows(2).find(|pair| pair[1].0 < pair[0].1);
        if let Some(name) = overlap.map(|pair| shown(self.name_of(pair[1].2))) {
            self.faults.note(Refusal::Overlap(name));
        }
    }
}

fn broken(error: rawzip::Error) -> Refusal {
    match error.into_kind() {
        ErrorKind::IO(error) => match Refusal::from(error) {
            Refusal::Damaged(why) => Refusal::Broken(why),
            refusal => refusal,
        },
        kind => Refusal::Broken(kind.to_string()),
    }
}

/// A source as rawzip reads it.
struct At<'a>(&'a dyn Source);

impl ReaderAt for At<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

/// The bytes of a member, checked while they are read.
pub struct Reader<'a> {
    decoder: Box<dyn Read + 'a>,
    budget: &'a Budget,
    name: String,
    left: u64,
    expected: u32,
    /// None where nobody asks for it.
    crc: Option<Crc>,
}

impl Reader<'_> {
    /// The same without a look at the CRC-32, for those who check a digest of the bytes, or do not
    /// read them to their end.
    #[must_use]
    pub fn without_crc(mut self) -> Self {
        self.crc = None;
        self
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = match self.decoder.read(buffer) {
            // Packages for Windows end a member with its last block, which is not marked as the last.
            Err(error) if self.left == 0 && error.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        self.budget.take(count as u64)?;
        if let Some(crc) = &mut self.crc {
            crc.update(&buffer[..count]);
        }
        let left = self.left.checked_sub(count as u64);
        let Some(left) = left.filter(|left| count > 0 || *left == 0) else {
            return Err(Refusal::SizeMismatch(self.name.clone()).into());
        };
        self.left = left;
        if count == 0 && self.crc.as_ref().is_some_and(|crc| crc.sum() != self.expected) {
            return Err(Refusal::CrcMismatch(self.name.clone()).into());
        }
        Ok(count)
    }
}
