//! What an artifact is beside the app's last release: what whoever has that one would run into,
//! which no file tells by itself.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dist_inspect::{Finding, Severity, Verdict, arch};
use dist_model::decide::{ArtifactIntent, PublishIntent};
use dist_model::{
    App, Artifact, Build, ChannelMove, ChannelName, ErrorCode, Event, Platform, Refusal, Release, ValidationStatus,
    Version, Warning, events,
};
use persist::{SqlRead, SqlReadExt as _, params};
use serde_json::{Map, Value};

use crate::inspection::{facts, findings};
use crate::{Error, inspection, rows};

/// Channels from which people expect nothing but finished builds.
const STABLE: [&str; 3] = ["production", "release", "stable"];
/// What the codes of these findings begin with.
const CODES: &str = "preflight.";

/// What an inspection found out: see `dist inspect --json`.
type Facts = Map<String, Value>;

/// Adds its findings to each artifact of the intent; with `strict`, one is a refusal.
pub(crate) fn check(
    tx: &dyn SqlRead,
    app: Option<&App>,
    intent: &mut PublishIntent,
    strict: bool,
) -> Result<(), Error> {
    let mut refused = Vec::new();
    let offer = Offer {
        app,
        version: &intent.version,
        build: &intent.build,
        channel: intent.channel.as_ref(),
    };
    for artifact in &mut intent.artifacts {
        let Some(candidate) = Candidate::of_intent(artifact) else {
            continue;
        };
        let added = offer.findings(tx, &candidate)?;
        if strict {
            let told = added
                .iter()
                .map(|finding| format!("{}: {}", artifact.filename, finding.message));
            refused.extend(told);
        }
        if let Some(status) = renew(&mut artifact.metadata, added)? {
            artifact.validation_status = status;
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::PreflightFailed, refused.join(" "))
        .with("findings", refused)
        .into())
}

/// The same for the artifacts of a draft that is published to `channel`: since they were added,
/// another release may have come, and the channel may be one that was not named then. Answers the
/// events that put the artifacts of which something else is found now into the place of the old.
pub(crate) fn check_draft(
    tx: &dyn SqlRead,
    app: &App,
    draft: &Release,
    channel: Option<&ChannelName>,
    artifacts: &mut [Artifact],
) -> Result<Vec<Event>, Error> {
    let offer = Offer {
        app: Some(app),
        version: &draft.version,
        build: &draft.build,
        channel,
    };
    let mut changed = Vec::new();
    for artifact in artifacts {
        let Some(candidate) = Candidate::of(artifact) else {
            continue;
        };
        let found = offer.findings(tx, &candidate)?;
        if let Some(status) = renew(&mut artifact.metadata, found)? {
            artifact.validation_status = status;
            changed.push(Event::ArtifactAdded(events::ArtifactAdded {
                artifact: artifact.clone(),
                replaced: Some((artifact.id.clone(), artifact.sha256)),
            }));
        }
    }
    Ok(changed)
}

/// What those who install from a channel would run into after `moved`, which led to `release`.
pub(crate) fn warnings(tx: &dyn SqlRead, release: &Release, moved: &ChannelMove) -> Result<Vec<Warning>, Error> {
    let before = moved.previous_release_id.as_ref();
    let before = before.map(|id| rows::known_release(tx, id)).transpose()?;
    let installed = match &before {
        Some(before) => rows::artifacts(tx, &before.id)?,
        None => Vec::new(),
    };
    let mut warnings = Vec::new();
    for artifact in rows::artifacts(tx, &release.id)? {
        let Some(candidate) = Candidate::of(&artifact) else {
            continue;
        };
        let mut found: Vec<Finding> = candidate.on(Some(&moved.channel)).into_iter().collect();
        let mut installed = installed.iter().filter_map(Candidate::of);
        if let (Some(before), Some(installed)) = (&before, installed.find(|installed| candidate.updates(installed))) {
            found.extend(beside(
                candidate.platform,
                candidate.facts,
                &before.label(),
                installed.facts,
            ));
        }
        warnings.extend(found.into_iter().map(|finding| Warning {
            filename: artifact.filename.clone(),
            code: finding.code.into_owned(),
            message: finding.message,
            help: finding.help.into_owned(),
        }));
    }
    Ok(warnings)
}

/// What is to be released, and where.
struct Offer<'a> {
    /// Absent where there is none yet.
    app: Option<&'a App>,
    version: &'a Version,
    build: &'a Build,
    channel: Option<&'a ChannelName>,
}

impl Offer<'_> {
    fn findings(&self, tx: &dyn SqlRead, candidate: &Candidate) -> Result<Vec<Finding>, Error> {
        let mut found: Vec<Finding> = candidate.for_its_processor().into_iter().collect();
        found.extend(candidate.on(self.channel));
        if let Some(app) = self.app.filter(|_| candidate.is_updated_in_place())
            && let Some(last) = self.last_release(tx, app, candidate)?
        {
            found.extend(beside(candidate.platform, candidate.facts, &last.label, &last.facts));
        }
        Ok(found)
    }

    /// The newest published release with an artifact of the same platform, processor and kind. Who
    /// has waited for fifty releases without one starts anew.
    fn last_release(&self, tx: &dyn SqlRead, app: &App, candidate: &Candidate) -> Result<Option<Last>, Error> {
        let sql = "SELECT r.version, r.build, a.metadata FROM (SELECT id, version, build, listed_at FROM releases \
             WHERE app_id = ?1 AND status = 'published' ORDER BY listed_at DESC, id DESC LIMIT 50) r \
             JOIN artifacts a ON a.release_id = r.id WHERE a.platform = ?2 AND a.arch = ?3 AND a.package_type = ?4 \
             AND NOT (r.version = ?5 AND r.build = ?6) ORDER BY r.listed_at DESC, r.id DESC, a.filename LIMIT 1";
        let found = tx.query_opt(
            sql,
            params![
                app.id.as_str(),
                candidate.platform.as_str(),
                candidate.arch,
                candidate.package_type,
                self.version.as_str(),
                self.build.as_str()
            ],
            |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?, row.get::<String>(2)?)),
        )?;
        let Some((version, build, metadata)) = found else {
            return Ok(None);
        };
        let metadata: Map<String, Value> =
            serde_json::from_str(&metadata).map_err(|error| Error::Broken(error.to_string()))?;
        let label = if build.is_empty() {
            version
        } else {
            format!("{version} ({build})")
        };
        Ok(facts(&metadata).cloned().map(|facts| Last { label, facts }))
    }
}

/// The last release's artifact of the same kind.
struct Last {
    label: String,
    facts: Facts,
}

/// An artifact of which facts are known.
struct Candidate<'a> {
    platform: Platform,
    arch: &'a str,
    package_type: &'a str,
    facts: &'a Facts,
}

impl<'a> Candidate<'a> {
    fn of(artifact: &'a Artifact) -> Option<Self> {
        Some(Self {
            platform: artifact.platform,
            arch: &artifact.arch,
            package_type: &artifact.package_type,
            facts: facts(&artifact.metadata)?,
        })
    }

    fn of_intent(artifact: &'a ArtifactIntent) -> Option<Self> {
        Some(Self {
            platform: artifact.platform,
            arch: &artifact.arch,
            package_type: &artifact.package_type,
            facts: facts(&artifact.metadata)?,
        })
    }

    /// Whether the system takes an update only from the same publisher, so that the last release
    /// matters.
    fn is_updated_in_place(&self) -> bool {
        is_android(self.platform) || matches!(self.package_type, "msix" | "msixbundle")
    }

    /// Whether it would be installed over `other`.
    fn updates(&self, other: &Self) -> bool {
        let kind = (self.platform, self.arch, self.package_type);
        self.is_updated_in_place() && kind == (other.platform, other.arch, other.package_type)
    }

    /// What stands against it on the processor that it is declared for.
    fn for_its_processor(&self) -> Option<Finding> {
        let found = texts(self.facts, "archs");
        let declared = arch::spell(self.arch).unwrap_or(self.arch);
        let fits = found.contains(declared) || found.contains("any") || (declared == "universal" && found.len() > 1);
        if declared.is_empty() || found.is_empty() || fits {
            return None;
        }
        let found: Vec<&str> = found.into_iter().collect();
        Some(warning(
            "preflight.arch_differs",
            format!(
                "It is declared for {declared}, and is built for {}: it would not run there.",
                found.join(" and ")
            ),
            "Correct the manifest, or publish the build for that processor.",
        ))
    }

    /// What stands against it on a channel.
    fn on(&self, channel: Option<&ChannelName>) -> Option<Finding> {
        let channel = channel.filter(|channel| STABLE.contains(&channel.as_str()))?;
        let debuggable = self.facts.get("debuggable").and_then(Value::as_bool)?;
        debuggable.then(|| {
            warning(
                "preflight.debuggable",
                format!(
                    "It is a debuggable build, and the channel is {channel}: whoever has the device can read its data."
                ),
                "Publish the release build.",
            )
        })
    }
}

fn is_android(platform: Platform) -> bool {
    matches!(platform, Platform::AndroidApk | Platform::AndroidAab)
}

/// What stands against an artifact as an update of the last one.
fn beside(platform: Platform, facts: &Facts, label: &str, last: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut signers, before) = (texts(facts, "cert_sha256"), texts(last, "cert_sha256"));
    // A key that was rotated stands beside the old one, or proves whose successor it is.
    signers.extend(texts(facts, "succeeded_cert_sha256"));
    if !signers.is_empty() && !before.is_empty() && signers.is_disjoint(&before) {
        findings.push(warning(
            "preflight.signer_changed",
            format!("Its signer is not that of {label}: a device that has {label} refuses the update."),
            "Sign it with the same key, or rotate the key with a proof of the old one.",
        ));
    }
    if let (Some(build), Some(before)) = (number(facts, "build"), number(last, "build"))
        && build < before
        && is_android(platform)
    {
        findings.push(warning(
            "preflight.build_lower",
            format!(
                "Its version code is {build}, and that of {label} is {before}: a device that has {label} refuses it."
            ),
            "Publish it under a higher version code: devices never go back.",
        ));
    }
    let publisher = |facts: &Facts| facts.get("publisher").and_then(Value::as_str).map(str::to_owned);
    if let (Some(publisher), Some(before)) = (publisher(facts), publisher(last))
        && publisher != before
    {
        findings.push(warning(
            "preflight.publisher_changed",
            format!("Its publisher is {publisher}, and that of {label} is {before}: Windows takes it for another app."),
            "Keep the publisher of the package's identity, which the certificate names.",
        ));
    }
    findings
}

/// Puts findings beside what the inspection found, in place of those of an earlier look. Answers what
/// they come to, unless nothing changed.
fn renew(metadata: &mut Map<String, Value>, found: Vec<Finding>) -> Result<Option<ValidationStatus>, Error> {
    let standing = findings(metadata);
    let inspected = standing.iter().filter(|finding| !finding.code.starts_with(CODES));
    let renewed: Vec<Finding> = inspected.cloned().chain(found).collect();
    if renewed == standing {
        return Ok(None);
    }
    let verdict = Verdict::of(&renewed);
    if let Some(kept) = metadata.get_mut(inspection::KEY) {
        let broken = |error: serde_json::Error| Error::Broken(error.to_string());
        kept["findings"] = serde_json::to_value(renewed).map_err(broken)?;
        kept["verdict"] = serde_json::to_value(verdict).map_err(broken)?;
    }
    Ok(Some(ValidationStatus::from(verdict)))
}

fn warning(code: &'static str, message: String, help: &'static str) -> Finding {
    Finding {
        severity: Severity::Warning,
        code: Cow::Borrowed(code),
        message,
        help: Cow::Borrowed(help),
    }
}

fn texts<'a>(facts: &'a Facts, key: &str) -> BTreeSet<&'a str> {
    let list = facts.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A number, which formats also write as text.
fn number(facts: &Facts, key: &str) -> Option<i64> {
    let value = facts.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(value: &Value) -> Facts {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_update_that_no_device_takes_is_noticed() {
        let signed = |signers: &[&str], build: i64| json!({"cert_sha256": signers, "build": build.to_string()});
        let publisher = |name: &str| json!({ "publisher": name });
        let cases: &[(Value, Value, &[&str])] = &[
            (signed(&["aa"], 7), signed(&["aa"], 8), &[]),
            (signed(&["aa"], 7), signed(&["bb", "aa"], 7), &[]),
            (signed(&["aa"], 7), signed(&["bb"], 8), &["preflight.signer_changed"]),
            (signed(&["aa"], 7), signed(&["aa"], 6), &["preflight.build_lower"]),
            (
                signed(&["aa"], 7),
                json!({"cert_sha256": ["bb"], "succeeded_cert_sha256": ["aa"]}),
                &[],
            ),
            (signed(&[], 7), signed(&["aa"], 8), &[]),
            (publisher("CN=A"), publisher("CN=A"), &[]),
            (publisher("CN=A"), publisher("CN=B"), &["preflight.publisher_changed"]),
            (json!({}), publisher("CN=B"), &[]),
        ];
        for (before, now, expected) in cases {
            let found = beside(Platform::AndroidApk, &facts(now), "1.0.0", &facts(before));
            let codes: Vec<&str> = found.iter().map(|finding| &*finding.code).collect();
            assert_eq!(codes, *expected, "{before} {now}");
        }
    }
}
