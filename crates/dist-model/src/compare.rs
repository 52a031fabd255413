//! What differs between two releases of an app: which files came and went, and what their
//! inspections say has changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{Artifact, Platform};

/// Facts that are lists, or whose keys are one: what came and went is told entry by entry.
const LISTS: &[&str] = &[
    "permissions",
    "features",
    "optional_features",
    "entitlements",
    "capabilities",
    "url_schemes",
];
/// Facts that say who signed.
const SIGNER: &[&str] = &["signed", "cert_sha256", "signer", "team_id", "publisher"];
/// What the file needs of the system.
const MIN_OS: &str = "min_os";

/// Two releases side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The artifacts, matched by platform, processor and kind, in the order in which they are
    /// always shown.
    pub artifacts: Vec<ArtifactComparison>,
}

/// One artifact before and after; one of the two may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactComparison {
    /// What it runs on.
    pub platform: Platform,
    /// The processor.
    pub arch: String,
    /// The kind of file.
    pub package_type: String,
    /// The artifact of the first release; `None` where it came.
    pub before: Option<Artifact>,
    /// The artifact of the second release; `None` where it went.
    pub after: Option<Artifact>,
    /// Entries of lists that came or went: permissions, entitlements and their like.
    pub lists: Vec<ListChange>,
    /// What says that somebody else signed; empty where nothing does.
    pub signer: Vec<FactChange>,
    /// The lowest system that takes it, where that changed.
    pub min_os: Option<FactChange>,
    /// Every other fact that differs, by name.
    pub facts: Vec<FactChange>,
}

/// Entries of one list that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListChange {
    /// The fact, such as `permissions`.
    pub fact: &'static str,
    /// What is in the second release only.
    pub came: BTreeSet<String>,
    /// What is in the first release only.
    pub went: BTreeSet<String>,
}

/// A fact that differs; `None` where it is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct FactChange {
    /// The name, such as `version`; an entitlement's is `entitlements.<key>`.
    pub fact: String,
    /// Its value in the first release.
    pub before: Option<Value>,
    /// Its value in the second release.
    pub after: Option<Value>,
}

impl ArtifactComparison {
    /// How many bytes the second has more than the first; `None` where one is missing.
    pub fn size_difference(&self) -> Option<i64> {
        let size = |side: &Option<Artifact>| side.as_ref().and_then(|it| i64::try_from(it.size_bytes).ok());
        Some(size(&self.after)? - size(&self.before)?)
    }

    /// True where both are the same bytes.
    pub fn is_same(&self) -> bool {
        let digest = |side: &Option<Artifact>| side.as_ref().map(|artifact| artifact.sha256);
        digest(&self.before) == digest(&self.after)
    }
}

/// Compares the artifacts of two releases.
///
/// Artifacts of one platform, processor and kind are matched by file name where both releases have
/// it, and the rest in their order, since file names mostly carry the version.
pub fn compare(before: &[Artifact], after: &[Artifact]) -> Comparison {
    type Key<'a> = (&'a str, &'a str, &'a str);
    fn by_key(artifacts: &[Artifact]) -> BTreeMap<Key<'_>, Vec<&Artifact>> {
        let mut map: BTreeMap<Key<'_>, Vec<&Artifact>> = BTreeMap::new();
        for artifact in artifacts {
            let key = (artifact.platform.as_str(), &*artifact.arch, &*artifact.package_type);
            map.entry(key).or_default().push(artifact);
        }
        for those in map.values_mut() {
            those.sort_by(|a, b| a.filename.cmp(&b.filename));
        }
        map
    }
    let (mut old, mut new) = (by_key(before), by_key(after));
    let keys: BTreeSet<Key<'_>> = old.keys().chain(new.keys()).copied().collect();
    let mut artifacts = Vec::new();
    for key in keys {
        let (old, new) = (
            old.remove(&key).unwrap_or_default(),
            new.remove(&key).unwrap_or_default(),
        );
        artifacts.extend(matched(old, new));
    }
    Comparison { artifacts }
}

fn matched(mut old: Vec<&Artifact>, mut new: Vec<&Artifact>) -> Vec<ArtifactComparison> {
    let mut pairs = Vec::new();
    old.retain(|before| {
        let same = new.iter().position(|after| after.filename == before.filename);
        if let Some(place) = same {
            pairs.push((Some(*before), Some(new.remove(place))));
        }
        same.is_none()
    });
    let (mut old, mut new) = (old.into_iter(), new.into_iter());
    loop {
        match (old.next(), new.next()) {
            (None, None) => break,
            pair => pairs.push(pair),
        }
    }
    pairs.into_iter().filter_map(|(old, new)| pair(old, new)).collect()
}

fn pair(before: Option<&Artifact>, after: Option<&Artifact>) -> Option<ArtifactComparison> {
    let either = after.or(before)?;
    let mut compared = ArtifactComparison {
        platform: either.platform,
        arch: either.arch.clone(),
        package_type: either.package_type.clone(),
        before: before.cloned(),
        after: after.cloned(),
        lists: Vec::new(),
        signer: Vec::new(),
        min_os: None,
        facts: Vec::new(),
    };
    // Beside nothing everything differs, which says nothing; and where nothing was found out, that
    // is no change of the file.
    if let (Some(before), Some(after)) = (before.and_then(facts), after.and_then(facts)) {
        compared.compare_facts(before, after);
    }
    Some(compared)
}

/// What the inspection found out.
fn facts(artifact: &Artifact) -> Option<&Map<String, Value>> {
    artifact.metadata.get("inspection")?.get("facts")?.as_object()
}

impl ArtifactComparison {
    fn compare_facts(&mut self, before: &Map<String, Value>, after: &Map<String, Value>) {
        for fact in LISTS {
            let (old, new) = (entries(before.get(*fact)), entries(after.get(*fact)));
            let change = ListChange {
                fact,
                came: new.difference(&old).cloned().collect(),
                went: old.difference(&new).cloned().collect(),
            };
            if !change.came.is_empty() || !change.went.is_empty() {
                self.lists.push(change);
            }
        }
        for change in changes(before, after) {
            match change.fact.as_str() {
                MIN_OS => self.min_os = Some(change),
                fact if SIGNER.contains(&fact) => self.signer.push(change),
                "entitlements" => self.facts.extend(changed_values(change)),
                fact if LISTS.contains(&fact) => {}
                _ => self.facts.push(change),
            }
        }
    }
}

/// The facts that differ, by name.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<FactChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| FactChange {
            fact: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// The entitlements that both have with different values; those that came or went stand in the
/// lists.
fn changed_values(change: FactChange) -> Vec<FactChange> {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (change.before, change.after) else {
        return Vec::new();
    };
    let mut changes = changes(&before, &after);
    changes.retain(|change| change.before.is_some() && change.after.is_some());
    for change in &mut changes {
        change.fact.insert_str(0, "entitlements.");
    }
    changes
}

/// The entries of a list, or the keys of an object.
fn entries(fact: Option<&Value>) -> BTreeSet<String> {
    match fact {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::Object(object)) => object.keys().cloned().collect(),
        _ => BTreeSet::new(),
    }
}
