//! That every link leads somewhere: to a file, a page of the book, a heading. Addresses elsewhere are
//! looked at and not asked for, since a test run must not depend on the world.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};

use super::page::Page;
use crate::shell;

/// Where readers find the files of the repository that are not pages of the book.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/");

/// Follows every link of every page, and tells all that lead nowhere.
pub fn check(pages: &[Page]) -> Result<()> {
    let by_path: BTreeMap<&Path, &Page> = pages.iter().map(|page| (page.path.as_path(), page)).collect();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages {
        for link in &page.links {
            count += 1;
            if let Some(why) = fault(page, &link.target, &by_path) {
                wrong.push(format!("{}:{}: {}: {why}", page.path.display(), link.line, link.target));
            }
        }
    }
    if wrong.is_empty() {
        println!("{count} links on {} pages lead somewhere", pages.len());
        return Ok(());
    }
    bail!("{} links lead nowhere:\n{}", wrong.len(), wrong.join("\n"));
}

/// Why a link of a page leads nowhere.
fn fault(page: &Page, target: &str, pages: &BTreeMap<&Path, &Page>) -> Option<String> {
    if let Some(path) = target.strip_prefix(REPOSITORY) {
        return fault_in_repository(path);
    }
    if target.contains(':') {
        return (!is_address(target)).then(|| "not an address".to_owned());
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.path.parent().unwrap_or(Path::new(""));
    let Some(path) = (match path {
        "" => Some(page.path.clone()),
        path => normal(&folder.join(path)),
    }) else {
        return Some("outside of the repository".to_owned());
    };
    if !shell::root().join(&path).exists() {
        return Some(format!("{} is not there", path.display()));
    }
    let other = pages.get(path.as_path());
    if page.in_book && !other.map_or_else(|| path.starts_with("docs"), |other| other.in_book) {
        return Some(format!(
            "not in the book: link to {REPOSITORY}blob/main/{}",
            path.display()
        ));
    }
    let has_heading = heading.is_empty() || other.is_some_and(|other| other.anchors.contains(heading));
    (!has_heading).then(|| format!("{} has no such heading", path.display()))
}

/// The same of a file at the repository's own address.
fn fault_in_repository(path: &str) -> Option<String> {
    let (kind, file) = path.split_once("/main/").unwrap_or((path, ""));
    let is_file = ["blob", "tree", "raw"].contains(&kind);
    let file = file.split('#').next().unwrap_or(file);
    (is_file && !shell::root().join(file).exists()).then(|| format!("{file} is not in the repository"))
}

fn is_address(target: &str) -> bool {
    let host = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty()
            && host
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || ".-:".contains(letter))
    };
    target
        .strip_prefix("https://")
        .or_else(|| target.strip_prefix("http://"))
        .map_or_else(|| target.starts_with("mailto:") && target.contains('@'), host)
        && !target.contains(char::is_whitespace)
}

/// A path without `.` and `..`; none where it leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for good in [
            "https://example.org/a?b#c",
            "http://127.0.0.1:8787",
            "mailto:ann@example.org",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "https://",
            "https:///a",
            "https://a b",
            "ftp://example.org",
            "mailto:ann",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_link_leads_to_what_its_readers_can_open() {
        let page = |path: &str, in_book| Page {
            path: path.into(),
            in_book,
            blocks: Vec::new(),
            links: Vec::new(),
            anchors: ["the-words".to_owned()].into(),
        };
        let (index, readme) = (page("docs/index.md", true), page("README.md", false));
        let pages = [&index, &readme].map(|page| (page.path.as_path(), page)).into();
        let blob = |path: &str| format!("{REPOSITORY}blob/main/{path}");
        let check = |from: &Page, target: &str, is_good: bool| {
            let fault = fault(from, target, &pages);
            assert_eq!(fault.is_none(), is_good, "{target}: {fault:?}");
        };
        check(&index, "#the-words", true);
        check(&index, "#no-words", false);
        check(&index, "images/console.png", true);
        check(&index, "images/nothing.png", false);
        check(&index, "../README.md", false);
        check(&index, &blob("README.md"), true);
        check(&index, &blob("NOTHING.md"), false);
        check(&readme, "docs/index.md#the-words", true);
        check(&readme, "../elsewhere", false);
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(
            normal(Path::new("docs/how-to/../reference/cli.md")),
            Some("docs/reference/cli.md".into())
        );
        assert_eq!(normal(Path::new("docs/../../else")), None);
    }
}
