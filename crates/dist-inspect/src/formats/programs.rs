//! Programs, in an archive or alone, by their first bytes.

use std::collections::BTreeSet;
use std::io::Read;

use dist_model::Platform;

use crate::parse::elf::{self, Elf};
use crate::parse::macho;
use crate::subject::Subject;
use crate::{Inspection, Refusal, Report};

/// How much of a member is read: holds a PE header behind its DOS stub.
const HEAD_BYTES: u64 = 1 << 10;
/// How many paths of programs are kept, and how long each may be, in bytes.
const PATHS: usize = 1000;
const PATH_BYTES: usize = 4096;

/// What the members that were looked at run on.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// The processors, as the formats of the programs call them.
    pub(super) archs: BTreeSet<&'static str>,
    /// What those run on that can be run by themselves.
    platforms: BTreeSet<Option<Platform>>,
    /// Whether one of them is for several.
    pub(super) is_universal: bool,
    /// The paths of those that can be run by themselves, in their order.
    pub(super) paths: Vec<String>,
}

impl Programs {
    /// Looks at the first bytes of a member; what is no program leaves no trace.
    pub(super) fn look(&mut self, path: &[u8], mode: u32, bytes: &mut dyn Read) -> Result<(), Refusal> {
        let mut head = Vec::new();
        bytes.take(HEAD_BYTES).read_to_end(&mut head)?;
        let Some(program) = Program::read(&head) else {
            return Ok(());
        };
        self.is_universal |= program.archs.len() > 1;
        self.archs.extend(program.archs);
        let path = String::from_utf8_lossy(path);
        // Programs that stand anywhere in memory and libraries are of one type.
        let is_library = path.ends_with(".so") || path.contains(".so.");
        let has_permission = mode & 0o111 != 0 || has_extension(&path, "exe");
        if program.can_run && has_permission && !is_library {
            self.platforms.insert(program.platform);
            if self.paths.len() < PATHS && path.len() <= PATH_BYTES {
                self.paths.push(path.into_owned());
            }
        }
        Ok(())
    }

    /// Says what they run on: the platform only where it is the same for all.
    pub(super) fn tell(&self, subject: &Subject<'_>, report: &mut Report) {
        if let [Some(platform)] = self.platforms.iter().copied().collect::<Vec<_>>()[..]
            && !is_for_another_system(&subject.name)
        {
            report.platform = Some(platform);
        }
        report.set_archs(&self.archs);
        if self.archs.len() > 1 && !self.is_universal {
            // Programs for several processors side by side do not make one that runs on all.
            report.arch = None;
        }
    }

    /// The one that the others are there for: the only one, or the only one that is called as the archive
    /// or its folder begins.
    pub(super) fn main(&self, name: &str) -> Option<&str> {
        if let [only] = self.paths.as_slice() {
            return Some(only);
        }
        let name = name.split(['-', '_', '.']).next().unwrap_or_default();
        let is_named = |path: &&String| {
            let file = path.rsplit('/').next().unwrap_or_default();
            let stem = if has_extension(file, "exe") {
                &file[..file.len() - 4]
            } else {
                file
            };
            stem.eq_ignore_ascii_case(name)
        };
        let mut found = self.paths.iter().filter(is_named);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

/// Says of a bare program what it runs on.
#[allow(clippy::unnecessary_wraps, reason = "as those of the formats are")]
pub(super) fn describe_bare(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    if subject.starts_with(elf::MAGIC)
        && let Some(program) = Program::read(&subject.head)
    {
        let report = &mut inspection.report;
        report.set_archs(&program.archs);
        report.platform = program.platform.filter(|_| !is_for_another_system(&subject.name));
    }
    Ok(())
}

/// Whether a name in lower case says that what is in the file runs on a system that is none of ours.
fn is_for_another_system(name: &str) -> bool {
    const OTHERS: [&str; 5] = ["android", "bsd", "solaris", "illumos", "haiku"];
    OTHERS.iter().any(|system| name.contains(system))
}

fn has_extension(path: &str, extension: &str) -> bool {
    let found = path.rsplit_once('.');
    found.is_some_and(|(_, found)| found.eq_ignore_ascii_case(extension))
}

/// A program, as far as its first bytes tell.
struct Program {
    /// The processors that it is for; never empty.
    archs: Vec<&'static str>,
    /// Whether it can be run by itself.
    can_run: bool,
    /// What it runs on, if it tells what its archive is for.
    platform: Option<Platform>,
}

impl Program {
    fn read(head: &[u8]) -> Option<Self> {
        const EXECUTABLE: u16 = 2;
        const SHARED: u16 = 3;
        let (archs, can_run, platform) = if let Ok(elf) = Elf::read_header(head) {
            let can_run = matches!(elf.kind, EXECUTABLE | SHARED);
            let platform = (can_run && is_for_linux(head)).then_some(Platform::Linux);
            (elf.arch().into_iter().collect(), can_run, platform)
        } else if head.starts_with(b"MZ") {
            // Packages for any platform come with small ones, such as launchers.
            (pe_arch(head).into_iter().collect(), true, None)
        } else {
            let can_run = macho_kind(head).is_none_or(|kind| kind == u32::from(EXECUTABLE));
            (macho::archs(head), can_run, Some(Platform::Macos))
        };
        (!archs.is_empty()).then_some(Self {
            archs,
            can_run,
            platform,
        })
    }
}

/// Whether an ELF file is for the one of our platforms that runs them. Other systems leave a mark in
/// the header, in the path of what loads programs, or in a note.
fn is_for_linux(head: &[u8]) -> bool {
    const OTHERS: [&[u8]; 4] = [b"/system/bin/linker", b"/libexec/ld", b"NetBSD\0", b"OpenBSD\0"];
    let is_marked = |mark: &&[u8]| head.windows(mark.len()).any(|bytes| bytes == *mark);
    matches!(head.get(7), Some(0 | 3)) && !OTHERS.iter().any(is_marked)
}

/// The processor in the COFF header of a Windows program.
fn pe_arch(head: &[u8]) -> Option<&'static str> {
    let offset = usize::try_from(u32::from_le_bytes(*head.get(0x3C..)?.first_chunk()?)).ok()?;
    let header = head.get(offset..)?.strip_prefix(b"PE\0\0")?;
    match u16::from_le_bytes(*header.first_chunk()?) {
        0x014C => Some("x86"),
        0x01C0 | 0x01C4 => Some("arm"),
        0x8664 => Some("x86_64"),
        0xAA64 => Some("arm64"),
        _ => None,
    }
}

/// The type in the header of a Mach-O for one processor, as all machines of today write it.
fn macho_kind(head: &[u8]) -> Option<u32> {
    let header = head
        .strip_prefix(b"\xCF\xFA\xED\xFE")
        .or(head.strip_prefix(b"\xCE\xFA\xED\xFE"))?;
    header.get(8..)?.first_chunk().map(|kind| u32::from_le_bytes(*kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELF: &[u8] = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xB7\0";

    fn look(members: &[(&str, u32, &[u8])]) -> Programs {
        let mut programs = Programs::default();
        for (path, mode, bytes) in members {
            programs.look(path.as_bytes(), *mode, &mut &**bytes).unwrap();
        }
        programs
    }

    #[test]
    fn libraries_and_texts_are_no_programs() {
        let found = look(&[
            ("acme/bin/acme", 0o755, ELF),
            ("acme/lib/libacme.so.1", 0o755, ELF),
            ("acme/data", 0o644, ELF),
            ("acme/run.sh", 0o755, b"#!/bin/sh"),
        ]);
        assert_eq!(found.paths, ["acme/bin/acme"]);
        assert_eq!(found.archs, BTreeSet::from(["arm64"]));
    }

    #[test]
    fn the_main_one_is_the_only_one_or_has_the_name() {
        let found = look(&[("a/acme", 0o755, ELF), ("a/helper", 0o755, ELF)]);
        for name in ["Acme", "acme-2.4.0-linux", "acme.tar.gz"] {
            assert_eq!(found.main(name), Some("a/acme"));
        }
        assert_eq!(found.main("other"), None);
        assert_eq!(look(&[("a/b", 0o755, ELF)]).main("other"), Some("a/b"));
    }

    #[test]
    fn programs_for_windows_and_macos_are_told() {
        let mut pe = vec![0; 0x90];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3C] = 0x80;
        pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\xAA");
        let macho = b"\xCF\xFA\xED\xFE\x07\0\0\x01\x03\0\0\0\x06\0\0\0";
        let found = look(&[("a.EXE", 0, &pe), ("liba.dylib", 0o755, macho)]);
        assert_eq!(found.archs, BTreeSet::from(["arm64", "x86_64"]));
        assert_eq!(found.paths, ["a.EXE"]);
        assert_eq!(found.platforms, BTreeSet::from([None]));
    }

    #[test]
    fn the_systems_that_elf_files_are_for_are_told_apart() {
        let platform = |rest: &[u8]| Program::read(&[ELF, rest].concat()).unwrap().platform;
        assert_eq!(platform(b"/lib/ld-linux-aarch64.so.1\0"), Some(Platform::Linux));
        assert_eq!(platform(b""), Some(Platform::Linux));
        for rest in [
            &b"/system/bin/linker64\0"[..],
            b"/libexec/ld-elf.so.1\0",
            b"\x01\0\0\0NetBSD\0",
        ] {
            assert_eq!(platform(rest), None);
        }
        let mut free_bsd = ELF.to_vec();
        free_bsd[7] = 9;
        assert_eq!(Program::read(&free_bsd).unwrap().platform, None);
    }
}
