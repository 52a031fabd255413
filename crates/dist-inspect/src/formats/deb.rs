//! Debian packages.
//! Source: `deb(5)`, `deb-control(5)` and Debian Policy, chapters 3 and 5; where they allow more
//! than `dpkg` installs, `dpkg` decides.

use std::io::Read;

use super::desktop::Desktop;
use super::programs::Programs;
use super::{Otherwise, Row};
use crate::archive::Faults;
use crate::archive::ar::{self, Member};
use crate::archive::compress::{Compression, Decoder};
use crate::archive::tar::{Entry, Kind, walk};
use crate::parse::deb822::Paragraph;
use crate::refusal::shown;
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report, arch};

pub(super) static DEB: Row = Row {
    format: Format::Deb,
    package_type: "deb",
    content_type: "application/vnd.debian.binary-package",
    extensions: &["deb"],
    recognises: |subject| subject.starts_with(b"!<arch>\ndebian-binary"),
    otherwise: Otherwise::Bytes(
        "deb.not_an_ar",
        "A deb is an ar archive that starts with debian-binary, and this is none.",
    ),
    describe,
};

/// How large the control file and the list of configuration files may be, in bytes.
const CONTROL_BYTES: u64 = 1 << 20;
/// The fields that have one of a few values, and those that name other packages.
const CHOICES: [(&str, &[&str]); 3] = [
    ("Essential", &["yes", "no"]),
    ("Protected", &["yes", "no"]),
    ("Multi-Arch", &["no", "same", "foreign", "allowed"]),
];
const RELATIONS: [&str; 9] = [
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Enhances",
    "Breaks",
    "Conflicts",
    "Replaces",
    "Provides",
];
/// What dpkg runs.
const SCRIPTS: [&str; 5] = ["preinst", "postinst", "prerm", "postrm", "config"];
/// The name of each tar without its ending, and the endings by which dpkg unpacks it.
type Named = (&'static [u8], &'static [&'static [u8]]);
const CONTROL: Named = (b"control.tar", &[b"", b".gz", b".xz", b".zst"]);
const DATA: Named = (b"data.tar", &[b"", b".gz", b".xz", b".zst", b".bz2", b".lzma"]);
const BUILD_WITH_DPKG: &str = "Build it with dpkg-deb, or with a tool that writes what dpkg-deb writes.";

// What may be said of a deb: the code, and what to do about it.
const FORMAT_UNKNOWN: (&str, &str) = ("deb.format_unknown", BUILD_WITH_DPKG);
const NO_CONTROL: (&str, &str) = ("deb.no_control", BUILD_WITH_DPKG);
const NO_DATA: (&str, &str) = ("deb.no_data", BUILD_WITH_DPKG);
const COMPRESSION_UNKNOWN: (&str, &str) = ("deb.compression_unknown", BUILD_WITH_DPKG);
const RELATION_INVALID: (&str, &str) = (
    "deb.relation_invalid",
    "Write packages as in: libc6 (>= 2.34), acme-data | acme-common.",
);
const FIELD_INVALID: (&str, &str) = ("deb.field_invalid", "Write one of the values that dpkg knows.");
const FIELD_MISSING: (&str, &str) = ("deb.field_missing", "Write the field in the control file.");
const NAME_INVALID: (&str, &str) = (
    "deb.name_invalid",
    "Name it in lower case letters, digits, and plus, minus and full stop signs.",
);
const ARCH_INVALID: (&str, &str) = ("deb.arch_invalid", "Write one that dpkg-architecture -L lists, or all.");
const VERSION_INVALID: (&str, &str) = (
    "deb.version_invalid",
    "Write the version as in 1:2.4.0~beta1-1, where only the number in the middle is needed.",
);
const ARCH_DIFFERS: (&str, &str) = (
    "deb.arch_differs",
    "Build the package again for the processor that its programs are for.",
);

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    let members = ar::members(subject.source, subject.budget)?;
    report.set_list(
        "members",
        members.iter().map(|member| String::from_utf8_lossy(&member.name)),
    );
    report.set_flag(
        "signed",
        Some(members.iter().any(|member| member.name.starts_with(b"_gpg"))),
    );
    check_format(subject, &members, report)?;
    let Some((control, data)) = parts(&members, report) else {
        return Ok(());
    };
    let control = Control::read(subject, control)?;
    control.describe(report);
    if let Some(data) = data {
        read_data(subject, data, &control.fields, inspection)?;
    }
    // What is cut may have been read all the same.
    if members.iter().any(|member| member.is_cut) {
        return Err(Refusal::Truncated);
    }
    Ok(())
}

/// Whether `dpkg` knows the version of the format that the first member tells.
fn check_format(subject: &Subject<'_>, members: &[Member], report: &mut Report) -> Result<(), Refusal> {
    let first = members.first().ok_or(Refusal::Truncated)?;
    let version =
        Decoder::new(first.section(subject.source)?, Compression::None, subject.budget).read_all(CONTROL_BYTES)?;
    if !version.starts_with(b"2.") {
        let version = shown(version.split(|byte| *byte == b'\n').next().unwrap_or_default());
        report.error(
            FORMAT_UNKNOWN.0,
            format!("The package is of format {version}, and dpkg installs those of format 2."),
            FORMAT_UNKNOWN.1,
        );
    }
    Ok(())
}

/// The members that hold what the package says and what it installs; `dpkg` wants them in this
/// order, and passes over what starts with an underscore, and over what follows.
fn parts<'m>(members: &'m [Member], report: &mut Report) -> Option<(&'m Member, Option<&'m Member>)> {
    let mut rest = members.iter().skip(1).filter(|member| !member.name.starts_with(b"_"));
    let control = rest.next().filter(|member| member.name.starts_with(CONTROL.0));
    let Some(control) = control else {
        report.error(
            NO_CONTROL.0,
            "The member after debian-binary is not control.tar, so that dpkg does not install it.",
            NO_CONTROL.1,
        );
        return None;
    };
    let data = rest.next().filter(|member| member.name.starts_with(DATA.0));
    if data.is_none() {
        report.error(
            NO_DATA.0,
            "The member after control.tar is not data.tar, so that dpkg does not install it.",
            NO_DATA.1,
        );
    }
    check_compression(control, CONTROL, report);
    if let Some(data) = data {
        check_compression(data, DATA, report);
    }
    Some((control, data))
}

/// Whether the ending of a member's name is one by which `dpkg` unpacks it.
fn check_compression(member: &Member, (stem, known): Named, report: &mut Report) {
    let ending = member.name.strip_prefix(stem).unwrap_or_default();
    if !known.contains(&ending) {
        report.error(
            COMPRESSION_UNKNOWN.0,
            format!("dpkg does not know how to unpack the member {}.", shown(&member.name)),
            COMPRESSION_UNKNOWN.1,
        );
    }
}

/// The bytes of a tar in the package, which `dpkg` unpacks by the ending of its name; what is named
/// as gzipped may not be packed at all.
fn unpacked<'a>(subject: &Subject<'a>, member: &Member, (stem, known): Named) -> Result<Decoder<'a>, Refusal> {
    const KINDS: [Compression; 6] = [
        Compression::None,
        Compression::Gzip,
        Compression::Xz,
        Compression::Zstd,
        Compression::Bzip2,
        Compression::Lzma,
    ];
    let section = member.section(subject.source)?;
    let mut head = [0; 6];
    let count = crate::Source::read_at(&section, 0, &mut head)?;
    let found = Compression::of(&head[..count]);
    let ending = member.name.strip_prefix(stem).filter(|ending| known.contains(ending));
    let ending = ending.map(|ending| ending.strip_prefix(b".").unwrap_or(ending));
    let mut kinds = KINDS.into_iter();
    let named = ending.and_then(|ending| kinds.find(|kind| kind.as_str().as_bytes() == ending));
    let compression = match named.unwrap_or(found) {
        Compression::Gzip if found != Compression::Gzip => Compression::None,
        named => named,
    };
    Ok(Decoder::new(section, compression, subject.budget))
}

/// What the package says about itself.
#[derive(Default)]
struct Control {
    fields: Paragraph,
    scripts: Vec<&'static str>,
    conffiles: Vec<String>,
    faults: Faults,
}

impl Control {
    fn read(subject: &Subject<'_>, member: &Member) -> Result<Self, Refusal> {
        let mut control = Self::default();
        let mut fields = None;
        let reader = unpacked(subject, member, CONTROL)?;
        control.faults = walk(reader, subject.budget, |entry, bytes| {
            match entry.name() {
                b"control" => fields = Some(read_small(bytes)?),
                b"conffiles" => {
                    let list = read_small(bytes)?;
                    let lines = list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                    control.conffiles = lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect();
                }
                name => control
                    .scripts
                    .extend(SCRIPTS.iter().filter(|script| script.as_bytes() == name)),
            }
            Ok(())
        })?;
        let fields = fields.ok_or_else(|| Refusal::malformed("control.tar", "there is no control in it"))?;
        control.fields = Paragraph::parse(&fields, subject.budget)?;
        Ok(control)
    }

    fn describe(&self, report: &mut Report) {
        let fields = &self.fields;
        report.set_text("app_id", fields.get("Package"));
        report.set_text("version", fields.get("Version"));
        report.set_archs(fields.get("Architecture").filter(|arch| !arch.is_empty()));
        report.set_text("maintainer", fields.get("Maintainer"));
        report.set_text("vendor", fields.get("Vendor"));
        report.set_text("license", fields.get("License"));
        report.set_text("section", fields.get("Section"));
        report.set_text("depends", fields.get("Depends").map(unfolded));
        report.set_text("name", fields.line("Description"));
        report.set_text("homepage", fields.get("Homepage"));
        report.set_text("installed_size", fields.get("Installed-Size"));
        report.set_text("package_type", Some("deb"));
        report.set_list("scripts", &self.scripts);
        report.set_list("conffiles", &self.conffiles);
        for fault in &self.faults {
            report.refuse(fault);
        }
        for field in ["Package", "Version", "Architecture"] {
            if fields.get(field).is_none_or(str::is_empty) {
                report.error(
                    FIELD_MISSING.0,
                    format!("The control file has no {field}, and dpkg installs no package without."),
                    FIELD_MISSING.1,
                );
            }
        }
        check_fields(fields, report);
        if let Some(why) = fields.get("Package").and_then(fault_of_name) {
            report.error(
                NAME_INVALID.0,
                format!("dpkg does not install a package of this name: {why}."),
                NAME_INVALID.1,
            );
        }
        if fields.get("Architecture").is_some_and(|arch| !is_arch(arch)) {
            report.error(
                ARCH_INVALID.0,
                "dpkg does not know the processor that the package says it is for.",
                ARCH_INVALID.1,
            );
        }
        if let Some(why) = fields.get("Version").and_then(fault_of_version) {
            report.error(
                VERSION_INVALID.0,
                format!("dpkg does not install a package of this version: {why}."),
                VERSION_INVALID.1,
            );
        }
    }
}

/// What `dpkg` does not parse, so that it installs no package with it.
fn check_fields(fields: &Paragraph, report: &mut Report) {
    for (field, known) in CHOICES {
        let value = fields.get(field).filter(|value| !value.is_empty());
        if value.is_some_and(|value| known.iter().all(|known| !known.eq_ignore_ascii_case(value))) {
            report.error(
                FIELD_INVALID.0,
                format!(
                    "The field {field} says none of {}, so that dpkg does not install the package.",
                    known.join(", ")
                ),
                FIELD_INVALID.1,
            );
        }
    }
    let faults = RELATIONS.iter().filter_map(|field| {
        let list = fields.get(field).filter(|list| !list.is_empty())?;
        Some((field, list.split([',', '|']).find_map(fault_of_relation)?))
    });
    for (field, why) in faults {
        report.error(
            RELATION_INVALID.0,
            format!("dpkg cannot read the field {field}, and does not install the package: {why}."),
            RELATION_INVALID.1,
        );
    }
}

/// Why `dpkg` cannot read a reference to another package, as in `python3:any (>= 3.9)`.
fn fault_of_relation(relation: &str) -> Option<&'static str> {
    const SIGNS: [&str; 7] = ["<<", "<=", ">>", ">=", "=", "<", ">"];
    let is_end = |c: char| c.is_ascii_whitespace() || c == '(';
    let relation = relation.trim();
    let (package, rest) = relation.split_at(relation.find(is_end).unwrap_or(relation.len()));
    let (name, arch) = package.split_once(':').unwrap_or((package, "any"));
    if name.is_empty() {
        return Some("there is a comma or a line where a package should be");
    }
    if arch.is_empty() || !is_arch_name(arch) {
        return Some("what stands behind a colon is no processor");
    }
    let rest = rest.trim_start();
    if rest.is_empty() || fault_of_name(name).is_some() {
        return fault_of_name(name);
    }
    let Some(version) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return Some("what stands behind a package is no version in parentheses");
    };
    let version = version.trim();
    let version = SIGNS
        .iter()
        .find_map(|sign| version.strip_prefix(sign))
        .unwrap_or(version)
        .trim();
    if version.is_empty() {
        return Some("there is no version in parentheses");
    }
    fault_of_version(version)
}

fn read_small(bytes: &mut dyn Read) -> Result<Vec<u8>, Refusal> {
    let mut read = Vec::new();
    bytes.take(CONTROL_BYTES + 1).read_to_end(&mut read)?;
    if read.len() as u64 > CONTROL_BYTES {
        return Err(Refusal::TooLarge { limit: CONTROL_BYTES });
    }
    Ok(read)
}

/// A field of several lines as one.
fn unfolded(value: &str) -> String {
    value
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

/// Why `dpkg` refuses the name of a package; one that is missing is told by itself.
fn fault_of_name(name: &str) -> Option<&'static str> {
    let first = name.chars().next()?;
    if !first.is_ascii_alphanumeric() {
        return Some("it starts with neither a letter nor a digit");
    }
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-+._".contains(c);
    (!name.chars().all(is_known)).then_some("it has characters that no name may have")
}

/// Whether a processor can be one, and not all of a kind; a field that is missing is told by itself.
fn is_arch(arch: &str) -> bool {
    is_arch_name(arch) && arch != "source" && arch.split('-').all(|part| part != "any")
}

fn is_arch_name(arch: &str) -> bool {
    !arch.starts_with('-') && arch.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Why `dpkg` refuses a version; one that is missing is told by itself.
fn fault_of_version(version: &str) -> Option<&'static str> {
    if version.is_empty() {
        return None;
    }
    if version.contains(char::is_whitespace) {
        return Some("there are spaces in it");
    }
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    if epoch.parse::<i32>().is_err() || epoch.starts_with(['+', '-']) {
        return Some("what stands before the colon is no number");
    }
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    if upstream.is_empty() || revision.is_empty() {
        return Some("a part of it is empty");
    }
    if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
        return Some("it does not start with a digit");
    }
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-+.~:".contains(c);
    (!rest.chars().all(is_known)).then_some("it has characters that no version may have")
}

/// Reads all that the package installs, since damage anywhere makes it useless.
fn read_data(
    subject: &Subject<'_>,
    member: &Member,
    control: &Paragraph,
    inspection: &mut Inspection,
) -> Result<(), Refusal> {
    let mut files: i64 = 0;
    let mut programs = Programs::default();
    let mut desktop = Desktop::default();
    let faults = walk(
        unpacked(subject, member, DATA)?,
        subject.budget,
        |entry: &Entry, bytes| {
            files += 1;
            if entry.kind == Kind::File && !desktop.look(entry, bytes)? {
                programs.look(entry.name(), entry.mode, bytes)?;
            }
            Ok(())
        },
    );
    desktop.describe(subject.budget, inspection);
    let report = &mut inspection.report;
    check_arch(control, &programs, report);
    // What installs debs starts at the root anyway, and takes a backslash for any other character.
    let is_usual = |fault: &&Refusal| {
        use Refusal::{AbsolutePath, BackslashPath, LinkEscape};
        matches!(fault, AbsolutePath(_) | BackslashPath(_) | LinkEscape(_))
    };
    for fault in faults?.iter().filter(|fault| !is_usual(fault)) {
        report.refuse(fault);
    }
    report.set_number("files", Some(files));
    Ok(())
}

/// A package installs where its control file says, and its programs run where they were built for.
fn check_arch(control: &Paragraph, programs: &Programs, report: &mut Report) {
    let Some(claimed) = control.get("Architecture").and_then(arch::spell) else {
        return;
    };
    // Processors of 64 bits run what was built for those of 32.
    let runs = |built: &&str| matches!((claimed, *built), ("x86_64", "x86") | ("arm64", "arm")) || claimed == *built;
    if claimed == "any" || programs.archs.is_empty() || programs.archs.iter().any(runs) {
        return;
    }
    let found: Vec<&str> = programs.archs.iter().copied().collect();
    report.warning(
        ARCH_DIFFERS.0,
        format!(
            "It installs on {claimed}, and the programs in it are for {}.",
            found.join(", ")
        ),
        ARCH_DIFFERS.1,
    );
}
