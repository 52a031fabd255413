//! What a CI system is handed after a publish: outputs for its later steps, a summary for people, and the
//! whole answer for programs.
//!
//! GitHub and those who speak its dialect name two files in the environment, which are written without being
//! asked: `GITHUB_OUTPUT` and `GITHUB_STEP_SUMMARY` (their format: GitHub's "Workflow commands"). Everybody
//! else takes the three files that `--report DIR` writes.

mod account;
mod markdown;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use dist_api::PublishResult;
use dist_model::{ErrorCode, Refusal};

pub use account::{Account, ReportedArtifact, ReportedMove, one_line_json};

use crate::commands::{DONE, Outcome};
use crate::printer::Printer;
use crate::settings::Environment;
use crate::target::Target;

/// The file to which GitHub's steps append their outputs.
const GITHUB_OUTPUT: &str = "GITHUB_OUTPUT";
/// The file to which GitHub's steps append what the page of the run shows.
const GITHUB_STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Where a report is wanted.
#[derive(Args, Clone, Debug, Default)]
pub struct ReportFlag {
    /// Write what came of it to this folder, also where it is refused: publish.json (what --json prints),
    /// publish.env (NAME=value lines) and summary.md
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// The places that a report goes to.
#[derive(Debug)]
pub struct Report {
    folder: Option<PathBuf>,
    outputs: Option<PathBuf>,
    summary: Option<PathBuf>,
}

impl Report {
    /// Finds the places, and makes the folder before anything is published.
    ///
    /// # Errors
    /// `usage.error` where the folder cannot be made.
    pub fn begin(flag: &ReportFlag, environment: &Environment) -> Result<Self, Refusal> {
        if let Some(folder) = &flag.report {
            std::fs::create_dir_all(folder).map_err(|error| {
                let message = format!("the folder {} for the report cannot be made: {error}", folder.display());
                Refusal::new(ErrorCode::UsageError, message)
            })?;
        }
        Ok(Self {
            folder: flag.report.clone(),
            outputs: environment.get(GITHUB_OUTPUT).map(PathBuf::from),
            summary: environment.get(GITHUB_STEP_SUMMARY).map(PathBuf::from),
        })
    }

    /// What a publish came to. Names that only a report says are asked for where anybody reads it.
    pub async fn account(&self, target: &Target, result: &PublishResult) -> Account {
        let account = Account::from(result);
        if self.folder.is_some() || self.outputs.is_some() || self.summary.is_some() {
            account.with_move(target, result).await
        } else {
            account
        }
    }

    /// Tells how the command ended, stdout last: what is said there is one answer, whatever came of the
    /// files.
    ///
    /// # Errors
    /// The command's own refusal; and `internal` where the folder that was asked for cannot be written,
    /// since whoever asked would go on with what an earlier run left there.
    pub fn finish(&self, done: Result<Account, Refusal>, printer: Printer) -> Outcome {
        let account = done.as_ref().map_or_else(Account::from, Account::clone);
        self.append(&account, printer);
        let written = self.write(&account);
        if let (Err(refusal), true) = (&done, self.outputs.is_some()) {
            Printer::annotate(refusal);
        }
        done?;
        written?;
        printer.print(&account.answer, &account.people);
        Ok(DONE)
    }

    /// Nobody asked for these: a file that is named and not there must not fail a release.
    fn append(&self, account: &Account, printer: Printer) {
        for (file, text) in [
            (&self.outputs, account.outputs()),
            (&self.summary, markdown::render(account)),
        ] {
            let Some(path) = file else { continue };
            if let Err(error) = append(path, &text) {
                printer.warn(&format!(
                    "the CI system's file {} cannot be written: {error}",
                    path.display()
                ));
            }
        }
    }

    fn write(&self, account: &Account) -> Result<(), Refusal> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for (name, text) in [
            ("publish.json", format!("{}\n", account.answer)),
            ("publish.env", account.variables()),
            ("summary.md", markdown::render(account)),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| {
                let message = format!(
                    "{} cannot be written: {error}; what was asked for is done, and can be run again for its report",
                    path.display()
                );
                Refusal::new(ErrorCode::InternalError, message)
            })?;
        }
        Ok(())
    }
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}
