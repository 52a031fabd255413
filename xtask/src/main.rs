//! The project's own tasks, run as `cargo xtask TASK`.
//!
//! They treat the product as a stranger would: as two programs, `dist` and `distd`, that are run,
//! asked over HTTP, killed and looked into with `sqlite3`.

#![allow(clippy::print_stdout, reason = "a task talks to whoever started it")]

mod bench;
mod browser;
mod ci;
mod corpus;
mod crash;
mod demo;
mod deployment;
mod docs;
mod durability;
mod edges;
mod faults;
mod fuzz;
mod http;
mod image;
mod monitoring;
mod mutate;
mod outside;
mod readme;
mod reference;
mod server;
mod shell;
mod ship;
mod test;
mod tools;
mod tus;

use std::process::ExitCode;

use clap::Parser;

use crate::server::{Binaries, Profile};

/// The project's own tasks
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Task {
    /// Publish, promote and roll back an example app on a server of its own, and keep serving
    Demo(demo::Args),
    /// Everything that proves the project
    Test(test::Args),
    /// Check which of our crates know which
    Edges,
    /// Write docs/reference and deploy/distd.toml from the code
    Reference(reference::Args),
    /// Build the book, check its links and run its commands
    Docs(docs::Args),
    /// Follow the README on an empty Debian
    Readme,
    /// Publish real artifacts and download them again
    Corpus(corpus::Fixtures),
    /// Fuzz every artifact format, from real files
    Fuzz(fuzz::Args),
    /// Inspect damaged copies of real artifacts, each in a process of its own
    Mutate(mutate::Args),
    /// Run the CI integrations and the install script as their CI systems do
    Ci,
    /// Use the pages in a real browser
    Browser(browser::Args),
    /// Compare what we say of artifacts from package registries with what other tools say
    Outside,
    /// Upload with public tus clients
    Tus,
    /// Build the container images, and with --check run and use one
    Image(image::Args),
    /// Give the settings in deploy/ to the programs that they are for
    Deployment,
    /// Build the files of a release: archives, bills of materials, checksums
    Package(ship::package::Args),
    /// Check metrics and alerts with Prometheus's own tool
    Monitoring,
    /// Kill the server at random moments and check what it acknowledged
    Crash(crash::Args),
    /// Check the order of syncs, renames, commits and answers in a system call trace
    Durability,
    /// Full disks, failing disks, wrong owners, locks, crowds
    Faults(faults::Args),
    /// Measure against the peers and goals of the performance bar
    Bench(bench::Args),
    /// The client of the publish benchmark, which the bar's script starts
    #[command(hide = true)]
    BenchPublish(bench::PublishArgs),
}

fn main() -> ExitCode {
    // `cargo xtask demo -- --once` means the same as without the `--`, which some type by habit.
    let done = match Task::parse_from(std::env::args_os().filter(|word| word != "--")) {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Edges => edges::run(),
        Task::Reference(args) => reference::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Mutate(args) => mutate::run(&args),
        Task::Docs(args) => Binaries::build(Profile::Debug).and_then(|built| docs::run(&built, &args)),
        Task::Readme => readme::run(),
        Task::Corpus(args) => Binaries::build(Profile::Debug).and_then(|built| corpus::run(&built, &args)),
        Task::Browser(args) => Binaries::build(Profile::Debug).and_then(|built| browser::run(&built, &args)),
        Task::Ci => Binaries::build(Profile::Debug).and_then(|built| ci::run(&built)),
        Task::Outside => Binaries::build(Profile::Debug).and_then(|built| outside::run(&built)),
        Task::Tus => Binaries::build(Profile::Debug).and_then(|built| tus::run(&built)),
        Task::Monitoring => Binaries::build(Profile::Debug).and_then(|built| monitoring::run(&built)),
        Task::Crash(args) => Binaries::build(Profile::Debug).and_then(|built| crash::run(&built, &args)),
        Task::Durability => Binaries::build(Profile::Debug).and_then(|built| durability::run(&built)),
        Task::Faults(args) => Binaries::build(Profile::Debug).and_then(|built| faults::run(&built, &args)),
        Task::Deployment => Binaries::build(Profile::Debug).and_then(|built| deployment::run(&built)),
        Task::Image(args) => image::run(&args),
        Task::Package(args) => ship::package::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::BenchPublish(args) => bench::run_publish(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn every_task_can_be_called() {
        super::Task::command().debug_assert();
    }
}
