//! The JSON bodies of requests, other than the manifest.

use std::collections::BTreeSet;

use dist_model::decide::{LinkIntent, TokenIntent};
use dist_model::{
    AppChanges, ChannelName, ErrorCode, InstallLink, Platform, Refusal, Scope, Scopes, Slug, Timestamp, parse_duration,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /api/apps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppCreate {
    /// The app's name in URLs.
    pub slug: Slug,
    /// Its first settings.
    #[serde(flatten)]
    pub settings: AppChanges,
}

/// `POST …/releases/{id}/artifacts`: more artifacts for a draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactsAdd {
    /// As in the manifest, with `sha256` in place of `path`.
    pub artifacts: Vec<crate::manifest::ArtifactEntry>,
}

/// `POST …/releases/{id}/publish`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DraftPublish {
    /// The channel to move, where it is another than the draft's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// The platforms that the release must have.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<Platform>)]
    pub require: BTreeSet<Platform>,
}

/// `POST …/channels/{name}/promote`: one of the two is required.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Promote {
    /// The release, by id or by version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The build, where the version alone names several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The channel whose current release is promoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_channel: Option<ChannelName>,
}

/// `POST …/channels/{name}/rollback`: the body may be empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {}

/// `POST …/releases/{id}/yank`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Yank {
    /// Roll back the channels that point at it, in the same transaction.
    pub and_rollback: bool,
    /// Why, for the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /api/tokens`. The token ends at a time or after a while, and never where neither is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    /// Its name, unique for ever.
    pub name: String,
    /// What it may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: BTreeSet<Scope>,
    /// The one app that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_slug: Option<Slug>,
    /// The channels that it may move; all where empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub channels: BTreeSet<ChannelName>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How long it lasts: a number and `s`, `m`, `h` or `d`, such as `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

impl TokenCreate {
    /// What is asked for, by the clock of whoever makes the token.
    ///
    /// # Errors
    /// `token.invalid` where the end is said twice or cannot be read.
    pub fn intent(self, now: Timestamp) -> Result<TokenIntent, Refusal> {
        let expires_at = end(self.expires_at, self.expires_in.as_deref(), now);
        Ok(TokenIntent {
            name: self.name,
            scopes: Scopes(self.scopes),
            app_slug: self.app_slug,
            channels: self.channels,
            expires_at: expires_at.map_err(|message| Refusal::new(ErrorCode::TokenInvalid, message))?,
        })
    }
}

/// `POST …/channels/{name}/links`: the body may be empty. The link ends at a time or after a while, and
/// a week after it is made where neither is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkCreate {
    /// Who or what it is for.
    pub note: String,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How long it lasts: a number and `s`, `m`, `h` or `d`, such as `7d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

impl LinkCreate {
    /// What is asked for, for a channel and by the clock of whoever makes the link.
    ///
    /// # Errors
    /// `link.invalid` where the end is said twice or cannot be read.
    pub fn intent(self, channel: ChannelName, now: Timestamp) -> Result<LinkIntent, Refusal> {
        let expires_at = end(self.expires_at, self.expires_in.as_deref(), now)
            .map_err(|message| Refusal::new(ErrorCode::LinkInvalid, message))?;
        Ok(LinkIntent {
            channel,
            note: self.note,
            expires_at: expires_at.unwrap_or_else(|| now.plus_millis(InstallLink::USUAL_MS)),
        })
    }
}

/// When something ends that says so by a time, by a length of time, or not at all. A length is told
/// apart from a time so that the same request, sent again under its key, is the same.
fn end(at: Option<Timestamp>, after: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, String> {
    match (at, after) {
        (at, None) => Ok(at),
        (None, Some(text)) => parse_duration(text)
            .map(|length| Some(now.plus(length)))
            .ok_or_else(|| format!("expires_in takes 90d, 12h or 30m, not {text:?}")),
        (Some(_), Some(_)) => Err("give expires_at or expires_in, not both".to_owned()),
    }
}

/// `POST /api/store/cleanup`: the body may be empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CleanupRequest {
    /// Only say what would be done.
    pub dry_run: bool,
    /// How old a mark must be before its object is removed, in seconds; an hour where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
}

/// `POST /api/store/backup`: the body may be empty. The server chooses the folder, below its own
/// data folder or where its configuration says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackupRequest {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_at_a_time_after_a_while_or_never() {
        let check = |end: &str, expect: Result<Option<&str>, ErrorCode>| {
            let body = format!(r#"{{"name": "ci", "scopes": ["publish"]{end}}}"#);
            let request: TokenCreate = serde_json::from_str(&body).unwrap();
            let intent = request.intent(Timestamp::from_millis(0));
            let found = intent.map(|intent| intent.expires_at.map(|at| at.to_string()));
            let expect = expect.map(|at| at.map(str::to_owned));
            assert_eq!(found.map_err(|refusal| refusal.code), expect, "{body}");
        };
        check("", Ok(None));
        check(r#", "expires_in": "90d""#, Ok(Some("1970-04-01T00:00:00.000Z")));
        check(
            r#", "expires_at": "2026-12-31T00:00:00+01:00""#,
            Ok(Some("2026-12-30T23:00:00.000Z")),
        );
        check(r#", "expires_in": "999999999d""#, Ok(Some("9999-12-30T22:00:00.000Z")));
        check(r#", "expires_in": "-1d""#, Err(ErrorCode::TokenInvalid));
        check(
            r#", "expires_in": "1d", "expires_at": "2026-12-31T00:00:00Z""#,
            Err(ErrorCode::TokenInvalid),
        );
    }

    #[test]
    fn a_link_ends_at_a_time_or_after_a_while() {
        let check = |body: &str, expect: Result<&str, ErrorCode>| {
            let request: LinkCreate = serde_json::from_str(body).unwrap();
            let intent = request.intent("beta".parse().unwrap(), Timestamp::from_millis(0));
            let found = intent.map(|intent| intent.expires_at.to_string());
            let expect = expect.map(str::to_owned);
            assert_eq!(found.map_err(|refusal| refusal.code), expect, "{body}");
        };
        check("{}", Ok("1970-01-08T00:00:00.000Z"));
        check(r#"{"expires_in": "12h"}"#, Ok("1970-01-01T12:00:00.000Z"));
        check(
            r#"{"expires_at": "2026-12-31T00:00:00Z"}"#,
            Ok("2026-12-31T00:00:00.000Z"),
        );
        check(r#"{"expires_in": "soon"}"#, Err(ErrorCode::LinkInvalid));
        check(
            r#"{"expires_in": "1d", "expires_at": "2026-12-31T00:00:00Z"}"#,
            Err(ErrorCode::LinkInvalid),
        );
    }
}
