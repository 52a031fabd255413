//! Names that can only hold valid values.

use std::fmt;
use std::str::FromStr;

use crate::{ErrorCode, Refusal};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $code:ident, $valid:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Refusal;
            fn try_from(text: String) -> Result<Self, Refusal> {
                if $valid(text.as_str()) {
                    Ok(Self(text))
                } else {
                    Err(Refusal::new(ErrorCode::$code, format!("{:?} {}", shorten(&text), $rule)))
                }
            }
        }

        impl FromStr for $name {
            type Err = Refusal;
            fn from_str(text: &str) -> Result<Self, Refusal> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Hostile names may be megabytes long; a message quotes their beginning.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn label(text: &str, inside: &[u8]) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| lower_alphanumeric(*b) || inside.contains(b))
        && bytes.first().copied().is_some_and(lower_alphanumeric)
        && bytes.last().copied().is_some_and(lower_alphanumeric)
}

fn email(text: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c.is_uppercase() || is_bidi_control(c);
    let parts = text.split_once('@');
    let good = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    good && text.len() <= 254 && !text.contains(bad)
}

fn version(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b".+-_~".contains(b))
}

fn file_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text != "."
        && text != ".."
        && !text.contains(['/', '\\'])
        && !text.chars().any(|c| c.is_control() || is_bidi_control(c))
}

/// Characters that reorder the text around them and so make `exe.gpj` look like a picture.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

name!(
    /// The name of an app in URLs and commands: 1 to 63 characters of `a-z 0-9 -`, a letter or
    /// digit first and last.
    Slug,
    InvalidSlug,
    |text: &str| label(text, b"-"),
    "is no app slug: use 1 to 63 characters of a-z, 0-9 and '-', with a letter or digit first and last"
);
name!(
    /// The name of a channel: as a [`Slug`], with `.` and `_` allowed inside.
    ChannelName,
    InvalidChannel,
    |text: &str| label(text, b"-._"),
    "is no channel name: use 1 to 63 characters of a-z, 0-9, '-', '.' and '_', with a letter or digit first and last"
);
name!(
    /// A version: 1 to 64 characters of `A-Z a-z 0-9 . + - _ ~`, a letter or digit first.
    Version,
    InvalidVersion,
    version,
    "is no version: use 1 to 64 characters of A-Z, a-z, 0-9 and . + - _ ~, with a letter or digit first"
);
name!(
    /// A build number or name: as a [`Version`], or empty where a release has none.
    Build,
    InvalidBuild,
    |text: &str| text.is_empty() || version(text),
    "is no build: leave it out, or use 1 to 64 characters of A-Z, a-z, 0-9 and . + - _ ~, with a letter or digit first"
);
name!(
    /// The file name of an artifact: 1 to 255 bytes, no path, no control or text-direction
    /// characters.
    FileName,
    InvalidFilename,
    file_name,
    "is no file name: use 1 to 255 bytes without slashes, control or text-direction characters"
);

name!(
    /// A person's e-mail address: lower case, at most 254 bytes, one `@` with something on both sides,
    /// neither spaces nor control or text-direction characters. Whether it exists only a mail tells.
    Email,
    InvalidEmail,
    email,
    "is no e-mail address: write it as name@example.org"
);

impl Email {
    /// The address as somebody typed it: spaces around it and capitals say nothing.
    ///
    /// # Errors
    /// `user.invalid_email` where it is none.
    pub fn typed(text: &str) -> Result<Self, Refusal> {
        text.trim().to_lowercase().try_into()
    }
}

impl Build {
    /// No build.
    pub fn none() -> Self {
        Self(String::new())
    }

    /// True where a release has no build.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text:?} is good");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?} is bad");
        }
    }

    #[test]
    fn slugs() {
        let long = "a".repeat(63);
        check::<Slug>(
            &["a", "0", "acme-app", "a--b", &long],
            &["", "-a", "a-", "A", "a.b", "a b", "ä", &format!("{long}a")],
        );
    }

    #[test]
    fn channels() {
        check::<ChannelName>(&["beta", "1.x", "pr_7"], &["", ".a", "a.", "_a", "a/b", "Beta"]);
    }

    #[test]
    fn email_addresses() {
        check::<Email>(
            &["a@b", "ann.lee+x@example.org", "jürgen@example.org"],
            &[
                "",
                "a",
                "@b",
                "a@",
                "a@b@c",
                "A@b",
                "a b@c",
                "a@b\n",
                "a\u{202e}@b",
                &format!("{}@b", "a".repeat(254)),
            ],
        );
        assert_eq!(Email::typed(" Ann@Example.org ").unwrap().as_str(), "ann@example.org");
    }

    #[test]
    fn versions_and_builds() {
        check::<Version>(
            &["1", "1.2.3-rc.1+b7", "v2~1_x"],
            &["", ".1", "-1", "1 2", "1/2", &"1".repeat(65)],
        );
        check::<Build>(&["", "812"], &["-1", " "]);
    }

    #[test]
    fn file_names() {
        check::<FileName>(
            &["Acme 1.0.ipa", "ä.apk", ".hidden"],
            &[
                "",
                ".",
                "..",
                "a/b",
                "a\\b",
                "a\nb",
                "exe.\u{202e}gpj",
                &"a".repeat(256),
            ],
        );
    }

    #[test]
    fn a_huge_name_is_quoted_shortly() {
        let refusal = "x".repeat(1_000_000).parse::<Slug>().unwrap_err();
        assert!(refusal.message.len() < 300);
    }
}
