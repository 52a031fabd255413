//! Snaps.

use super::{Otherwise, Row};
use crate::parse::picture;
use crate::parse::squashfs::{MAGIC, Squashfs};
use crate::parse::tree::Tree;
use crate::parse::yaml::Mapping;
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal};

/// Any squashfs starts as a snap does, so the name has its say.
pub(super) static SNAP: Row = Row {
    format: Format::Snap,
    package_type: "snap",
    content_type: "application/vnd.snap",
    extensions: &["snap"],
    recognises: |subject| subject.starts_with(MAGIC) && subject.is_named(SNAP.extensions),
    otherwise: Otherwise::Bytes("snap.not_a_squashfs", "A snap is a squashfs image, and this is none."),
    describe,
};

/// How large the description and the icon may be, in bytes.
const YAML_BYTES: u64 = 1 << 20;
const ICON_BYTES: u64 = 4 << 20;

// What may be said of a snap: the code, and what to do about it.
const NO_DESCRIPTION: (&str, &str) = ("snap.no_description", "Build it with snapcraft or snap pack.");
const FIELD_MISSING: (&str, &str) = (
    "snap.field_missing",
    "Write the field in snapcraft.yaml, and build the snap again.",
);
const DEVMODE: (&str, &str) = (
    "snap.devmode",
    "Build it with confinement: strict, or tell people to install it with --devmode.",
);
const CLASSIC: (&str, &str) = ("snap.classic", "Tell people to install it with --classic.");

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    // What signs a snap is an assertion, which the store has and not the file.
    report.set_flag("signed", Some(false));
    let image = Squashfs::open(subject.source, subject.budget)?;
    report.set_text("compression", image.compression());
    if image.is_cut() {
        return Err(Refusal::Truncated);
    }
    let Some(yaml) = image.read(b"meta/snap.yaml", YAML_BYTES)? else {
        report.error(
            NO_DESCRIPTION.0,
            "There is no meta/snap.yaml in it, without which snapd installs nothing.",
            NO_DESCRIPTION.1,
        );
        return Ok(());
    };
    let yaml = Mapping::parse(&yaml);
    let texts = [
        ("app_id", "name"),
        ("version", "version"),
        ("name", "title"),
        ("summary", "summary"),
        ("base", "base"),
        ("confinement", "confinement"),
        ("grade", "grade"),
        ("license", "license"),
        ("package_type", "type"),
    ];
    for (fact, key) in texts {
        report.set_text(fact, yaml.text(key));
    }
    report.set_archs(yaml.list("architectures").iter().filter(|word| !word.is_empty()));
    for field in ["name", "version"] {
        if yaml.text(field).is_none_or(str::is_empty) {
            report.error(
                FIELD_MISSING.0,
                format!("Its meta/snap.yaml has no {field}, without which snapd installs nothing."),
                FIELD_MISSING.1,
            );
        }
    }
    if yaml.text("confinement") == Some("devmode") {
        report.warning(
            DEVMODE.0,
            "The snap is not confined, and snapd installs it only with --devmode.",
            DEVMODE.1,
        );
    }
    if yaml.text("confinement") == Some("classic") {
        report.info(
            CLASSIC.0,
            "The snap is not confined by its own choice, and snapd installs it only with --classic.",
            CLASSIC.1,
        );
    }
    let icon = image.read(b"meta/gui/icon.png", ICON_BYTES).ok().flatten();
    inspection.icon = icon.and_then(|icon| picture::icon(&icon, subject.budget).ok());
    Ok(())
}
