//! Xar archives: a table of contents in XML, and a heap of bytes.
//! Source: <https://github.com/apple-oss-distributions/xar>, `xar.h.in` and `archive.c`.

use super::big::u64_or_zero as u64_at;
use std::io::Read;

use bzip2::read::BzDecoder;
use flate2::read::ZlibDecoder;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::plist::base64;
use super::xml::{self, Element};
use crate::archive::check_path;
use crate::refusal::shown;
use crate::source::{Section, Source, Stream};
use crate::{Budget, Refusal};

/// How long a header is that has no name of a checksum in it.
const HEADER: u64 = 28;
/// How long a checksum or a signature may be, in bytes.
const SIGNATURE: u64 = 1 << 20;
/// How many certificates a signature may have.
const CERTIFICATES: usize = 20;

/// An archive whose table has been read.
pub struct Xar<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    /// Where the heap starts.
    heap: u64,
    /// The table, as it stands there.
    packed_toc: Vec<u8>,
    toc: Element,
    /// Whether the table unpacks to as many bytes as the header says.
    pub has_told_size: bool,
}

/// A file in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The names of its folders and its own.
    pub path: String,
    /// Where its bytes are; `None` for a folder.
    pub data: Option<Data>,
}

/// Bytes in the heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    offset: u64,
    length: u64,
    /// The media type of what packs it.
    encoding: String,
    /// How the packed bytes are hashed, and the digest in hexadecimal.
    checksum: Option<(String, String)>,
}

/// A signature of the table's checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `RSA` or `CMS`.
    pub style: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The certificates in DER, the signer's first.
    pub certificates: Vec<Vec<u8>>,
}

impl<'a> Xar<'a> {
    /// Reads the header and the table.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where there is no table that can be read, or it exceeds the limits.
    pub fn open(source: &'a dyn Source, budget: &'a Budget) -> Result<Self, Refusal> {
        let head = source.bytes(0..HEADER, HEADER)?;
        let size = u64::from(u16::from_be_bytes([head[4], head[5]]));
        let (packed, unpacked) = (u64_at(&head, 8), u64_at(&head, 16));
        if !head.starts_with(b"xar!") || size < HEADER {
            return Err(broken("its header is none"));
        }
        let limit = budget.limits().directory_bytes;
        let heap = size.checked_add(packed).ok_or(Refusal::Truncated)?;
        let packed_toc = source.bytes(size..heap, limit)?;
        let mut toc = Vec::new();
        let mut decoder = ZlibDecoder::new(&packed_toc[..]).take(limit + 1);
        decoder.read_to_end(&mut toc)?;
        budget.take(toc.len() as u64)?;
        if toc.len() as u64 > limit {
            return Err(Refusal::DirectoryTooLong { limit });
        }
        let mut elements = xml::parse(&toc, budget)?.children.into_iter();
        let table = elements.find(|element| element.local_name() == "toc");
        Ok(Self {
            source,
            budget,
            heap,
            packed_toc,
            toc: table.ok_or_else(|| broken("its table of contents is empty"))?,
            has_told_size: toc.len() as u64 == unpacked,
        })
    }

    /// All files and folders, in the table's order.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where the table tells numbers that are none.
    pub fn files(&self) -> Result<Vec<File>, Refusal> {
        let mut files = Vec::new();
        self.add_files(&self.toc, "", &mut files)?;
        Ok(files)
    }

    /// The parser bounds how deep files lie in folders.
    fn add_files(&self, parent: &Element, folder: &str, files: &mut Vec<File>) -> Result<(), Refusal> {
        let limits = self.budget.limits();
        for element in parent.all("file") {
            self.budget.step()?;
            if files.len() as u64 >= limits.entries {
                return Err(Refusal::TooManyEntries { limit: limits.entries });
            }
            let name = element.child_text("name").unwrap_or_default();
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            check_path(path.as_bytes(), limits)?;
            let data = element.child("data").map(read_data).transpose()?;
            files.push(File {
                path: path.clone(),
                data,
            });
            self.add_files(element, &path, files)?;
        }
        Ok(())
    }

    /// Whether the bytes of a file are all there.
    pub fn is_whole(&self, data: &Data) -> bool {
        self.section(data.offset, data.length).is_ok()
    }

    /// The bytes of a file, of which there may be `max` at most, checked against its checksum.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::CrcMismatch`], and why they cannot be unpacked.
    pub fn read(&self, file: &File, max: u64) -> Result<Vec<u8>, Refusal> {
        let Some(data) = &file.data else {
            return Ok(Vec::new());
        };
        let section = self.section(data.offset, data.length)?;
        let packed = section.bytes(0..section.len(), self.budget.limits().member_bytes)?;
        if let Some((style, expected)) = &data.checksum
            && let Some(digest) = digest(style, &packed)
            && !hex::encode(digest).eq_ignore_ascii_case(expected)
        {
            return Err(Refusal::CrcMismatch(shown(file.path.as_bytes())));
        }
        let input = Stream::new(&packed);
        let decoder: Box<dyn Read> = match data.encoding.as_str() {
            "application/octet-stream" | "" => Box::new(input),
            "application/x-gzip" => Box::new(ZlibDecoder::new(input)),
            "application/x-bzip2" => Box::new(BzDecoder::new(input)),
            other => return Err(broken(format!("{other} packs a file, which is not known"))),
        };
        let mut bytes = Vec::new();
        decoder.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
        self.budget.take(bytes.len() as u64)?;
        if bytes.len() as u64 > max {
            return Err(Refusal::TooLarge { limit: max });
        }
        Ok(bytes)
    }

    /// The checksum of the table, which is what is signed.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where it lies nowhere.
    pub fn checksum(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let checksum = self.toc.child("checksum");
        checksum.map(|element| self.placed(element)).transpose()
    }

    /// Whether the checksum is the table's; `None` where there is none, or of a kind that is not
    /// known.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where it lies nowhere.
    pub fn is_checksum_right(&self) -> Result<Option<bool>, Refusal> {
        let style = self
            .toc
            .child("checksum")
            .and_then(|element| element.attribute("style"));
        let Some(digest) = digest(style.unwrap_or_default(), &self.packed_toc) else {
            return Ok(None);
        };
        Ok(self.checksum()?.map(|checksum| checksum == digest))
    }

    /// The signatures, that with a signed message before the plain one.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where one lies nowhere.
    pub fn signatures(&self) -> Result<Vec<Signature>, Refusal> {
        let elements = self.toc.all("x-signature").chain(self.toc.all("signature"));
        let read = |element: &Element| {
            let data = element.path(&["KeyInfo", "X509Data"]);
            let texts = data.into_iter().flat_map(|data| data.all("X509Certificate"));
            Ok(Signature {
                style: element.attribute("style").unwrap_or_default().to_owned(),
                bytes: self.placed(element)?,
                certificates: texts.take(CERTIFICATES).filter_map(|text| base64(&text.text)).collect(),
            })
        };
        elements.take(2).map(read).collect()
    }

    /// The bytes in the heap that an element tells the place of.
    fn placed(&self, element: &Element) -> Result<Vec<u8>, Refusal> {
        let section = self.section(number(element, "offset")?, number(element, "size")?)?;
        section.bytes(0..section.len(), SIGNATURE)
    }

    fn section(&self, offset: u64, length: u64) -> Result<Section<'a>, Refusal> {
        let start = self.heap.checked_add(offset).ok_or(Refusal::Truncated)?;
        let end = start.checked_add(length).ok_or(Refusal::Truncated)?;
        Section::new(self.source, start..end)
    }
}

fn read_data(element: &Element) -> Result<Data, Refusal> {
    let checksum = element.child("archived-checksum");
    let style = checksum.and_then(|checksum| checksum.attribute("style"));
    let encoding = element
        .child("encoding")
        .and_then(|encoding| encoding.attribute("style"));
    Ok(Data {
        offset: number(element, "offset")?,
        length: number(element, "length")?,
        encoding: encoding.unwrap_or_default().to_owned(),
        checksum: checksum
            .zip(style)
            .map(|(checksum, style)| (style.to_owned(), checksum.text.trim().to_owned())),
    })
}

fn number(element: &Element, name: &str) -> Result<u64, Refusal> {
    let text = element.child_text(name).unwrap_or("0");
    text.parse().map_err(|_| broken(format!("its {name} is no number")))
}

fn digest(style: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match style.to_ascii_lowercase().as_str() {
        "sha1" => Some(Sha1::digest(bytes).to_vec()),
        "sha256" => Some(Sha256::digest(bytes).to_vec()),
        "sha512" => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}

fn broken(why: impl Into<String>) -> Refusal {
    Refusal::Broken(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::io::Write as _;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xar(files: &str, heap: &[u8]) -> Vec<u8> {
        let checksum = r#"<checksum style="sha1"><offset>0</offset><size>20</size></checksum>"#;
        let toc = format!("<xar><toc>{checksum}{files}</toc></xar>");
        let packed = zlib(toc.as_bytes());
        let mut bytes = b"xar!\0\x1C\0\x01".to_vec();
        bytes.extend((packed.len() as u64).to_be_bytes());
        bytes.extend((toc.len() as u64).to_be_bytes());
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(&packed);
        bytes.extend(Sha1::digest(&packed));
        bytes.extend(heap);
        bytes
    }

    #[test]
    fn files_lie_in_folders_and_are_unpacked() {
        let packed = zlib(b"bytes");
        let files = format!(
            r#"<file id="1"><name>a.pkg</name><file id="2"><name>PackageInfo</name><data><offset>20</offset>
            <length>{}</length><encoding style="application/x-gzip"/></data></file></file>"#,
            packed.len()
        );
        let bytes = xar(&files, &packed);
        let budget = Budget::new(&Limits::default());
        let xar = Xar::open(&bytes, &budget).unwrap();
        let files = xar.files().unwrap();
        assert_eq!((files[0].path.as_str(), &files[0].data), ("a.pkg", &None));
        assert_eq!(files[1].path, "a.pkg/PackageInfo");
        assert_eq!(xar.read(&files[1], 5).unwrap(), b"bytes");
        assert!(matches!(xar.read(&files[1], 4), Err(Refusal::TooLarge { .. })));
        assert_eq!(xar.is_checksum_right().unwrap(), Some(true));
        assert!(xar.has_told_size);
    }

    #[test]
    fn lies_are_told() {
        let files = r#"<file><name>a</name><data><offset>20</offset><length>3</length>
            <archived-checksum style="sha1">00</archived-checksum></data></file>"#;
        let mut bytes = xar(files, b"abc");
        let budget = Budget::new(&Limits::default());
        let open = Xar::open(&bytes, &budget).unwrap();
        let file = &open.files().unwrap()[0];
        assert!(matches!(open.read(file, 9), Err(Refusal::CrcMismatch(_))));
        let end = bytes.len();
        bytes[end - 4] ^= 1;
        bytes[23] ^= 1;
        let open = Xar::open(&bytes, &budget).unwrap();
        assert_eq!(open.is_checksum_right().unwrap(), Some(false));
        assert!(!open.has_told_size);
        assert!(
            open.files().unwrap()[0]
                .data
                .as_ref()
                .is_some_and(|data| open.is_whole(data))
        );
        let cut = &bytes[..end - 1];
        let open = Xar::open(&cut, &budget).unwrap();
        assert!(!open.is_whole(open.files().unwrap()[0].data.as_ref().unwrap()));
        let out = xar("<file><name>../a</name></file>", b"");
        let open = Xar::open(&out, &budget).unwrap();
        assert!(matches!(open.files(), Err(Refusal::PathTraversal(_))));
    }
}
