//! `dist store`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dist_api::CleanupRequest;
use dist_model::{BackupReport, CleanupReport, Refusal, VerifyReport, parse_duration};
use dist_service::{Service, Setup};

use super::{DONE, Outcome};
use crate::session::{Once, Session, usage};
use crate::settings::Place;
use crate::target::{caller, local_only, refusal};
use crate::text::{Table, Text, size};

/// The exit code of a verification that found something: the store is damaged.
const DAMAGED: u8 = 1;

/// Cleans up.
#[derive(Args, Debug)]
pub struct Cleanup {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// How long nothing must have referred to an object before it is removed: 1h, 30m, 0 [default: 1h]
    #[arg(long, value_name = "TIME")]
    grace: Option<String>,
    #[command(flatten)]
    once: Once,
}

/// Backs up.
#[derive(Args, Debug)]
pub struct Backup {
    /// The folder to write to; below the store's backups where not given (a server chooses itself)
    #[arg(value_name = "DIR")]
    destination: Option<PathBuf>,
    #[command(flatten)]
    once: Once,
}

/// Restores.
#[derive(Args, Debug)]
pub struct Restore {
    /// The folder of the backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
}

/// `dist store cleanup`.
pub async fn cleanup(args: Cleanup, session: &Session) -> Outcome {
    let request = CleanupRequest {
        dry_run: args.dry_run,
        grace_seconds: args
            .grace
            .as_deref()
            .map(duration)
            .transpose()?
            .map(|grace| grace.as_secs()),
    };
    let report = session.target_once(&args.once)?.cleanup(&request).await?;
    session.printer.show(&report, |out| describe_cleanup(&report, out));
    if let Some(reason) = &report.held_off {
        session.printer.warn(reason);
    }
    Ok(DONE)
}

/// `dist store verify`.
pub async fn verify(session: &Session) -> Outcome {
    let report = session.target()?.verify().await?;
    session
        .printer
        .show(&report, |out| out.table(&describe_verify(&report)));
    Ok(if report.ok { DONE } else { DAMAGED })
}

/// `dist store backup`.
pub async fn backup(args: Backup, session: &Session) -> Outcome {
    let target = session.target_once(&args.once)?;
    let report = target.backup(args.destination.as_deref()).await?;
    session
        .printer
        .show(&report, |out| out.table(&describe_backup(&report)));
    Ok(lacks(&report, session))
}

/// Says what a backup lacks. It is as good as the store was, which is damaged.
fn lacks(report: &BackupReport, session: &Session) -> u8 {
    if report.missing.is_empty() {
        return DONE;
    }
    let count = report.missing.len();
    session.printer.warn(&format!(
        "{count} of the objects that releases are made of are lost or damaged in the store and not in the backup: \
         `dist store verify` names them, and what to do"
    ));
    DAMAGED
}

/// `dist store restore`. It makes the store, so there is none to open before.
pub fn restore(args: &Restore, session: &Session) -> Outcome {
    let folder = folder(session, "store restore")?;
    let report = Service::restore(&args.backup, folder, &Setup::default()).map_err(refusal)?;
    session
        .printer
        .show(&report, |out| out.table(&describe_backup(&report)));
    Ok(lacks(&report, session))
}

/// `dist store upgrade`. A store of an older version cannot be opened before.
pub fn upgrade(session: &Session) -> Outcome {
    let folder = folder(session, "store upgrade")?;
    let report = Service::upgrade(&caller(), folder, &Setup::default()).map_err(refusal)?;
    session.printer.show(&report, |out| {
        let done = if report.upgraded {
            "to this version"
        } else {
            "not needed: the store is of this version"
        };
        let mut table = Table::default().row(["upgraded", done]);
        table = table.row(["position", &report.position.to_string()]);
        if let Some(backup) = &report.backup {
            table = table.row(["before", backup]);
        }
        out.table(&table);
    });
    Ok(DONE)
}

/// `dist store rebuild`.
pub async fn rebuild(session: &Session) -> Outcome {
    let target = session.target()?;
    let local = target.local("store rebuild")?;
    let report = local.service.rebuild(&local.caller).await.map_err(refusal)?;
    session.printer.show(&report, |out| {
        let mut table = Table::default().row(["events", &report.events.to_string()]);
        for (name, rows) in &report.differing {
            table = table.row([&format!("mended {name}"), &format!("{rows} rows")]);
        }
        out.table(&table);
    });
    Ok(DONE)
}

/// The folder that a command works on without opening the store in it.
fn folder<'a>(session: &'a Session, command: &str) -> Result<&'a Path, Refusal> {
    match session.settings.place.as_ref().map(|place| &place.value) {
        Some(Place::Folder(folder)) => Ok(folder),
        Some(Place::Server(_)) => Err(local_only(command)),
        None => Err(usage("this needs a store: name its folder with --local-store DIR")),
    }
}

/// A length of time that a flag gives.
fn duration(text: &str) -> Result<Duration, Refusal> {
    parse_duration(text).ok_or_else(|| usage(format!("{text:?} is no length of time such as 90d, 12h, 30m or 10s")))
}

fn describe_cleanup(report: &CleanupReport, out: &mut Text) {
    let done = if report.dry_run { "would remove" } else { "removed" };
    for release in &report.releases {
        let label = super::release::label(&release.version, &release.build);
        out.line(format!("{done} release {} {label}", release.app));
    }
    for object in &report.objects {
        out.line(format!("{done} object {} ({})", object.sha256, size(object.size_bytes)));
    }
    let counts = Table::default()
        .row(["releases", &report.releases.len().to_string()])
        .row(["objects", &report.objects.len().to_string()])
        .row(["staging files", &report.staging_files.to_string()])
        .row(["freed", &size(report.freed_bytes)])
        .row(["waiting", &report.doomed.to_string()]);
    out.table(&counts);
}

fn describe_verify(report: &VerifyReport) -> Table {
    let mut table = Table::default()
        .row(["objects", &format!("{} ({})", report.objects, size(report.bytes))])
        .row(["events", &report.events.to_string()])
        .row(["problems", &report.problems.len().to_string()]);
    for problem in &report.problems {
        table = table.row([&problem.kind, &format!("{}: {}", problem.subject, problem.message)]);
    }
    table
}

fn describe_backup(report: &BackupReport) -> Table {
    let mut table = Table::default()
        .row(["folder", &report.path])
        .row(["position", &report.position.to_string()])
        .row(["objects", &format!("{} ({})", report.objects, size(report.bytes))])
        .row(["copied", &size(report.copied_bytes)]);
    for digest in &report.missing {
        table = table.row(["missing", &digest.to_string()]);
    }
    table
}
