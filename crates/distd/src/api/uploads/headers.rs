//! The headers of tus 1.0.0.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dist_model::{Digest, ErrorCode, FileName, Refusal};
use http::HeaderMap;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::error::{ApiError, Result};
use crate::extract::text;

pub(super) const VERSION: &str = "1.0.0";
pub(super) const EXTENSIONS: &str = "creation,creation-with-upload,checksum,expiration,termination";
pub(super) const ALGORITHMS: &str = "sha256,sha1";
/// The content type of a part.
pub(super) const PART_TYPE: &str = "application/offset+octet-stream";
/// What tus answers when a part has another checksum than it announced.
const CHECKSUM_MISMATCH: u16 = 460;

/// Refuses a request of another version of the protocol.
pub(super) fn check_version(headers: &HeaderMap) -> Result<()> {
    if text(headers, "tus-resumable") == Some(VERSION) {
        return Ok(());
    }
    Err(ApiError::from(invalid("Tus-Resumable", "must be 1.0.0")).with_status(412))
}

/// True where the body is bytes of an upload.
pub(super) fn has_part(headers: &HeaderMap) -> bool {
    text(headers, http::header::CONTENT_TYPE) == Some(PART_TYPE)
}

/// A header that must be a number of bytes.
pub(super) fn number(headers: &HeaderMap, name: &'static str) -> Result<u64, Refusal> {
    text(headers, name)
        .filter(|value| value.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| invalid(name, "must be a number of bytes"))
}

/// What `Upload-Metadata` says of the file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metadata {
    /// The header as it came, to be answered as it came.
    pub raw: String,
    /// The digest that the whole must have.
    pub sha256: Option<Digest>,
}

/// Reads `Upload-Metadata`: keys, each with a base64 value or none, separated by commas.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, Refusal> {
    let wrong = |what| invalid("Upload-Metadata", what);
    let Some(raw) = headers.get("upload-metadata") else {
        return Ok(Metadata::default());
    };
    let raw = raw.to_str().map_err(|_| wrong("must be ASCII"))?.trim();
    let mut sha256 = None;
    for pair in raw.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD
            .decode(value.trim())
            .map_err(|_| wrong("must hold base64 values"))?;
        match key {
            "sha256" => {
                let value = String::from_utf8(value).map_err(|_| wrong("must hold a digest as text"))?;
                sha256 = Some(value.parse()?);
            }
            "filename" => {
                // Nothing here uses the name; a bad one is better refused now than at the publish.
                let value = String::from_utf8(value).map_err(|_| wrong("must hold names in UTF-8"))?;
                FileName::try_from(value)?;
            }
            _ => {}
        }
    }
    Ok(Metadata {
        raw: raw.to_owned(),
        sha256,
    })
}

/// The checksum that a part announces, and the hash that will tell.
pub(super) struct Checksum {
    hasher: Hasher,
    expected: Vec<u8>,
}

enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// Reads `Upload-Checksum: sha256 BASE64`.
    pub(super) fn announced(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let wrong = || invalid("Upload-Checksum", "must be sha256 or sha1, and base64");
        let Some(value) = headers.get("upload-checksum") else {
            return Ok(None);
        };
        let value = value.to_str().map_err(|_| wrong())?;
        let (algorithm, encoded) = value.trim().split_once(' ').ok_or_else(wrong)?;
        let hasher = match algorithm {
            "sha1" => Hasher::Sha1(Sha1::new()),
            "sha256" => Hasher::Sha256(Sha256::new()),
            _ => return Err(wrong()),
        };
        let expected = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
        Ok(Some(Self { hasher, expected }))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// Refuses bytes that are not the announced ones.
    pub(super) fn check(self) -> Result<()> {
        let found = match self.hasher {
            Hasher::Sha1(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha256(hasher) => hasher.finalize().to_vec(),
        };
        if found == self.expected {
            return Ok(());
        }
        let refusal = Refusal::new(
            ErrorCode::DigestMismatch,
            "the part does not have the announced checksum and was dropped; send it again",
        );
        Err(ApiError::from(refusal).with_status(CHECKSUM_MISMATCH))
    }
}

pub(super) fn invalid(header: &str, what: &str) -> Refusal {
    Refusal::new(ErrorCode::UploadInvalid, format!("the header {header} {what}")).with("header", header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn metadata_of_uploads() {
        let digest = Digest::from_bytes([7; 32]);
        let encoded = STANDARD.encode(digest.to_string());
        let name = STANDARD.encode("Größe.apk");
        let read = |value: &str| metadata(&headers("upload-metadata", value)).map_err(|refusal| refusal.code);
        assert_eq!(
            read(&format!("filename {name},sha256 {encoded}, empty")).map(|metadata| metadata.sha256),
            Ok(Some(digest))
        );
        assert_eq!(read("").map(|metadata| metadata.sha256), Ok(None));
        for (bad, code) in [
            ("sha256 %", ErrorCode::UploadInvalid),
            ("sha256 YWJj", ErrorCode::InvalidDigest),
            ("filename Li4=", ErrorCode::InvalidFilename),
        ] {
            assert_eq!(read(bad), Err(code), "{bad}");
        }
    }

    #[test]
    fn checksums() {
        let announced = |value: &str| Checksum::announced(&headers("upload-checksum", value));
        for (algorithm, digest) in [
            ("sha1", STANDARD.encode(Sha1::digest(b"abc"))),
            ("sha256", STANDARD.encode(Sha256::digest(b"abc"))),
        ] {
            let mut good = announced(&format!("{algorithm} {digest}")).unwrap().unwrap();
            good.update(b"a");
            good.update(b"bc");
            assert!(good.check().is_ok());
            let mut bad = announced(&format!("{algorithm} {digest}")).unwrap().unwrap();
            bad.update(b"abd");
            assert_eq!(bad.check().unwrap_err().status().as_u16(), 460);
        }
        for bad in ["sha256", "md5 AA==", "sha1 %", ""] {
            assert_eq!(announced(bad).err().unwrap().code, ErrorCode::UploadInvalid, "{bad}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(&headers("upload-length", "42"), "upload-length"), Ok(42));
        for bad in ["", "-1", "+1", "1.5", "99999999999999999999"] {
            assert!(
                number(&headers("upload-length", bad), "upload-length").is_err(),
                "{bad}"
            );
        }
    }
}
