//! The files of an ISO 9660 image by their paths.

use std::collections::{BTreeMap, BTreeSet};

use super::File;
use crate::parse::iso9660::Iso;
use crate::parse::tree::Tree as _;
use crate::source::Source;
use crate::{Budget, Refusal};

/// How deep folders may lie in each other.
const DEPTH: usize = 64;

pub(super) fn files(source: &dyn Source, budget: &Budget) -> Result<BTreeMap<Vec<u8>, File>, Refusal> {
    let limits = budget.limits();
    let iso = Iso::open(source, budget)?;
    let mut files = BTreeMap::new();
    let mut left = limits.directory_bytes;
    let root = iso.root()?;
    // A folder that is in itself is looked into once.
    let mut seen = BTreeSet::from([root.place().start]);
    let mut folders = vec![(Vec::new(), root)];
    while let Some((folder, node)) = folders.pop() {
        for (name, child) in iso.children(&node)? {
            if files.len() as u64 >= limits.entries {
                return Err(Refusal::TooManyEntries { limit: limits.entries });
            }
            let mut path = [&folder[..], &name].concat();
            left = left
                .checked_sub(path.len() as u64 + 64)
                .ok_or(Refusal::DirectoryTooLong {
                    limit: limits.directory_bytes,
                })?;
            if !child.is_folder() {
                let place = child.place();
                files.insert(path, File::new(place.end - place.start, [place]));
                continue;
            }
            path.push(b'/');
            let is_deep = path.iter().filter(|byte| **byte == b'/').nth(DEPTH).is_some();
            if !is_deep && seen.insert(child.place().start) {
                folders.push((path.clone(), child));
            }
            files.insert(path, File::default());
        }
    }
    Ok(files)
}
