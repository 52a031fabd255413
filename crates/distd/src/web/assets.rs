//! What pages load: style and scripts, part of the program, named by what they are and kept for ever.

use std::fmt;
use std::sync::OnceLock;

use axum::response::{IntoResponse as _, Response};
use dist_api::ErrorBody;
use dist_model::{Digest, ErrorCode};
use http::{HeaderValue, header};
use sha2::{Digest as _, Sha256};

use crate::error::{ApiError, Result};
use crate::extract::Segments;

/// How much of the digest stands in the path, in hexadecimal digits.
const HASH_DIGITS: usize = 16;

/// A file that pages load. As text it is its path below the site's own.
pub(crate) struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    hash: OnceLock<String>,
}

/// The console's style.
pub(crate) static CONSOLE_CSS: Asset = Asset::new(
    "console.css",
    "text/css; charset=utf-8",
    include_bytes!("../../assets/console.css"),
);

/// The console's own script.
pub(crate) static CONSOLE_JS: Asset = Asset::new(
    "console.js",
    "text/javascript; charset=utf-8",
    include_bytes!("../../assets/console.js"),
);

/// The library that refreshes parts of pages; see `assets/README.md`.
pub(crate) static HTMX: Asset = Asset::new(
    "htmx.min.js",
    "text/javascript; charset=utf-8",
    include_bytes!("../../assets/htmx.min.js"),
);

static ALL: [&Asset; 3] = [&CONSOLE_CSS, &CONSOLE_JS, &HTMX];

impl Asset {
    const fn new(name: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            name,
            content_type,
            bytes,
            hash: OnceLock::new(),
        }
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            let digest: [u8; 32] = Sha256::digest(self.bytes).into();
            let mut hash = Digest::from_bytes(digest).to_string();
            hash.truncate(HASH_DIGITS);
            hash
        })
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/assets/{}/{}", self.hash(), self.name)
    }
}

/// Style and scripts of the pages. The path holds the hash of the bytes, so that an answer is good
/// for ever, and a page of another version is never given the wrong file.
#[utoipa::path(get, path = "/assets/{hash}/{name}", tag = "console",
    params(("hash" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = [u8], content_type = "text/css"), (status = "default", body = ErrorBody)))]
pub(crate) async fn asset(Segments((hash, name)): Segments<(String, String)>) -> Result<Response> {
    let asset = ALL.iter().find(|asset| asset.name == name && asset.hash() == hash);
    let asset = asset.ok_or_else(|| ApiError::from_code(ErrorCode::RouteNotFound))?;
    let mut response = asset.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, for_ever);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendored_bytes_are_those_that_are_noted() {
        let digest: [u8; 32] = Sha256::digest(HTMX.bytes).into();
        let noted = include_str!("../../assets/README.md");
        assert!(noted.contains(&Digest::from_bytes(digest).to_string()));
        assert!(noted.contains("2.0.11") && std::str::from_utf8(HTMX.bytes).unwrap().contains(r#"version:"2.0.11""#));
    }

    #[test]
    fn paths_name_what_is_behind_them() {
        let path = CONSOLE_CSS.to_string();
        assert!(path.starts_with("/assets/") && path.ends_with("/console.css"), "{path}");
        assert_eq!(path.len(), "/assets//console.css".len() + HASH_DIGITS);
    }
}
