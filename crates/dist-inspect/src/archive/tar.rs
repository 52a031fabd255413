//! Tars as streams: one walk over all members, with the long names of GNU and POSIX.

use std::collections::HashSet;
use std::io::{self, Read};

use super::{Faults, check_path};
use crate::refusal::shown;
use crate::source::skip;
use crate::{Budget, Refusal};

const BLOCK: usize = 512;
/// How long an extended header may be, in bytes: it holds names and attributes, and bounds its own
/// memory.
const EXTENDED: u64 = 16 << 20;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with bytes.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// Another name of a member before.
    HardLink,
    /// A device, a pipe or something else, by its type flag.
    Other(u8),
}

/// A member of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, as it stands in the archive; `./` in front is common.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// How many bytes it has in the archive.
    pub size: u64,
    /// Its permissions.
    pub mode: u32,
    /// Where a link leads; empty for others.
    pub target: Vec<u8>,
}

impl Entry {
    /// The path without `./` in front.
    pub fn name(&self) -> &[u8] {
        let mut name = self.path.as_slice();
        while let Some(rest) = name.strip_prefix(b"./") {
            name = rest;
        }
        name
    }
}

/// Calls `visit` with each member and its bytes, of which it may read as many as it likes. What is
/// wrong with single members comes back; it stops no walk.
///
/// # Errors
/// Where the stream itself cannot be read to its end, or exceeds the limits, or `visit` refuses.
pub fn walk(
    mut reader: impl Read,
    budget: &Budget,
    mut visit: impl FnMut(&Entry, &mut dyn Read) -> Result<(), Refusal>,
) -> Result<Faults, Refusal> {
    let limits = budget.limits();
    let mut faults = Faults::default();
    let mut links = Links::default();
    let mut extended = Extended::default();
    let mut count = 0;
    while let Some(header) = next_header(&mut reader)? {
        budget.step()?;
        count += 1;
        if count > limits.entries {
            return Err(Refusal::TooManyEntries { limit: limits.entries });
        }
        let mut entry = read_entry(&header)?;
        if let Some(size) = extended.size.take().filter(|_| !is_extension(header[156])) {
            entry.size = size;
        }
        if header[156] == b'S' {
            skip_sparse_map(&mut reader, &header)?;
        }
        let padding = entry.size.wrapping_neg() % BLOCK as u64;
        let mut bytes = reader.by_ref().take(entry.size);
        if is_extension(header[156]) {
            extended.read(header[156], &mut bytes)?;
        } else {
            if extended.apply(&mut entry) {
                skip_pax_map(&mut bytes)?;
            }
            faults.keep(check_path(entry.name(), limits))?;
            faults.keep(links.check(&entry))?;
            visit(&entry, &mut bytes)?;
        }
        let rest = bytes.limit();
        if skip(&mut bytes, rest)? < rest {
            return Err(Refusal::Truncated);
        }
        skip(&mut reader, padding)?;
    }
    // What follows is padding; reading it checks the sums of what is compressed.
    skip(&mut reader, u64::MAX)?;
    Ok(faults)
}

/// The next header; `None` at a block of zeros, or where the stream ends without one, as some do.
fn next_header(reader: &mut impl Read) -> Result<Option<[u8; BLOCK]>, Refusal> {
    let mut header = [0; BLOCK];
    let mut bytes = Vec::with_capacity(BLOCK);
    reader.by_ref().take(BLOCK as u64).read_to_end(&mut bytes)?;
    match bytes.len() {
        0 => return Ok(None),
        BLOCK => header.copy_from_slice(&bytes),
        _ => return Err(Refusal::Truncated),
    }
    if header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if !is_header(&header) {
        return Err(Refusal::Broken("a tar header has another checksum".to_owned()));
    }
    Ok(Some(header))
}

/// Whether a tar starts so, by the checksum of its first header; the oldest have no magic number.
pub fn starts(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(is_header)
}

/// Whether a header has its checksum. Some old tools took bytes above 127 for negative.
fn is_header(header: &[u8; BLOCK]) -> bool {
    let fields = || {
        let bytes = header.iter().enumerate();
        bytes.map(|(place, byte)| if (148..156).contains(&place) { b' ' } else { *byte })
    };
    let sum: i32 = fields().map(i32::from).sum();
    let signed: i32 = fields().map(|byte| i32::from(byte.cast_signed())).sum();
    let claimed = number(&header[148..156]).and_then(|claimed| i32::try_from(claimed).ok());
    claimed.is_some_and(|claimed| claimed == sum || claimed == signed)
}

fn read_entry(header: &[u8; BLOCK]) -> Result<Entry, Refusal> {
    let mut path = text(&header[..100]).to_vec();
    let prefix = text(&header[345..500]);
    // GNU's own form has other fields there.
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() {
        path = [prefix, b"/", &path].concat();
    }
    let size = number(&header[124..136]).ok_or_else(|| Refusal::Broken("a tar header has no size".to_owned()))?;
    let kind = match header[156] {
        b'0' | 0 if path.ends_with(b"/") => Kind::Folder,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'5' => Kind::Folder,
        other => Kind::Other(other),
    };
    Ok(Entry {
        path,
        // Links and folders have no bytes, whatever some tools write there.
        size: if matches!(kind, Kind::HardLink | Kind::Symlink | Kind::Folder) {
            0
        } else {
            size
        },
        kind,
        mode: number(&header[100..108])
            .and_then(|mode| u32::try_from(mode).ok())
            .unwrap_or(0),
        target: text(&header[157..257]).to_vec(),
    })
}

fn is_extension(flag: u8) -> bool {
    matches!(flag, b'x' | b'g' | b'X' | b'L' | b'K')
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// A number in octal digits, or in GNU's binary form.
fn number(field: &[u8]) -> Option<u64> {
    if field.first() == Some(&0x80) {
        let (high, low) = field[1..].split_at(field.len().checked_sub(9)?);
        let is_small = high.iter().all(|byte| *byte == 0);
        return low.try_into().ok().map(u64::from_be_bytes).filter(|_| is_small);
    }
    let digits = std::str::from_utf8(text(field)).ok()?.trim_matches(' ');
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

/// GNU's old form of a sparse file: the map goes on in blocks of its own. The bytes that follow are
/// those that are there, and are not put in their places.
fn skip_sparse_map(reader: &mut impl Read, header: &[u8; BLOCK]) -> Result<(), Refusal> {
    let mut goes_on = header[482] != 0;
    while goes_on {
        let mut block = [0; BLOCK];
        reader.read_exact(&mut block)?;
        goes_on = block[504] != 0;
    }
    Ok(())
}

/// The map that stands before the bytes of a sparse file as pax has it: how many parts there are, and
/// the place and the size of each, a line a number, in blocks of its own.
fn skip_pax_map(reader: &mut impl Read) -> Result<(), Refusal> {
    let broken = || Refusal::Broken("the map of a sparse file cannot be read".to_owned());
    let mut count = String::new();
    let mut lines = None;
    while lines != Some(0) {
        let mut block = [0; BLOCK];
        reader.read_exact(&mut block)?;
        for byte in block {
            lines = match lines {
                None if byte == b'\n' => Some(count.parse::<u64>().map_err(|_| broken())?.saturating_mul(2)),
                None if count.len() < BLOCK => {
                    count.push(char::from(byte));
                    None
                }
                None => return Err(broken()),
                Some(lines) => Some(lines.saturating_sub(u64::from(byte == b'\n'))),
            };
        }
    }
    Ok(())
}

/// What stands before a member and is about it.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    /// The path of a sparse file, which `path` is not.
    sparse_path: Option<Vec<u8>>,
    /// Whether a map stands before the bytes of a sparse file.
    has_map: bool,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Extended {
    fn read(&mut self, flag: u8, bytes: &mut io::Take<impl Read>) -> Result<(), Refusal> {
        if bytes.limit() > EXTENDED {
            return Err(Refusal::TooLarge { limit: EXTENDED });
        }
        let mut records = Vec::new();
        bytes.read_to_end(&mut records)?;
        match flag {
            b'L' => self.path = Some(text(&records).to_vec()),
            b'K' => self.target = Some(text(&records).to_vec()),
            // What holds for all members is never their paths.
            b'g' => {}
            _ => self.read_pax(&records)?,
        }
        Ok(())
    }

    /// Records of `length key=value\n`, where the length counts itself.
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), Refusal> {
        let broken = || Refusal::Broken("an extended tar header cannot be read".to_owned());
        while !text(records).is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length = std::str::from_utf8(&records[..space])
                .ok()
                .and_then(|length| length.parse().ok());
            let length: usize = length.filter(|length| *length > space).ok_or_else(broken)?;
            let record = records.get(space + 1..length).ok_or_else(broken)?;
            let record = record.strip_suffix(b"\n").ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"GNU.sparse.name" => self.sparse_path = Some(value.to_vec()),
                b"GNU.sparse.major" => self.has_map = value == b"1",
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(broken)?);
                }
                _ => {}
            }
            records = &records[length..];
        }
        Ok(())
    }

    /// Tells the entry what was said of it, and whether a map stands before its bytes.
    fn apply(&mut self, entry: &mut Entry) -> bool {
        let path = self.path.take();
        if let Some(path) = self.sparse_path.take().or(path) {
            entry.path = path;
        }
        if let Some(target) = self.target.take() {
            entry.target = target;
        }
        std::mem::take(&mut self.has_map)
    }
}

/// The symbolic links so far that lead out of the archive. By itself such a link is common, as in
/// `/usr/bin`; writing through it is an attack.
#[derive(Default)]
struct Links(HashSet<Vec<u8>>);

impl Links {
    fn check(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let name = entry.name().trim_ascii_end();
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        if !self.0.is_empty() && slashes.into_iter().any(|(end, _)| self.0.contains(&name[..end])) {
            return Err(Refusal::LinkEscape(shown(name)));
        }
        match entry.kind {
            Kind::Symlink if leads_out(name, &entry.target) => {
                self.0.insert(name.to_vec());
            }
            // Its target is a path in the archive, not one beside the link.
            Kind::HardLink if leads_out(b"", &entry.target) => return Err(Refusal::LinkEscape(shown(name))),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a link at `name` to `target` leads out of the folder that `name` starts in.
fn leads_out(name: &[u8], target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = name.split(|byte| *byte == b'/').count() - 1;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn member(path: &[u8], flag: u8, target: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut header = [0; BLOCK];
        header[..path.len()].copy_from_slice(path);
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = flag;
        header[157..157 + target.len()].copy_from_slice(target);
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let padding = vec![0; bytes.len().wrapping_neg() % BLOCK];
        [&header, bytes, &padding].concat()
    }

    fn list(members: &[Vec<u8>]) -> Result<(Vec<String>, Vec<&'static str>), Refusal> {
        let bytes = members.concat();
        let mut paths = Vec::new();
        let faults = walk(
            &mut bytes.as_slice(),
            &Budget::new(&Limits::default()),
            |entry, bytes| {
                let mut text = String::new();
                bytes.read_to_string(&mut text)?;
                paths.push(format!("{}:{text}", String::from_utf8_lossy(&entry.path)));
                Ok(())
            },
        )?;
        Ok((paths, faults.iter().map(Refusal::code).collect()))
    }

    #[test]
    fn long_names_come_from_headers_before() {
        let (paths, faults) = list(&[
            member(b"././@LongLink", b'L', b"", b"a/long/name\0"),
            member(b"short", b'0', b"", b"1"),
            member(b"pax", b'x', b"", b"16 path=b/\xC3\xA9tat\n"),
            member(b"short", b'0', b"", b"2"),
            member(b"c", b'0', b"", b"3"),
            vec![0; 2 * BLOCK],
        ])
        .unwrap();
        assert_eq!(paths, ["a/long/name:1", "b/état:2", "c:3"]);
        assert!(faults.is_empty());
    }

    #[test]
    fn sparse_files_have_their_own_names_and_bytes() {
        let mut map = b"2\n0\n5\n1000\n0\n".to_vec();
        map.resize(BLOCK, 0);
        map.extend(b"bytes");
        let records = b"22 GNU.sparse.major=1\n21 GNU.sparse.name=a\n";
        let (paths, faults) = list(&[
            member(b"pax", b'x', b"", records),
            member(b"GNUSparseFile.1/a", b'0', b"", &map),
            member(b"b", b'S', b"", b"old"),
            member(b"c", b'0', b"", b"2\n"),
        ])
        .unwrap();
        assert_eq!(paths, ["a:bytes", "b:old", "c:2\n"]);
        assert!(faults.is_empty());
        for bad in [&b"two\n"[..], b"9\n0\n"] {
            let mut map = bad.to_vec();
            map.resize(BLOCK, b'x');
            let bad = list(&[member(b"pax", b'x', b"", records), member(b"a", b'0', b"", &map)]);
            assert!(bad.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_checksum_may_be_signed() {
        let mut header = member(b"acm\xC3\xA9", b'0', b"", b"");
        assert!(starts(&header));
        let claimed = number(&header[148..156]).unwrap() - 2 * 256;
        header[148..155].copy_from_slice(format!("{claimed:06o}\0").as_bytes());
        assert_eq!(list(&[header.clone()]).unwrap().0.len(), 1);
        header[0] = b'b';
        assert!(!starts(&header) && !starts(b"") && !starts(&[0; BLOCK]));
    }

    #[test]
    fn paths_and_links_that_lead_out_are_faults() {
        let code = |members: &[Vec<u8>]| list(members).unwrap().1;
        assert_eq!(code(&[member(b"../a", b'0', b"", b"")]), ["archive.path_traversal"]);
        let link = member(b"app/out", b'2', b"/etc", b"");
        assert!(code(std::slice::from_ref(&link)).is_empty());
        assert_eq!(
            code(&[link, member(b"app/out/x", b'0', b"", b"")]),
            ["archive.link_escape"]
        );
        let inside = member(b"app/in", b'2', b"../lib", b"");
        assert!(code(&[inside, member(b"app/in/x", b'0', b"", b"")]).is_empty());
        assert_eq!(
            code(&[member(b"pw", b'1', b"/etc/passwd", b"")]),
            ["archive.link_escape"]
        );
        assert!(code(&[member(b"pw", b'1', b"app/pw", b"")]).is_empty());
    }

    #[test]
    fn cut_and_damaged_tars_are_refused() {
        let whole = member(b"a", b'0', b"", b"bytes");
        assert!(matches!(
            list(&[whole[..600].to_vec()]),
            Ok(_) | Err(Refusal::Truncated)
        ));
        assert!(matches!(list(&[whole[..514].to_vec()]), Err(Refusal::Truncated)));
        assert!(matches!(list(&[whole[..100].to_vec()]), Err(Refusal::Truncated)));
        let mut damaged = whole;
        damaged[0] = b'b';
        assert!(matches!(list(&[damaged]), Err(Refusal::Broken(_))));
    }
}
