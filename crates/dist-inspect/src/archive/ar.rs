//! `ar` archives, as debs are.

use std::ops::Range;

use super::check_path;
use crate::source::{Section, Source};
use crate::{Budget, Refusal};

/// How an `ar` starts.
pub const MAGIC: &[u8] = b"!<arch>\n";

const HEADER: usize = 60;

/// A member of an `ar`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, without the slash that ends it in GNU's form.
    pub name: Vec<u8>,
    /// Where its bytes are, as far as the file goes.
    pub range: Range<u64>,
    /// Whether the file ends before the member does.
    pub is_cut: bool,
}

impl Member {
    /// Its bytes in the archive, by position.
    ///
    /// # Errors
    /// [`Refusal::Truncated`].
    pub fn section<'a>(&self, archive: &'a dyn Source) -> Result<Section<'a>, Refusal> {
        Section::new(archive, self.range.clone())
    }
}

/// The members of `source`, in their order; only the last one can be cut. Names in the tables of GNU
/// and BSD for long ones are not looked up, as no deb has any. What follows a deb's last member and is
/// none is left alone, as `dpkg` does.
///
/// # Errors
/// [`Refusal::Broken`]; [`Refusal::Truncated`] where it ends in a header; those of limits.
pub fn members(source: &dyn Source, budget: &Budget) -> Result<Vec<Member>, Refusal> {
    let limits = budget.limits();
    let mut magic = [0; MAGIC.len()];
    source.read_exact_at(0, &mut magic)?;
    if magic != MAGIC {
        return Err(Refusal::Broken("it does not start as an ar does".to_owned()));
    }
    let mut members = Vec::new();
    let mut offset = magic.len() as u64;
    while offset < source.len() {
        budget.step()?;
        if members.len() as u64 >= limits.entries {
            return Err(Refusal::TooManyEntries { limit: limits.entries });
        }
        let (name, size) = match header(source, offset) {
            Err(Refusal::Truncated | Refusal::Broken(_)) if has_data(&members) => break,
            header => header?,
        };
        let start = offset + HEADER as u64;
        let claimed = start.saturating_add(size);
        let end = claimed.min(source.len());
        check_path(&name, limits)?;
        members.push(Member {
            name,
            range: start..end,
            is_cut: end < claimed,
        });
        offset = end.saturating_add(end % 2);
    }
    Ok(members)
}

/// The name and the size that the header at `offset` tells.
fn header(source: &dyn Source, offset: u64) -> Result<(Vec<u8>, u64), Refusal> {
    let mut header = [0; HEADER];
    source.read_exact_at(offset, &mut header)?;
    let (name, size, end) = (&header[..16], &header[48..58], &header[58..]);
    let size = std::str::from_utf8(size)
        .ok()
        .and_then(|size| size.trim_end().parse().ok());
    let (Some(size), b"`\n") = (size, end) else {
        return Err(Refusal::Broken(format!("there is no header at {offset}")));
    };
    let name = name.trim_ascii_end();
    Ok((name.strip_suffix(b"/").unwrap_or(name).to_vec(), size))
}

/// Whether the member is there that `dpkg` reads last.
fn has_data(members: &[Member]) -> bool {
    members.iter().any(|member| member.name.starts_with(b"data.tar"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn member(name: &str, size: &str, bytes: &[u8]) -> Vec<u8> {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644);
        [header.as_bytes(), bytes].concat()
    }

    fn list(parts: &[&[u8]]) -> Result<Vec<Member>, Refusal> {
        members(&parts.concat(), &Budget::new(&Limits::default()))
    }

    #[test]
    fn members_stand_at_even_places() {
        let first = member("debian-binary", "3", b"2.0\n");
        let second = member("control.tar.xz/", "2", b"ab");
        let found = list(&[MAGIC, &first, &second]).unwrap();
        assert_eq!(found[0].range, 68..71);
        assert_eq!(
            (&found[1].name[..], found[1].range.clone()),
            (&b"control.tar.xz"[..], 132..134)
        );
    }

    #[test]
    fn what_follows_the_last_member_of_a_deb_is_left_alone() {
        let data = member("data.tar", "2", b"ab");
        for rest in [&b"\n"[..], &[0; 100]] {
            assert_eq!(list(&[MAGIC, &data, rest]).unwrap().len(), 1);
            assert!(list(&[MAGIC, &member("other", "2", b"ab"), rest]).is_err());
        }
    }

    #[test]
    fn sizes_that_lie_are_told() {
        let cut = list(&[MAGIC, &member("a", "3", b"ab")]).unwrap();
        assert_eq!((cut[0].range.clone(), cut[0].is_cut), (68..70, true));
        assert!(matches!(
            list(&[MAGIC, &member("a", "x", b"ab")]),
            Err(Refusal::Broken(_))
        ));
        let huge = member("a", "9999999999", b"");
        assert!(list(&[MAGIC, &huge]).unwrap()[0].is_cut);
        assert!(matches!(list(&[MAGIC, &huge[..40]]), Err(Refusal::Truncated)));
        assert!(matches!(list(&[b"!<thin>\n"]), Err(Refusal::Broken(_))));
    }
}
