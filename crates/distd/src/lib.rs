//! The HTTP server of the release platform: the API, the install pages and the artifact store.
//!
//! [`Server`] is the main type: bound to an address and a data folder, it serves until it is told
//! to stop. [`main()`] is all of the program `distd`, and [`run()`] all of `dist server run`.
//!
//! The way of a request: [`router`] lists every route; a handler extracts (the caller, path
//! segments, a bounded body), calls one function of `dist_service`, and renders what it answers.
//! Refusals become JSON in one place, and so do logs, counts and audit events of refusals.
//!
//! ```
//! use distd::{Config, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! let server = Server::bind(Config::new(folder.path(), "127.0.0.1:0".parse()?)).await?;
//! println!("on port {}", server.local_addr().port());
//! server.serve(std::future::ready(())).await?;
//! # Ok(())
//! # })
//! # }
//! ```

mod answer;
mod api;
mod body;
mod cli;
mod config;
mod connection;
mod console;
mod download;
mod error;
mod extract;
mod health;
mod icon;
mod install;
mod metrics;
mod observe;
mod oidc;
mod probe;
pub mod router;
mod run;
mod server;
mod session;
mod setup;
mod source;
mod state;
mod user;
mod web;

pub use cli::{is_called_by_name, main, program};
pub use config::{
    Config, ConfigError, HEADING, Kind, Level, Limits, OidcConfig, Options, Otherwise, Problem, SETTINGS, Setting,
    USUAL_FILE,
};
pub use run::run;
pub use server::{Server, StartError};
