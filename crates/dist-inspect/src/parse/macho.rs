//! Mach-O executables, thin and fat, by position.
//! Source: Apple's `mach-o/loader.h` and `mach-o/fat.h`.

use super::{big, little};
use std::ops::Range;

use crate::source::{Section, Source};
use crate::{Budget, Refusal};

/// How many processors a fat file may be for.
const SLICES: u32 = 32;
/// How long the load commands may be, in bytes.
pub(super) const COMMANDS: u32 = 1 << 20;

/// The commands that are looked for.
pub mod command {
    /// Where the signature stands in the file, and how long it is.
    pub const CODE_SIGNATURE: u32 = 0x1D;
    /// The oldest macOS.
    pub const VERSION_MIN_MACOS: u32 = 0x24;
    /// The oldest iOS.
    pub const VERSION_MIN_IOS: u32 = 0x25;
    /// The oldest tvOS.
    pub const VERSION_MIN_TVOS: u32 = 0x2F;
    /// The oldest watchOS.
    pub const VERSION_MIN_WATCHOS: u32 = 0x30;
    /// Which pages the store encrypts.
    pub const ENCRYPTION_INFO: u32 = 0x21;
    /// The same for 64 bits.
    pub const ENCRYPTION_INFO_64: u32 = 0x2C;
    /// The platform, and its oldest version.
    pub const BUILD_VERSION: u32 = 0x32;
}

/// The part of a Mach-O file for one processor.
#[derive(Clone, Debug)]
pub struct Slice<'a> {
    /// Its bytes in the file.
    pub section: Section<'a>,
    /// The processor, in Apple's spelling: `arm64`, `arm64e`, `armv7`, `x86_64` …; `None` for one
    /// that is not known.
    pub arch: Option<&'static str>,
    /// The type of file (`filetype`): 2 is an executable, 6 a library.
    pub kind: u32,
    /// The load commands: what each is, and its bytes after that and its size.
    pub commands: Vec<(u32, Vec<u8>)>,
    /// Whether its numbers are big-endian, as on no machine of today.
    is_big: bool,
}

impl Slice<'_> {
    /// The bytes of the first command of this kind.
    pub fn command(&self, kind: u32) -> Option<&[u8]> {
        let found = self.commands.iter().find(|(command, _)| *command == kind);
        found.map(|(_, bytes)| bytes.as_slice())
    }

    /// The number at `offset` of a command's bytes.
    pub fn u32(&self, bytes: &[u8], offset: usize) -> Option<u32> {
        u32_at(bytes, offset, self.is_big)
    }

    /// Where the code signature stands in the slice.
    ///
    /// # Errors
    /// [`Refusal::Truncated`] where that is outside of it.
    pub fn code_signature(&self) -> Result<Option<Section<'_>>, Refusal> {
        let range = self.code_signature_range()?;
        range.map(|range| Section::new(&self.section, range)).transpose()
    }

    /// Where the slice says that its code signature stands in it.
    pub(super) fn code_signature_range(&self) -> Result<Option<Range<u64>>, Refusal> {
        let Some(bytes) = self.command(command::CODE_SIGNATURE) else {
            return Ok(None);
        };
        let (Some(start), Some(size)) = (self.u32(bytes, 0), self.u32(bytes, 4)) else {
            return Err(Refusal::Truncated);
        };
        Ok(Some(u64::from(start)..u64::from(start) + u64::from(size)))
    }

    /// Whether the store encrypted the code; `None` where there is no place to say so.
    pub fn is_encrypted(&self) -> Option<bool> {
        let kinds = [command::ENCRYPTION_INFO_64, command::ENCRYPTION_INFO];
        let bytes = kinds.iter().find_map(|kind| self.command(*kind))?;
        self.u32(bytes, 8).map(|way| way != 0)
    }

    /// The oldest version of the system, as in `13.0`, and the platform by Apple's number where it is
    /// told: 1 is macOS, 2 iOS, 3 tvOS, 4 watchOS, 6 Mac Catalyst, 11 visionOS; 7, 8, 9 and 12 are the
    /// simulators of the small ones.
    pub fn min_os(&self) -> Option<(Option<u32>, String)> {
        let version = |packed: u32| match (packed >> 16, packed >> 8 & 0xFF, packed & 0xFF) {
            (major, minor, 0) => format!("{major}.{minor}"),
            (major, minor, patch) => format!("{major}.{minor}.{patch}"),
        };
        if let Some(bytes) = self.command(command::BUILD_VERSION) {
            return Some((self.u32(bytes, 0), version(self.u32(bytes, 4)?)));
        }
        let old = [
            (command::VERSION_MIN_MACOS, 1),
            (command::VERSION_MIN_IOS, 2),
            (command::VERSION_MIN_TVOS, 3),
            (command::VERSION_MIN_WATCHOS, 4),
        ];
        old.iter().find_map(|(kind, platform)| {
            let packed = self.u32(self.command(*kind)?, 0)?;
            Some((Some(*platform), version(packed)))
        })
    }
}

/// The slices of a Mach-O file: one, or one for each processor of a fat one.
///
/// # Errors
/// [`Refusal::Malformed`] and [`Refusal::Truncated`].
pub fn slices<'a>(source: &'a dyn Source, budget: &Budget) -> Result<Vec<Slice<'a>>, Refusal> {
    let places = places(source)?.into_iter();
    places
        .map(|place| read_slice(Section::new(source, place)?, budget))
        .collect()
}

/// Where the slices stand in the file, in the order of its header.
pub(super) fn places(source: &dyn Source) -> Result<Vec<Range<u64>>, Refusal> {
    let head = source.bytes(0..8, 8)?;
    let is_64 = match &head[..4] {
        b"\xCA\xFE\xBA\xBE" => false,
        b"\xCA\xFE\xBA\xBF" => true,
        _ => return Ok(std::iter::once(0..source.len()).collect()),
    };
    let count = u32_at(&head, 4, true).unwrap_or_default();
    // Java's classes start the same, and have a version there.
    if count == 0 || count > SLICES {
        return Err(malformed(format!("it is for {count} processors")));
    }
    let size = if is_64 { 32 } else { 20 };
    let table = source.bytes(8..8 + u64::from(count) * size, source.len())?;
    let number = |header: &[u8], place: usize| u32_at(header, place, true).map(u64::from).ok_or(Refusal::Truncated);
    let place = |header: &[u8]| {
        let (start, len) = if is_64 {
            (
                number(header, 8)? << 32 | number(header, 12)?,
                number(header, 16)? << 32 | number(header, 20)?,
            )
        } else {
            (number(header, 8)?, number(header, 12)?)
        };
        Ok(start..start.checked_add(len).ok_or(Refusal::Truncated)?)
    };
    table.chunks_exact(if is_64 { 32 } else { 20 }).map(place).collect()
}

/// Whether a file that starts with `head` is a Mach-O, as far as four bytes tell.
pub fn is_macho(head: &[u8]) -> bool {
    matches!(
        head.first_chunk(),
        Some(
            b"\xCA\xFE\xBA\xBE"
                | b"\xCA\xFE\xBA\xBF"
                | b"\xFE\xED\xFA\xCE"
                | b"\xFE\xED\xFA\xCF"
                | b"\xCE\xFA\xED\xFE"
                | b"\xCF\xFA\xED\xFE"
        )
    )
}

/// The processors that a file is for which starts with `head`, of which a kilobyte suffices; none
/// for what is no Mach-O.
pub fn archs(head: &[u8]) -> Vec<&'static str> {
    let (is_big, table, size, count) = match head {
        [0xCA, 0xFE, 0xBA, 0xBE, ..] => (true, 8, 20, u32_at(head, 4, true).unwrap_or_default()),
        [0xCA, 0xFE, 0xBA, 0xBF, ..] => (true, 8, 32, u32_at(head, 4, true).unwrap_or_default()),
        [0xFE, 0xED, 0xFA, 0xCE | 0xCF, ..] => (true, 4, 0, 1),
        [0xCE | 0xCF, 0xFA, 0xED, 0xFE, ..] => (false, 4, 0, 1),
        _ => return Vec::new(),
    };
    // Java's classes start as fat files do, and have a version where those have their number.
    if count > SLICES {
        return Vec::new();
    }
    let places = (0..count as usize).map(|index| table + index * size);
    let cpu = |place| arch(u32_at(head, place, is_big)?, u32_at(head, place + 4, is_big)?);
    places.filter_map(cpu).collect()
}

/// The slice that takes all of `section`.
pub(super) fn read_slice<'a>(section: Section<'a>, budget: &Budget) -> Result<Slice<'a>, Refusal> {
    let head = section.bytes(0..28, 28)?;
    let (is_big, is_64) = match &head[..4] {
        b"\xFE\xED\xFA\xCE" => (true, false),
        b"\xFE\xED\xFA\xCF" => (true, true),
        b"\xCE\xFA\xED\xFE" => (false, false),
        b"\xCF\xFA\xED\xFE" => (false, true),
        _ => return Err(malformed("it does not start as one does")),
    };
    let number = |place: usize| u32_at(&head, place, is_big).unwrap_or_default();
    let (count, size) = (number(16), number(20));
    if size > COMMANDS {
        return Err(malformed("its commands are too long"));
    }
    let start = if is_64 { 32 } else { 28 };
    let bytes = section.bytes(start..start + u64::from(size), u64::from(COMMANDS))?;
    let mut commands = Vec::new();
    let mut rest = bytes.as_slice();
    for _ in 0..count {
        budget.step()?;
        let (Some(kind), Some(size)) = (u32_at(rest, 0, is_big), u32_at(rest, 4, is_big)) else {
            return Err(Refusal::Truncated);
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size < 8 {
            return Err(malformed("a command has no size"));
        }
        let (command, after) = rest.split_at_checked(size).ok_or(Refusal::Truncated)?;
        commands.push((kind, command[8..].to_vec()));
        rest = after;
    }
    Ok(Slice {
        section,
        arch: arch(number(4), number(8)),
        kind: number(12),
        commands,
        is_big,
    })
}

/// Apple's name of a processor.
fn arch(cpu: u32, variant: u32) -> Option<&'static str> {
    // The highest byte tells capabilities.
    match (cpu, variant & 0x00FF_FFFF) {
        (0x0000_0007, _) => Some("i386"),
        (0x0100_0007, 8) => Some("x86_64h"),
        (0x0100_0007, _) => Some("x86_64"),
        (0x0100_000C, 2) => Some("arm64e"),
        (0x0100_000C, _) => Some("arm64"),
        (0x0200_000C, _) => Some("arm64_32"),
        (0x0000_000C, 6) => Some("armv6"),
        (0x0000_000C, 9) => Some("armv7"),
        (0x0000_000C, 11) => Some("armv7s"),
        (0x0000_000C, 12) => Some("armv7k"),
        (0x0000_000C, _) => Some("arm"),
        (0x0000_0012, _) => Some("ppc"),
        (0x0100_0012, _) => Some("ppc64"),
        _ => None,
    }
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("Mach-O header", why)
}

fn u32_at(bytes: &[u8], offset: usize, is_big: bool) -> Option<u32> {
    let read = if is_big { big::u32_at } else { little::u32_at };
    read(bytes, offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn thin(cpu: u32, commands: &[[u32; 4]]) -> Vec<u8> {
        let size = u32::try_from(commands.len() * 16).unwrap();
        let count = u32::try_from(commands.len()).unwrap();
        let header = [0xFEED_FACF, cpu, 0, 2, count, size, 0, 0];
        let numbers = header.iter().chain(commands.iter().flatten());
        numbers.flat_map(|number| number.to_le_bytes()).collect()
    }

    fn fat(slices: &[&[u8]]) -> Vec<u8> {
        let count = u32::try_from(slices.len()).unwrap();
        let mut bytes: Vec<u8> = [0xCAFE_BABE, count]
            .iter()
            .flat_map(|number: &u32| number.to_be_bytes())
            .collect();
        let mut offset = 8 + 20 * count;
        for slice in slices {
            let len = u32::try_from(slice.len()).unwrap();
            bytes.extend(
                [0, 0, offset, len, 0]
                    .iter()
                    .flat_map(|number: &u32| number.to_be_bytes()),
            );
            offset += len;
        }
        [&bytes, &slices.concat()[..]].concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, Refusal> {
        let found = slices(&bytes, &Budget::new(&Limits::default()))?;
        let os = |slice: &Slice<'_>| slice.min_os().map(|(_, version)| version).unwrap_or_default();
        Ok(found
            .iter()
            .map(|slice| format!("{:?} {}", slice.arch, os(slice)))
            .collect())
    }

    #[test]
    fn fat_files_have_a_slice_for_each_processor() {
        let arm = thin(0x0100_000C, &[[command::BUILD_VERSION, 16, 1, 0x000B_0100]]);
        let intel = thin(0x0100_0007, &[[command::VERSION_MIN_MACOS, 16, 0x000A_0F02, 0]]);
        assert_eq!(read(&arm).unwrap(), ["Some(\"arm64\") 11.1"]);
        let both = read(&fat(&[&arm, &intel])).unwrap();
        assert_eq!(both, ["Some(\"arm64\") 11.1", "Some(\"x86_64\") 10.15.2"]);
    }

    #[test]
    fn the_first_bytes_tell_the_processors() {
        let arm = thin(0x0100_000C, &[]);
        assert_eq!(archs(&arm), ["arm64"]);
        let mut both = fat(&[&thin(0x0100_0007, &[]), &arm]);
        both[8..12].copy_from_slice(&0x0100_0007_u32.to_be_bytes());
        both[28..32].copy_from_slice(&0x0100_000C_u32.to_be_bytes());
        assert_eq!(archs(&both[..60]), ["x86_64", "arm64"]);
        assert_eq!(archs(b"\xCA\xFE\xBA\xBE\0\0\0\x34"), [""; 0]);
        assert_eq!(archs(b"\xCF\xFA"), [""; 0]);
    }

    #[test]
    fn what_lies_about_places_and_sizes_is_refused() {
        let whole = thin(7, &[[1, 16, 0, 0]]);
        assert!(matches!(read(&whole[..40]), Err(Refusal::Truncated)));
        assert!(matches!(
            read(&thin(7, &[[1, 0, 0, 0]])),
            Err(Refusal::Malformed { .. })
        ));
        assert!(matches!(read(&thin(7, &[[1, 64, 0, 0]])), Err(Refusal::Truncated)));
        assert!(matches!(
            read(b"\xCA\xFE\xBA\xBE\0\0\0\x3D"),
            Err(Refusal::Malformed { .. })
        ));
        assert!(matches!(read(&fat(&[&whole])[..60]), Err(Refusal::Truncated)));
        let signed = thin(7, &[[command::CODE_SIGNATURE, 16, 1000, 1000]]);
        let source = &signed.as_slice();
        let found = slices(source, &Budget::new(&Limits::default())).unwrap();
        assert!(matches!(found[0].code_signature(), Err(Refusal::Truncated)));
    }
}
