//! `dist channel`.

use clap::Args;
use dist_api::ChannelView;
use dist_model::ChannelChanges;

use super::{DONE, Outcome, PagingFlags, show_page};
use crate::session::{AppFlag, Session};
use crate::text::{Table, or_dash};

/// The columns of a list of channels.
pub(super) const HEADER: [&str; 6] = ["CHANNEL", "RELEASE", "REVISION", "POLICY", "KEEP", "MOVED"];

/// Lists channels.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    app: AppFlag,
}

/// The channel that a command is about.
#[derive(Args, Debug)]
struct Subject {
    #[command(flatten)]
    app: AppFlag,
    /// The channel
    #[arg(value_name = "CHANNEL", conflicts_with = "channel")]
    name: Option<String>,
    /// The channel [env: DIST_CHANNEL]
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
}

impl Subject {
    fn channel(&self) -> Option<&str> {
        self.name.as_deref().or(self.channel.as_deref())
    }
}

/// Shows a channel.
#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    subject: Subject,
}

/// Changes a channel's settings.
#[derive(Args, Debug)]
pub struct Set {
    #[command(flatten)]
    subject: Subject,
    /// How many of its releases a cleanup keeps; 0 keeps all
    #[arg(long, value_name = "N")]
    retention_keep: Option<u32>,
    /// Whether builds may be published straight to it
    #[arg(long, value_name = "POLICY", value_parser = ["open", "promote_only"])]
    policy: Option<String>,
    /// The share of users meant to get the release, 0 to 100; recorded, not enforced
    #[arg(long, value_name = "PERCENT")]
    rollout: Option<u8>,
}

/// Lists a channel's moves.
#[derive(Args, Debug)]
pub struct History {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    paging: PagingFlags,
}

/// `dist channel list`.
pub async fn list(args: List, session: &Session) -> Outcome {
    let slug = session.app(&args.app)?;
    let page = session.target()?.channels(&slug).await?;
    show_page(session.printer, &page, HEADER, cells);
    Ok(DONE)
}

/// `dist channel show`.
pub async fn show(args: Show, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.app)?;
    let channel = session.channel(args.subject.channel())?;
    let view = session.target()?.channel(&slug, &channel).await?;
    session.printer.show(&view, |out| out.table(&describe(&view)));
    Ok(DONE)
}

/// `dist channel set`.
pub async fn set(args: Set, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.app)?;
    let channel = session.channel(args.subject.channel())?;
    let changes = ChannelChanges {
        policy: args.policy.as_deref().map(str::parse).transpose()?,
        rollout_percent: args.rollout,
        retention_keep: args.retention_keep,
    };
    let view = session.target()?.update_channel(&slug, &channel, &changes).await?;
    session.printer.show(&view, |out| out.table(&describe(&view)));
    Ok(DONE)
}

/// `dist channel history`.
pub async fn history(args: History, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.app)?;
    let channel = session.channel(args.subject.channel())?;
    let paging = args.paging.paging();
    let page = session.target()?.history(&slug, &channel, &paging).await?;
    show_page(
        session.printer,
        &page,
        ["REVISION", "VERSION", "BUILD", "CAUSE", "FROM", "BY", "AT"],
        |entry| {
            [
                entry.revision.to_string(),
                entry.version.to_string(),
                entry.build.to_string(),
                entry.cause.to_string(),
                or_dash(entry.from_channel.as_ref()),
                entry.actor.to_string(),
                entry.created_at.to_string(),
            ]
        },
    );
    Ok(DONE)
}

/// The cells of a channel in a list.
pub(super) fn cells(view: &ChannelView) -> [String; 6] {
    let channel = &view.channel;
    [
        channel.name.to_string(),
        current(view),
        channel.revision.to_string(),
        channel.policy.to_string(),
        if channel.retention_keep == 0 {
            "all".to_owned()
        } else {
            channel.retention_keep.to_string()
        },
        or_dash(view.moved_at.as_ref()),
    ]
}

fn current(view: &ChannelView) -> String {
    match &view.current {
        Some(release) if release.build.is_none() => release.version.to_string(),
        Some(release) => format!("{} ({})", release.version, release.build),
        None => "-".to_owned(),
    }
}

fn describe(view: &ChannelView) -> Table {
    let channel = &view.channel;
    Table::default()
        .row(["channel", channel.name.as_str()])
        .row(["release", &current(view)])
        .row(["release id", &or_dash(channel.current_release_id.as_ref())])
        .row(["revision", &channel.revision.to_string()])
        .row(["moved", &or_dash(view.moved_at.as_ref())])
        .row(["policy", channel.policy.as_str()])
        .row(["rollout", &format!("{} % (not enforced)", channel.rollout_percent)])
        .row([
            "keep",
            &if channel.retention_keep == 0 {
                "all".to_owned()
            } else {
                channel.retention_keep.to_string()
            },
        ])
        .row(["install", &view.install_url])
}
