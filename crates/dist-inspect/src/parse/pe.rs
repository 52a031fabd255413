//! Windows executables, by position: what they run on, and where their parts stand.
//! Source: Microsoft's "PE Format" specification.

use std::ops::Range;

use super::little::{u16_at, u32_at};
use crate::source::Source;
use crate::{Budget, Refusal};

/// How a program for DOS starts, and every program for Windows.
pub const MAGIC: &[u8] = b"MZ";
/// How the header proper starts.
pub const SIGNATURE: &[u8] = b"PE\0\0";

/// The file header and the longest optional header that is read: the fields and sixteen directories.
const HEADERS: usize = 24 + 112 + 16 * 8;
const SECTION: usize = 40;
/// Windows loads at most this many sections.
const SECTIONS: u16 = 96;
const IS_DLL: u16 = 0x2000;

/// A Windows executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pe {
    /// What it runs on, by the specification's number (`Machine`).
    pub machine: u16,
    /// Whether it is a library.
    pub is_dll: bool,
    /// Whether the optional header's magic number is one of the two that Windows loads.
    pub is_loadable: bool,
    /// What starts it: 2 is a window, 3 a console, 10 to 13 firmware (`Subsystem`).
    pub subsystem: u16,
    /// The first version of Windows that loads it, major and minor (`SubsystemVersion`).
    pub min_os: (u16, u16),
    /// The sections, in their order.
    pub sections: Vec<Section>,
    /// The checksum's place in the file.
    pub checksum_at: u64,
    /// The place in the file of the directory's entry for signatures.
    pub security_at: u64,
    /// Tables by their places in memory, addresses and sizes.
    directories: Vec<(u32, u32)>,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The name, as in `.text`.
    pub name: String,
    /// Where it is loaded.
    address: u32,
    /// Where its bytes stand in the file.
    pub range: Range<u64>,
}

/// A table of the optional header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Icons, texts, dialogs.
    Resources = 2,
    /// Signatures; its address is a place in the file.
    Security = 4,
    /// The header of what runs in .NET.
    Clr = 14,
}

impl Pe {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn read(source: &dyn Source, budget: &Budget) -> Result<Self, Refusal> {
        let mut dos = [0; 64];
        source.read_exact_at(0, &mut dos)?;
        let start = u64::from(u32_at(&dos, 0x3C).unwrap_or_default());
        let end = source.len().min(start + HEADERS as u64);
        let head = source.bytes(start..end, HEADERS as u64)?;
        if !dos.starts_with(MAGIC) || !head.starts_with(SIGNATURE) {
            return Err(malformed("there is no PE header"));
        }
        let (mut pe, count) = Self::read_headers(&head, start).ok_or(Refusal::Truncated)?;
        if count > SECTIONS {
            return Err(malformed(format!(
                "it has {count} sections, and Windows loads {SECTIONS}"
            )));
        }
        let optional = u64::from(u16_at(&head, 20).unwrap_or_default());
        let mut bytes = vec![0; SECTION * usize::from(count)];
        source.read_exact_at(start + 24 + optional, &mut bytes)?;
        for header in bytes.chunks_exact(SECTION) {
            budget.step()?;
            pe.sections.extend(Section::read(header));
        }
        Ok(pe)
    }

    /// The fields, and how many sections follow.
    fn read_headers(head: &[u8], start: u64) -> Option<(Self, u16)> {
        let optional_len = usize::from(u16_at(head, 20)?);
        let optional = head.get(24..)?;
        let optional = &optional[..optional_len.min(optional.len())];
        let magic = u16_at(optional, 0)?;
        let directories_at = if magic == 0x20B { 112 } else { 96 };
        let count = u32_at(optional, directories_at - 4)?.min(16) as usize;
        let entries = optional.get(directories_at..).unwrap_or_default().chunks_exact(8);
        let entry = |bytes: &[u8]| Some((u32_at(bytes, 0)?, u32_at(bytes, 4)?));
        let pe = Self {
            machine: u16_at(head, 4)?,
            is_dll: u16_at(head, 22)? & IS_DLL != 0,
            is_loadable: matches!(magic, 0x10B | 0x20B),
            subsystem: u16_at(optional, 68)?,
            min_os: (u16_at(optional, 48)?, u16_at(optional, 50)?),
            sections: Vec::new(),
            checksum_at: start + 24 + 64,
            security_at: start + 24 + directories_at as u64 + 8 * Directory::Security as u64,
            directories: entries.take(count).filter_map(entry).collect(),
        };
        Some((pe, u16_at(head, 6)?))
    }

    /// A processor's name, as Microsoft's tools spell it.
    pub fn machine_name(&self) -> Option<&'static str> {
        match self.machine {
            0x014C => Some("x86"),
            0x01C0 => Some("arm"),
            0x01C4 => Some("armnt"),
            0x0200 => Some("ia64"),
            0x5064 => Some("riscv64"),
            0x6264 => Some("loongarch64"),
            0x8664 => Some("x64"),
            0xAA64 => Some("arm64"),
            _ => None,
        }
    }

    /// Whether it is for .NET alone and runs on whatever processor there is, although its header names
    /// the oldest one. Source: ECMA-335, II.25.3.3.1.
    pub fn is_any_cpu(&self, source: &dyn Source) -> bool {
        const IS_NET_ALONE: u32 = 1;
        const NEEDS_32_BITS: u32 = 2;
        // With this the former means that it merely prefers them.
        const PREFERS_32_BITS: u32 = 0x2_0000;
        let header = self
            .directory(Directory::Clr)
            .and_then(|(address, _)| self.place(address));
        let flags = header.and_then(|header| u32_at(&source.bytes(header + 16..header + 20, 4).ok()?, 0));
        self.machine == 0x014C
            && flags.is_some_and(|flags| {
                let is_for_32_bits = flags & NEEDS_32_BITS != 0 && flags & PREFERS_32_BITS == 0;
                flags & IS_NET_ALONE != 0 && !is_for_32_bits
            })
    }

    /// Where a table is: its address in memory, for signatures its place in the file, and its size;
    /// `None` where there is none.
    pub fn directory(&self, directory: Directory) -> Option<(u32, u32)> {
        let entry = self.directories.get(directory as usize).copied();
        entry.filter(|(address, size)| *address != 0 && *size != 0)
    }

    /// Where in the file the byte at `address` stands.
    pub fn place(&self, address: u32) -> Option<u64> {
        let section = self.sections.iter().find(|section| {
            let len = section.range.end - section.range.start;
            address >= section.address && u64::from(address - section.address) < len
        })?;
        Some(section.range.start + u64::from(address - section.address))
    }

    /// Where its own parts end, and what was appended starts.
    pub fn end(&self) -> u64 {
        let ends = self.sections.iter().map(|section| section.range.end);
        ends.max().unwrap_or_default()
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

impl Section {
    fn read(header: &[u8]) -> Option<Self> {
        let name = header.get(..8)?.split(|byte| *byte == 0).next()?;
        let start = u64::from(u32_at(header, 20)?);
        // What is not in the file is zeros in memory.
        let len = if start == 0 { 0 } else { u32_at(header, 16)? };
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            address: u32_at(header, 12)?,
            range: start..start + u64::from(len),
        })
    }
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("executable", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    /// A program of two sections; the numbers that tests change stand where the specification says.
    fn program() -> Vec<u8> {
        let mut bytes = vec![0; 0x600];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, b"MZ");
        put(0x3C, &0x80_u32.to_le_bytes());
        put(0x80, b"PE\0\0");
        put(0x84, &0x8664_u16.to_le_bytes());
        put(0x86, &2_u16.to_le_bytes());
        put(0x94, &240_u16.to_le_bytes());
        put(0x98, &0x20B_u16.to_le_bytes());
        put(0x98 + 48, &[6, 0, 1, 0]);
        put(0x98 + 68, &3_u16.to_le_bytes());
        put(0x98 + 108, &16_u32.to_le_bytes());
        put(0x98 + 112 + 16, &[0, 0x20, 0, 0, 0x10, 0, 0, 0]);
        let sections = 0x98 + 240;
        put(sections, b".text\0\0\0\x10\0\0\0\0\x10\0\0\0\x02\0\0\0\x02\0\0");
        put(sections + 40, b".rsrc\0\0\0\x10\0\0\0\0\x20\0\0\0\x02\0\0\0\x04\0\0");
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Pe, Refusal> {
        Pe::read(&bytes, &Budget::new(&Limits::default()))
    }

    #[test]
    fn headers_are_read_and_addresses_found() {
        let bytes = program();
        let pe = read(&bytes).unwrap();
        assert_eq!((pe.machine_name(), pe.subsystem, pe.min_os), (Some("x64"), 3, (6, 1)));
        assert!(pe.is_loadable && !pe.is_dll);
        assert_eq!(pe.directory(Directory::Resources), Some((0x2000, 0x10)));
        assert_eq!(pe.directory(Directory::Security), None);
        assert_eq!(pe.place(0x2008), Some(0x408));
        assert_eq!(pe.place(0x2200), None);
        assert_eq!(pe.end(), 0x600);
        assert_eq!(pe.section(".text").unwrap().range, 0x200..0x400);
        let mut itanium = bytes.clone();
        itanium[0x84..0x86].copy_from_slice(&[0, 2]);
        assert_eq!(read(&itanium).unwrap().machine_name(), Some("ia64"));
    }

    #[test]
    fn a_program_for_net_may_run_on_any_processor() {
        let is_any = |machine: u16, flags: u32| {
            let mut bytes = program();
            bytes[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
            bytes[0x178..0x180].copy_from_slice(&[0, 0x10, 0, 0, 72, 0, 0, 0]);
            bytes[0x210..0x214].copy_from_slice(&flags.to_le_bytes());
            read(&bytes).unwrap().is_any_cpu(&bytes)
        };
        assert!(is_any(0x014C, 1) && is_any(0x014C, 9) && is_any(0x014C, 0x2_0003));
        assert!(!is_any(0x014C, 0) && !is_any(0x014C, 3) && !is_any(0x8664, 1));
        assert!(!read(&program()).unwrap().is_any_cpu(&program()));
    }

    #[test]
    fn places_and_counts_that_lie_are_refused() {
        let with = |at: usize, part: &[u8]| {
            let mut bytes = program();
            bytes[at..at + part.len()].copy_from_slice(part);
            read(&bytes)
        };
        assert!(matches!(with(0x3C, &[0xFF; 4]), Err(Refusal::Truncated)));
        assert!(matches!(with(0x80, b"NE"), Err(Refusal::Malformed { .. })));
        assert!(matches!(with(0x86, &[0xFF; 2]), Err(Refusal::Malformed { .. })));
        assert!(matches!(with(0x94, &[0xFF; 2]), Err(Refusal::Truncated)));
        assert!(matches!(with(0x94, &[0; 2]), Err(Refusal::Truncated)));
        assert!(!with(0x98, &[0; 2]).unwrap().is_loadable);
        assert!(matches!(read(b"MZ"), Err(Refusal::Truncated)));
    }
}
