//! `dist link`.

use clap::Args;
use dist_api::LinkCreate;
use dist_model::{ChannelName, LinkId};

use super::token::{now, state};
use super::{DONE, Outcome, PagingFlags, either, ending, show_page};
use crate::session::{AppFlag, Once, Session};
use crate::text::or_dash;

/// Makes a tester link.
#[derive(Args, Debug)]
pub struct Create {
    #[command(flatten)]
    app: AppFlag,
    /// The channel that it opens [env: DIST_CHANNEL]
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// When it ends: 7d, 12h, or an RFC 3339 time, a year from now at most [default: 7d]
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Who or what it is for
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    once: Once,
}

/// Lists tester links.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    app: AppFlag,
    /// Only those to this channel
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    paging: PagingFlags,
}

/// Ends a tester link.
#[derive(Args, Debug)]
pub struct Revoke {
    #[command(flatten)]
    app: AppFlag,
    /// The link's id
    #[arg(value_name = "ID", conflicts_with = "id")]
    place: Option<String>,
    /// The link's id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

/// `dist link create`.
pub async fn create(args: Create, session: &Session) -> Outcome {
    let slug = session.app(&args.app)?;
    let channel = session.channel(args.channel.as_deref())?;
    let (expires_at, expires_in) = ending(args.expires)?;
    let request = LinkCreate {
        note: args.note.unwrap_or_default(),
        expires_at,
        expires_in,
    };
    let target = session.target_once(&args.once)?;
    let created = target.create_link(&slug, &channel, &request).await?;
    session
        .printer
        .show(&created, |out| out.line(created.url.as_deref().unwrap_or("")));
    let until = created.link.expires_at;
    session.printer.note(&match created.url {
        Some(_) => format!("the tester link was made and ends at {until}; its address is shown this once"),
        None => format!("the tester link was made before and ends at {until}; its address is not shown again"),
    });
    Ok(DONE)
}

/// `dist link list`.
pub async fn list(args: List, session: &Session) -> Outcome {
    let slug = session.app(&args.app)?;
    let channel = args.channel.as_deref().map(str::parse::<ChannelName>).transpose()?;
    let paging = args.paging.paging();
    let page = session.target()?.links(&slug, channel.as_ref(), &paging).await?;
    let now = now();
    show_page(
        session.printer,
        &page,
        ["CHANNEL", "STATE", "MADE", "NOTE", "ID"],
        |link| {
            [
                link.channel.to_string(),
                state(link.revoked_at, Some(link.expires_at), now),
                link.created_at.to_string(),
                or_dash(Some(&link.note).filter(|note| !note.is_empty())),
                link.id.to_string(),
            ]
        },
    );
    Ok(DONE)
}

/// `dist link revoke`.
pub async fn revoke(args: Revoke, session: &Session) -> Outcome {
    let slug = session.app(&args.app)?;
    let id: LinkId = either(args.place, args.id, "the link's id")?.parse()?;
    let link = session.target()?.revoke_link(&slug, &id).await?;
    session.printer.show(&link, |out| {
        out.line(format!(
            "the tester link to {} {} was revoked",
            link.app_slug, link.channel
        ));
    });
    Ok(DONE)
}
