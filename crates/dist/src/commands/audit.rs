//! `dist audit`.

use clap::Args;
use dist_api::AuditQuery;
use dist_model::{Slug, Timestamp};

use super::{DONE, Outcome, PagingFlags, show_page};
use crate::session::Session;

/// Lists audit events.
#[derive(Args, Debug)]
pub struct List {
    /// Only those of this app
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Only what this actor did, such as token:ci
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this action, such as release.published
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    paging: PagingFlags,
}

/// `dist audit list`.
pub async fn list(args: List, session: &Session) -> Outcome {
    let query = AuditQuery {
        app: args.app.as_deref().map(str::parse::<Slug>).transpose()?,
        actor: args.actor,
        action: args.action,
        since: args.since.as_deref().map(str::parse::<Timestamp>).transpose()?,
        until: args.until.as_deref().map(str::parse::<Timestamp>).transpose()?,
    };
    let paging = args.paging.paging();
    let page = session.target()?.audit(&query, &paging).await?;
    show_page(
        session.printer,
        &page,
        ["ID", "AT", "ACTOR", "ACTION", "TARGET"],
        |event| {
            [
                event.id.to_string(),
                event.created_at.to_string(),
                event.actor.to_string(),
                event.action.clone(),
                format!("{} {}", event.target_type, event.target_id),
            ]
        },
    );
    Ok(DONE)
}
