//! `dist inspect`.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use dist_inspect::{Finding, Format, Inspector, Report, Severity, Verdict};
use dist_model::{Digest, Platform, Refusal};
use serde::Serialize;
use serde_json::{Map, Value};

use super::DONE;
use crate::artifacts::{Examined, examine_all, named};
use crate::printer::Printer;
use crate::text::{Table, Text, list, or_dash, size};

/// The exit code where a file cannot be what it claims to be.
const FAILED: u8 = 7;
/// How many entries of a list a person is shown.
const LISTED: usize = 12;

/// Inspects files.
#[derive(Args, Debug)]
pub struct Files {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// The answer.
#[derive(Serialize)]
struct Reports {
    reports: Vec<FileReport>,
}

/// What a file is, in the order of the published form.
#[derive(Serialize)]
struct FileReport {
    file: String,
    size_bytes: u64,
    sha256: Option<Digest>,
    platform: Option<Platform>,
    format: Format,
    verdict: Verdict,
    facts: Map<String, Value>,
    findings: Vec<Finding>,
}

/// `dist inspect`. A file that cannot be read is a failed report among the others.
pub fn inspect(args: &Files, inspector: &dyn Inspector, printer: Printer) -> u8 {
    let files: Vec<_> = args.files.iter().map(|path| named(path)).collect();
    let examined = examine_all(&files, inspector);
    let reports: Vec<FileReport> = args
        .files
        .iter()
        .zip(examined)
        .map(|(path, examined)| FileReport::new(path.display().to_string(), examined))
        .collect();
    let failed = reports.iter().any(|report| report.verdict == Verdict::Failed);
    let answer = Reports { reports };
    printer.show(&answer, |out| describe(&answer.reports, out));
    if failed { FAILED } else { DONE }
}

impl FileReport {
    fn new(file: String, examined: Result<Examined, Refusal>) -> Self {
        match examined {
            Ok(Examined { stamp, sha256, report }) => Self::read(file, stamp.size, sha256, report),
            Err(refusal) => Self {
                file,
                size_bytes: 0,
                sha256: None,
                platform: None,
                format: Format::Unknown,
                verdict: Verdict::Failed,
                facts: Map::new(),
                findings: vec![Finding {
                    severity: Severity::Error,
                    code: refusal.code.as_str().into(),
                    message: refusal.message,
                    // The message of a refusal says already what to do.
                    help: Cow::Borrowed(""),
                }],
            },
        }
    }

    fn read(file: String, size_bytes: u64, sha256: Digest, report: Report) -> Self {
        Self {
            file,
            size_bytes,
            sha256: Some(sha256),
            platform: report.platform,
            format: report.format,
            verdict: report.verdict,
            facts: report.facts,
            findings: report.findings,
        }
    }
}

fn describe(reports: &[FileReport], out: &mut Text) {
    let table = Table::new(["FILE", "PLATFORM", "FORMAT", "SIZE", "VERDICT"]);
    out.table(&table.rows(reports, |report| {
        [
            report.file.clone(),
            or_dash(report.platform.as_ref()),
            report.format.as_str().to_owned(),
            size(report.size_bytes),
            word(report.verdict),
        ]
    }));
    for report in reports {
        if report.facts.is_empty() && report.findings.is_empty() {
            continue;
        }
        out.gap();
        out.line(&report.file);
        describe_findings(&report.findings, out);
        describe_facts(&report.facts, out);
    }
}

/// What was found, and below each what to do about it.
pub(super) fn describe_findings(findings: &[Finding], out: &mut Text) {
    let mut table = Table::default();
    for finding in findings {
        let severity = match finding.severity {
            Severity::Error => "  error",
            Severity::Warning => "  warning",
            Severity::Info => "  info",
        };
        table = table.row([severity, &finding.code, &finding.message]);
        if !finding.help.is_empty() {
            table = table.row(["", "", &finding.help]);
        }
    }
    out.table(&table);
}

/// What is known, a line each; what stands in an object has the object's name before its own.
fn describe_facts(facts: &Map<String, Value>, out: &mut Text) {
    let mut lines = Vec::new();
    flatten("", facts, &mut lines);
    let lines = lines.iter();
    out.table(&lines.fold(Table::default(), |table, (name, value)| {
        table.row([&format!("  {name}"), value])
    }));
}

fn flatten(prefix: &str, facts: &Map<String, Value>, lines: &mut Vec<(String, String)>) {
    for (name, value) in facts {
        let name = format!("{prefix}{name}");
        match value {
            Value::Object(inner) => flatten(&format!("{name}."), inner, lines),
            Value::Array(values) => {
                let shown = values.iter().take(LISTED).map(words);
                let more = values.len().saturating_sub(LISTED);
                let more = (more > 0).then(|| format!("and {more} more"));
                lines.push((name, list(shown.chain(more))));
            }
            value => lines.push((name, words(value))),
        }
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        value => value.to_string(),
    }
}

/// The verdict as it stands in JSON.
fn word(verdict: Verdict) -> String {
    dist_model::ValidationStatus::from(verdict).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn findings_come_first_and_facts_stand_in_columns() {
        let mut report = dist_inspect::claim("acme.ipa");
        report.warning("ipa.profile_expired", "The profile expired.", "Renew it.");
        report.facts = json!({
            "app_id": "dev.acme",
            "archs": ["arm64", "x86_64"],
            "name": "Acme\u{1b}[2J\n\u{202e}ipa.exe",
            "provisioning": {"devices": (0..20).collect::<Vec<_>>(), "kind": "ad-hoc"},
            "signed": true,
        })
        .as_object()
        .unwrap()
        .clone();
        let mut out = Text::default();
        let digest = Digest::from_bytes([0; 32]);
        describe(
            &[FileReport::read("acme.ipa".to_owned(), 2048, digest, report)],
            &mut out,
        );
        let expected = [
            "FILE      PLATFORM  FORMAT  SIZE      VERDICT",
            "acme.ipa  ios       ipa     2.00 KiB  passed",
            "",
            "acme.ipa",
            "  warning  ipa.profile_expired  The profile expired.",
            "                                Renew it.",
            "  app_id                dev.acme",
            "  archs                 arm64, x86_64",
            "  name                  Acme\u{fffd}[2J \u{fffd}ipa.exe",
            "  provisioning.devices  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, and 8 more",
            "  provisioning.kind     ad-hoc",
            "  signed                yes",
            "",
        ];
        assert_eq!(out.as_str(), expected.join("\n"));
    }
}
