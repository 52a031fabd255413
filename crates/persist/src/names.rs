//! Names that can only hold what may be stored.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty or too long.
    #[error("it has 1 to {max} bytes, not {found}")]
    Length {
        /// The most bytes that it may have.
        max: usize,
        /// How many it has.
        found: usize,
    },
    /// It holds a control character.
    #[error("it holds no control characters")]
    Control,
    /// It begins with `$`.
    #[error("names that begin with '$' are reserved")]
    Reserved,
}

/// What every name keeps to, the reserved ones too.
pub(crate) fn check(name: &str, max: usize) -> Result<(), NameError> {
    if name.is_empty() || name.len() > max {
        let found = name.len();
        return Err(NameError::Length { max, found });
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    Ok(())
}

/// Both kinds of names are texts with a limit, and `$` in front of those that are the library's own.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest name, in bytes.
            pub const MAX_BYTES: usize = $max;

            /// Checks a name.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                let name = Self::below(name)?;
                if name.is_reserved() {
                    return Err(NameError::Reserved);
                }
                Ok(name)
            }

            /// Checks a name where reserved ones are allowed too: below the facets.
            pub(crate) fn below(name: impl AsRef<str>) -> Result<Self, NameError> {
                let name = name.as_ref();
                check(name, Self::MAX_BYTES)?;
                Ok(Self(name.into()))
            }

            /// Reads a field that may hold a reserved name.
            pub(crate) fn deserialize_below<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::below(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }

            /// A name that was checked before it was stored.
            pub(crate) fn stored(name: &str) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name is one of the library's own.
            pub fn is_reserved(&self) -> bool {
                self.0.starts_with('$')
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name! {
    /// The name of a stream: 1 to 200 bytes without control characters.
    ///
    /// Names that begin with `$` are the library's own; callers cannot make them.
    StreamName, 200
}

name! {
    /// A key of the key-value facet: 1 to 1024 bytes without control characters.
    ///
    /// Keys that begin with `$` are the library's own; callers cannot make them.
    Key, 1024
}

impl StreamName {
    /// The opt-in timeline, `$global`: pointers to the events of [`Append`](crate::Append)s that
    /// asked for one. It can be read like any stream, and is written with what it points at.
    pub fn global() -> Self {
        Self::stored("$global")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_length_and_no_control_characters() {
        let refused = |name: &str| StreamName::new(name).unwrap_err();
        assert_eq!(refused(""), NameError::Length { max: 200, found: 0 });
        assert_eq!(refused(&"é".repeat(101)), NameError::Length { max: 200, found: 202 });
        assert_eq!(refused("a\nb"), NameError::Control);
        assert_eq!(refused("a\u{85}b"), NameError::Control);
        StreamName::new("é".repeat(100)).unwrap();
        Key::new("k".repeat(1024)).unwrap();
        assert_eq!(
            Key::new("k".repeat(1025)).unwrap_err(),
            NameError::Length { max: 1024, found: 1025 }
        );
    }

    #[test]
    fn reserved_names_are_refused_to_callers_in_json_too() {
        assert_eq!(StreamName::new("$global").unwrap_err(), NameError::Reserved);
        assert_eq!(Key::new("$snapshot").unwrap_err(), NameError::Reserved);
        assert!(serde_json::from_str::<StreamName>(r#""$global""#).is_err());
        assert!(serde_json::from_str::<Key>(r#""$snapshot""#).is_err());
        StreamName::new("a$").unwrap();
    }
}
