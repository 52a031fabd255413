//! File systems in images, by path.

use crate::Refusal;

/// How many symbolic links a path may lead through.
const LINKS: u32 = 8;
/// How many parts a path may have, those of links included.
const PARTS: usize = 64;

/// The names and nodes in a folder, in their order.
pub type Children<N> = Vec<(Vec<u8>, N)>;

/// A file system that can be looked into.
pub trait Tree {
    /// Something in it: a file, a folder, a link.
    type Node: Clone;

    /// The folder that all else is in.
    fn root(&self) -> Result<Self::Node, Refusal>;

    /// What is in a folder; nothing is in what is no folder.
    fn children(&self, folder: &Self::Node) -> Result<Children<Self::Node>, Refusal>;

    /// Where a symbolic link leads; `None` for what is none.
    fn target(&self, node: &Self::Node) -> Result<Option<Vec<u8>>, Refusal>;

    /// The bytes of a file, of which there may be `limit` at most; `None` for what is no file.
    fn bytes(&self, node: &Self::Node, limit: u64) -> Result<Option<Vec<u8>>, Refusal>;

    /// What a path leads to, through links that stay in the image; absolute ones start at its root.
    fn find(&self, path: &[u8]) -> Result<Option<Self::Node>, Refusal> {
        let mut above = vec![self.root()?];
        let mut rest = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == b".." {
                above.truncate(above.len().saturating_sub(1).max(1));
                continue;
            }
            let Some(folder) = above.last() else { return Ok(None) };
            let found = self.children(folder)?.into_iter().find(|(name, _)| *name == part);
            let Some((_, node)) = found else { return Ok(None) };
            let Some(target) = self.target(&node)? else {
                above.push(node);
                continue;
            };
            links += 1;
            if target.starts_with(b"/") {
                above.truncate(1);
            }
            rest.extend(parts(&target));
            if links > LINKS || rest.len() > PARTS {
                return Ok(None);
            }
        }
        Ok(above.pop())
    }

    /// The bytes of the file at a path, of which there may be `limit` at most.
    fn read(&self, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>, Refusal> {
        match self.find(path)? {
            Some(node) => self.bytes(&node, limit),
            None => Ok(None),
        }
    }
}

/// The parts of a path, the last one first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path
        .split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."));
    parts.rev().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths, each with its bytes, or with where it leads.
    struct Paths(&'static [(&'static str, Result<&'static str, &'static str>)]);

    impl Tree for Paths {
        type Node = String;

        fn root(&self) -> Result<String, Refusal> {
            Ok(String::new())
        }

        fn children(&self, folder: &String) -> Result<Children<String>, Refusal> {
            let inside = |(path, _): &(&str, _)| {
                let name = path
                    .strip_prefix(folder.as_str())?
                    .strip_prefix('/')?
                    .split('/')
                    .next()?;
                Some((name.as_bytes().to_vec(), format!("{folder}/{name}")))
            };
            Ok(self.0.iter().filter_map(inside).collect())
        }

        fn target(&self, node: &String) -> Result<Option<Vec<u8>>, Refusal> {
            let found = self.0.iter().find(|(path, _)| path == node);
            Ok(found
                .and_then(|(_, what)| what.err())
                .map(|target| target.as_bytes().to_vec()))
        }

        fn bytes(&self, node: &String, _: u64) -> Result<Option<Vec<u8>>, Refusal> {
            let found = self.0.iter().find(|(path, _)| path == node);
            Ok(found
                .and_then(|(_, what)| what.ok())
                .map(|bytes| bytes.as_bytes().to_vec()))
        }
    }

    #[test]
    fn links_are_followed_inside_of_the_image() {
        let tree = Paths(&[
            ("/icon", Err("usr/share/icon.png")),
            ("/usr/share/icon.png", Ok("png")),
            ("/usr/share/up", Err("../../../../icon")),
            ("/abs", Err("/usr/share/up")),
            ("/dir", Err("usr/./share")),
            ("/a", Err("b")),
            ("/b", Err("a/c")),
            ("/out", Err("../etc/passwd")),
        ]);
        for path in ["icon", "./usr/share/icon.png", "abs", "dir/up", "usr/../icon"] {
            assert_eq!(
                tree.read(path.as_bytes(), 9).unwrap().as_deref(),
                Some(&b"png"[..]),
                "{path}"
            );
        }
        for path in ["a", "out", "none", "icon/none", "usr"] {
            assert_eq!(tree.read(path.as_bytes(), 9).unwrap(), None, "{path}");
        }
    }
}
