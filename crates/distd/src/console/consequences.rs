//! What a move of a channel means for the people on it, told before it is made.

use std::collections::BTreeSet;

use dist_model::{Artifact, ArtifactComparison, ChannelName, Platform, ReleaseDetail, compare};
use dist_service::{PlannedMove, facts, findings};
use serde_json::Value;

use super::facts::text;
use crate::web::text as words;

/// Channels from which people expect nothing but finished builds.
const STABLE: [&str; 3] = ["production", "release", "stable"];
/// How many findings are told; the release's page has them all.
const MOST_FINDINGS: usize = 4;

/// One thing to know before a channel moves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Consequence {
    /// `info` or `warning`.
    pub kind: &'static str,
    pub text: String,
}

fn info(text: String) -> Consequence {
    Consequence { kind: "info", text }
}

fn warning(text: String) -> Consequence {
    Consequence { kind: "warning", text }
}

/// What a promotion or a rollback means.
pub(crate) fn of_move(plan: &PlannedMove) -> Vec<Consequence> {
    of(&plan.channel.name, plan.from.as_ref(), &plan.to)
}

/// What it means that a channel goes from one release to another.
pub(crate) fn of(channel: &ChannelName, from: Option<&ReleaseDetail>, to: &ReleaseDetail) -> Vec<Consequence> {
    let after = to.release.label();
    let mut told = Vec::new();
    match from {
        None => told.push(info(format!(
            "{channel} offers nothing yet; from now on it offers {after}."
        ))),
        Some(from) => {
            told.push(info(format!(
                "New installs from {channel} get {after}, and updaters that follow it are told of {after}. Whoever has {} keeps it until then: nothing is taken from a device.",
                from.release.label()
            )));
            told.extend(beside(from, to));
        }
    }
    told.extend(by_itself(channel, to));
    told
}

/// What differs for who has the release before.
fn beside(from: &ReleaseDetail, to: &ReleaseDetail) -> Vec<Consequence> {
    let (before, after) = (from.release.label(), to.release.label());
    let platforms = |detail: &ReleaseDetail| -> BTreeSet<Platform> {
        detail.artifacts.iter().map(|artifact| artifact.platform).collect()
    };
    let (had, has) = (platforms(from), platforms(to));
    let mut told = Vec::new();
    for platform in had.difference(&has) {
        let name = words::platform(*platform);
        told.push(warning(format!(
            "{name} is lost: {after} has nothing for it, and the install page no longer offers it."
        )));
    }
    for platform in has.difference(&had) {
        told.push(info(format!(
            "{} is new: {before} had nothing for it.",
            words::platform(*platform)
        )));
    }
    let published = from.release.published_at.zip(to.release.published_at);
    if published.is_some_and(|(before, after)| after < before) {
        told.push(info(format!("{after} is older: it was published before {before}.")));
    }
    for pair in compare(&from.artifacts, &to.artifacts).artifacts {
        told.extend(of_pair(&pair, &before, &after));
    }
    told
}

/// What differs in one file.
fn of_pair(pair: &ArtifactComparison, before: &str, after: &str) -> Vec<Consequence> {
    let name = words::platform(pair.platform);
    let mut told = Vec::new();
    if let (Some(old), Some(new)) = (&pair.before, &pair.after)
        && let (Some(old), Some(new)) = (version_code(old), version_code(new))
        && new < old
    {
        told.push(warning(format!(
            "{name}: the version code goes down, from {old} to {new}. Devices that have {before} refuse {after}."
        )));
    }
    if !pair.signer.is_empty() {
        told.push(warning(format!(
            "{name}: {after} is not signed as {before} is; devices that have {before} may refuse it."
        )));
    }
    if let Some(change) = &pair.min_os {
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), text);
        let (old, new) = (value(&change.before), value(&change.after));
        told.push(info(format!(
            "{name}: the oldest system that takes it goes from {old} to {new}."
        )));
    }
    for list in pair.lists.iter().filter(|list| !list.came.is_empty()) {
        let fact = list.fact.replace('_', " ");
        told.push(info(format!("{name}: {} of its {fact} are new.", list.came.len())));
    }
    told
}

/// What stands against the release, whatever was there before.
fn by_itself(channel: &ChannelName, to: &ReleaseDetail) -> Vec<Consequence> {
    let mut told = Vec::new();
    let debuggable = |artifact: &&Artifact| {
        let debuggable = facts(&artifact.metadata).and_then(|facts| facts.get("debuggable"));
        debuggable == Some(&Value::Bool(true))
    };
    if STABLE.contains(&channel.as_str()) {
        for artifact in to.artifacts.iter().filter(debuggable) {
            told.push(warning(format!(
                "{} is a debuggable build: whoever has the device can read its data.",
                artifact.filename
            )));
        }
    }
    let found = to.artifacts.iter().flat_map(|artifact| {
        let findings = findings(&artifact.metadata).into_iter();
        findings.map(|finding| (finding.severity, format!("{}: {}", artifact.filename, finding.message)))
    });
    let severe: Vec<_> = found
        .filter(|(severity, _)| *severity != dist_inspect::Severity::Info)
        .collect();
    told.extend(severe.iter().take(MOST_FINDINGS).map(|(_, text)| warning(text.clone())));
    if severe.len() > MOST_FINDINGS {
        let more = (severe.len() - MOST_FINDINGS) as u64;
        told.push(warning(format!(
            "{} are on the release's page.",
            words::count(more, "more finding")
        )));
    }
    told
}

/// What Android compares before it takes an update.
fn version_code(artifact: &Artifact) -> Option<i64> {
    if artifact.platform != Platform::AndroidApk {
        return None;
    }
    let build = facts(&artifact.metadata)?.get("build")?;
    build.as_i64().or_else(|| build.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dist_model::{Actor, Release, ReleaseStatus, Source, Timestamp, ValidationStatus};
    use serde_json::json;

    fn artifact(platform: Platform, facts: &Value) -> Artifact {
        let inspection = json!({ "inspection": { "facts": facts, "findings": [] } });
        Artifact {
            id: "a1".parse().unwrap(),
            app_id: "p1".parse().unwrap(),
            release_id: "r1".parse().unwrap(),
            platform,
            arch: String::new(),
            package_type: "x".to_owned(),
            filename: "acme".parse().unwrap(),
            content_type: String::new(),
            size_bytes: 1,
            sha256: dist_model::Digest::from_bytes([0; 32]),
            storage_key: String::new(),
            metadata: inspection.as_object().unwrap().clone(),
            validation_status: ValidationStatus::Passed,
        }
    }

    fn release(version: &str, published: i64, artifacts: Vec<Artifact>) -> ReleaseDetail {
        let release = Release {
            id: version.parse().unwrap(),
            app_id: "p1".parse().unwrap(),
            version: version.parse().unwrap(),
            build: dist_model::Build::none(),
            channel: None,
            notes: String::new(),
            created_by: Actor::System,
            created_at: Timestamp::from_millis(published),
            published_at: Some(Timestamp::from_millis(published)),
            status: ReleaseStatus::Published,
            source: Source::default(),
        };
        ReleaseDetail {
            release,
            artifacts,
            channels: Vec::new(),
        }
    }

    #[test]
    fn people_on_a_channel_are_told_what_they_get_and_lose() {
        let stable = "stable".parse().unwrap();
        let apk = |build: &str, signer: &str, debuggable: bool| {
            let facts = json!({ "build": build, "cert_sha256": [signer], "debuggable": debuggable });
            artifact(Platform::AndroidApk, &facts)
        };
        let old = release(
            "2",
            2,
            vec![apk("8", "aa", false), artifact(Platform::Windows, &json!({}))],
        );
        let new = release(
            "1",
            1,
            vec![apk("7", "bb", true), artifact(Platform::Linux, &json!({}))],
        );
        let told: Vec<String> = of(&stable, Some(&old), &new).into_iter().map(|it| it.text).collect();
        for part in [
            "Whoever has 2 keeps it",
            "Windows is lost",
            "Linux is new",
            "1 is older",
            "from 8 to 7",
            "not signed as 2 is",
            "debuggable",
        ] {
            assert_eq!(
                told.iter().filter(|text| text.contains(part)).count(),
                1,
                "{part}: {told:?}"
            );
        }
        let draft = Release {
            status: ReleaseStatus::Draft,
            published_at: None,
            ..new.release.clone()
        };
        let draft = ReleaseDetail {
            release: draft,
            ..new.clone()
        };
        let told = of(&stable, Some(&old), &draft);
        assert!(!told.iter().any(|it| it.text.contains("is older")), "{told:?}");
        let first = of(&"beta".parse().unwrap(), None, &new);
        assert_eq!(
            first,
            [info("beta offers nothing yet; from now on it offers 1.".to_owned())]
        );
    }
}
