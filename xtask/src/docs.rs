//! `cargo xtask docs`: the book, its links, and every command in it.
//!
//! The ```` ```sh ```` blocks of a page are one session of somebody who follows it from top to
//! bottom: they are run in order by one shell, in an empty home and a network of its own. What a
//! reader may rely on has therefore happened here. A block may be marked behind a comma:
//!
//! - `sh,not-run` is not run, for the reason in the comment before it; its `dist` and `distd`
//!   commands must still be ones that the programs take.
//! - `sh,install` sets up a machine: `cargo xtask readme` runs it, on an empty one.
//! - `text,output` is what the block before it prints: each line of it, in this order, with `…`
//!   for whatever differs from run to run.

mod links;
pub mod page;
mod session;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::server::Binaries;
use crate::{shell, tools};
use page::{Kind, Page};

/// How long the book may take to build.
const LIMIT: Duration = Duration::from_mins(2);

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// The pages whose commands are run, by a part of their path [default: all]
    pages: Vec<String>,
}

/// Checks the links, builds the book and runs the commands of the pages that the arguments name.
pub fn run(binaries: &Binaries, args: &Args) -> Result<()> {
    let pages = page::all()?;
    let done = [
        links::check(&pages),
        build(&pages),
        run_commands(binaries, &pages, &args.pages),
    ];
    let failed: Vec<String> = done
        .into_iter()
        .filter_map(|result| result.err().map(|error| format!("{error:#}")))
        .collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n\n"));
    }
    Ok(())
}

/// The same with all pages.
pub fn run_all(binaries: &Binaries) -> Result<()> {
    run(binaries, &Args { pages: Vec::new() })
}

/// Builds the book into `target/book`.
fn build(pages: &[Page]) -> Result<()> {
    let book = shell::root().join("target/book");
    let mut mdbook = shell::command(tools::mdbook()?);
    mdbook.args(["build", "docs", "--dest-dir"]).arg(&book);
    shell::run(&mut mdbook, LIMIT)?;
    // The links were checked by a rule for the names of headings; here is what became of them.
    for page in pages.iter().filter(|page| page.in_book) {
        let path = page.path.strip_prefix("docs").unwrap_or(&page.path);
        let path = book.join(path).with_extension("html");
        let html = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for anchor in &page.anchors {
            ensure!(
                html.contains(&format!("id=\"{anchor}\"")),
                "{}: the book has no #{anchor}",
                page.path.display()
            );
        }
    }
    println!("the book is in {}", book.display());
    Ok(())
}

/// Runs the commands of the README and of the book; every page that fails is told.
fn run_commands(binaries: &Binaries, pages: &[Page], wanted: &[String]) -> Result<()> {
    tools::ensure_sessions()?;
    let is_wanted =
        |path: &PathBuf| wanted.is_empty() || wanted.iter().any(|part| path.to_string_lossy().contains(part));
    let pages: Vec<&Page> = pages
        .iter()
        .filter(|page| page.is_for_users() && is_wanted(&page.path))
        .collect();
    ensure!(!pages.is_empty(), "no page for users has such a path");
    let (mut failed, mut ran) = (Vec::new(), 0);
    for page in pages {
        let told = session::check_spelling(binaries, page).and_then(|()| session::run(binaries, page));
        let count = page.blocks.iter().filter(|block| block.kind == Kind::Run).count();
        match told {
            Ok(()) if count > 0 => println!("ok  {:>2} blocks  {}", count, page.path.display()),
            Ok(()) => {}
            Err(error) => failed.push(format!("{}: {error:#}", page.path.display())),
        }
        ran += count;
    }
    if !failed.is_empty() {
        bail!("{} pages failed:\n{}", failed.len(), failed.join("\n\n"));
    }
    println!("{ran} blocks of commands ran as the pages say");
    Ok(())
}
