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
/// Of how many names icons are kept until an entry tells which one is wanted.
const ICONS: usize = 8;
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
    /// The best icon of each name so far.
    icons: Vec<Icon>,
}

/// An icon, by the name that entries call it.
#[derive(Debug)]
struct Icon {
    name: String,
    /// Its size in the path.
    size: u32,
    bytes: Vec<u8>,
}

impl Desktop {
    /// Looks at a file of a package, and reads it and answers true if it is for the menu. Icons may
    /// stand before entries, since not all packages are sorted.
    pub(super) fn look(&mut self, entry: &Entry, bytes: &mut dyn Read) -> Result<bool, Refusal> {
        let path = String::from_utf8_lossy(entry.name());
        if is_entry(&path) && path.len() <= PATH_BYTES && self.paths.len() < ENTRIES {
            self.paths.push(String::from_utf8_lossy(&entry.path).into_owned());
            if entry.size <= ENTRY_BYTES && self.main.is_none() {
                self.main = Some(KeyFile::parse(&read(bytes)?)).filter(is_shown);
                let wanted = self.wanted().map(str::to_owned);
                self.icons
                    .retain(|icon| wanted.as_ref().is_none_or(|wanted| icon.name == *wanted));
            }
            return Ok(true);
        }
        let Some((name, size)) = icon(&path).filter(|(name, _)| self.may_want(name)) else {
            return Ok(false);
        };
        if entry.size > ICON_BYTES {
            return Ok(false);
        }
        let has_room = self.icons.len() < ICONS;
        match self.icons.iter_mut().find(|icon| icon.name == name) {
            Some(best) if is_better(size, best.size) => (best.size, best.bytes) = (size, read(bytes)?),
            None if has_room => self.icons.push(Icon {
                name: name.to_owned(),
                size,
                bytes: read(bytes)?,
            }),
            _ => {}
        }
        Ok(true)
    }

    /// The name of the icon that the first entry that is shown has.
    fn wanted(&self) -> Option<&str> {
        let name = self.main.as_ref()?.get(GROUP, "Icon")?;
        name.strip_suffix(".png").unwrap_or(name).rsplit('/').next()
    }

    /// Whether an icon of this name may be the one, as far as is known.
    fn may_want(&self, name: &str) -> bool {
        self.wanted().is_none_or(|wanted| wanted == name)
    }

    /// Tells what was found; an icon that cannot be read is none.
    pub(super) fn describe(&self, budget: &Budget, inspection: &mut Inspection) {
        inspection.report.set_list("desktop_files", &self.paths);
        let icon = self.icons.iter().find(|icon| Some(icon.name.as_str()) == self.wanted());
        let icon = icon.and_then(|icon| picture::icon(&icon.bytes, budget).ok());
        inspection.icon = inspection.icon.take().or(icon);
    }
}

/// The name of the icon at a path, and the pixels each way that the path claims; 1 where it claims none.
fn icon(path: &str) -> Option<(&str, u32)> {
    let (folder, name) = path.strip_suffix(".png")?.rsplit_once('/')?;
    if folder == "usr/share/pixmaps" {
        return Some((name, 1));
    }
    let theme = folder.strip_prefix("usr/share/icons/hicolor/")?;
    let (size, _) = theme.split_once('/')?;
    Some((name, size.split_once('x')?.0.parse().ok()?))
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
    fn icons_may_stand_before_entries() {
        let mut desktop = Desktop::default();
        for name in ["other", "b"] {
            let path = format!("./usr/share/icons/hicolor/48x48/apps/{name}.png");
            assert!(look(&mut desktop, &path, name.as_bytes()));
        }
        let entry = b"[Desktop Entry]\nIcon=/usr/share/pixmaps/b.png\n";
        assert!(look(&mut desktop, "./usr/share/applications/b.desktop", entry));
        assert!(look(&mut desktop, "./usr/share/pixmaps/b.png", b"small"));
        assert!(!look(&mut desktop, "./usr/share/pixmaps/other.png", b"small"));
        assert_eq!(desktop.icons.len(), 1);
        assert_eq!(desktop.icons[0].bytes, b"b");
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
            assert_eq!(desktop.icons[0].size, kept);
        }
        assert!(!look(&mut desktop, "./usr/bin/b.png", b""));
        assert_eq!(desktop.paths.len(), 2);
    }
}
