//! `dist release`.

use clap::Args;
use dist_api::{DraftPublish, MoveResult, MoveStatus, Order, ReleaseQuery, ReleaseView, YankStatus};
use dist_model::{Build, ChannelName, Refusal, Version};

use super::app::platforms;
use super::inspect::describe_findings;
use super::{DONE, Outcome, PagingFlags, ci, either, show_page};
use crate::printer::Printer;
use crate::read_back::Expected;
use crate::report::{Account, Report, ReportFlag};
use crate::session::{AppFlag, Once, Session, usage};
use crate::settings::Environment;
use crate::target::ReleaseName;
use crate::text::{Table, Text, list as joined, or_dash, size};

/// The release that a command is about.
#[derive(Args, Debug)]
struct Subject {
    #[command(flatten)]
    app: AppFlag,
    /// The release, by id or version
    #[arg(value_name = "RELEASE", conflicts_with = "release")]
    name: Option<String>,
    /// The release, by id or version
    #[arg(long, value_name = "ID|VERSION")]
    release: Option<String>,
    /// The build, where the version has several
    #[arg(long, value_name = "BUILD")]
    build: Option<String>,
}

impl Subject {
    fn release(&self) -> Result<ReleaseName, Refusal> {
        Ok(ReleaseName {
            text: either(self.name.clone(), self.release.clone(), "the release")?,
            build: self.build.as_deref().map(str::parse::<Build>).transpose()?,
        })
    }
}

/// Lists releases.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    app: AppFlag,
    /// Only those that stand so
    #[arg(long, value_name = "STATUS", value_parser = ["draft", "published", "yanked", "deleted"])]
    status: Option<String>,
    /// Only those of this version
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The newest first, or the highest version first
    #[arg(long, value_name = "ORDER", value_parser = ["newest", "semver"])]
    order: Option<String>,
    #[command(flatten)]
    paging: PagingFlags,
}

/// Shows a release.
#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    subject: Subject,
}

/// Publishes a draft.
#[derive(Args, Debug)]
pub struct Publish {
    #[command(flatten)]
    subject: Subject,
    /// The channel to move, where it is another than the draft's own
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// The platforms that the release must have
    #[arg(long, value_name = "PLATFORM,…", value_delimiter = ',')]
    require: Vec<String>,
    #[command(flatten)]
    report: ReportFlag,
    #[command(flatten)]
    once: Once,
}

/// Moves a channel to a release.
#[derive(Args, Debug)]
pub struct Promote {
    #[command(flatten)]
    app: AppFlag,
    /// The channel to move [env: DIST_CHANNEL]
    #[arg(long, value_name = "CHANNEL", conflicts_with_all = ["from_channel", "to_channel"])]
    channel: Option<String>,
    /// The release, by id or version
    #[arg(long, value_name = "ID|VERSION", conflicts_with_all = ["from_channel", "to_channel"])]
    release: Option<String>,
    /// The build, where the version has several
    #[arg(long, value_name = "BUILD", requires = "release")]
    build: Option<String>,
    /// Take what this channel points at
    #[arg(long, value_name = "CHANNEL", requires = "to_channel")]
    from_channel: Option<String>,
    /// The channel to move, with --from-channel
    #[arg(long, value_name = "CHANNEL", requires = "from_channel")]
    to_channel: Option<String>,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    once: Once,
}

/// Moves a channel back.
#[derive(Args, Debug)]
pub struct Rollback {
    #[command(flatten)]
    app: AppFlag,
    /// The channel to move [env: DIST_CHANNEL]
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    once: Once,
}

/// Guards a move against somebody else's.
#[derive(Args, Debug)]
struct Guard {
    /// Only if the channel is at this revision
    #[arg(long, value_name = "REVISION")]
    if_current: Option<u64>,
}

/// Yanks a release.
#[derive(Args, Debug)]
pub struct Yank {
    #[command(flatten)]
    subject: Subject,
    /// Roll back the channels that point at it, in the same transaction
    #[arg(long)]
    and_rollback: bool,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    once: Once,
}

/// Throws a draft away.
#[derive(Args, Debug)]
pub struct Discard {
    #[command(flatten)]
    subject: Subject,
}

/// `dist release list`.
pub async fn list(args: List, session: &Session) -> Outcome {
    let slug = session.app(&args.app)?;
    let query = ReleaseQuery {
        status: args.status.as_deref().map(str::parse).transpose()?,
        version: args.version.as_deref().map(str::parse::<Version>).transpose()?,
        order: args.order.map(|order| {
            if order == "semver" {
                Order::Semver
            } else {
                Order::Newest
            }
        }),
    };
    let paging = args.paging.paging();
    let page = session.target()?.releases(&slug, &query, &paging).await?;
    show_page(
        session.printer,
        &page,
        ["VERSION", "BUILD", "STATUS", "CHANNELS", "PLATFORMS", "PUBLISHED", "ID"],
        |view| {
            let mut platforms: Vec<_> = view.artifacts.iter().map(|artifact| artifact.platform).collect();
            platforms.dedup();
            [
                view.release.version.to_string(),
                view.release.build.to_string(),
                view.release.status.to_string(),
                joined(&view.channels),
                joined(platforms),
                or_dash(view.release.published_at.as_ref()),
                view.release.id.to_string(),
            ]
        },
    );
    Ok(DONE)
}

/// `dist release show`.
pub async fn show(args: Show, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.app)?;
    let release = args.subject.release()?;
    let view = session.target()?.release(&slug, &release).await?;
    session.printer.show(&view, |out| describe(&view, out));
    Ok(DONE)
}

/// `dist release publish`.
pub async fn publish(args: Publish, session: &Session, environment: &Environment) -> Outcome {
    let report = Report::begin(&args.report, environment)?;
    let done = publish_draft(args, session, &report).await;
    report.finish(done, session.printer)
}

async fn publish_draft(args: Publish, session: &Session, report: &Report) -> Result<Account, Refusal> {
    let slug = session.app(&args.subject.app)?;
    let release = args.subject.release()?;
    let request = DraftPublish {
        channel: args.channel.as_deref().map(str::parse::<ChannelName>).transpose()?,
        require: platforms(&args.require)?,
    };
    let target = session.target_once(&args.once)?;
    let result = target.publish_draft(&slug, &release, &request).await?;
    Expected::of_result(&result)
        .check(&target, &result, session.printer)
        .await?;
    let account = report.account(&target, &result).await;
    Ok(account.said(|out| ci::describe(&result, out)))
}

/// `dist release promote`.
pub async fn promote(args: Promote, session: &Session) -> Outcome {
    let slug = session.app(&args.app)?;
    let channel = session.channel(args.to_channel.as_deref().or(args.channel.as_deref()))?;
    let request = dist_api::Promote {
        release: args.release,
        build: args.build,
        from_channel: args
            .from_channel
            .as_deref()
            .map(str::parse::<ChannelName>)
            .transpose()?,
    };
    if request.release.is_none() && request.from_channel.is_none() {
        return Err(usage(
            "what to promote is missing: --channel C --release ID|VERSION, or --from-channel B --to-channel C",
        ));
    }
    let target = session.target_once(&args.once)?;
    let result = target.promote(&slug, &channel, &request, args.guard.if_current).await?;
    Ok(show_move(&result, session.printer))
}

/// `dist release rollback`.
pub async fn rollback(args: Rollback, session: &Session) -> Outcome {
    let slug = session.app(&args.app)?;
    let channel = session.channel(args.channel.as_deref())?;
    let target = session.target_once(&args.once)?;
    let result = target.roll_back(&slug, &channel, args.guard.if_current).await?;
    Ok(show_move(&result, session.printer))
}

/// `dist release yank`.
pub async fn yank(args: Yank, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.app)?;
    let release = args.subject.release()?;
    let request = dist_api::Yank {
        and_rollback: args.and_rollback,
        reason: args.reason,
    };
    let target = session.target_once(&args.once)?;
    let result = target.yank(&slug, &release, &request).await?;
    session.printer.show(&result, |out| {
        let done = match result.status {
            YankStatus::Yanked => "yanked",
            YankStatus::Unchanged => "was yanked before",
        };
        let release = &result.release;
        out.line(format!("{} {done}", label(&release.version, &release.build)));
        for moved in &result.rolled_back {
            let (name, id, revision) = (&moved.name, &moved.release_id, moved.revision);
            out.line(format!("{name} rolled back to {id} (revision {revision})"));
        }
    });
    Ok(DONE)
}

/// `dist release discard`.
pub async fn discard(args: Discard, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.app)?;
    let release = args.subject.release()?;
    let discarded = session.target()?.discard(&slug, &release).await?;
    session
        .printer
        .show(&discarded, |out| out.line(format!("{} discarded", discarded.label())));
    Ok(DONE)
}

/// Version and build as people write them.
pub fn label(version: &Version, build: &Build) -> String {
    if build.is_none() {
        version.to_string()
    } else {
        format!("{version} ({build})")
    }
}

/// Shows a move, and warns of what those who install would run into.
fn show_move(result: &MoveResult, printer: Printer) -> u8 {
    for warning in &result.warnings {
        printer.warn(&format!("{}: {} {}", warning.filename, warning.message, warning.help));
    }
    printer.show(result, |out| describe_move(result, out));
    DONE
}

fn describe_move(result: &MoveResult, out: &mut Text) {
    let done = match result.status {
        MoveStatus::Moved => "moved to",
        MoveStatus::Unchanged => "was already at",
    };
    let release = label(&result.release.version, &result.release.build);
    let (name, revision) = (&result.channel.name, result.channel.revision);
    out.line(format!("{name} {done} {release} (revision {revision})"));
    out.line(&result.install_url);
}

fn describe(view: &ReleaseView, out: &mut Text) {
    let release = &view.release;
    let source = &release.source;
    let facts = Table::default()
        .row(["release", &release.label()])
        .row(["id", release.id.as_str()])
        .row(["status", release.status.as_str()])
        .row(["channels", &joined(&view.channels)])
        .row(["created", &format!("{} by {}", release.created_at, release.created_by)])
        .row(["published", &or_dash(release.published_at.as_ref())])
        .row(["commit", &or_dash(source.commit.as_ref())])
        .row(["branch", &or_dash(source.branch.as_ref())])
        .row(["run", &or_dash(source.run_url.as_ref())]);
    out.table(&facts);
    for line in release.notes.lines() {
        out.line(format!("  {line}"));
    }
    out.gap();
    let table = Table::new(["PLATFORM", "ARCH", "FILE", "SIZE", "CHECK", "SHA256"]);
    out.table(&table.rows(&view.artifacts, |artifact| {
        [
            artifact.platform.to_string(),
            artifact.arch.clone(),
            artifact.filename.to_string(),
            size(artifact.size_bytes),
            artifact.validation_status.to_string(),
            artifact.sha256.to_string(),
        ]
    }));
    for artifact in &view.artifacts {
        let findings = dist_service::findings(&artifact.metadata);
        if !findings.is_empty() {
            out.gap();
            out.line(artifact.filename.as_str());
            describe_findings(&findings, out);
        }
    }
}
