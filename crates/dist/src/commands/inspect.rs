//! `dist inspect`.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use dist_inspect::{Finding, Format, Report, Severity, Verdict};
use dist_model::{Digest, Platform, Refusal};
use serde::Serialize;
use serde_json::{Map, Value};

use super::DONE;
use crate::artifacts::{Examined, examine_all};
use crate::printer::Printer;
use crate::text::{Table, Text, or_dash, size};

/// The exit code where a file cannot be what it claims to be.
const FAILED: u8 = 7;

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
pub fn inspect(args: &Files, printer: Printer) -> u8 {
    let examined = examine_all(&args.files);
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
        out.table(&report.facts.iter().fold(Table::default(), |table, (name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            table.row([&format!("  {name}"), &value])
        }));
        out.table(&report.findings.iter().fold(Table::default(), |table, finding| {
            table.row([
                &format!("  {}", finding.code),
                &format!("{} {}", finding.message, finding.help),
            ])
        }));
    }
}

/// The verdict as it stands in JSON.
fn word(verdict: Verdict) -> String {
    dist_model::ValidationStatus::from(verdict).to_string()
}
