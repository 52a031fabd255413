//! What an artifact is beside the app's last release: what whoever has that one would run into,
//! which no file tells by itself.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dist_inspect::{Finding, Severity, Verdict, arch};
use dist_model::decide::{ArtifactIntent, PublishIntent};
use dist_model::{App, ChannelName, ErrorCode, Platform, Refusal, ValidationStatus};
use persist::{SqlRead, SqlReadExt as _, params};
use serde_json::{Map, Value};

use crate::inspection::{facts, findings};
use crate::{Error, inspection};

/// Channels from which people expect nothing but finished builds.
const STABLE: [&str; 3] = ["production", "release", "stable"];

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
    for place in 0..intent.artifacts.len() {
        let artifact = &intent.artifacts[place];
        let Some(facts) = facts(&artifact.metadata) else {
            continue;
        };
        let last = match app {
            Some(app) if is_updated_in_place(artifact) => last_release(tx, app, intent, artifact)?,
            _ => None,
        };
        let mut added = by_itself(artifact, facts, intent.channel.as_ref());
        if let Some(last) = &last {
            added.extend(beside(artifact.platform, facts, last));
        }
        if strict {
            refused.extend(
                added
                    .iter()
                    .map(|finding| format!("{}: {}", artifact.filename, finding.message)),
            );
        }
        add(&mut intent.artifacts[place], added)?;
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::PreflightFailed, refused.join(" "))
        .with("findings", refused)
        .into())
}

/// Whether the system takes an update only from the same publisher, so that the last release
/// matters.
fn is_updated_in_place(artifact: &ArtifactIntent) -> bool {
    is_android(artifact.platform) || matches!(artifact.package_type.as_str(), "msix" | "msixbundle")
}

fn is_android(platform: Platform) -> bool {
    matches!(platform, Platform::AndroidApk | Platform::AndroidAab)
}

/// What stands against an artifact whatever was released before.
fn by_itself(artifact: &ArtifactIntent, facts: &Facts, channel: Option<&ChannelName>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let found = texts(facts, "archs");
    let declared = arch::spell(&artifact.arch).unwrap_or(&artifact.arch);
    let fits = found.contains(declared) || found.contains("any") || (declared == "universal" && found.len() > 1);
    if !declared.is_empty() && !found.is_empty() && !fits {
        let found: Vec<&str> = found.into_iter().collect();
        findings.push(warning(
            "preflight.arch_differs",
            format!(
                "It is declared for {declared}, and is built for {}: it would not run there.",
                found.join(" and ")
            ),
            "Correct the manifest, or publish the build for that processor.",
        ));
    }
    let stable = channel.filter(|channel| STABLE.contains(&channel.as_str()));
    if let (Some(channel), Some(true)) = (stable, facts.get("debuggable").and_then(Value::as_bool)) {
        findings.push(warning(
            "preflight.debuggable",
            format!(
                "It is a debuggable build, and the channel is {channel}: whoever has the device can read its data."
            ),
            "Publish the release build.",
        ));
    }
    findings
}

/// The last release's artifact of the same kind.
struct Last {
    label: String,
    facts: Facts,
}

/// What stands against an artifact as an update of the last one.
fn beside(platform: Platform, facts: &Facts, last: &Last) -> Vec<Finding> {
    let label = &last.label;
    let mut findings = Vec::new();
    let (signers, before) = (texts(facts, "cert_sha256"), texts(&last.facts, "cert_sha256"));
    // A key that was rotated stands beside the old one.
    if !signers.is_empty() && !before.is_empty() && signers.is_disjoint(&before) {
        findings.push(warning(
            "preflight.signer_changed",
            format!("Its signer is not that of {label}: a device that has {label} refuses the update."),
            "Sign it with the same key, or rotate the key with a proof of the old one.",
        ));
    }
    if let (Some(build), Some(before)) = (number(facts, "build"), number(&last.facts, "build"))
        && build < before
        && is_android(platform)
    {
        findings.push(warning(
            "preflight.build_lower",
            format!(
                "Its version code is {build}, and that of {label} is {before}: a device that has {label} refuses it."
            ),
            "Raise the version code with every release.",
        ));
    }
    let publisher = |facts: &Facts| facts.get("publisher").and_then(Value::as_str).map(str::to_owned);
    if let (Some(publisher), Some(before)) = (publisher(facts), publisher(&last.facts))
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

/// The newest published release with an artifact of the same platform, processor and kind. Who has
/// waited for fifty releases without one starts anew.
fn last_release(
    tx: &dyn SqlRead,
    app: &App,
    intent: &PublishIntent,
    artifact: &ArtifactIntent,
) -> Result<Option<Last>, Error> {
    let sql = "SELECT r.version, r.build, a.metadata FROM (SELECT id, version, build, listed_at FROM releases \
         WHERE app_id = ?1 AND status = 'published' ORDER BY listed_at DESC, id DESC LIMIT 50) r \
         JOIN artifacts a ON a.release_id = r.id WHERE a.platform = ?2 AND a.arch = ?3 AND a.package_type = ?4 \
         AND NOT (r.version = ?5 AND r.build = ?6) ORDER BY r.listed_at DESC, r.id DESC, a.filename LIMIT 1";
    let found = tx.query_opt(
        sql,
        params![
            app.id.as_str(),
            artifact.platform.as_str(),
            &artifact.arch,
            &artifact.package_type,
            intent.version.as_str(),
            intent.build.as_str()
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

/// Adds findings to what the inspection found, and makes them count.
fn add(artifact: &mut ArtifactIntent, added: Vec<Finding>) -> Result<(), Error> {
    if added.is_empty() {
        return Ok(());
    }
    let mut findings = findings(&artifact.metadata);
    findings.extend(added);
    let verdict = Verdict::of(&findings);
    if let Some(kept) = artifact.metadata.get_mut(inspection::KEY) {
        let broken = |error: serde_json::Error| Error::Broken(error.to_string());
        kept["findings"] = serde_json::to_value(findings).map_err(broken)?;
        kept["verdict"] = serde_json::to_value(verdict).map_err(broken)?;
    }
    artifact.validation_status = ValidationStatus::from(verdict);
    Ok(())
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
            (signed(&[], 7), signed(&["aa"], 8), &[]),
            (publisher("CN=A"), publisher("CN=A"), &[]),
            (publisher("CN=A"), publisher("CN=B"), &["preflight.publisher_changed"]),
            (json!({}), publisher("CN=B"), &[]),
        ];
        for (before, now, expected) in cases {
            let last = Last {
                label: "1.0.0".to_owned(),
                facts: facts(before),
            };
            let found = beside(Platform::AndroidApk, &facts(now), &last);
            let codes: Vec<&str> = found.iter().map(|finding| &*finding.code).collect();
            assert_eq!(codes, *expected, "{before} {now}");
        }
    }
}
