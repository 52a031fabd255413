//! Entity ids.

use crate::{ErrorCode, Refusal, Timestamp};

/// A new `UUIDv7` (RFC 9562, section 5.7) from a time and 10 random bytes, both injected.
///
/// ```
/// let id = dist_model::new_id(dist_model::Timestamp::from_millis(1_700_000_000_000), [7; 10]);
/// assert!(id.starts_with("018bcfe5-6800-7"));
/// ```
pub fn new_id(now: Timestamp, random: [u8; 10]) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random)
        .into_uuid()
        .hyphenated()
        .to_string()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Ids that the platform makes are `UUIDv7`; imported ones are kept as they were, so an id
        /// is any 1 to 128 printable ASCII characters without spaces. Nothing sorts by id.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Refusal;
            fn try_from(text: String) -> Result<Self, Refusal> {
                let good = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
                if good {
                    Ok(Self(text))
                } else {
                    Err(Refusal::new(ErrorCode::InvalidId, "an id is 1 to 128 printable ASCII characters without spaces"))
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = Refusal;
            fn from_str(text: &str) -> Result<Self, Refusal> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The id of an [`App`](crate::App).
    AppId
);
id!(
    /// The id of a [`Release`](crate::Release).
    ReleaseId
);
id!(
    /// The id of an [`Artifact`](crate::Artifact).
    ArtifactId
);
id!(
    /// The id of a [`Token`](crate::Token).
    TokenId
);
id!(
    /// The id of a [`User`](crate::User).
    UserId
);
id!(
    /// The id of a [`Session`](crate::Session).
    SessionId
);
id!(
    /// The id of an [`InstallLink`](crate::InstallLink).
    LinkId
);
