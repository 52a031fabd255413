//! ELF executables, by position: what they run on, and where their parts stand.
//! Source: the System V ABI, chapter 4.

use std::ops::Range;

use crate::source::Source;
use crate::{Budget, Refusal};

/// How an ELF file starts.
pub const MAGIC: &[u8] = b"\x7FELF";

/// How long the table of section names may be, in bytes.
const NAMES: u64 = 1 << 20;
/// The size of a section's header, for 32 and for 64 bits.
const SECTION_HEADER: [u64; 2] = [40, 64];

/// An ELF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Whether it has 64 bits.
    pub is_64: bool,
    /// Whether its numbers are little-endian.
    pub is_little: bool,
    /// What it runs on, by the ABI's number (`e_machine`).
    pub machine: u16,
    /// The type of file (`e_type`): 2 is an executable, 3 one that can stand anywhere, or a library.
    pub kind: u16,
    /// Where the table of sections stands, at the end in most files.
    pub section_table: Range<u64>,
    /// The sections, in their order.
    pub sections: Vec<Section>,
}

/// A section of an ELF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, as in `.text`.
    pub name: String,
    /// Where its bytes stand in the file.
    pub range: Range<u64>,
}

impl Elf {
    /// Where the file ends, unless something is appended: after the table of sections, or after the
    /// last one of those; 0 where there is none.
    pub fn end(&self) -> u64 {
        let ends = self.sections.iter().map(|section| section.range.end);
        ends.fold(self.section_table.end, u64::max)
    }

    /// Reads the header and the table of sections; a file may have none.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn read(source: &dyn Source, budget: &Budget) -> Result<Self, Refusal> {
        let head = source.bytes(0..source.len().min(64), 64)?;
        let mut elf = Self::read_header(&head)?;
        let fields = Fields(&head, elf.is_little);
        let offset = if elf.is_64 {
            fields.u64(40)
        } else {
            fields.u32(32).map(u64::from)
        };
        let place = if elf.is_64 { 58 } else { 46 };
        let (Some(offset), Some(size), Some(count), Some(names)) =
            (offset, fields.u16(place), fields.u16(place + 2), fields.u16(place + 4))
        else {
            return Err(Refusal::Truncated);
        };
        if count == 0 {
            return Ok(elf);
        }
        if u64::from(size) != SECTION_HEADER[usize::from(elf.is_64)] {
            return Err(malformed("its section headers have an impossible size"));
        }
        let end = offset.checked_add(u64::from(size) * u64::from(count));
        let end = end.filter(|end| *end <= source.len()).ok_or(Refusal::Truncated)?;
        elf.section_table = offset..end;
        let table = source.bytes(elf.section_table.clone(), source.len())?;
        let headers: Vec<&[u8]> = table.chunks_exact(usize::from(size)).collect();
        elf.read_sections(source, budget, &headers, usize::from(names))?;
        Ok(elf)
    }

    /// Reads what stands in the first 20 bytes.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where it is no ELF file.
    pub fn read_header(head: &[u8]) -> Result<Self, Refusal> {
        let (class, data) = match head {
            [0x7F, b'E', b'L', b'F', class @ 1..=2, data @ 1..=2, ..] => (*class, *data),
            _ => return Err(malformed("it does not start as one does")),
        };
        let fields = Fields(head, data == 1);
        Ok(Self {
            is_64: class == 2,
            is_little: data == 1,
            kind: fields.u16(16).ok_or(Refusal::Truncated)?,
            machine: fields.u16(18).ok_or(Refusal::Truncated)?,
            section_table: 0..0,
            sections: Vec::new(),
        })
    }

    /// The processor, in our spelling.
    pub fn arch(&self) -> Option<&'static str> {
        match (self.machine, self.is_64, self.is_little) {
            (3, ..) => Some("x86"),
            (8, false, true) => Some("mipsel"),
            (8, false, false) => Some("mips"),
            (8, true, true) => Some("mips64el"),
            (8, true, false) => Some("mips64"),
            (20, ..) => Some("ppc"),
            (40, ..) => Some("arm"),
            (62, true, _) => Some("x86_64"),
            (183, ..) => Some("arm64"),
            (243, true, _) => Some("riscv64"),
            (21, _, true) => Some("ppc64le"),
            (21, _, false) => Some("ppc64"),
            (22, true, _) => Some("s390x"),
            (258, true, _) => Some("loongarch64"),
            _ => None,
        }
    }

    /// What it runs on, as `readelf` calls it.
    pub fn machine_name(&self) -> Option<&'static str> {
        match self.machine {
            3 => Some("Intel 80386"),
            21 => Some("PowerPC64"),
            22 => Some("IBM S/390"),
            40 => Some("ARM"),
            62 => Some("Advanced Micro Devices X86-64"),
            183 => Some("AArch64"),
            243 => Some("RISC-V"),
            258 => Some("LoongArch"),
            _ => None,
        }
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    fn read_sections(
        &mut self,
        source: &dyn Source,
        budget: &Budget,
        headers: &[&[u8]],
        names: usize,
    ) -> Result<(), Refusal> {
        let names = match headers.get(names).and_then(|header| self.range(header)) {
            Some(range) => source.bytes(range, NAMES)?,
            None => Vec::new(),
        };
        for header in headers {
            budget.step()?;
            let name = Fields(header, self.is_little)
                .u32(0)
                .and_then(|place| usize::try_from(place).ok());
            let name = name.and_then(|place| names.get(place..)).unwrap_or_default();
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len()).min(64);
            self.sections.extend(self.range(header).map(|range| Section {
                name: String::from_utf8_lossy(&name[..end]).into_owned(),
                range,
            }));
        }
        Ok(())
    }

    /// Where a section's bytes stand; `None` where they are nowhere in the file (`SHT_NOBITS`).
    fn range(&self, header: &[u8]) -> Option<Range<u64>> {
        const NO_BITS: u32 = 8;
        let fields = Fields(header, self.is_little);
        if fields.u32(4)? == NO_BITS {
            return None;
        }
        let (start, size) = if self.is_64 {
            (fields.u64(24)?, fields.u64(32)?)
        } else {
            (u64::from(fields.u32(16)?), u64::from(fields.u32(20)?))
        };
        Some(start..start.checked_add(size)?)
    }
}

fn malformed(why: &'static str) -> Refusal {
    Refusal::malformed("ELF header", why)
}

/// Numbers at fixed places, little-endian or not.
struct Fields<'a>(&'a [u8], bool);

impl Fields<'_> {
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = self.0.get(offset..offset + N)?.try_into().ok()?;
        if self.1 {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_be_bytes)
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_be_bytes)
    }

    fn u64(&self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn read(bytes: &[u8]) -> Result<Elf, Refusal> {
        Elf::read(&bytes, &Budget::new(&Limits::default()))
    }

    /// A header with this table of sections.
    fn header(offset: u64, count: u16) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7FELF\x02\x01");
        bytes[16] = 2;
        bytes[18] = 62;
        bytes[40..48].copy_from_slice(&offset.to_le_bytes());
        bytes[58] = 64;
        bytes[60..62].copy_from_slice(&count.to_le_bytes());
        bytes
    }

    #[test]
    fn sections_have_names_and_places() {
        let mut table = vec![0; 128];
        table[64..68].copy_from_slice(&1_u32.to_le_bytes());
        table[88..96].copy_from_slice(&64_u64.to_le_bytes());
        table[96..104].copy_from_slice(&6_u64.to_le_bytes());
        let mut head = header(70, 2);
        head[62] = 1;
        let elf = read(&[&head[..], b"\0.upd\0", &table, b"payload"].concat()).unwrap();
        assert_eq!((elf.arch(), elf.kind), (Some("x86_64"), 2));
        assert_eq!((elf.section_table.clone(), elf.end()), (70..198, 198));
        assert_eq!(elf.section(".upd").unwrap().range, 64..70);
        // A tool that adds a section may put it behind the table.
        table[96..104].copy_from_slice(&200_u64.to_le_bytes());
        let elf = read(&[&head[..], b"\0.upd\0", &table, &[0; 66], b"payload"].concat()).unwrap();
        assert_eq!(elf.end(), 264);
    }

    #[test]
    fn tables_outside_of_the_file_are_refused() {
        assert!(read(&header(0, 0)).unwrap().sections.is_empty());
        for offset in [1, 1 << 60, u64::MAX] {
            assert!(matches!(read(&header(offset, 1)), Err(Refusal::Truncated)), "{offset}");
        }
        assert!(matches!(read(&header(0, 1)[..40]), Err(Refusal::Truncated)));
        assert!(matches!(read(b"\x7FELF\x03\x01"), Err(Refusal::Malformed { .. })));
        // A machine's real programs say the same as their tools.
        let elf = Elf::read_header(&std::fs::read("/proc/self/exe").unwrap()).unwrap();
        assert!(elf.is_little && elf.arch().is_some());
    }
}
