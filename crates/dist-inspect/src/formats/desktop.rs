//! Desktop entries and icons that a package installs.

use std::io::Read;

use crate::archive::tar::Entry;
use crate::parse::keyfile::KeyFile;
use crate::parse::picture;
use crate::{Budget, Inspection, Refusal};

/// The group of a desktop entry that tells the application.
const GROUP: &str = "Desktop Entry";
/// How large a desktop entry, and how large an icon may be, in bytes.
const ENTRY_BYTES: u64 = 1 << 20;
const ICON_BYTES: u64 = 4 << 20;
/// How many entries are told, and how long the path of each may be, in bytes.
const ENTRIES: usize = 100;
const PATH_BYTES: usize = 4096;

/// What a menu shows of a package.
#[derive(Debug, Default)]
pub(super) struct Desktop {
    /// The paths of the entries.
    paths: Vec<String>,
    /// The first entry that can be shown.
    main: Option<KeyFile>,
    /// The largest icon of that entry so far, by its size in the path, with its bytes.
    icon: Option<(u32, Vec<u8>)>,
}

impl Desktop {
    /// Looks at a file of a package, and reads it and answers true if it is for the menu. Entries
    /// stand before icons, as packages are sorted.
    pub(super) fn look(&mut self, entry: &Entry, bytes: &mut dyn Read) -> Result<bool, Refusal> {
        let path = String::from_utf8_lossy(entry.name());
        if is_entry(&path) && path.len() <= PATH_BYTES && self.paths.len() < ENTRIES {
            self.paths.push(String::from_utf8_lossy(&entry.path).into_owned());
            if entry.size <= ENTRY_BYTES && self.main.is_none() {
                self.main = Some(KeyFile::parse(&read(bytes)?)).filter(is_shown);
            }
            return Ok(true);
        }
        let Some(size) = self.icon_size(&path).filter(|_| entry.size <= ICON_BYTES) else {
            return Ok(false);
        };
        if self.icon.as_ref().is_none_or(|(other, _)| is_better(size, *other)) {
            self.icon = Some((size, read(bytes)?));
        }
        Ok(true)
    }

    /// The pixels each way that the path of an icon of the entry claims; 1 where it claims none.
    fn icon_size(&self, path: &str) -> Option<u32> {
        let name = self.main.as_ref()?.get(GROUP, "Icon")?;
        let stem = path.strip_suffix(".png")?;
        let (folder, file) = stem.rsplit_once('/')?;
        let name = name.strip_suffix(".png").unwrap_or(name);
        if file != name.rsplit('/').next()? {
            return None;
        }
        if folder == "usr/share/pixmaps" {
            return Some(1);
        }
        let theme = folder.strip_prefix("usr/share/icons/hicolor/")?;
        let (size, _) = theme.split_once('/')?;
        size.split_once('x')?.0.parse().ok()
    }

    /// Tells what was found; an icon that cannot be read is none.
    pub(super) fn describe(&self, budget: &Budget, inspection: &mut Inspection) {
        inspection.report.set_list("desktop_files", &self.paths);
        let icon = self
            .icon
            .as_ref()
            .and_then(|(_, bytes)| picture::icon(bytes, budget).ok());
        inspection.icon = inspection.icon.take().or(icon);
    }
}

fn read(bytes: &mut dyn Read) -> Result<Vec<u8>, Refusal> {
    let mut read = Vec::new();
    bytes.read_to_end(&mut read)?;
    Ok(read)
}

fn is_entry(path: &str) -> bool {
    path.strip_prefix("usr/share/applications/")
        .is_some_and(|name| name.ends_with(".desktop"))
}

fn is_shown(entry: &KeyFile) -> bool {
    entry.get(GROUP, "NoDisplay") != Some("true") && entry.get(GROUP, "Icon").is_some()
}

/// The best icon is the smallest that is no smaller than what is kept of it, else the largest.
fn is_better(size: u32, other: u32) -> bool {
    const KEPT: u32 = 512;
    if other >= KEPT {
        (KEPT..other).contains(&size)
    } else {
        size > other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tar::Kind;

    fn look(desktop: &mut Desktop, path: &str, bytes: &[u8]) -> bool {
        let entry = Entry {
            path: path.as_bytes().to_vec(),
            kind: Kind::File,
            size: bytes.len() as u64,
            mode: 0o644,
            target: Vec::new(),
        };
        desktop.look(&entry, &mut &*bytes).unwrap()
    }

    #[test]
    fn the_icon_is_that_of_the_first_entry_that_is_shown() {
        let mut desktop = Desktop::default();
        assert!(look(
            &mut desktop,
            "./usr/share/applications/a.desktop",
            b"[Desktop Entry]\nNoDisplay=true\nIcon=a\n"
        ));
        assert!(look(
            &mut desktop,
            "./usr/share/applications/b.desktop",
            b"[Desktop Entry]\nIcon=b\n"
        ));
        assert!(!look(&mut desktop, "./usr/share/icons/hicolor/48x48/apps/a.png", b"no"));
        for (size, kept) in [(48, 48), (1024, 1024), (512, 512), (256, 512)] {
            assert!(look(
                &mut desktop,
                &format!("./usr/share/icons/hicolor/{size}x{size}/apps/b.png"),
                b"x"
            ));
            assert_eq!(desktop.icon.as_ref().unwrap().0, kept);
        }
        assert!(!look(&mut desktop, "./usr/bin/b.png", b""));
        assert_eq!(desktop.paths.len(), 2);
    }
}
