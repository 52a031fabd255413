//! Every command. Its flags stand beside the function that runs it, in [`crate::commands`].

use clap::{Args, Parser, Subcommand};
use dist_term::{Completions, Man};

use crate::commands::{app, audit, channel, ci, config, inspect, link, release, store, token};
use crate::settings::Connection;

/// Publish builds, move channels, and look after a store
#[derive(Parser, Debug)]
#[command(name = "dist", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Settings come from flags, then the environment (DIST_SERVER, DIST_TOKEN, DIST_TOKEN_FILE, \
DIST_LOCAL_STORE, DIST_APP, DIST_CHANNEL), then dist.toml in this folder or above it.

Exit codes: 0 done, 1 internal, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 refused by policy, \
7 invalid input or artifact, 8 network (safe to retry), 9 timed out."
)]
pub struct Cli {
    /// Print exactly one JSON object on stdout, on success and on failure alike
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands on one subject, and where the state is.
#[derive(Args, Debug)]
pub struct On<C: Subcommand> {
    /// Where the state is.
    #[command(flatten)]
    pub connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub command: C,
}

/// What works on a store or a server, and what needs neither.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// On a store or a server.
    #[command(flatten)]
    State(Box<StateCommand>),
    /// Say what files are, without a server
    Inspect(inspect::Files),
    /// The server
    #[command(subcommand)]
    Server(ServerCommand),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, or write one for each command
    Man(Man),
}

/// The subjects that have a state.
#[derive(Subcommand, Debug)]
pub enum StateCommand {
    /// What a CI job does
    Ci(On<CiCommand>),
    /// Versions and builds of an app
    Release(On<ReleaseCommand>),
    /// Pointers to releases, such as beta and stable
    Channel(On<ChannelCommand>),
    /// Apps and their settings
    App(On<AppCommand>),
    /// Links that let testers install from a channel of a private app
    Link(On<LinkCommand>),
    /// Credentials for programs
    Token(On<TokenCommand>),
    /// Who did what, and when
    Audit(On<AuditCommand>),
    /// The store itself
    Store(On<StoreCommand>),
    /// The settings of this program
    Config(On<ConfigCommand>),
}

impl StateCommand {
    /// Where the command line says that the state is.
    pub fn connection(&self) -> &Connection {
        match self {
            Self::Ci(on) => &on.connection,
            Self::Release(on) => &on.connection,
            Self::Channel(on) => &on.connection,
            Self::App(on) => &on.connection,
            Self::Link(on) => &on.connection,
            Self::Token(on) => &on.connection,
            Self::Audit(on) => &on.connection,
            Self::Store(on) => &on.connection,
            Self::Config(on) => &on.connection,
        }
    }
}

/// `dist ci`.
#[derive(Subcommand, Debug)]
pub enum CiCommand {
    /// Publish a release: upload what is missing, move the channel, read everything back
    Publish(ci::Publish),
}

/// `dist release`.
#[derive(Subcommand, Debug)]
pub enum ReleaseCommand {
    /// List the releases of an app
    List(release::List),
    /// Show a release with its artifacts
    Show(release::Show),
    /// Make a draft immutable and move its channel
    Publish(release::Publish),
    /// Point a channel at a release
    Promote(release::Promote),
    /// Point a channel at what it pointed at before
    Rollback(release::Rollback),
    /// Never offer a release again
    Yank(release::Yank),
    /// Throw a draft away
    Discard(release::Discard),
}

/// `dist channel`.
#[derive(Subcommand, Debug)]
pub enum ChannelCommand {
    /// List the channels of an app
    List(channel::List),
    /// Show a channel
    Show(channel::Show),
    /// Change a channel's settings
    Set(channel::Set),
    /// List a channel's moves, the newest first
    History(channel::History),
}

/// `dist app`.
#[derive(Subcommand, Debug)]
pub enum AppCommand {
    /// List the apps
    List(app::List),
    /// Show an app with its channels and newest releases
    Show(app::Show),
    /// Make an app
    Create(app::Create),
    /// Change an app's settings
    Set(app::Set),
}

/// `dist link`.
#[derive(Subcommand, Debug)]
pub enum LinkCommand {
    /// Make a tester link and show its address, once
    Create(link::Create),
    /// List the tester links of an app
    List(link::List),
    /// End a tester link
    Revoke(link::Revoke),
}

/// `dist token`.
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token and show its secret, once
    Create(token::Create),
    /// List the tokens
    List(token::List),
    /// End a token
    Revoke(token::Revoke),
}

/// `dist audit`.
#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// List audit events, the newest first
    List(audit::List),
}

/// `dist store`.
#[derive(Subcommand, Debug)]
pub enum StoreCommand {
    /// Remove what retention lets go and nothing refers to
    Cleanup(store::Cleanup),
    /// Re-hash every object and compare every table with the log
    Verify,
    /// Copy database and objects, while the store is in use
    Backup(store::Backup),
    /// Make a store from a backup, in an empty folder (local only)
    Restore(store::Restore),
    /// Bring a store of an older version forward, after a copy of its database (local only)
    Upgrade,
    /// Make the tables again from the log (local only)
    Rebuild,
}

/// `dist config`.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Show each setting and where it came from
    Show(config::Show),
}

/// `dist server`.
#[derive(Subcommand, Debug)]
pub enum ServerCommand {
    /// Run the server in the foreground, as distd does
    Run(distd::Options),
}
