//! RPM packages.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Otherwise, Row};
use crate::parse::openpgp::Signature;
use crate::parse::rpm::{Header, Package};
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

pub(super) static RPM: Row = Row {
    format: Format::Rpm,
    package_type: "rpm",
    content_type: "application/x-rpm",
    extensions: &["rpm"],
    recognises: |subject| subject.starts_with(crate::parse::rpm::MAGIC),
    otherwise: Otherwise::Bytes(
        "rpm.bad_magic",
        "An rpm starts with the bytes ED AB EE DB, and this file does not.",
    ),
    describe,
};

/// The tags that are read, by the numbers in rpm's `rpmtag.h`.
mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const SUMMARY: u32 = 1004;
    pub(super) const VENDOR: u32 = 1011;
    pub(super) const LICENSE: u32 = 1014;
    pub(super) const PACKAGER: u32 = 1015;
    pub(super) const GROUP: u32 = 1016;
    pub(super) const URL: u32 = 1020;
    pub(super) const OS: u32 = 1021;
    pub(super) const ARCH: u32 = 1022;
    pub(super) const OLD_FILE_NAMES: u32 = 1027;
    pub(super) const SOURCE_RPM: u32 = 1044;
    pub(super) const REQUIRE_FLAGS: u32 = 1048;
    pub(super) const REQUIRE_NAME: u32 = 1049;
    pub(super) const REQUIRE_VERSION: u32 = 1050;
    pub(super) const RPM_VERSION: u32 = 1064;
    pub(super) const DIR_INDEXES: u32 = 1116;
    pub(super) const BASE_NAMES: u32 = 1117;
    pub(super) const DIR_NAMES: u32 = 1118;
    pub(super) const PAYLOAD_COMPRESSOR: u32 = 1125;
    pub(super) const PAYLOAD_DIGEST: u32 = 5092;
    pub(super) const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
    pub(super) const PAYLOAD_SHA512: u32 = 5121;
    /// What runs when, or the program that does it where there is no text.
    pub(super) const SCRIPTS: [(&str, u32, u32); 7] = [
        ("pre", 1023, 1085),
        ("post", 1024, 1086),
        ("preun", 1025, 1087),
        ("postun", 1026, 1088),
        ("pretrans", 1151, 1153),
        ("posttrans", 1152, 1154),
        ("trigger", 1065, 1092),
    ];
}

/// The tags of the first header, some of whose numbers mean something else in the second.
mod signature_tag {
    pub(super) const DSA: u32 = 267;
    pub(super) const RSA: u32 = 268;
    pub(super) const SHA1: u32 = 269;
    pub(super) const LONG_SIZE: u32 = 270;
    pub(super) const SHA256: u32 = 273;
    pub(super) const OPENPGP: u32 = 278;
    pub(super) const SIZE: u32 = 1000;
    pub(super) const PGP: u32 = 1002;
    pub(super) const MD5: u32 = 1004;
    pub(super) const GPG: u32 = 1005;
}

const BUILD_AGAIN: &str = "Build it again, and see that it is copied whole.";
/// How much is read at once for digests, in bytes.
const CHUNK: usize = 256 << 10;
/// How many requirements are read, and how many files are looked at for desktop entries.
const REQUIREMENTS: usize = 10_000;
const FILES: usize = 500_000;

// What may be said of an rpm: the code, and what to do about it.
const SOURCE_PACKAGE: (&str, &str) = (
    "rpm.source_package",
    "Publish the package that was built from it, unless you mean the source.",
);
const FIELD_MISSING: (&str, &str) = ("rpm.field_missing", BUILD_AGAIN);
const UNSIGNED: (&str, &str) = (
    "rpm.unsigned",
    "Sign it with rpmsign, or tell people to install it without a check.",
);
const DIGEST_MISMATCH: (&str, &str) = ("rpm.digest_mismatch", BUILD_AGAIN);

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    let package = Package::read(subject.source, subject.budget)?;
    describe_header(&package, report);
    describe_files(&package.header, report);
    describe_signatures(&package.signature, report);
    check_size(&package, subject, report);
    check_digests(&package, subject, report)
}

fn describe_header(package: &Package, report: &mut Report) {
    let header = &package.header;
    let texts = [
        ("app_id", tag::NAME),
        ("version", tag::VERSION),
        ("release", tag::RELEASE),
        ("name", tag::SUMMARY),
        ("vendor", tag::VENDOR),
        ("license", tag::LICENSE),
        ("maintainer", tag::PACKAGER),
        ("section", tag::GROUP),
        ("homepage", tag::URL),
        ("os", tag::OS),
        ("sourcerpm", tag::SOURCE_RPM),
        ("rpm_version", tag::RPM_VERSION),
        ("payload_compressor", tag::PAYLOAD_COMPRESSOR),
    ];
    for (fact, tag) in texts {
        report.set_text(fact, header.text(tag));
    }
    report.set_text(
        "epoch",
        header.numbers(tag::EPOCH).next().map(|epoch| epoch.to_string()),
    );
    report.set_archs(header.text(tag::ARCH));
    let scripts = tag::SCRIPTS
        .iter()
        .filter(|(_, text, program)| header.has(*text) || header.has(*program));
    report.set_list("scripts", scripts.map(|(name, ..)| name));
    // Each script may require the same once more.
    report.set_list(
        "requires",
        requirements(header).take(REQUIREMENTS).collect::<BTreeSet<_>>(),
    );
    // A package that was built from another one names it.
    let is_source = package.is_source || !header.has(tag::SOURCE_RPM);
    report.set_text("package_type", Some(if is_source { "source" } else { "binary" }));
    if is_source {
        report.info(
            SOURCE_PACKAGE.0,
            "It is a source package, which is built and not installed.",
            SOURCE_PACKAGE.1,
        );
    }
    for (field, tag) in [
        ("name", tag::NAME),
        ("version", tag::VERSION),
        ("release", tag::RELEASE),
    ] {
        if header.text(tag).is_none_or(|text| text.is_empty()) {
            report.error(
                FIELD_MISSING.0,
                format!("The header has no {field}, and rpm installs no package without."),
                FIELD_MISSING.1,
            );
        }
    }
}

/// What must be there, as `name >= version`; what only rpm itself must know is left out.
fn requirements(header: &Header) -> impl Iterator<Item = String> {
    let versions = header
        .texts(tag::REQUIRE_VERSION)
        .map(Some)
        .chain(std::iter::repeat(None));
    let flags = header.numbers(tag::REQUIRE_FLAGS).chain(std::iter::repeat(0));
    let all = header.texts(tag::REQUIRE_NAME).zip(versions).zip(flags);
    all.filter(|((name, _), _)| !name.starts_with("rpmlib("))
        .map(|((name, version), flags)| {
            let sign: String = [(2, '<'), (4, '>'), (8, '=')]
                .iter()
                .filter(|(bit, _)| flags & bit != 0)
                .map(|(_, sign)| sign)
                .collect();
            match version.filter(|version| !version.is_empty() && !sign.is_empty()) {
                Some(version) => format!("{name} {sign} {version}"),
                None => name,
            }
        })
}

fn describe_files(header: &Header, report: &mut Report) {
    let count = header
        .count(tag::BASE_NAMES)
        .or_else(|| header.count(tag::OLD_FILE_NAMES));
    report.set_number("files", count);
    let folders: Vec<String> = header.texts(tag::DIR_NAMES).take(FILES).collect();
    let places = header.numbers(tag::DIR_INDEXES);
    let files = header.texts(tag::BASE_NAMES).zip(places).take(FILES);
    let entries = files
        .filter(|(name, _)| name.ends_with(".desktop"))
        .filter_map(|(name, place)| {
            let folder = folders.get(usize::try_from(place).ok()?)?;
            (folder == "/usr/share/applications/").then(|| format!("{folder}{name}"))
        });
    report.set_list("desktop_files", entries);
}

fn describe_signatures(header: &Header, report: &mut Report) {
    use signature_tag::{DSA, GPG, OPENPGP, PGP, RSA};
    let all = |tags: [u32; 2]| tags.into_iter().filter_map(|tag| header.bytes(tag).map(<[u8]>::to_vec));
    // Those of version 6 are texts, and may stand beside one that older rpms read as well.
    let encoded = header.texts(OPENPGP).take(100);
    let decoded = encoded.filter_map(|text| STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok());
    let kinds: [Vec<Vec<u8>>; 3] = [all([RSA, DSA]).collect(), decoded.collect(), all([PGP, GPG]).collect()];
    let found = kinds.into_iter().find(|kind| !kind.is_empty()).unwrap_or_default();
    report.set_flag("signed", Some(!found.is_empty()));
    let mut signers: Vec<String> = Vec::new();
    for signature in found.iter().filter_map(|bytes| Signature::parse(bytes).ok()) {
        let signer = signature.to_string();
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    report.set_list("signer", signers);
    if found.is_empty() {
        report.warning(
            UNSIGNED.0,
            "The package is not signed: rpm 6 does not install it unless told to, and zypper asks first.",
            UNSIGNED.1,
        );
    }
}

/// Tells what is cut before its digests differ.
fn check_size(package: &Package, subject: &Subject<'_>, report: &mut Report) {
    let sizes = [signature_tag::SIZE, signature_tag::LONG_SIZE];
    let size = sizes.iter().find_map(|tag| package.signature.numbers(*tag).next());
    let end = size.and_then(|size| package.header.range.start.checked_add(size));
    if end.is_some_and(|end| end > subject.source.len()) {
        report.refuse(&Refusal::Truncated);
    }
}

/// The digests of a package that are looked at, as far as it tells them.
#[derive(Default)]
struct Digests {
    header: Vec<(String, String)>,
    md5: Option<(Vec<u8>, Md5)>,
    sha256: Option<(String, Sha256)>,
    sha512: Option<(String, Sha512)>,
}

impl Digests {
    /// Starts with the header, whose bytes are given.
    fn start(package: &Package, header: &[u8]) -> Self {
        let Package {
            signature,
            header: tags,
            ..
        } = package;
        let claims = [
            (signature_tag::SHA256, hex::encode(Sha256::digest(header))),
            (signature_tag::SHA1, hex::encode(Sha1::digest(header))),
        ];
        let header_claims = claims
            .into_iter()
            .filter_map(|(tag, found)| Some((signature.text(tag)?, found)));
        let payload = tags.text(tag::PAYLOAD_DIGEST);
        let algorithm = tags.numbers(tag::PAYLOAD_DIGEST_ALGORITHM).next();
        Self {
            header: header_claims.collect(),
            md5: signature
                .bytes(signature_tag::MD5)
                .map(|claimed| (claimed.to_vec(), Md5::new_with_prefix(header))),
            sha256: payload
                .clone()
                .filter(|_| matches!(algorithm, None | Some(8)))
                .map(|claimed| (claimed, Sha256::new())),
            sha512: tags
                .text(tag::PAYLOAD_SHA512)
                .or(payload.filter(|_| algorithm == Some(10)))
                .map(|claimed| (claimed, Sha512::new())),
        }
    }

    fn has_any_of_payload(&self) -> bool {
        self.md5.is_some() || self.sha256.is_some() || self.sha512.is_some()
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some((_, digest)) = &mut self.md5 {
            digest.update(bytes);
        }
        if let Some((_, digest)) = &mut self.sha256 {
            digest.update(bytes);
        }
        if let Some((_, digest)) = &mut self.sha512 {
            digest.update(bytes);
        }
    }

    /// Whether the parts have the digests that are claimed; `None` where none is.
    fn finish(self) -> [(&'static str, Option<bool>); 3] {
        let is_same = |claimed: &str, found: &[u8]| claimed.eq_ignore_ascii_case(&hex::encode(found));
        let header = self
            .header
            .iter()
            .map(|(claimed, found)| claimed.eq_ignore_ascii_case(found));
        let sha256 = self
            .sha256
            .map(|(claimed, digest)| is_same(&claimed, &digest.finalize()));
        let sha512 = self
            .sha512
            .map(|(claimed, digest)| is_same(&claimed, &digest.finalize()));
        let payload = [sha256, sha512].into_iter().flatten();
        let both = self
            .md5
            .map(|(claimed, digest)| claimed == digest.finalize().as_slice());
        [
            ("header", header.reduce(|all, one| all && one)),
            ("payload", payload.reduce(|all, one| all && one)),
            ("package", both),
        ]
    }
}

/// rpm installs no package of which one of the digests does not hold.
fn check_digests(package: &Package, subject: &Subject<'_>, report: &mut Report) -> Result<(), Refusal> {
    let range = package.header.range.clone();
    let header = subject
        .source
        .bytes(range.clone(), subject.budget.limits().member_bytes)?;
    let mut digests = Digests::start(package, &header);
    if digests.has_any_of_payload() {
        let mut chunk = vec![0; CHUNK];
        let mut offset = package.payload();
        loop {
            subject.budget.take(0)?;
            let count = subject.source.read_at(offset, &mut chunk)?;
            if count == 0 {
                break;
            }
            digests.update(&chunk[..count]);
            offset += count as u64;
        }
    }
    let parts = digests.finish();
    let held = parts.iter().filter_map(|(_, held)| *held);
    report.set_flag("digests_ok", held.reduce(|all, one| all && one));
    // What covers the whole differs where a part does.
    if let Some((part, _)) = parts.iter().find(|(_, held)| *held == Some(false)) {
        report.error(
            DIGEST_MISMATCH.0,
            format!("The {part} does not have its digest, so that rpm does not install the package."),
            DIGEST_MISMATCH.1,
        );
    }
    Ok(())
}
