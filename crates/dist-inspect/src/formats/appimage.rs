//! `AppImage`s.
//! Source: the `AppImage` specification, and the runtimes of both types.

use super::{Otherwise, Row};
use crate::parse::elf::{self, Elf};
use crate::parse::iso9660::Iso;
use crate::parse::keyfile::KeyFile;
use crate::parse::picture;
use crate::parse::squashfs::{self, Squashfs};
use crate::parse::tree::Tree;
use crate::source::{Section, Source};
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

/// Some of type 1 lack the magic number; then the name decides.
pub(super) static APPIMAGE: Row = Row {
    format: Format::Appimage,
    package_type: "appimage",
    content_type: "application/vnd.appimage",
    extensions: &["appimage"],
    recognises: |subject| {
        let has_magic = subject.has_at(8, b"AI\x01") || subject.has_at(8, b"AI\x02");
        subject.starts_with(elf::MAGIC) && (has_magic || subject.is_named(APPIMAGE.extensions))
    },
    otherwise: Otherwise::Bytes(
        "appimage.not_an_elf",
        "An AppImage is an ELF executable, and this is none.",
    ),
    describe,
};

/// How large the desktop entry and the icon may be, in bytes.
const ENTRY_BYTES: u64 = 1 << 20;
const ICON_BYTES: u64 = 8 << 20;
/// How large the sections that are read may be, in bytes.
const SECTION_BYTES: u64 = 64 << 10;
/// The sections that make no other program.
const SECTIONS: [&str; 4] = ["digest_md5", "sha256_sig", "sig_key", "upd_info"];
/// How many names at the top are told.
const ROOT_NAMES: usize = 100;
/// How an image of `DwarFS` starts, which some runtimes take besides squashfs.
const DWARFS_MAGIC: &[u8] = b"DWARFS";
const BUILD_WITH_TOOL: &str = "Build it with appimagetool, and see that it is copied whole.";

// What may be said of an `AppImage`: the code, and what to do about it.
const NOT_READ: (&str, &str) = (
    "appimage.image_not_read",
    "See yourself that it starts, and that its desktop entry is what it should be.",
);
const NO_IMAGE: (&str, &str) = ("appimage.no_image", BUILD_WITH_TOOL);
const UNSIGNED: (&str, &str) = (
    "appimage.unsigned",
    "Sign it with appimagetool --sign if people are to check whom it comes from.",
);
const NO_APPRUN: (&str, &str) = ("appimage.no_apprun", BUILD_WITH_TOOL);
const NO_DESKTOP_ENTRY: (&str, &str) = ("appimage.no_desktop_entry", BUILD_WITH_TOOL);
const DESKTOP_ENTRY_BROKEN: (&str, &str) = (
    "appimage.desktop_entry_broken",
    "Write the key in the desktop entry; desktop-file-validate tells what else is wrong.",
);

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    let header = Elf::read_header(&subject.head)?;
    report.set_archs(header.arch());
    report.set_text("arch_raw", header.machine_name());
    let elf = Elf::read(subject.source, subject.budget)?;
    describe_sections(&elf, subject, report)?;
    let payload = elf.end();
    if payload > 0 {
        report.set_number("payload_offset", i64::try_from(payload).ok());
    }
    let is_type_1 = !subject.has_at(8, b"AI\x02");
    if is_type_1 && let Ok(image) = Iso::open(subject.source, subject.budget) {
        report.set_number("appimage_type", Some(1));
        return describe_image(&image, subject, inspection);
    }
    let section = Section::from(subject.source, payload)?;
    let starts_with = |magic: &[u8]| section.bytes(0..magic.len() as u64, 8).is_ok_and(|head| head == magic);
    let is_squashfs = starts_with(squashfs::MAGIC);
    if payload > 0 && starts_with(DWARFS_MAGIC) {
        report.set_number("appimage_type", Some(2));
        report.set_text("image_format", Some("dwarfs"));
        report.info(
            NOT_READ.0,
            "Its image is one of DwarFS, which is not looked into.",
            NOT_READ.1,
        );
        return Ok(());
    }
    if payload == 0 || !is_squashfs {
        report.error(
            NO_IMAGE.0,
            "No image follows the program, so that there is nothing to run: it is an ELF executable and no AppImage.",
            NO_IMAGE.1,
        );
        return Ok(());
    }
    report.set_number("appimage_type", Some(2));
    let image = Squashfs::open(&section, subject.budget)?;
    report.set_text("compression", image.compression());
    if image.is_cut() {
        return Err(Refusal::Truncated);
    }
    describe_image(&image, subject, inspection)
}

/// What the runtime's own sections say: where updates come from, and whether it is signed.
fn describe_sections(elf: &Elf, subject: &Subject<'_>, report: &mut Report) -> Result<(), Refusal> {
    let names = SECTIONS
        .iter()
        .filter(|name| elf.section(&format!(".{name}")).is_some());
    report.set_list("appimage_sections", names);
    let text = |name| -> Result<String, Refusal> {
        let Some(section) = elf.section(name) else {
            return Ok(String::new());
        };
        let bytes = subject.source.bytes(section.range.clone(), SECTION_BYTES)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..end]).trim().to_owned())
    };
    report.set_text("upd_info", Some(text(".upd_info")?));
    report.set_flag("signed", Some(!text(".sha256_sig")?.is_empty()));
    Ok(())
}

/// What the top of the image has: the program that is run, the desktop entry and the icon.
fn describe_image<T: Tree>(image: &T, subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    if report.facts.get("signed") == Some(&false.into()) {
        report.info(
            UNSIGNED.0,
            "The AppImage has no signature embedded, as most have none.",
            UNSIGNED.1,
        );
    }
    let children = image.children(&image.root()?)?;
    let mut names: Vec<String> = children
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort_unstable();
    let has = |name: &str| names.iter().any(|other| other == name);
    report.set_flag("has_apprun", Some(has("AppRun")));
    report.set_flag("has_diricon", Some(has(".DirIcon")));
    if !has("AppRun") {
        report.error(
            NO_APPRUN.0,
            "There is no AppRun at the top of the image, so that it does not start.",
            NO_APPRUN.1,
        );
    }
    let entries: Vec<&String> = names.iter().filter(|name| name.ends_with(".desktop")).collect();
    report.set_list("desktop_files", &entries);
    report.set_list("root_files", names.iter().take(ROOT_NAMES));
    let mut icons = vec![".DirIcon".to_owned()];
    match entries.first() {
        Some(entry) => {
            describe_entry(image, entry, report)?;
            icons.extend(
                report
                    .facts
                    .get("icon")
                    .and_then(|icon| icon.as_str())
                    .map(|icon| format!("{icon}.png")),
            );
        }
        None => report.warning(
            NO_DESKTOP_ENTRY.0,
            "There is no desktop entry at the top of the image, so that no menu can show it.",
            NO_DESKTOP_ENTRY.1,
        ),
    }
    // The first one may be an SVG.
    inspection.icon = icons.iter().find_map(|path| {
        let icon = image.read(path.as_bytes(), ICON_BYTES).ok()??;
        picture::icon(&icon, subject.budget).ok()
    });
    Ok(())
}

fn describe_entry(image: &impl Tree, name: &str, report: &mut Report) -> Result<(), Refusal> {
    let Some(bytes) = image.read(name.as_bytes(), ENTRY_BYTES)? else {
        return Ok(());
    };
    let entry = KeyFile::parse(&bytes);
    let get = |key| entry.get("Desktop Entry", key);
    let texts = [
        ("name", "Name"),
        ("version", "X-AppImage-Version"),
        ("exec", "Exec"),
        ("icon", "Icon"),
        ("categories", "Categories"),
        ("comment", "Comment"),
        ("terminal", "Terminal"),
    ];
    for (fact, key) in texts {
        report.set_text(fact, get(key));
    }
    report.set_text("app_id", name.strip_suffix(".desktop"));
    let missing: Vec<&str> = ["Type", "Name", "Exec"]
        .into_iter()
        .filter(|key| get(key).is_none_or(str::is_empty))
        .collect();
    if !missing.is_empty() {
        report.warning(
            DESKTOP_ENTRY_BROKEN.0,
            format!(
                "The desktop entry {name} has no {}, so that no menu can show it.",
                missing.join(", no ")
            ),
            DESKTOP_ENTRY_BROKEN.1,
        );
    }
    Ok(())
}
