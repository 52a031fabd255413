//! Tester links: what opens a channel of a private app to whoever holds the link.

use crate::{AppId, ChannelName, ErrorCode, LinkId, Refusal, Slug, Timestamp};

/// A link to one channel's install page that carries its own secret, and expires. The SHA-256 of the
/// secret is in the log and in the table; the secret itself is only in the link.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstallLink {
    /// The id.
    pub id: LinkId,
    /// The app.
    pub app_id: AppId,
    /// Its slug.
    pub app_slug: Slug,
    /// The channel that it opens: what the channel offers at the time, and nothing else.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub channel: ChannelName,
    /// Who or what it is for, in the words of who made it.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked, or null.
    pub revoked_at: Option<Timestamp>,
}

impl InstallLink {
    /// The longest that a link lasts, in milliseconds: a year.
    pub const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

    /// How long a link lasts where nobody says, in milliseconds: a week.
    pub const USUAL_MS: i64 = 7 * 24 * 3_600_000;

    /// Refuses a link that was revoked or has expired by `now`.
    ///
    /// # Errors
    /// `link.ended`.
    pub fn check_alive(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.revoked_at.is_none() && now < self.expires_at {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::LinkEnded, ErrorCode::LinkEnded.help()))
    }
}
