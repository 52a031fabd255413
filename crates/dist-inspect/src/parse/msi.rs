//! The database in a Windows Installer package, as far as it says what is installed.
//!
//! Its tables are streams of a compound file, whose names are packed, and all texts are in one pool.
//! Source: the "Installer Database" pages of Microsoft, and the file formats as Wine reads them.

use std::collections::BTreeMap;

use encoding_rs::Encoding;

use super::cfb::{CompoundFile, Entry};
use super::little::{u16_at, u32_at};
use crate::Refusal;

/// What the root of a package, of a patch and of a transform is; as GUIDs stand in a file.
const PACKAGE: [u8; 16] = *b"\x84\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46";
const PATCH: [u8; 16] = *b"\x86\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46";
const TRANSFORM: [u8; 16] = *b"\x82\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46";
/// The signature, and the digest of names and times that may be signed with it.
const SIGNATURE: &str = "\u{5}DigitalSignature";
const SIGNATURE_EX: &str = "\u{5}MsiDigitalSignatureEx";
const SUMMARY: &str = "\u{5}SummaryInformation";
/// How large a table or a signature may be, in bytes.
const TABLE_BYTES: u64 = 32 << 20;
/// How many properties are read.
const PROPERTIES: usize = 10_000;
/// How deep folders are in each other where they are hashed.
const DEPTH: u32 = 16;
/// The digits of packed names.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";

/// A package that can be asked.
pub struct Package<'a> {
    file: CompoundFile<'a>,
}

/// What the installer does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It installs a product.
    Product,
    /// It changes a product that is installed.
    Patch,
    /// It changes a package while that is installed.
    Transform,
}

/// What a package says in its summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Processor and languages, as in `x64;1033`.
    pub template: Option<String>,
    /// The code of these very bytes.
    pub package_code: Option<String>,
    /// What it is called.
    pub subject: Option<String>,
    /// Who made it.
    pub author: Option<String>,
}

impl<'a> Package<'a> {
    /// A package in a compound file.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where it is of something else.
    pub fn new(file: CompoundFile<'a>) -> Result<Self, Refusal> {
        match file.root()?.class {
            PACKAGE | PATCH | TRANSFORM => Ok(Self { file }),
            _ => Err(malformed("it is of another program")),
        }
    }

    /// What is in the file.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is nothing.
    pub fn kind(&self) -> Result<Kind, Refusal> {
        Ok(match self.file.root()?.class {
            PATCH => Kind::Patch,
            TRANSFORM => Kind::Transform,
            _ => Kind::Product,
        })
    }

    /// The file of an icon that is in the table of icons under this name: an icon's, or a program's.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::TooLarge`].
    pub fn icon(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        self.stream(&format!("Icon.{name}"))
    }

    /// The properties by their names; `None` for a text in a code page that is not known.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where the tables are not there or do not fit each other.
    pub fn properties(&self) -> Result<BTreeMap<String, Option<String>>, Refusal> {
        let texts = self.table("_StringData")?;
        let pool = Pool::parse(&self.table("_StringPool")?, &texts)?;
        let table = self.table("Property")?;
        let width = if pool.is_wide { 3 } else { 2 };
        let (names, values) = columns(&table, width);
        let rows = names
            .chunks_exact(width)
            .zip(values.chunks_exact(width))
            .take(PROPERTIES);
        let text = |(name, value)| Some((pool.text(name)?, pool.text(value)));
        Ok(rows.filter_map(text).collect())
    }

    /// What the summary says.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is none.
    pub fn summary(&self) -> Result<Summary, Refusal> {
        let bytes = self.stream(SUMMARY)?.ok_or_else(|| malformed("it has no summary"))?;
        Summary::parse(&bytes).ok_or_else(|| malformed("its summary is none"))
    }

    /// The signature, if it has one.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::TooLarge`].
    pub fn signature(&self) -> Result<Option<Vec<u8>>, Refusal> {
        self.stream(SIGNATURE)
    }

    /// Shows `visit` all bytes that a signature is over, in its order: the streams in the order of
    /// their names, and after each folder's own what the folder is.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn visit_signed(&self, visit: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        if let Some(digest) = self.stream(SIGNATURE_EX)? {
            visit(&digest);
        }
        self.visit_folder(self.file.root()?, 0, visit)
    }

    fn visit_folder(&self, folder: &Entry, depth: u32, visit: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        if depth > DEPTH {
            return Err(malformed("its folders lie too deep in each other"));
        }
        let mut children = self.file.children(folder)?;
        children.sort_by(|first, second| first.raw_name.cmp(&second.raw_name));
        for child in children {
            let is_signature = depth == 0 && [SIGNATURE, SIGNATURE_EX].contains(&child.name().as_str());
            if !child.is_stream {
                self.visit_folder(child, depth + 1, visit)?;
            } else if !is_signature {
                self.file.visit(child, visit)?;
            }
        }
        visit(&folder.class);
        Ok(())
    }

    fn table(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        let bytes = self.stream(&format!("\u{4840}{name}"))?;
        bytes.ok_or_else(|| malformed(&format!("it has no table {name}")))
    }

    /// The stream of this name, unpacked, in the root.
    fn stream(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let children = self.file.children(self.file.root()?)?;
        let found = children
            .into_iter()
            .find(|child| child.is_stream && unpacked(&child.name()) == name);
        found.map(|stream| self.file.read(stream, TABLE_BYTES)).transpose()
    }
}

/// The two columns of a table, whose cells have this many bytes: all names first, and then all values.
/// Some tools fill the table up to a multiple of four.
fn columns(table: &[u8], width: usize) -> (&[u8], &[u8]) {
    let rows = table.len() / (2 * width);
    table.split_at(rows * width)
}

/// A stream's name without packing, in which one character is one or two digits.
fn unpacked(name: &str) -> String {
    let digit = |number: u32| {
        DIGITS
            .get(number as usize & 0x3F)
            .map_or('_', |digit| char::from(*digit))
    };
    let mut unpacked = String::new();
    for character in name.chars() {
        match u32::from(character) {
            pair @ 0x3800..0x4800 => unpacked.extend([digit(pair - 0x3800), digit((pair - 0x3800) >> 6)]),
            one @ 0x4800..0x4840 => unpacked.push(digit(one - 0x4800)),
            _ => unpacked.push(character),
        }
    }
    unpacked
}

/// All texts of a database.
struct Pool<'p> {
    texts: Vec<&'p [u8]>,
    code_page: u32,
    /// Whether the numbers of texts have three bytes, not two.
    is_wide: bool,
}

impl<'p> Pool<'p> {
    fn parse(pool: &[u8], mut data: &'p [u8]) -> Result<Self, Refusal> {
        let head = u32_at(pool, 0).ok_or_else(|| malformed("its texts have no head"))?;
        let (entries, _) = pool.get(4..).unwrap_or_default().as_chunks::<4>();
        // The first text has the number 1.
        let mut texts: Vec<&[u8]> = vec![&[]];
        let mut upper = None;
        for entry in entries {
            let [len, count] = [[entry[0], entry[1]], [entry[2], entry[3]]].map(u16::from_le_bytes);
            // One without a length that is used has it in the next.
            if upper.is_none() && len == 0 && count > 0 {
                upper = Some(count);
                continue;
            }
            let long = upper.take().map(|_| usize::from(count) << 16 | usize::from(len));
            let len = long.unwrap_or(usize::from(len));
            let (text, rest) = data
                .split_at_checked(len)
                .ok_or_else(|| malformed("its texts are cut short"))?;
            texts.push(text);
            data = rest;
        }
        Ok(Self {
            texts,
            code_page: head & 0xFFFF,
            is_wide: head & 0x8000_0000 != 0,
        })
    }

    /// The text of this number; `None` where it is in a code page that is not known.
    fn text(&self, number: &[u8]) -> Option<String> {
        let number = number
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte));
        decode(self.texts.get(number)?, self.code_page)
    }
}

/// A text in a code page of Windows; `None` where that is not known, and the text not ASCII.
fn decode(bytes: &[u8], code_page: u32) -> Option<String> {
    // Free tools write UTF-8 and say something else.
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(text.to_owned());
    }
    let encoding = encoding(code_page)?;
    Some(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

/// The encoding of a code page; 0 is what Windows has by default.
fn encoding(code_page: u32) -> Option<&'static Encoding> {
    let label = match code_page {
        0 => "windows-1252",
        866 => "ibm866",
        874 => "windows-874",
        932 => "shift_jis",
        936 => "gbk",
        949 => "euc-kr",
        950 => "big5",
        10000 => "macintosh",
        20866 => "koi8-r",
        54936 => "gb18030",
        65001 => "utf-8",
        page @ 1250..=1258 => return Encoding::for_label(format!("windows-{page}").as_bytes()),
        page @ 28591..=28606 => return Encoding::for_label(format!("iso-8859-{}", page - 28590).as_bytes()),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

impl Summary {
    /// Reads a property set; `None` where it is none.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let start = usize::try_from(u32_at(bytes, 44)?).ok()?;
        let section = bytes.get(start..)?;
        let count = u32_at(section, 4)? as usize;
        let (places, _) = section.get(8..)?.as_chunks::<8>();
        let value = |id: u32| {
            let place = places.iter().take(count).find(|place| u32_at(*place, 0) == Some(id))?;
            section.get(usize::try_from(u32_at(place, 4)?).ok()?..)
        };
        let code_page = value(1).and_then(|value| u16_at(value, 4)).unwrap_or_default();
        let text = |id: u32| {
            let value = value(id).filter(|value| u32_at(value, 0) == Some(30))?;
            let len = usize::try_from(u32_at(value, 4)?).ok()?;
            let text = value.get(8..)?.get(..len)?.split(|byte| *byte == 0).next()?;
            decode(text, code_page.into())
        };
        Some(Self {
            template: text(7),
            package_code: text(9),
            subject: text(3),
            author: text(4),
        })
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::malformed("installer database", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_names_are_unpacked() {
        assert_eq!(unpacked("\u{4840}\u{4559}\u{44F2}\u{4568}\u{4737}"), "\u{4840}Property");
        assert_eq!(unpacked(SUMMARY), SUMMARY);
    }

    #[test]
    fn what_fills_a_table_up_belongs_to_no_column() {
        let (names, values) = columns(b"aaabbb\0\0", 3);
        assert_eq!((names, &values[..3]), (&b"aaa"[..], &b"bbb"[..]));
        assert_eq!(columns(b"aabb", 2), (&b"aa"[..], &b"bb"[..]));
    }

    #[test]
    fn texts_have_numbers_and_lengths_of_their_own() {
        let pool = b"\xE4\x04\0\x80\x02\0\x01\0\0\0\0\0\0\0\x01\0\x01\0\0\0";
        let pool = Pool::parse(pool, b"ab\x99").unwrap();
        assert!(pool.is_wide);
        assert_eq!(pool.text(&[1, 0, 0]).as_deref(), Some("ab"));
        assert_eq!(pool.text(&[2, 0, 0]).as_deref(), Some(""));
        assert_eq!(pool.text(&[3, 0, 0]).as_deref(), Some("™"));
        assert_eq!(pool.text(&[4, 0, 0]), None);
        assert!(Pool::parse(b"\0\0\0\0\x02\0\x01\0", b"a").is_err());
    }

    #[test]
    fn texts_are_in_code_pages() {
        assert_eq!(decode(b"abc", 4711).as_deref(), Some("abc"));
        assert_eq!(decode(b"\xFC", 4711), None);
        assert_eq!(decode("ü".as_bytes(), 932).as_deref(), Some("ü"));
        for (page, bytes, text) in [
            (0, &b"\xFC"[..], "ü"),
            (932, b"\x82\xA0", "あ"),
            (936, b"\xC4\xE3", "你"),
            (949, b"\xB0\xA1", "가"),
            (1250, b"\xB3", "ł"),
            (1251, b"\xC6", "Ж"),
            (28592, b"\xB3", "ł"),
        ] {
            assert_eq!(decode(bytes, page).as_deref(), Some(text), "{page}");
        }
    }
}
