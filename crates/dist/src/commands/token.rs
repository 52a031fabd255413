//! `dist token`.

use std::collections::BTreeSet;

use clap::Args;
use dist_api::TokenCreate;
use dist_model::{ChannelName, Scope, Slug, Timestamp, TokenId};
use dist_service::{Clock as _, SystemClock};

use super::{DONE, Outcome, PagingFlags, either, ending, show_page};
use crate::session::{Once, Session};
use crate::text::{list as joined, or_dash};

/// Makes a token.
#[derive(Args, Debug)]
pub struct Create {
    /// Its name, unique for ever: the audit log names actors by it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it may do: read, publish, promote, admin
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true)]
    scope: Vec<String>,
    /// The one app that it is for; all where not given
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// The channels that it may move; all where not given
    #[arg(long, value_name = "CHANNEL,…", value_delimiter = ',')]
    channel: Vec<String>,
    /// When it ends: 90d, 12h, or an RFC 3339 time; never where not given
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    #[command(flatten)]
    once: Once,
}

/// Lists the tokens.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    paging: PagingFlags,
}

/// Ends a token.
#[derive(Args, Debug)]
pub struct Revoke {
    /// The token's id
    #[arg(value_name = "ID", conflicts_with = "id")]
    place: Option<String>,
    /// The token's id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

/// `dist token create`.
pub async fn create(args: Create, session: &Session) -> Outcome {
    let (expires_at, expires_in) = ending(args.expires)?;
    let request = TokenCreate {
        name: args.name,
        scopes: args
            .scope
            .iter()
            .map(|scope| scope.trim().parse::<Scope>())
            .collect::<Result<_, _>>()?,
        app_slug: args.app.as_deref().map(str::parse::<Slug>).transpose()?,
        channels: args
            .channel
            .iter()
            .map(|channel| channel.trim().parse::<ChannelName>())
            .collect::<Result<BTreeSet<_>, _>>()?,
        expires_at,
        expires_in,
    };
    let target = session.target_or_new(&args.once)?;
    let created = target.create_token(&request).await?;
    session
        .printer
        .show(&created, |out| out.line(created.secret.as_deref().unwrap_or("")));
    session.printer.note(&match created.secret {
        Some(_) => format!(
            "the token {:?} was made; its secret is shown this once",
            created.token.name
        ),
        None => format!(
            "the token {:?} was made before; its secret is not shown again",
            created.token.name
        ),
    });
    Ok(DONE)
}

/// `dist token list`.
pub async fn list(args: List, session: &Session) -> Outcome {
    let page = session.target()?.tokens(&args.paging.paging()).await?;
    let now = now();
    show_page(
        session.printer,
        &page,
        ["NAME", "SCOPES", "APP", "CHANNELS", "STATE", "LAST USED", "ID"],
        |token| {
            [
                token.name.clone(),
                joined(&token.scopes.0),
                or_dash(token.app_slug.as_ref()),
                joined(&token.channels),
                state(token.revoked_at, token.expires_at, now),
                or_dash(token.last_used_at.as_ref()),
                token.id.to_string(),
            ]
        },
    );
    Ok(DONE)
}

/// `dist token revoke`.
pub async fn revoke(args: Revoke, session: &Session) -> Outcome {
    let id: TokenId = either(args.place, args.id, "the token's id")?.parse()?;
    let token = session.target()?.revoke_token(&id).await?;
    session
        .printer
        .show(&token, |out| out.line(format!("{} revoked", token.name)));
    Ok(DONE)
}

/// The time by this machine's clock.
pub(super) fn now() -> Timestamp {
    Timestamp::from_millis(SystemClock.now_ms())
}

/// How what can be revoked and may expire stands `now`.
pub(super) fn state(revoked_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> String {
    match (revoked_at, expires_at) {
        (Some(at), _) => format!("revoked {}", at.day()),
        (None, Some(at)) if at <= now => format!("expired {}", at.day()),
        (None, Some(at)) => format!("until {}", at.day()),
        (None, None) => "active".to_owned(),
    }
}
