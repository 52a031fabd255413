//! A page of Markdown: what can be run in it, linked from it and linked to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::shell;

/// The list of the book's pages.
const SUMMARY: &str = "docs/SUMMARY.md";
/// Folders whose Markdown is not ours, or not for readers.
const SKIPPED: [&str; 3] = ["target", "node_modules", "fixtures"];

/// One page.
pub struct Page {
    /// Its path in the repository.
    pub path: PathBuf,
    /// Whether it is a page of the book.
    pub in_book: bool,
    /// Its blocks of commands and of what they print.
    pub blocks: Vec<Block>,
    /// Where it links to.
    pub links: Vec<Link>,
    /// The names of its headings, as links spell them.
    pub anchors: BTreeSet<String>,
}

/// A link or a picture.
pub struct Link {
    /// Its line in the file.
    pub line: usize,
    /// Where it leads, as written.
    pub target: String,
}

/// A fenced block.
pub struct Block {
    /// The line of its fence.
    pub line: usize,
    /// What is to become of it.
    pub kind: Kind,
    /// What is between the fences.
    pub text: String,
}

/// What is to become of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Commands that are run.
    Run,
    /// Commands that cannot be run here.
    NotRun,
    /// Commands that set up an empty machine.
    Install,
    /// What the commands before it print.
    Output,
}

impl Page {
    /// Whether its commands are meant for people who use the product.
    pub fn is_for_users(&self) -> bool {
        self.in_book || self.path == Path::new("README.md")
    }

    fn parse(path: PathBuf, in_book: bool, text: &str) -> Result<Self> {
        let mut page = Self {
            path,
            in_book,
            blocks: Vec::new(),
            links: Vec::new(),
            anchors: BTreeSet::new(),
        };
        let line = |offset: usize| text[..offset].matches('\n').count() + 1;
        let mut heading: Option<String> = None;
        let mut block: Option<Block> = None;
        let mut has_reason = false;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let is_comment = event == Event::End(TagEnd::HtmlBlock) && text[range.clone()].starts_with("<!--");
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.add_anchor(&heading.take().unwrap_or_default()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => page.links.push(Link {
                    line: line(range.start),
                    target: dest_url.into_string(),
                }),
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let kind = kind(&info).with_context(|| format!("line {}", line(range.start)))?;
                    ensure!(
                        kind != Some(Kind::NotRun) || has_reason,
                        "line {}: say in a comment before the block why it is not run",
                        line(range.start)
                    );
                    block = kind.map(|kind| Block {
                        line: line(range.start),
                        kind,
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Text(words) | Event::Code(words) => {
                    if let Some(block) = &mut block {
                        block.text.push_str(&words);
                    } else if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                }
                _ => {}
            }
            has_reason = is_comment;
        }
        Ok(page)
    }

    fn add_anchor(&mut self, heading: &str) {
        let name = anchor(heading);
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| !self.anchors.contains(name));
        self.anchors.extend(free);
    }
}

/// What the words behind a fence say; none where the block is not about commands.
fn kind(info: &str) -> Result<Option<Kind>> {
    let words: Vec<&str> = info.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    Ok(match words[..] {
        ["sh"] => Some(Kind::Run),
        ["sh", "not-run"] => Some(Kind::NotRun),
        ["sh", "install"] => Some(Kind::Install),
        ["text", "output"] => Some(Kind::Output),
        ["sh" | "text", mark, ..] => bail!("no block is marked {mark:?}"),
        ["bash" | "shell" | "console" | "zsh", ..] => bail!("write sh for commands, so that they are run"),
        _ => None,
    })
}

/// The name of a heading, as GitHub and the book spell it.
fn anchor(heading: &str) -> String {
    let letters = heading.trim().chars().filter_map(|letter| match letter {
        letter if letter.is_whitespace() => Some('-'),
        letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
        _ => None,
    });
    letters.flat_map(char::to_lowercase).collect()
}

/// Every page of the repository, and that each page of docs/ is one of the book.
pub fn all() -> Result<Vec<Page>> {
    let root = shell::root();
    let book = book(&fs::read_to_string(root.join(SUMMARY)).context(SUMMARY)?)?;
    let mut paths = Vec::new();
    collect(&root, Path::new(""), &mut paths)?;
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.starts_with("docs") && **path != Path::new(SUMMARY))
    {
        ensure!(
            book.contains(path),
            "{}: not in {SUMMARY}, so that nobody finds it",
            path.display()
        );
    }
    let pages = paths.into_iter().map(|path| {
        let text = with_includes(&fs::read_to_string(root.join(&path))?, &root.join(&path));
        let in_book = book.contains(&path);
        text.and_then(|text| Page::parse(path.clone(), in_book, &text))
            .with_context(|| path.display().to_string())
    });
    pages.collect()
}

/// The pages that the book's summary lists.
fn book(summary: &str) -> Result<BTreeSet<PathBuf>> {
    let summary = Page::parse(PathBuf::from(SUMMARY), false, summary)?;
    let pages = summary.links.iter().map(|link| Path::new("docs").join(&link.target));
    Ok(pages.collect())
}

fn collect(root: &Path, folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let (entry, name) = entry.map(|entry| (entry.file_type(), entry.file_name()))?;
        let (path, name) = (folder.join(&name), name.to_string_lossy());
        let is_ours = !name.starts_with('.') && !SKIPPED.contains(&&*name);
        if is_ours && entry?.is_dir() {
            collect(root, &path, paths)?;
        } else if is_ours && path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The text with the files that its lines `{{#include FILE}}` name, as the book shows it.
fn with_includes(text: &str, page: &Path) -> Result<String> {
    let folder = page.parent().context("a page is in a folder")?;
    let mut whole = String::new();
    for line in text.lines() {
        match line
            .strip_prefix("{{#include ")
            .and_then(|rest| rest.strip_suffix("}}"))
        {
            Some(file) => whole.push_str(&fs::read_to_string(folder.join(file)).context(file.to_owned())?),
            None => whole.push_str(line),
        }
        whole.push('\n');
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Page> {
        Page::parse(PathBuf::from("page.md"), true, text)
    }

    #[test]
    fn blocks_links_and_headings_of_a_page_are_found() {
        let page = parse(
            "# A `dist` page!\n\n## Again\n\n## Again\n\nSee [there](b.md#c) and ![it](a.png).\n\n\
             ```sh\necho 1\necho 2\n```\n\n```text,output\n1\n```\n\n```json\n{}\n```\n",
        )
        .unwrap();
        assert_eq!(
            page.anchors,
            ["a-dist-page", "again", "again-1"].map(str::to_owned).into()
        );
        let links: Vec<_> = page
            .links
            .iter()
            .map(|link| (link.line, link.target.as_str()))
            .collect();
        assert_eq!(links, [(7, "b.md#c"), (7, "a.png")]);
        let blocks: Vec<_> = page
            .blocks
            .iter()
            .map(|block| (block.kind, block.line, block.text.as_str()))
            .collect();
        assert_eq!(blocks, [(Kind::Run, 9, "echo 1\necho 2\n"), (Kind::Output, 14, "1\n")]);
    }

    #[test]
    fn what_is_not_run_has_a_reason() {
        assert!(parse("<!-- It needs a phone. -->\n```sh,not-run\ndist\n```\n").is_ok());
        assert!(parse("```sh,not-run\ndist\n```\n").is_err());
        assert!(parse("<!-- It needs a phone. -->\n\nBut then:\n\n```sh,not-run\ndist\n```\n").is_err());
    }

    #[test]
    fn marks_that_nobody_knows_and_other_shells_are_refused() {
        for fence in ["sh,norun", "text,out", "bash", "console"] {
            assert!(parse(&format!("```{fence}\nx\n```\n")).is_err(), "{fence}");
        }
    }
}
