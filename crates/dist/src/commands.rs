//! The commands: resolved arguments and a session in, an exit code out.

pub mod app;
pub mod audit;
pub mod channel;
pub mod ci;
pub mod config;
pub mod inspect;
pub mod link;
pub mod reference;
pub mod release;
pub mod server;
pub mod store;
pub mod token;

use std::path::Path;
use std::sync::Arc;

use dist_api::{Page, Paging};
use dist_inspect::ChildInspector;
use dist_model::{ErrorCode, Refusal, Timestamp, parse_duration};
use serde::Serialize;

use crate::cli::{
    AppCommand, AuditCommand, ChannelCommand, CiCommand, Command, ConfigCommand, LinkCommand, ReleaseCommand,
    ServerCommand, StateCommand, StoreCommand, TokenCommand,
};
use crate::printer::Printer;
use crate::session::{Session, usage};
use crate::settings::{Environment, Settings};
use crate::text::Table;

/// The exit code of a command that answered, or why it could not.
pub type Outcome = Result<u8, Refusal>;

/// Everything went as asked.
pub const DONE: u8 = 0;

/// Which part of a list.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct PagingFlags {
    /// How many to list, at most 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Go on where a list before ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl PagingFlags {
    fn paging(self) -> Paging {
        Paging {
            cursor: self.cursor,
            limit: self.limit,
        }
    }
}

/// Runs a command of the program, which inspects files in processes of its own.
pub fn run(command: Command, printer: Printer, environment: &Environment, folder: &Path) -> Outcome {
    let inspector = ChildInspector::of_this_program();
    match command {
        Command::State(command) => {
            let settings = Settings::resolve(command.connection(), environment, folder)?;
            let session = Session {
                settings,
                printer,
                inspector: Arc::new(inspector),
            };
            // One thread is enough: a command waits for one thing at a time.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| {
                Refusal::new(ErrorCode::InternalError, format!("the program cannot start: {error}"))
            })?;
            runtime.block_on(run_on(*command, &session, environment))
        }
        Command::Inspect(args) => Ok(inspect::inspect(&args, &inspector, printer)),
        Command::Server(ServerCommand::Run(options)) => server::run(&options, printer),
        Command::Completions(args) => Ok(reference::completions(&args, printer)),
        Command::Man(args) => reference::man(&args, printer),
    }
}

async fn run_on(command: StateCommand, session: &Session, environment: &Environment) -> Outcome {
    match command {
        StateCommand::Ci(on) => match on.command {
            CiCommand::Publish(args) => ci::publish(args, session, environment).await,
        },
        StateCommand::Release(on) => match on.command {
            ReleaseCommand::List(args) => release::list(args, session).await,
            ReleaseCommand::Show(args) => release::show(args, session).await,
            ReleaseCommand::Publish(args) => release::publish(args, session, environment).await,
            ReleaseCommand::Promote(args) => release::promote(args, session).await,
            ReleaseCommand::Rollback(args) => release::rollback(args, session).await,
            ReleaseCommand::Yank(args) => release::yank(args, session).await,
            ReleaseCommand::Discard(args) => release::discard(args, session).await,
        },
        StateCommand::Channel(on) => match on.command {
            ChannelCommand::List(args) => channel::list(args, session).await,
            ChannelCommand::Show(args) => channel::show(args, session).await,
            ChannelCommand::Set(args) => channel::set(args, session).await,
            ChannelCommand::History(args) => channel::history(args, session).await,
        },
        StateCommand::App(on) => match on.command {
            AppCommand::List(args) => app::list(args, session).await,
            AppCommand::Show(args) => app::show(args, session).await,
            AppCommand::Create(args) => app::create(args, session).await,
            AppCommand::Set(args) => app::set(args, session).await,
        },
        StateCommand::Link(on) => match on.command {
            LinkCommand::Create(args) => link::create(args, session).await,
            LinkCommand::List(args) => link::list(args, session).await,
            LinkCommand::Revoke(args) => link::revoke(args, session).await,
        },
        StateCommand::Token(on) => match on.command {
            TokenCommand::Create(args) => token::create(args, session).await,
            TokenCommand::List(args) => token::list(args, session).await,
            TokenCommand::Revoke(args) => token::revoke(args, session).await,
        },
        StateCommand::Audit(on) => match on.command {
            AuditCommand::List(args) => audit::list(args, session).await,
        },
        StateCommand::Store(on) => match on.command {
            StoreCommand::Cleanup(args) => store::cleanup(args, session).await,
            StoreCommand::Verify => store::verify(session).await,
            StoreCommand::Backup(args) => store::backup(args, session).await,
            StoreCommand::Restore(args) => store::restore(&args, session),
            StoreCommand::Upgrade => store::upgrade(session),
            StoreCommand::Rebuild => store::rebuild(session).await,
        },
        StateCommand::Config(on) => match on.command {
            ConfigCommand::Show(args) => Ok(config::show(&args, session)),
        },
    }
}

/// Shows a page of a list, and how to see the next one.
fn show_page<T: Serialize, const N: usize>(
    printer: Printer,
    page: &Page<T>,
    header: [&str; N],
    cells: impl Fn(&T) -> [String; N],
) {
    printer.show(page, |out| out.table(&Table::new(header).rows(&page.items, cells)));
    if let Some(cursor) = &page.next_cursor {
        printer.note(&format!("more with --cursor {cursor}"));
    }
}

/// The value of a subject that may be named by its place on the command line or by its flag.
fn either(place: Option<String>, flag: Option<String>, what: &str) -> Result<String, Refusal> {
    match (place, flag) {
        (Some(_), Some(_)) => Err(usage(format!("{what} is named twice"))),
        (place, flag) => place
            .or(flag)
            .ok_or_else(|| usage(format!("{what} is missing: name it, or see --help"))),
    }
}

/// When a flag says that something ends: at a time, or after a length of time. The length is sent as it
/// is, so that the command run again under its key is the same request.
fn ending(flag: Option<String>) -> Result<(Option<Timestamp>, Option<String>), Refusal> {
    let Some(text) = flag else {
        return Ok((None, None));
    };
    if parse_duration(&text).is_some() {
        return Ok((None, Some(text)));
    }
    let at = text.parse().map_err(|_| {
        usage(format!(
            "--expires takes 90d, 12h or a time such as 2026-12-31T00:00:00Z, not {text:?}"
        ))
    })?;
    Ok((Some(at), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_a_length_or_a_time() {
        let check = |text: &str, expect: Option<(Option<&str>, Option<&str>)>| {
            let found = ending(Some(text.to_owned())).ok();
            let found = found.map(|(at, after)| (at.map(|at| at.to_string()), after));
            let expect = expect.map(|(at, after)| (at.map(str::to_owned), after.map(str::to_owned)));
            assert_eq!(found, expect, "{text}");
        };
        check("90d", Some((None, Some("90d"))));
        check("12h", Some((None, Some("12h"))));
        check(
            "2026-12-31T00:00:00+01:00",
            Some((Some("2026-12-30T23:00:00.000Z"), None)),
        );
        check("tomorrow", None);
        check("-1d", None);
    }
}
