//! The signature of a Windows app package: a message over the digests of its parts, which have
//! names of four letters. Who signs has to be the package's publisher.

use sha2::digest::DynDigest;

use super::msix::Code;
use super::{block_map, signature};
use crate::archive::zip::{Member, Zip};
use crate::parse::authenticode::{Signature, hash_range};
use crate::parse::hash::Hash;
use crate::parse::little::{u16_at, u32_at, u64_at};
use crate::parse::x509::{Name, short_name};
use crate::subject::Subject;
use crate::{Refusal, Report};

pub(super) const NAME: &[u8] = b"AppxSignature.p7x";
const CATALOG: &[u8] = b"AppxMetadata/CodeIntegrity.cat";
const CONTENT_TYPES: &[u8] = b"[Content_Types].xml";
/// How the signature starts, before the message.
const MAGIC: &[u8] = b"PKCX";
/// How the digests start.
const DIGESTS: &[u8] = b"APPX";
/// How large a signature may be, in bytes.
const SIGNATURE_BYTES: u64 = 4 << 20;
/// A record of the directory before its name, and the record that ends the directory.
const RECORD: usize = 46;
const END_RECORD: u64 = 22;
/// The same of a large zip, and the record that says where it stands.
const END_RECORD_64: u64 = 56;
const LOCATOR: u64 = 20;

const PUBLISHER_MISMATCH: Code = (
    "msix.publisher_mismatch",
    "Write the certificate's subject into the manifest's Publisher, in the certificate's own order.",
);
const CATALOG_UNSIGNED: Code = ("msix.catalog_unsigned", "Sign it with signtool.");

/// Says who signed a package, and whether it is as they signed it.
pub(super) fn tell(
    subject: &Subject<'_>,
    report: &mut Report,
    zip: &Zip<'_>,
    publisher: Option<&str>,
) -> Result<(), Refusal> {
    let Some(member) = zip.find(NAME) else {
        signature::tell_none(
            report,
            "Windows does not install it, unless from the Store or in developer mode",
        );
        if zip.find(CATALOG).is_some() {
            let message = "It has a catalog of its code and no signature, which Windows refuses as incomplete.";
            report.error(CATALOG_UNSIGNED.0, message, CATALOG_UNSIGNED.1);
        }
        return Ok(());
    };
    report.set_flag("signed", Some(true));
    let bytes = zip.read(&member, SIGNATURE_BYTES)?;
    let Some(blob) = bytes.strip_prefix(MAGIC) else {
        signature::tell_broken(report, &Refusal::malformed("signature", "it does not start with PKCX"));
        return Ok(());
    };
    let Some(signed) = signature::parse(report, blob) else {
        return Ok(());
    };
    signature::tell_signer(subject, report, &signed.message, &signed.signer);
    if let (Some(publisher), Some(certificate)) = (publisher, &signed.signer.certificate) {
        tell_publisher(report, publisher, &certificate.subject);
    }
    signature::tell_signed(report, &[&signed]);
    let Some(hash) = signed.hash else {
        return Ok(());
    };
    let package = Package {
        subject,
        zip,
        signature: member,
        hash,
    };
    let matches = package.has_digests(&signed)?;
    signature::tell_match(report, Some(matches));
    Ok(())
}

/// A package without its signature.
struct Package<'p> {
    subject: &'p Subject<'p>,
    zip: &'p Zip<'p>,
    signature: Member<'p>,
    hash: Hash,
}

impl Package<'_> {
    /// Whether the parts have the digests that are signed, each under its name.
    fn has_digests(&self, signed: &Signature<'_>) -> Result<bool, Refusal> {
        let len = self.hash.hasher().output_size();
        let Some(digests) = signed.digest.strip_prefix(DIGESTS) else {
            return Ok(false);
        };
        let mut is_catalog_signed = false;
        for part in digests.chunks(4 + len) {
            let Some((name, digest)) = part.split_at_checked(4).filter(|(_, digest)| digest.len() == len) else {
                return Ok(false);
            };
            let mut hasher = self.hash.hasher();
            let is_there = match name {
                b"AXPC" => self.hash_members(hasher.as_mut())?,
                b"AXCD" => self.hash_directory(hasher.as_mut())?,
                b"AXCT" => self.hash_member(CONTENT_TYPES, hasher.as_mut())?,
                b"AXBM" => self.hash_member(block_map::NAME, hasher.as_mut())?,
                b"AXCI" => self.hash_member(CATALOG, hasher.as_mut())?,
                _ => continue,
            };
            is_catalog_signed |= name == b"AXCI";
            if !is_there || *hasher.finalize() != *digest {
                return Ok(false);
            }
        }
        Ok(is_catalog_signed || self.zip.find(CATALOG).is_none())
    }

    /// Everything before the directory but the signature.
    fn hash_members(&self, hasher: &mut dyn DynDigest) -> Result<bool, Refusal> {
        let (start, directory) = (self.signature.header_offset(), self.zip.directory().start);
        let later = self.zip.members().map(|member| member.header_offset());
        let next = later.filter(|offset| *offset > start).min().unwrap_or(directory);
        hash_range(self.subject.source, 0..start, hasher, self.subject.budget)?;
        hash_range(self.subject.source, next..directory, hasher, self.subject.budget)?;
        Ok(true)
    }

    /// The bytes of a member; not if it is not there or is damaged.
    fn hash_member(&self, name: &[u8], hasher: &mut dyn DynDigest) -> Result<bool, Refusal> {
        let Some(member) = self.zip.find(name) else {
            return Ok(false);
        };
        hasher.update(&self.zip.read(&member, self.subject.budget.limits().member_bytes)?);
        Ok(true)
    }

    /// The directory as it was before the signature came into it, with the records that end it.
    fn hash_directory(&self, hasher: &mut dyn DynDigest) -> Result<bool, Refusal> {
        let source = self.subject.source;
        let range = self.zip.directory();
        let directory = source.bytes(range.clone(), self.subject.budget.limits().directory_bytes)?;
        let mut end = source.bytes(range.end..range.end + END_RECORD, END_RECORD)?;
        // In a large zip two records stand between the directory and its end.
        let large = END_RECORD_64 + LOCATOR;
        let tail = range.end.checked_sub(large).filter(|start| *start >= range.start);
        let mut between = match tail {
            Some(start) => source.bytes(start..range.end, large)?,
            None => Vec::new(),
        };
        if !between.starts_with(b"PK\x06\x06") {
            between.clear();
        }
        let records = &directory[..directory.len() - between.len()];
        let Some((before, after)) = without(records, NAME) else {
            return Ok(false);
        };
        let len = (before.len() + after.len()) as u64;
        let start = self.signature.header_offset();
        let is_patched = patch_end(&mut end, start, len).is_some() && patch_large(&mut between, start, len).is_some();
        for part in [before, after, &between, &end] {
            hasher.update(part);
        }
        Ok(is_patched)
    }
}

/// The directory before and after the record of a member.
fn without<'d>(directory: &'d [u8], name: &[u8]) -> Option<(&'d [u8], &'d [u8])> {
    let mut start = 0;
    loop {
        let record = directory.get(start..)?;
        let lengths = [u16_at(record, 28)?, u16_at(record, 30)?, u16_at(record, 32)?].map(usize::from);
        let end = start + RECORD + lengths.iter().sum::<usize>();
        if record.get(RECORD..RECORD + lengths[0])? == name {
            return Some((&directory[..start], directory.get(end..)?));
        }
        start = end;
    }
}

/// Makes the end that of a directory with one member less, at this place and of this length. Ones
/// stay, since they say that the numbers are in the larger record.
fn patch_end(end: &mut [u8], start: u64, len: u64) -> Option<()> {
    for place in [8, 10] {
        let count = u16_at(end, place)?;
        if count != u16::MAX {
            end[place..place + 2].copy_from_slice(&count.checked_sub(1)?.to_le_bytes());
        }
    }
    for (place, number) in [(12, len), (16, start)] {
        if u32_at(end, place)? != u32::MAX {
            end[place..place + 4].copy_from_slice(&u32::try_from(number).ok()?.to_le_bytes());
        }
    }
    Some(())
}

/// The same for the records of a large zip, if there are some.
fn patch_large(between: &mut [u8], start: u64, len: u64) -> Option<()> {
    if between.is_empty() {
        return Some(());
    }
    let count = u64_at(between, 32)?.checked_sub(1)?;
    let record = start.checked_add(len)?;
    for (place, number) in [(24, count), (32, count), (40, len), (48, start), (64, record)] {
        between
            .get_mut(place..place + 8)?
            .copy_from_slice(&number.to_le_bytes());
    }
    Some(())
}

/// Says so where who signed is not the publisher, which Windows refuses.
fn tell_publisher(report: &mut Report, publisher: &str, subject: &Name<'_>) {
    let Some(theirs) = distinguished_name(publisher) else {
        return;
    };
    // The manifest has the last attribute first.
    let ours = subject
        .attributes()
        .into_iter()
        .rev()
        .map(|(key, value)| (key.to_lowercase(), value));
    if !ours.eq(theirs) {
        let message = format!(
            "Windows does not install it: its publisher is {publisher}, and it is signed by {}.",
            subject.reversed()
        );
        report.error(PUBLISHER_MISMATCH.0, message, PUBLISHER_MISMATCH.1);
    }
}

/// The attributes of a name as Windows writes it, as in `CN="Acme, Inc.", S=Ohio`, with the keys of
/// certificates in lower case; `None` where it is none, or has several attributes in one part, whose
/// order says nothing.
fn distinguished_name(text: &str) -> Option<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        attributes.push((attribute_key(key), value));
        rest = after.trim_start();
    }
    Some(attributes)
}

/// The key of certificates, in lower case, for one that Windows writes, or for an object identifier.
fn attribute_key(theirs: &str) -> String {
    let key = theirs.trim().to_lowercase();
    let key = key.trim_start_matches("oid.");
    let ours = match key {
        "s" => "st",
        "e" => "emailAddress",
        "g" => "GN",
        "i" => "initials",
        "pobox" => "2.5.4.18",
        "phone" => "2.5.4.20",
        "x21address" => "2.5.4.24",
        "dnqualifier" => "2.5.4.46",
        key => short_name(key).unwrap_or(key),
    };
    ours.to_lowercase()
}

/// A value, in quotes or not, and what follows the separator after it.
fn value(text: &str) -> Option<(String, &str)> {
    let is_separator = |character: char| matches!(character, ',' | ';');
    // In hexadecimal it is what no text is.
    if text.starts_with('#') {
        return None;
    }
    let Some(mut quoted) = text.strip_prefix('"') else {
        let end = text.find(is_separator).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let is_one = !value.contains('+');
        return is_one.then(|| (value.trim_end().to_owned(), rest.get(1..).unwrap_or_default()));
    };
    let mut value = String::new();
    loop {
        let (part, rest) = quoted.split_once('"')?;
        value.push_str(part);
        // A quote that stands twice is one of the value.
        let Some(after) = rest.strip_prefix('"') else {
            let rest = rest.trim_start();
            return (rest.is_empty() || rest.starts_with(is_separator))
                .then(|| (value, rest.get(1..).unwrap_or_default()));
        };
        value.push('"');
        quoted = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_windows_writes_them() {
        let read = |text: &str| {
            let attributes = distinguished_name(text)?;
            let texts: Vec<String> = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Some(texts.join("|"))
        };
        assert_eq!(read("CN=Acme, S=Ohio,C=US").as_deref(), Some("cn=Acme|st=Ohio|c=US"));
        assert_eq!(
            read(r#"CN="Acme, ""Inc"".", E=a@b"#).as_deref(),
            Some(r#"cn=Acme, "Inc".|emailaddress=a@b"#)
        );
        assert_eq!(read("OID.1.2.3=x").as_deref(), Some("1.2.3=x"));
        for (text, expected) in [
            ("OID.2.5.4.17=1", "postalcode=1"),
            ("PostalCode=1", "postalcode=1"),
            ("OID.1.3.6.1.4.1.311.60.2.1.3=US", "jurisdictionc=US"),
            (
                "OID.2.5.4.15=Private Organization",
                "businesscategory=Private Organization",
            ),
            ("G=Jo, I=J, Description=x", "gn=Jo|initials=J|description=x"),
            ("POBox=7", "2.5.4.18=7"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected));
        }
        for bad in ["CN=a + O=b", r#"CN="a" + O=b"#, "Acme", r#"CN="Acme"#, r#"CN="Acme" x"#] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_member_is_taken_out_of_the_directory() {
        let record = |name: &[u8]| {
            let mut record = vec![0; RECORD];
            record[28] = u8::try_from(name.len()).unwrap();
            record[30] = 1;
            [&record, name, b"x"].concat()
        };
        let directory = [record(b"a"), record(NAME), record(b"b")].concat();
        let (before, after) = without(&directory, NAME).unwrap();
        assert_eq!((before, after), (record(b"a").as_slice(), record(b"b").as_slice()));
        assert_eq!(without(&directory, b"c"), None);
        assert_eq!(without(&directory[..60], NAME), None);
    }
}
