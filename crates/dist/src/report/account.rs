//! What came of a publish, in the words of outputs and variables.

use std::fmt::Write as _;

use dist_api::{ErrorBody, PublishResult};
use dist_inspect::Severity;
use dist_model::decide::PublishStatus;
use dist_model::{Refusal, ReleaseId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::commands::release::label;
use crate::target::{ReleaseName, Target};
use crate::text::Text;

/// What a variable's value is spared: everything that a shell, a dotenv reader or a line would act on.
const UNPLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'#')
    .remove(b'@')
    .remove(b'%')
    .remove(b'+')
    .remove(b'=')
    .remove(b',')
    .remove(b'-');

/// Everything that a report says. A text that is not known is empty.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The command's answer, as `--json` prints it.
    pub answer: String,
    /// The same as people read it.
    pub people: String,
    /// `published`, `unchanged`, `draft`, `planned` or `refused`.
    pub status: &'static str,
    /// Why it was refused.
    pub refusal: Option<Refusal>,
    /// The app's slug.
    pub app: String,
    /// The release's id.
    pub release_id: String,
    /// Its version.
    pub version: String,
    /// Its build.
    pub build: String,
    /// Where its channel stands.
    pub channel: Option<ReportedMove>,
    /// The install page.
    pub install_url: String,
    /// All its artifacts.
    pub artifacts: Vec<ReportedArtifact>,
    /// What a person should know although it succeeded.
    pub warnings: Vec<String>,
}

/// Where a channel stands, and where it stood before.
#[derive(Clone, Debug, Default)]
pub struct ReportedMove {
    /// Its name.
    pub name: String,
    /// Its revision.
    pub revision: u64,
    /// The id of the release that it pointed at before.
    pub previous_id: String,
    /// That release, as people call it.
    pub from: Option<String>,
    /// The release that it points at, as people call it.
    pub to: String,
}

/// An artifact, without what was found inside.
#[derive(Clone, Debug, Serialize)]
pub struct ReportedArtifact {
    /// What it runs on.
    pub platform: String,
    /// The name under which it is downloaded.
    pub filename: String,
    /// Its size.
    pub size_bytes: u64,
    /// The digest of its bytes.
    pub sha256: String,
    /// Where its bytes are; nowhere yet in a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl From<&Refusal> for Account {
    fn from(refusal: &Refusal) -> Self {
        Self {
            answer: one_line_json(&ErrorBody::from(refusal)),
            status: "refused",
            refusal: Some(refusal.clone()),
            ..Self::default()
        }
    }
}

impl From<&PublishResult> for Account {
    fn from(result: &PublishResult) -> Self {
        let findings = result.artifacts.iter().flat_map(|artifact| {
            let found = dist_service::findings(&artifact.metadata).into_iter();
            found
                .filter(|finding| finding.severity != Severity::Info)
                .map(|finding| format!("{}: {} {}", artifact.filename, finding.message, finding.help))
        });
        Self {
            answer: one_line_json(result),
            people: String::new(),
            status: match result.status {
                PublishStatus::Published => "published",
                PublishStatus::Unchanged => "unchanged",
                PublishStatus::Draft => "draft",
            },
            refusal: None,
            app: result.app.slug.to_string(),
            release_id: result.release.id.to_string(),
            version: result.release.version.to_string(),
            build: result.release.build.to_string(),
            channel: None,
            install_url: result.install_url.clone().unwrap_or_default(),
            artifacts: result
                .artifacts
                .iter()
                .map(|artifact| ReportedArtifact {
                    platform: artifact.platform.to_string(),
                    filename: artifact.filename.to_string(),
                    size_bytes: artifact.size_bytes,
                    sha256: artifact.sha256.to_string(),
                    url: Some(artifact.url.clone()),
                })
                .collect(),
            warnings: findings.collect(),
        }
    }
}

/// JSON of one line; what cannot be JSON, the printer has complained of.
pub fn one_line_json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

impl Account {
    /// The same with where the channel stands, and the names of the releases that it moved between.
    #[must_use]
    pub async fn with_move(mut self, target: &Target, result: &PublishResult) -> Self {
        let Some(channel) = &result.channel else {
            return self;
        };
        let to = if channel.release_id == result.release.id {
            label(&result.release.version, &result.release.build)
        } else {
            let there = name_of(target, result, &channel.release_id).await;
            self.warnings.push(format!(
                "The channel {} had this release before and is at {there} now; promote to move it.",
                channel.name
            ));
            there
        };
        let from = match &channel.previous_release_id {
            Some(id) if result.status == PublishStatus::Published => Some(name_of(target, result, id).await),
            _ => None,
        };
        self.channel = Some(ReportedMove {
            name: channel.name.to_string(),
            revision: channel.revision,
            previous_id: channel
                .previous_release_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            from,
            to,
        });
        self
    }

    /// The same with the answer as people read it.
    #[must_use]
    pub fn said(mut self, human: impl FnOnce(&mut Text)) -> Self {
        let mut text = Text::for_stdout();
        human(&mut text);
        text.as_str().clone_into(&mut self.people);
        self
    }

    /// The same with more warnings, above those of the answer.
    #[must_use]
    pub fn with_warnings(mut self, mut warnings: Vec<String>) -> Self {
        warnings.append(&mut self.warnings);
        self.warnings = warnings;
        self
    }

    /// The facts, each as GitHub's outputs and as variables name it. The variables begin with
    /// `DIST_RELEASE`, which `dist` itself never reads: a later job inherits them.
    fn facts(&self) -> [(&'static str, &'static str, String); 11] {
        let error = self.refusal.as_ref().map_or("", |refusal| refusal.code.as_str());
        let channel = self.channel.clone().unwrap_or_default();
        let revision = if channel.name.is_empty() {
            String::new()
        } else {
            channel.revision.to_string()
        };
        let digests: Vec<String> = self
            .artifacts
            .iter()
            .map(|artifact| format!("{}:{}", artifact.platform, artifact.sha256))
            .collect();
        [
            ("status", "DIST_RELEASE_STATUS", self.status.to_owned()),
            ("error", "DIST_RELEASE_ERROR", error.to_owned()),
            ("app", "DIST_RELEASE_APP", self.app.clone()),
            ("release-id", "DIST_RELEASE_ID", self.release_id.clone()),
            ("version", "DIST_RELEASE_VERSION", self.version.clone()),
            ("build", "DIST_RELEASE_BUILD", self.build.clone()),
            ("channel", "DIST_RELEASE_CHANNEL", channel.name),
            ("channel-revision", "DIST_RELEASE_CHANNEL_REVISION", revision),
            ("previous-release-id", "DIST_RELEASE_PREVIOUS_ID", channel.previous_id),
            ("install-url", "DIST_RELEASE_INSTALL_URL", self.install_url.clone()),
            ("sha256", "DIST_RELEASE_SHA256", digests.join(",")),
        ]
    }

    /// For `GITHUB_OUTPUT`: `name=value` lines. Every name is always there, so that nothing of an earlier
    /// publish of the same step shines through.
    pub fn outputs(&self) -> String {
        let mut text = String::new();
        for (name, _, value) in self.facts() {
            line(&mut text, name, &one_line(&value));
        }
        line(&mut text, "artifacts", &one_line_json(&self.artifacts));
        text
    }

    /// For dotenv readers: `NAME=value` lines without quotes, whose values are percent-encoded where they
    /// hold what a reader could take for more than text.
    pub fn variables(&self) -> String {
        let mut text = String::new();
        for (_, name, value) in self.facts() {
            line(&mut text, name, &plain(&value));
        }
        text
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{name}={value}");
}

/// `value` without what ends a line: no answer of our own has it, one of a stranger's may.
fn one_line(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).collect()
}

/// `value` with nothing in it that has a meaning besides itself.
pub fn plain(value: &str) -> String {
    utf8_percent_encode(value, UNPLAIN).to_string()
}

/// A release as people call it, or its id where it cannot be read.
async fn name_of(target: &Target, result: &PublishResult, id: &ReleaseId) -> String {
    let name = ReleaseName {
        text: id.to_string(),
        build: None,
    };
    match target.release(&result.app.slug, &name).await {
        Ok(view) => view.release.label(),
        Err(_) => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dist_model::ErrorCode;

    use super::*;

    #[test]
    fn every_line_is_one_fact_whatever_the_values_hold() {
        let hostile = "a\nstatus=published\r\nPATH=/evil $(id) `id` ${HOME} \"'\\%";
        let account = Account {
            status: "published",
            release_id: hostile.to_owned(),
            install_url: hostile.to_owned(),
            artifacts: vec![ReportedArtifact {
                platform: "linux".into(),
                filename: hostile.to_owned(),
                size_bytes: 1,
                sha256: "ab".repeat(32),
                url: None,
            }],
            ..Account::default()
        };
        let outputs = account.outputs();
        assert_eq!(outputs.lines().count(), 12, "{outputs}");
        assert_eq!(
            outputs.matches("\nstatus=").count(),
            0,
            "the first line only: {outputs}"
        );
        let artifacts = outputs.lines().find_map(|line| line.strip_prefix("artifacts="));
        let artifacts: serde_json::Value = serde_json::from_str(artifacts.unwrap()).unwrap();
        assert_eq!(artifacts[0]["filename"], hostile, "JSON says it exactly");
        let variables = account.variables();
        assert_eq!(variables.lines().count(), 11, "{variables}");
        let meant = |c: char| " $`'\"\\(){}&;|<>*!\t\r".contains(c);
        assert!(!variables.contains(meant), "{variables}");
        assert!(variables.contains("DIST_RELEASE_ID=a%0Astatus=published%0D%0APATH=/evil%20%24%28id%29"));
    }

    #[test]
    fn a_refusal_names_its_code_and_nothing_else() {
        let refusal = Refusal::new(ErrorCode::ReleaseConflict, "taken");
        let account = Account::from(&refusal);
        let outputs = account.outputs();
        assert!(outputs.starts_with("status=refused\nerror=release.conflict\napp=\nrelease-id=\n"));
        assert!(outputs.ends_with("sha256=\nartifacts=[]\n"), "{outputs}");
        assert!(account.answer.starts_with(r#"{"error":{"code":"release.conflict""#));
    }
}
