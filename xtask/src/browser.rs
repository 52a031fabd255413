//! `cargo xtask browser`: the pages, used in a real browser as people use them.
//!
//! The stories are in `xtask/browser`, for Node's own test runner; Playwright drives Debian's
//! Chromium, and axe-core looks at every page.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::corpus::{Corpus, Fixtures};
use crate::server::Binaries;
use crate::{shell, tools};

const PLAYWRIGHT: &str = "1.65.1";
const AXE: &str = "4.14.1";
const LIMIT: Duration = Duration::from_mins(15);

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// The stories to tell, by a part of their file's name [default: all]
    stories: Vec<String>,
    /// Keep screenshots of every page that a story looks at in this folder
    #[arg(long, value_name = "DIR")]
    screenshots: Option<std::path::PathBuf>,
    #[command(flatten)]
    corpus: Fixtures,
}

/// Tells the stories that the arguments name.
pub fn run(binaries: &Binaries, args: &Args) -> Result<()> {
    let screenshots = args.screenshots.as_ref().map(std::path::absolute).transpose()?;
    tell(binaries, &args.corpus.find(), &args.stories, screenshots.as_deref())
}

/// Tells all stories.
pub fn run_all(binaries: &Binaries, corpus: &Corpus) -> Result<()> {
    tell(binaries, corpus, &[], None)
}

fn tell(binaries: &Binaries, corpus: &Corpus, wanted: &[String], screenshots: Option<&std::path::Path>) -> Result<()> {
    tools::ensure_browser()?;
    tools::node_package("axe-core", AXE)?;
    let modules = tools::node_package("playwright-core", PLAYWRIGHT)?.join("node_modules");
    let folder = shell::root().join("xtask/browser");
    let mut stories = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let asked_for = wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
        if name.ends_with(".test.mjs") && asked_for {
            stories.push(folder.join(name));
        }
    }
    ensure!(!stories.is_empty(), "no story in {} has such a name", folder.display());
    stories.sort();
    let [dist, distd] = binaries.paths();
    let mut node = shell::command("node");
    node.args([
        "--test",
        "--test-concurrency=2",
        "--test-timeout=120000",
        "--test-reporter=spec",
    ])
    .args(stories);
    node.env("DIST", dist).env("DISTD", distd).env("NODE_MODULES", modules);
    if let Corpus::At(fixtures) | Corpus::Required(fixtures) = corpus {
        node.env("FIXTURES", fixtures);
    }
    if let Some(folder) = screenshots {
        std::fs::create_dir_all(folder)?;
        node.env("SCREENSHOTS", folder);
    }
    shell::run(&mut node, LIMIT)
}
