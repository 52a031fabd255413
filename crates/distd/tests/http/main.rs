//! The server over real HTTP: started in this process on a free port, with a store in a temporary
//! folder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test that cannot run here says so")]

mod access;
mod common;
mod console;
mod corpus;
mod download;
mod full;
mod inspection;
mod install;
mod limits;
mod links;
mod logs;
mod metrics;
mod oidc;
mod people;
mod probe;
mod protocol;
mod readiness;
mod releases;
mod settings;
mod shell;
mod shutdown;
mod snapshots;
mod tus;
mod upload;
