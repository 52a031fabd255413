//! The files that JAR signatures consist of: sections of attributes, of which exact bytes are
//! hashed.

use std::ops::Range;

/// A section: a manifest's own, or that of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Where it stands, the empty line at its end included.
    pub range: Range<usize>,
    attributes: Vec<(String, String)>,
}

impl Section {
    /// The value of an attribute, whose name is of any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The sections of a file, one after the other.
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Sections<'a> {
    /// The sections of `bytes`; the first one is the file's own.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next line, without what ends it.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.position..).filter(|rest| !rest.is_empty())?;
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))
            .unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        self.position += end
            + if after.starts_with(b"\r\n") {
                2
            } else {
                after.len().min(1)
            };
        Some(line)
    }

    /// The next attribute, put together where it goes on in other lines; empty at a section's end.
    fn attribute(&mut self) -> Option<Vec<u8>> {
        let mut attribute = self.line()?.to_vec();
        while !attribute.is_empty() && self.bytes.get(self.position) == Some(&b' ') {
            attribute.extend(self.line()?.iter().skip(1));
        }
        Some(attribute)
    }
}

impl Iterator for Sections<'_> {
    type Item = Section;

    fn next(&mut self) -> Option<Section> {
        let (start, first) = loop {
            let start = self.position;
            let attribute = self.attribute()?;
            if !attribute.is_empty() {
                break (start, attribute);
            }
        };
        let mut attributes = vec![split(&first)];
        while let Some(attribute) = self.attribute().filter(|attribute| !attribute.is_empty()) {
            attributes.push(split(&attribute));
        }
        Some(Section {
            range: start..self.position,
            attributes,
        })
    }
}

fn split(attribute: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(attribute);
    let (name, value) = text.split_once(": ").unwrap_or((&text, ""));
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_attributes_over_several_lines_and_their_bytes() {
        let file = b"Manifest-Version: 1.0\r\n\r\n\r\nName: a/long\r\n er/name\r\nsha1-digest: x\r\n\r\nName: b\nX: y";
        let sections: Vec<Section> = Sections::new(file).collect();
        assert_eq!(sections.len(), 3);
        assert_eq!(sections[0].range, 0..25);
        assert_eq!(sections[1].get("Name"), Some("a/longer/name"));
        assert_eq!(sections[1].get("SHA1-Digest"), Some("x"));
        assert_eq!(&file[sections[1].range.clone()][..4], b"Name");
        assert_eq!(sections[2].range.end, file.len());
        assert_eq!(Sections::new(b"").count() + Sections::new(b"\n\r\r\n").count(), 0);
    }
}
