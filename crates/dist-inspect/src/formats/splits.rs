//! Sets of split APKs: `.apks`, as bundletool makes them, and `.xapk`.

use std::collections::BTreeSet;

use super::apk;
use super::{Marker, Otherwise, Row};
use crate::archive::zip::{Member, Zip};
use crate::refusal::shown;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Budget, Format, Inspection, Refusal, Report, Severity};

/// What sets are called, by bundletool and by others.
const EXTENSIONS: &[&str] = &["apks", "apkm"];

pub(super) static APKS: Row = Row {
    format: Format::Apks,
    package_type: "apks",
    content_type: "application/octet-stream",
    extensions: EXTENSIONS,
    // Other tools than bundletool write no table of contents.
    recognises: |subject| {
        let is_claimed = subject.is_named(EXTENSIONS);
        subject.zips(&[Marker::SplitsToc]) || (is_claimed && subject.zips(&[Marker::InnerApk]))
    },
    otherwise: Otherwise::Zip {
        no_zip: "apks.not_a_zip",
        lacking: "apks.no_toc",
        sentence: "A set of splits has a toc.pb or APKs side by side, and this zip has neither.",
    },
    describe,
};

pub(super) static XAPK: Row = Row {
    format: Format::Xapk,
    package_type: "xapk",
    content_type: "application/octet-stream",
    extensions: &["xapk"],
    recognises: |subject| subject.zips(&[Marker::XapkManifest, Marker::InnerApk]),
    otherwise: Otherwise::Zip {
        no_zip: "xapk.not_a_zip",
        lacking: "xapk.no_manifest",
        sentence: "An XAPK has a manifest.json and APKs, and this zip lacks them.",
    },
    describe,
};

/// The names that bundletool, and others who make sets, give the package that can stand alone or
/// that the others need, the best first.
const BASES: [&str; 4] = ["universal.apk", "splits/base-master.apk", "base.apk", "base-master.apk"];
/// How many packages are tried for a base.
const TRIED: usize = 20;
/// How many splits are looked at.
const SPLITS: usize = 500;
/// Words in the names of splits that are for one processor.
const PROCESSORS: [&str; 5] = ["arm64_v8a", "armeabi_v7a", "armeabi", "x86_64", "x86"];

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let Some(zip) = subject.zip() else { return Ok(()) };
    let splits: Vec<Member<'_>> = zip.members().filter(|member| member.name.ends_with(b".apk")).collect();
    inspection
        .report
        .set_list("splits", splits.iter().map(|split| shown(split.name)));
    match base(zip, &splits, subject.budget)? {
        Some(base) => with_package(zip, &base, subject.budget, |source| {
            let inner = Zip::open(source, subject.budget)?;
            apk::describe_zip(source, &inner, subject.budget, inspection)
        })?,
        None => inspection.report.error(
            NO_BASE.0,
            "It has no base package, which every set of splits needs.",
            NO_BASE.1,
        ),
    }
    let inside = check_splits(zip, &splits, subject.budget, &mut inspection.report)?;
    let named: BTreeSet<String> = splits.iter().filter_map(|split| processor(split.name)).collect();
    inspection
        .report
        .set_archs(if named.is_empty() { inside } else { named });
    // The base alone would miss the splits that are beside it here.
    inspection
        .report
        .findings
        .retain(|finding| finding.code != "apk.split_required");
    Ok(())
}

/// The package that the others need: by its name, else the largest that is not for some devices and
/// does not say that it is a split.
fn base<'z>(zip: &'z Zip<'_>, splits: &[Member<'z>], budget: &Budget) -> Result<Option<Member<'z>>, Refusal> {
    if let Some(named) = BASES.iter().find_map(|name| zip.find(name.as_bytes())) {
        return Ok(Some(named));
    }
    let is_config = |member: &&Member<'_>| member.name.starts_with(b"config.") || member.name.starts_with(b"split_");
    let mut others: Vec<Member<'z>> = splits.iter().filter(|member| !is_config(member)).copied().collect();
    others.sort_by_key(|member| std::cmp::Reverse(member.size()));
    for other in others.iter().take(TRIED) {
        let mut is_split = true;
        let looked = with_package(zip, other, budget, |source| {
            is_split = apk::is_split(&Zip::open(source, budget)?, budget)?;
            Ok(())
        });
        match looked {
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            _ if !is_split => return Ok(Some(*other)),
            _ => {}
        }
    }
    Ok(others.first().copied())
}

/// Whether all splits are of the same app, version and signer, as devices want; answers for which
/// processors they have libraries.
fn check_splits(
    zip: &Zip<'_>,
    splits: &[Member<'_>],
    budget: &Budget,
    report: &mut Report,
) -> Result<BTreeSet<String>, Refusal> {
    let mut processors = BTreeSet::new();
    for split in splits.iter().take(SPLITS) {
        let name = shown(split.name);
        let mut own = super::blank(None);
        let looked = with_package(zip, split, budget, |source| {
            let inner = Zip::open(source, budget)?;
            processors.extend(apk::processors(inner.members().map(|member| member.name), b"lib/"));
            apk::identify(source, &inner, budget, &mut own)
        });
        match looked {
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            Err(Refusal::TooLarge { .. }) => continue,
            Err(refusal) => {
                let message = format!("The split {name} cannot be read, so that no device installs the set. {refusal}");
                report.error(SPLIT_BROKEN.0, message, SPLIT_BROKEN.1);
                return Ok(processors);
            }
            Ok(()) => {}
        }
        if let Some(fault) = own.findings.iter().find(|finding| finding.severity == Severity::Error) {
            let message = format!("The split {name} is broken. {}", fault.message);
            report.error(SPLIT_BROKEN.0, message, SPLIT_BROKEN.1);
            return Ok(processors);
        }
        let differs = |fact: &str| report.facts.contains_key("app_id") && own.facts.get(fact) != report.facts.get(fact);
        // What is delivered after the install has no version of its own.
        let is_later = split.name.starts_with(b"asset-slices/");
        if differs("app_id") || (differs("build") && !is_later) {
            let message = format!(
                "The split {name} is of another app or version than the base, so that no device installs the set."
            );
            report.error(SPLIT_VERSION.0, message, SPLIT_VERSION.1);
            return Ok(processors);
        }
        if differs("cert_sha256") {
            let message =
                format!("The split {name} is signed by another one than the base, so that no device installs the set.");
            report.error(SPLIT_SIGNER.0, message, SPLIT_SIGNER.1);
            return Ok(processors);
        }
    }
    Ok(processors)
}

/// Gives a package in the set to `look`: by position where it is stored, else unpacked if it may be.
fn with_package(
    zip: &Zip<'_>,
    member: &Member<'_>,
    budget: &Budget,
    look: impl FnOnce(&dyn Source) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if member.is_stored() {
        return look(&zip.section(member)?);
    }
    look(&zip.read(member, budget.limits().member_bytes)?)
}

/// The processor that a split is for, as in `base-arm64_v8a.apk` and `config.x86.apk`, in
/// Android's own word.
fn processor(name: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(name);
    let stem = name.strip_suffix(".apk")?;
    let word_of = |stem: &str| {
        PROCESSORS.iter().find(|word| {
            let rest = stem.strip_suffix(**word);
            rest.is_some_and(|rest| rest.ends_with(['-', '.', '_', '/']))
        })
    };
    // For devices of other Androids bundletool counts on: `base-x86_2.apk`.
    let uncounted = stem.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let word = word_of(stem).or_else(|| word_of(uncounted.strip_suffix('_')?))?;
    Some(if word.starts_with("arm") {
        word.replace('_', "-")
    } else {
        (*word).to_owned()
    })
}

const SPLIT_BROKEN: (&str, &str) = (
    "apks.split_broken",
    "Build the set again, and sign it as the last step.",
);
const SPLIT_VERSION: (&str, &str) = ("apks.split_version", "Put the splits of one build into the set.");
const SPLIT_SIGNER: (&str, &str) = ("apks.split_signer", "Sign all splits with the same key.");
const NO_BASE: (&str, &str) = ("apks.no_base", "Build the set with bundletool.");
